"""A proxy that counts the requests that go through it, by method. HTTP/1.1 with lengths, as S3 is spoken."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from types import TracebackType

LONGEST_HEAD = 64 << 10  # bytes


class Counting:
    """While the block lasts, what is sent to `endpoint` goes on to a server of this machine."""

    def __init__(self, port: int) -> None:
        self.counts: Counter[str] = Counter()
        self._to = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Counting:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection(self._to)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._requests, args=(near, far), daemon=True).start()
            threading.Thread(target=_pipe, args=(far, near), daemon=True).start()

    def _requests(self, near: socket.socket, far: socket.socket) -> None:
        """Passes on what a client sends, head by head, so that no body is taken for a request."""
        held = b""
        try:
            while True:
                while (end := held.find(b"\r\n\r\n")) < 0 and len(held) < LONGEST_HEAD:
                    if not (more := near.recv(1 << 16)):
                        return
                    held += more
                head, left = held[: end + 4], _length(held[:end])
                with self._lock:
                    self.counts[head.split(b" ", 1)[0].decode("latin-1")] += 1
                held = held[end + 4 :]
                far.sendall(head + held[:left])
                left, held = left - min(left, len(held)), held[left:]
                while left:
                    if not (more := near.recv(min(left, 1 << 20))):
                        return
                    far.sendall(more)
                    left -= len(more)
        except OSError:
            return
        finally:
            far.close()
            near.close()


def _length(head: bytes) -> int:
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"transfer-encoding" in fields:
        raise OSError("chunks are not spoken here")
    return int(fields.get(b"content-length", b"0"))


def _pipe(far: socket.socket, near: socket.socket) -> None:
    try:
        while more := far.recv(1 << 16):
            near.sendall(more)
    except OSError:
        pass
    finally:
        near.close()
