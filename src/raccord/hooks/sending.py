"""Sends one attempt of a hook through the target's transport, and reads the answer.

It follows no redirect to another server, reads no more than it needs, and ends in time.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from raccord.errors import ProcessFailed, ProcessTimeout, RaccordError, TransportError
from raccord.hooks.call import Answer, Call
from raccord.model.text import shown
from raccord.transport.model import Transport

Headers = Mapping[str, bytes]

LIMIT = 1024 * 1024  # bytes of an answer that are read
REDIRECTS = 5
LOST = 255
MOVED = (301, 302, 303, 307, 308)
PLAIN = "%/:=&?~+!$,;'@()*[]"  # what stands in a URL as it is
POLL = 0.1  # seconds
# A far side closes at once where nobody listens; what comes later is an answer that never was.
CLOSED_AT_ONCE = 0.25


class Unheard(Exception):
    """Nobody there has heard of it."""


class Silent(Exception):
    """It was sent, and no answer came: whether it was heard is not known."""


@dataclass(frozen=True, slots=True)
class Sender:
    """How attempts are sent.

    Attributes:
        transport: to the target.
        sent: told just before anything can be heard there.
        cancelled: whether a person asked to stop.
    """

    transport: Transport
    sent: Callable[[], None]
    cancelled: Callable[[], bool]

    def send(self, what: Call, headers: Headers) -> Answer:
        """One attempt.

        Raises:
            Unheard, Silent: no answer came.
            KeyboardInterrupt: a person asked to stop.
        """
        return self._requested(what, headers) if what.url else self._run(what)

    def _run(self, what: Call) -> Answer:
        try:
            if self.transport.key:
                self.transport.run(["true"], timeout=what.timeout)  # logs in, where that is needed
        except RaccordError as error:
            raise Unheard(error.message) from None
        self.sent()
        words = what.line or list(what.words)
        body = what.body.encode("utf-8", "surrogateescape")
        try:
            done = self.transport.run(words, stdin=body, timeout=what.timeout, limit=LIMIT)
        except ProcessTimeout:
            raise Silent(f"no end after {what.timeout} s") from None
        except (TransportError, ProcessFailed) as error:
            missing = isinstance(error, ProcessFailed) and error.returncode == 127
            raise (Unheard if missing else Silent)(error.message) from None
        if done.returncode == LOST and self.transport.key:
            raise Silent(f"it ended with {LOST}, and so does ssh where it loses the connection")
        text = done.stdout.decode("utf-8", "replace")
        return Answer(done.returncode, text if done.returncode == 0 else f"{done.stderr}\n{text}")

    def _requested(self, what: Call, headers: Headers) -> Answer:
        until = time.monotonic() + what.timeout
        url, told = urlsplit(what.url), False
        answer = Answer(0, "")
        for _ in range(REDIRECTS + 1):
            try:
                with self._connected(url, until) as connection:
                    if not told:
                        self.sent()
                        told = True
                    answer, moved = self._asked(connection, what, url, headers, until)
            except Unheard as error:
                if told:  # it was, before it was sent on
                    raise Silent(str(error)) from None
                raise
            goal = urlsplit(urljoin(url.geturl(), moved)) if moved else None
            if goal is None or what.method not in ("GET", "HEAD"):
                return answer
            if (goal.scheme, goal.netloc) != (url.scheme, url.netloc):
                there = f"it sends on to {goal.scheme}://{goal.netloc}, which is not followed"
                return Answer(answer.status, there)
            url = goal
        return Answer(answer.status, "it sends on for ever")

    @contextlib.contextmanager
    def _connected(self, url: SplitResult, until: float) -> Iterator[_Connection]:
        """A connection to the server, as seen from the target.

        Raises:
            Unheard: there is none.
        """
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        with contextlib.ExitStack() as stack:
            try:
                made = self._socket(stack, host, port, until)
                stack.callback(made.close)
                if url.scheme == "https":
                    made = ssl.create_default_context().wrap_socket(made, server_hostname=host)
                    stack.callback(made.close)
            except (OSError, TransportError) as error:
                said = error.message if isinstance(error, TransportError) else _said(error)
                raise Unheard(f"{shown(host)}:{port} can't be reached: {said}") from None
            made.settimeout(None)  # from here on the whole attempt has its limit
            yield _Connection(host, port, made, default=url.port is None)

    def _socket(self, stack: contextlib.ExitStack, host: str, port: int, until: float) -> socket.socket:
        seconds = max(POLL, until - time.monotonic())
        if not self.transport.key:
            return socket.create_connection((host, port), timeout=seconds)
        path = stack.enter_context(self.transport.forwarded(host, port))
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(seconds)
            made.connect(str(path))
            if select.select([made], [], [], CLOSED_AT_ONCE)[0]:
                raise ConnectionRefusedError("nobody listens there")
        except OSError:
            made.close()
            raise
        return made

    def _asked(
        self, connection: _Connection, what: Call, url: SplitResult, headers: Headers, until: float
    ) -> tuple[Answer, str]:
        """The answer, and where it sends on to, or ""."""
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        body = what.body.encode("utf-8", "surrogateescape") if what.body else None
        lost, data, status, moved = "", b"", 0, ""
        with _ended(connection.made, until, self.cancelled) as ended:
            try:
                connection.request(what.method, quote(path, safe=PLAIN), body=body, headers=dict(headers))
                response = connection.getresponse()
                status, moved = response.status, response.getheader("Location", "")
                data = response.read(LIMIT)
                if response.length and len(data) < LIMIT:
                    lost = "it ended in the middle of the answer"
            except (OSError, http.client.HTTPException, ValueError) as error:
                lost = _said(error)
        if ended() == "cancelled":
            raise KeyboardInterrupt
        if ended():
            raise Silent(f"no answer after {what.timeout} s")
        if lost:
            raise Silent(f"the connection was lost: {lost}")
        return Answer(status, data.decode("utf-8", "replace")), moved if status in MOVED else ""


class _Connection(http.client.HTTPConnection):
    """A connection that is there already; `http.client` would make its own."""

    def __init__(self, host: str, port: int, made: socket.socket, *, default: bool) -> None:
        super().__init__(host, None if default else port)
        if default:
            self.port = self.default_port = port  # the Host header names no default port
        self.made = made
        self.sock = made


@contextlib.contextmanager
def _ended(made: socket.socket, until: float, cancelled: Callable[[], bool]) -> Iterator[Callable[[], str]]:
    """Cuts a connection when its time is over or a person asks; tells why: "late", "cancelled" or "".

    A limit for each read would let a server that answers byte by byte go on for ever.
    """
    over, why = threading.Event(), [""]

    def watch() -> None:
        while not over.wait(POLL):
            if cancelled() or time.monotonic() > until:
                why[0] = "cancelled" if cancelled() else "late"
                with contextlib.suppress(OSError):
                    # That of a socket with TLS would take the layer away under the one who reads.
                    socket.socket.shutdown(made, socket.SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: why[0]
    finally:
        over.set()
        watcher.join()


def _said(error: Exception) -> str:
    # Others than the system's repeat what they don't like.
    text = error.strerror if isinstance(error, OSError) else ""
    return shown(text or type(error).__name__).lower()
