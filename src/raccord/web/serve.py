"""Runs the server: on loopback for browsers and programs, on a Unix socket for this user's command line."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from raccord.coordination.service import AutoSyncService
from raccord.errors import CannotRun
from raccord.kernel import fs
from raccord.model.text import shown
from raccord.web.app import application
from raccord.web.feed import Feed
from raccord.web.guard import Doors, Guard
from raccord.web.metrics import Metrics
from raccord.workspace import Workspace

FOLDER = "serve"  # below raccord's own state
TOKEN, SCRAPE = "token", "scrape-token"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass
class Server:
    """A server that was bound, and is not running yet.

    Attributes:
        url: where browsers find it.
        link: opens one session in a browser, once; "" where no session is needed.
    """

    url: str
    link: str
    service: AutoSyncService
    _doors: Doors
    _app: Guard
    _feed: Feed
    _socket: socket.socket
    _server: uvicorn.Server | None = field(default=None, init=False)
    _early: threading.Event = field(default_factory=threading.Event, init=False)

    def renewed(self) -> str:
        """Another link that opens a session, once."""
        return self.url if self._doors.dev else f"{self.url}login?link={self._doors.link()}"

    def run(self) -> None:
        """Answers until `stop`."""
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            server_header=False,
            h11_max_incomplete_event_size=64 * 1024,
        )
        self._server = uvicorn.Server(config)
        self.service.begin()
        try:
            if not self._early.is_set():
                asyncio.run(self._serve(self._server))
        finally:
            self.service.end()
            self._socket.close()

    async def _serve(self, server: uvicorn.Server) -> None:
        # Signals are the face's.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        await server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Ends it; from another thread or a signal."""
        self._early.set()
        self._feed.end()
        if self._server is not None:
            self._server.should_exit = True


def bound(
    opened: Callable[[], Workspace], service: AutoSyncService, state: Path, port: int, *, dev: bool
) -> Server:
    """A server on loopback.

    Args:
        opened: opens the workspace for one request.
        state: raccord's own folder.
        port: 0 for any that is free.
        dev: whether everybody on this machine is let in.

    Raises:
        CannotRun: the port is taken.
    """
    listening = _listening(port)
    number = listening.getsockname()[1]
    hosts = frozenset(f"{name}:{number}" for name in LOOPBACK)
    doors = Doors(hosts, _secret(state, TOKEN), _secret(state, SCRAPE), dev)
    feed, metrics = Feed(service.keeper), Metrics(service)
    service.keeper.checked.append(metrics.checked)
    app = application(opened, service, doors, feed, metrics)
    url = f"http://127.0.0.1:{number}/"
    server = Server(url, "", service, doors, Guard(app, doors), feed, listening)
    server.link = "" if dev else server.renewed()
    return server


def _listening(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
        made.listen(128)
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
