"""Runs the server: on loopback for browsers and programs, on a Unix socket for this user's command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from raccord.coordination.served import FOLDER, RECORD, SCRAPE, TOKEN
from raccord.coordination.service import AutoSyncService
from raccord.errors import CannotRun
from raccord.kernel import fs
from raccord.kernel.fs_private import private_folder
from raccord.model.text import shown
from raccord.web.app import application, look
from raccord.web.feed import Feed
from raccord.web.guard import Application, Doors, Guard
from raccord.web.kept import Recent
from raccord.web.metrics import Metrics
from raccord.workspace import Workspace

SOCKET = "serve"  # within the private folder
BACKLOG = 128
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass
class Server:
    """A server that was bound, and is not running yet.

    Attributes:
        url: where browsers find it.
        state: raccord's own folder.
    """

    url: str
    service: AutoSyncService
    state: Path
    _doors: Doors
    _app: Application
    _feed: Feed
    _trees: Recent
    _socket: socket.socket
    _servers: list[uvicorn.Server] = field(default_factory=list, init=False)
    _early: threading.Event = field(default_factory=threading.Event, init=False)

    def link(self) -> str:
        """A link that opens a session in a browser, once; the page itself where no session is needed."""
        return self.url if self._doors.dev else f"{self.url}login?link={self._doors.link()}"

    def run(self) -> None:
        """Answers until `stop`."""
        self.service.begin()
        record = self.state / FOLDER / RECORD
        try:
            with private_folder() as folder, socket.socket(socket.AF_UNIX) as own:
                own.bind(str(folder / SOCKET))
                own.listen(BACKLOG)
                said = {"url": self.url, "socket": str(folder / SOCKET), "pid": os.getpid()}
                fs.write_atomic(record, json.dumps(said).encode(), mode=0o600, exact=True)
                asyncio.run(self._serve(own))
        finally:
            fs.unlink(record)
            self._trees.end()
            self.service.end()
            self._socket.close()

    async def _serve(self, own: socket.socket) -> None:
        doors = ((self._socket, False), (own, True))
        guarded = [(listening, Guard(self._app, self._doors, trusted=one)) for listening, one in doors]
        self._servers = [_server(app) for _, app in guarded]
        if not self._early.is_set():
            served = zip(self._servers, guarded, strict=True)
            await asyncio.gather(*(one.serve(sockets=[listening]) for one, (listening, _) in served))

    def stop(self) -> None:
        """Ends it; from another thread or a signal."""
        self._early.set()
        self._feed.end()
        for one in self._servers:
            one.should_exit = True


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the face's."""
        yield


def _server(app: Guard) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            server_header=False,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )


def bound(
    workspace: Workspace,
    opened: Callable[[], Workspace],
    service: AutoSyncService,
    port: int,
    *,
    dev: bool,
) -> Server:
    """A server on loopback.

    Args:
        opened: opens the workspace anew, for one request.
        port: 0 for any that is free.
        dev: whether everybody on this machine is let in.

    Raises:
        CannotRun: the port is taken.
    """
    listening, state = _listening(port), workspace.coordination.state
    number = listening.getsockname()[1]
    hosts = frozenset(f"{name}:{number}" for name in LOOPBACK)
    doors = Doors(hosts, _secret(state, TOKEN), _secret(state, SCRAPE), dev)
    feed, metrics = Feed(service.keeper), Metrics(service, workspace)
    service.keeper.checked.append(metrics.checked)
    fixed = {"port": number, "dev": dev, "polling": service.polling}
    trees = Recent(lambda: look(opened), service.keeper.ledger.last)
    app = application(workspace, opened, service, doors, feed, metrics, trees, fixed)
    url = f"http://127.0.0.1:{number}/"
    return Server(url, service, state, doors, app, feed, trees, listening)


def _listening(port: int) -> socket.socket:
    # Named as TCP, or asyncio lets answers wait for acknowledgements: 40 ms each.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise CannotRun(
            f"port {port} of this machine can't be had: {error.strerror}", hint="raccord serve --port 0"
        ) from error
    return made


def _secret(state: Path, name: str) -> str:
    """A secret that only this user can read, made once."""
    place = state / FOLDER / name
    fs.make_dirs(place.parent)
    found = fs.read_or_none(place)
    if found is None:
        fs.write_atomic(place, secrets.token_urlsafe(32).encode() + b"\n", mode=0o600, exact=True)
        found = fs.read(place)
    said = found.decode("ascii", "replace").strip()
    if len(said) < 32:
        raise CannotRun(f"{shown(str(place))} holds no token", hint=f"rm {shown(str(place))}")
    return said
