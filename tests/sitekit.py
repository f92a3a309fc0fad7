"""A real HTTP server on this machine that answers as a test tells it to."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

HANG, CUT, DRIP, SHORT = "hang", "cut", "drip", "short"


@dataclass(frozen=True)
class Reply:
    status: int = 200
    text: str = '{"ok": true}'
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Web:
    """What it was asked, and what it answers; the last answer stays.

    Attributes:
        answers: replies, or HANG (it never answers), CUT (it closes), DRIP (a byte now and then), SHORT (half
            of what it announces).
    """

    port: int = 0
    scheme: str = "http"
    got: list[Request] = field(default_factory=list)
    answers: list[Reply | str] = field(default_factory=lambda: [Reply()])
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    def next(self) -> Reply | str:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextlib.contextmanager
def web(*answers: Reply | str, tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A server as long as the block lasts."""
    made = Web(scheme="https" if tls else "http")
    if answers:
        made.answers = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            pass

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            made.got.append(Request(self.command, self.path, dict(self.headers), body))
            reply = made.next()
            self.close_connection = True
            if reply == HANG:
                made.over.wait(30)
            elif reply == DRIP:
                with contextlib.suppress(OSError):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
                    while not made.over.wait(0.05):
                        self.wfile.write(b"a")
            elif reply == SHORT:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            elif isinstance(reply, Reply):
                data = reply.text.encode()
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    with contextlib.suppress(OSError):
                        self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = handle_any

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
