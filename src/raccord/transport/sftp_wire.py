"""SFTP's packets through the pipes of a running subsystem: requests go out at once, answers come later.

Version 3, which all servers speak (draft-ietf-secsh-filexfer-02). Knows requests and answers, and no files.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future

from raccord.errors import TransportError
from raccord.kernel.proc import Child
from raccord.model.text import shown

INIT, VERSION, STATUS, EXTENDED = 1, 2, 101, 200
SPOKEN = 3
LARGEST = 1 << 20  # bytes of a packet; what is more is no packet, but what a shell prints
SAID = 200  # characters of a server's message that are repeated

# What a server answers instead of doing it, by the number of its status.
EOF, NONE, DENIED, UNKNOWN = 1, 2, 3, 8

Answer = tuple[int, bytes]
NOTHING = memoryview(b"")


class Unsupported(OSError):
    """The server doesn't know the request."""


def packed(*parts: int | bytes) -> bytes:
    """Strings with their length, and 32-bit numbers."""
    return b"".join(
        struct.pack(">I", one) if isinstance(one, int) else struct.pack(">I", len(one)) + one for one in parts
    )


class Fields:
    """Takes an answer apart.

    Raises:
        OSError: from each method: there is less than there should be.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            raise OSError("its answer is cut short")
        self._at += count
        return found

    def number(self) -> int:
        """32 bits."""
        return int.from_bytes(self._take(4), "big")

    def long(self) -> int:
        """64 bits."""
        return int.from_bytes(self._take(8), "big")

    def text(self) -> bytes:
        """A string."""
        return self._take(self.number())

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)


class Wire:
    """A conversation. Called from several threads.

    Args:
        child: the subsystem, started with pipes for its input and its output.
        lost: makes the error for a conversation that ended.

    Raises:
        TransportError: it does not begin.
    """

    def __init__(self, child: Child, lost: Callable[[str], TransportError]) -> None:
        assert child.stdin is not None and child.stdout is not None
        self._in, self._out = child.stdin, child.stdout
        self._lost = lost
        self._mutex, self._sending = threading.Lock(), threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Answer]] = {}
        self._ended = ""
        self.offered = self._greeted()
        threading.Thread(target=self._listen, name="sftp", daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return bool(self._ended)

    def send(self, kind: int, body: bytes, data: memoryview = NOTHING) -> Future[Answer]:
        """Sends a request, and waits for nothing.

        Args:
            data: ends the body; not copied.
        """
        future: Future[Answer] = Future()
        with self._mutex:
            if self._ended:
                raise self._lost(self._ended)
            number = next(self._numbers) & 0xFFFFFFFF
            self._waiting[number] = future
        self._write(bytes([kind]) + packed(number) + body, data)
        return future

    def extended(self, name: bytes, body: bytes) -> Future[Answer]:
        """Sends a request of a name."""
        return self.send(EXTENDED, packed(name) + body)

    def ask(self, kind: int, body: bytes, expected: int = STATUS) -> Fields:
        """Sends a request, and waits for its answer."""
        return answered(self.send(kind, body), expected)

    def _write(self, body: bytes, data: memoryview = NOTHING) -> None:
        # A lock of its own: where the pipe is full, whoever reads the answers must not wait for it.
        with self._sending, contextlib.suppress(OSError, ValueError):  # the reader finds that it ended
            self._in.write(packed(len(body) + len(data)) + body)
            self._in.write(data)
            self._in.flush()

    def _read(self) -> bytes:
        head = self._out.read(4)
        if len(head) < 4:
            raise OSError(shown(head.decode("utf-8", "replace")))
        size = int.from_bytes(head, "big")
        if not 0 < size <= LARGEST:
            raise OSError(
                "it says something else than SFTP: a file such as .bashrc there may print something"
            )
        body = self._out.read(size)
        if len(body) < size:
            raise OSError("")
        return bytes(body)

    def _greeted(self) -> dict[bytes, bytes]:
        self._write(bytes([INIT]) + packed(SPOKEN))
        try:
            body = self._read()
            said = Fields(body[1:])
            if body[0] != VERSION or said.number() < SPOKEN:
                raise OSError("it doesn't speak version 3 of SFTP")
            found = {}
            while said.more:
                name = said.text()
                found[name] = said.text()
        except (OSError, ValueError) as error:
            raise self._lost(str(error)) from None
        return found

    def _listen(self) -> None:
        why = ""
        try:
            while True:
                body = self._read()
                said = Fields(body[1:])
                number = said.number()
                with self._mutex:
                    future = self._waiting.pop(number, None)
                if future is None:
                    raise OSError("it answers what nobody asked")
                future.set_result((body[0], body[5:]))
        except (OSError, ValueError) as error:  # closed here, or there
            why = str(error)
        with self._mutex:
            self._ended = why or "it ended"
            left = [*self._waiting.values()]
            self._waiting.clear()
        if left:
            lost = self._lost(self._ended)  # once: it may take a moment to hear why
            for one in left:
                one.set_exception(lost)


def answered(future: Future[Answer], expected: int = STATUS) -> Fields:
    """Waits for an answer.

    Raises:
        FileNotFoundError, PermissionError, EOFError, Unsupported, OSError: the server refuses.
        TransportError: the conversation ended.
    """
    kind, body = future.result()
    said = Fields(body)
    if kind == STATUS:
        status = said.number()
        if status or expected != STATUS:
            raise _refused(status, said)
    elif kind != expected:
        raise OSError("its answer is not to what was asked")
    return said


def _refused(status: int, said: Fields) -> Exception:
    text = said.text().decode("utf-8", "replace") if said.more else ""
    message = shown(text[:SAID]) or f"status {status}"
    kinds = {EOF: EOFError, NONE: FileNotFoundError, DENIED: PermissionError, UNKNOWN: Unsupported}
    return kinds.get(status, OSError)(message)
