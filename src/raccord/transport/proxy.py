"""A proxy on this machine's loopback that leads to one server elsewhere, for clients without socket files.

Other users of this machine can reach the port, so it answers only who knows a password of this process. The
client's request stays what it signed: the name of the server in it, and TLS with that name, pass through.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from raccord.errors import RaccordError
from raccord.transport.door import BLOCK, Door, pour
from raccord.transport.model import Transport

LOOPBACK = "127.0.0.1"
USER = "raccord"
MOST = 1 << 16  # bytes of a request's head
OPEN = b"HTTP/1.1 200 OK\r\n\r\n"
WHO, WHERE, LOST, WHAT = "407 Who Are You", "421 Not There", "502 Not Reached", "400 Not Understood"


class Proxied:
    """A place whose servers are reached through proxies here; each is made once, and ends with `close`."""

    def __init__(self, place: Transport) -> None:
        self._place = place
        self._mutex = threading.Lock()
        self._doors: dict[tuple[str, int], tuple[Door, str]] = {}
        self._why = ""

    @property
    def key(self) -> str:
        """See `Transport`."""
        return self._place.key

    @property
    def shown(self) -> str:
        """See `Transport`."""
        return self._place.shown

    def proxy(self, host: str, port: int) -> str:
        """The URL of an HTTP proxy that leads to a server as seen from there, and nowhere else.

        It holds a password: it is for no argument, message or file.

        Raises:
            TransportError: the place can't be reached.
        """
        with self._place.forwarded(host, port), self._mutex:
            if (host, port) not in self._doors:
                self._doors[host, port] = self._made(host, port)
            return self._doors[host, port][1]

    def said(self) -> str:
        """Why a server there could last not be reached; "" where that isn't known."""
        return self._why or self._place.said()

    def close(self) -> None:
        """Ends them, and what goes through them."""
        with self._mutex:
            for door, _ in self._doors.values():
                door.close()
            self._doors.clear()

    def _made(self, host: str, port: int) -> tuple[Door, str]:
        password = secrets.token_hex(16)
        wanted = b"Basic " + base64.b64encode(f"{USER}:{password}".encode())
        goal = f"{f'[{host}]' if ':' in host else host}:{port}"

        def serve(made: socket.socket) -> None:
            with contextlib.suppress(OSError), made.makefile("rb") as asked:
                _answered(made, asked, goal, wanted, lambda: self._connected(host, port))

        listener = socket.socket()
        listener.bind((LOOPBACK, 0))
        url = f"http://{USER}:{password}@{LOOPBACK}:{listener.getsockname()[1]}"
        return Door(listener, serve), url

    @contextlib.contextmanager
    def _connected(self, host: str, port: int) -> Iterator[socket.socket]:
        with contextlib.ExitStack() as stack:
            try:
                # Made anew where the connection was lost.
                path = stack.enter_context(self._place.forwarded(host, port))
            except RaccordError as error:
                self._why = error.message
                raise ConnectionError from None
            made = stack.enter_context(socket.socket(socket.AF_UNIX))
            made.connect(str(path))
            yield made


@dataclass(frozen=True, slots=True)
class _Request:
    """The head of a request to a proxy (RFC 9112, 3.2).

    Attributes:
        goal: host and port, as written.
        passed: the head as the server is to have it; b"" where all that follows is between the two.
        size: bytes of the body.
    """

    goal: str
    login: bytes
    passed: bytes
    size: int


def _answered(
    made: socket.socket,
    asked: BinaryIO,
    goal: str,
    wanted: bytes,
    connect: Callable[[], AbstractContextManager[socket.socket]],
) -> None:
    """Serves a connection to its end; the first request decides whether it leads anywhere."""
    with contextlib.ExitStack() as stack:
        there: socket.socket | None = None
        back: threading.Thread | None = None
        try:
            while lines := _head(asked):
                request = _read(lines)
                refused = _refused(request, goal, wanted)
                if refused or request is None:
                    _say(made, refused)
                    return
                if there is None:
                    try:
                        there = stack.enter_context(connect())
                    except OSError:
                        _say(made, LOST)
                        return
                    if not request.passed:
                        made.sendall(OPEN)
                    back = threading.Thread(target=pour, args=(there, made), daemon=True)
                    back.start()
                there.sendall(request.passed)
                _pass_on(asked, there, request.size if request.passed else None)
        finally:
            if there is not None and back is not None:
                with contextlib.suppress(OSError):
                    there.shutdown(socket.SHUT_WR)
                back.join()  # a server may answer, and hang up, before it has read everything


def _head(asked: BinaryIO) -> list[bytes]:
    """The lines of a head; none at the end."""
    lines: list[bytes] = []
    left = MOST
    while left > 0 and (line := asked.readline(left)).endswith(b"\r\n"):
        if line == b"\r\n":
            return lines
        lines.append(line)
        left -= len(line)
    return []


def _read(lines: list[bytes]) -> _Request | None:
    """What a request asks for; None where that isn't understood."""
    method, _, rest = lines[0].rstrip().partition(b" ")
    target, _, version = rest.partition(b" ")
    fields = [(line.partition(b":")[0].strip().lower(), line) for line in lines[1:]]
    said = {name: line.partition(b":")[2].strip() for name, line in fields}
    size = said.get(b"content-length", b"0")
    if version != b"HTTP/1.1" or b"transfer-encoding" in said or not size.isdigit():
        return None
    login = said.get(b"proxy-authorization", b"")
    if method == b"CONNECT":
        return _Request(target.decode("latin-1"), login, b"", 0)
    scheme, _, rest = target.partition(b"://")
    where, slash, path = rest.partition(b"/")
    if scheme != b"http" or not slash:
        return None
    goal = where.decode("latin-1")
    kept = [line for name, line in fields if not name.startswith(b"proxy-")]
    head = b"".join([method, b" /", path, b" ", version, b"\r\n", *kept, b"\r\n"])
    return _Request(goal if re.search(r":\d+$", goal) else f"{goal}:80", login, head, int(size))


def _refused(request: _Request | None, goal: str, wanted: bytes) -> str:
    if request is None:
        return WHAT
    if not hmac.compare_digest(request.login, wanted):
        return WHO
    return "" if request.goal.lower() == goal.lower() else WHERE


def _say(made: socket.socket, status: str) -> None:
    made.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


def _pass_on(asked: BinaryIO, there: socket.socket, size: int | None) -> None:
    """Passes on so many bytes, or all there are."""
    while size is None or size > 0:
        data = asked.read1(BLOCK if size is None else min(size, BLOCK))  # type: ignore[attr-defined]
        if not data:
            return
        there.sendall(data)
        if size is not None:
            size -= len(data)
