"""Rows of a COPY as they cross the wire, many at a time: libpq gives and takes them one by one.

PostgreSQL sends each row in a message of its own, and takes those very messages back. So they are read from
the socket in blocks and passed on as they are. libpq sees nothing of them: the first message that is neither
a row nor a notice stays where it is, and for libpq the statement ends there like any other. That is done
only where the socket is seen to carry the protocol in clear; before that nothing is read from it.
Source: "Message Formats" in PostgreSQL's manual.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import Any

BLOCK = 1 << 18  # bytes that are read and passed on at once
HEAD = 5  # bytes before what a message holds: its kind, and how long it is but for that
RUN = 64  # messages of one length that are told at once
ROW, COMING, NOTICES = ord("d"), ord("H"), b"NSA"
_head = struct.Struct(">BI").unpack_from
_asked = struct.Struct(">BH").unpack_from


@contextlib.contextmanager
def wire(raw: Any) -> Iterator[socket.socket | None]:
    """The socket of a connection, None where it is encrypted.

    Args:
        raw: the connection as libpq has it.
    """
    if raw.ssl_in_use or os.name != "posix":
        yield None
        return
    # Another number for it, which may be closed. It never blocks: libpq saw to that.
    with socket.socket(fileno=os.dup(raw.socket)) as line:
        yield line


def begun(line: socket.socket) -> bool:
    """Whether a COPY is answered by rows, in clear; then that answer is read, and else nothing."""
    _wait(line, select.POLLIN)
    try:
        seen = line.recv(BLOCK, socket.MSG_PEEK)
    except OSError:
        return False
    if len(seen) < HEAD + 3:
        return False
    size: int
    kind, size = _head(seen)
    binary, columns = _asked(seen, HEAD)
    if kind != COMING or binary > 1 or size != 7 + 2 * columns or len(seen) < 1 + size:
        return False
    return len(line.recv(1 + size)) == 1 + size


class Frames:
    """Reads the messages of rows, up to the first message of another kind."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._block = bytearray(BLOCK)
        self._torn = b""  # what came of a message's head
        self._left = 0  # bytes to come of a message that is longer than what was read
        self._told = False  # whether that is a notice

    def next(self) -> tuple[memoryview, memoryview] | None:
        """More of them, until the next call: whole messages, and what they are followed by.

        That is a part of a row whose message is too long for a block, without its head.

        Returns:
            None at the end; libpq knows which.
        """
        block, none = memoryview(self._block), memoryview(b"")
        while True:
            if self._left:
                size = self._read(block[: min(self._left, BLOCK)])
                self._left -= size
                if not size:
                    return None
                if not self._told:
                    return none, block[:size]
                continue
            start = len(self._torn)
            block[:start] = self._torn
            size = self._read(block[start:], socket.MSG_PEEK)
            if not size:
                return None
            end = start + size
            whole = taken = walked(self._block, end)
            part, torn = none, b""
            if whole < end and self._block[whole] in (ROW, *NOTICES):
                taken = end
                if end - whole < HEAD:
                    torn = bytes(block[whole:end])
                else:
                    kind, length = _head(block, whole)
                    self._told = kind != ROW
                    if self._told:
                        taken = min(end, whole + 1 + length)
                    else:
                        part = block[whole + HEAD : end]
                    self._left = whole + 1 + length - taken
            if taken > start:
                # The same bytes to the same place, and away from the socket.
                self._read(block[start:taken])
            self._torn = torn
            if whole or part:
                return block[:whole], part
            if taken <= start:
                return None

    def _read(self, into: memoryview, how: int = 0) -> int:
        """Bytes of the socket, 0 where there are no more or it is broken."""
        while True:
            _wait(self._line, select.POLLIN)
            try:
                return self._line.recv_into(into, len(into), how)
            except BlockingIOError:
                continue
            except OSError:
                return 0


def walked(block: bytearray, end: int) -> int:
    """Where the whole messages of rows end that a block begins with."""
    at, last, patience = 0, 0, 0
    while at + HEAD <= end:
        kind, size = _head(block, at)
        step = 1 + size
        if kind != ROW or size < HEAD - 1 or at + step > end:
            break
        patience -= 1
        if step == last and patience < 0:
            if at + RUN * step <= end and _alike(block, at, step):
                at += RUN * step
                continue
            patience = RUN
        last = step
        at += step
    return at


def _alike(block: bytes | bytearray, at: int, step: int, run: int = RUN) -> bool:
    """Whether a message begins a run of some of its length."""
    far = at + run * step
    return all(block[at + each : far : step].count(block[at + each]) == run for each in range(HEAD))


def bare(whole: memoryview) -> bytes:
    """What whole messages hold."""
    data = bytes(whole)
    step = 1 + _head(data)[1]
    run = len(data) // step
    if len(data) == run * step and run > step and _alike(data, 0, step, run):
        # Many short ones: all their first bytes, all their second ones, and so on.
        width = step - HEAD
        found = bytearray(run * width)
        for each in range(width):
            found[each::width] = data[HEAD + each :: step]
        return bytes(found)
    at, parts = 0, []
    while at < len(data):
        step = 1 + _head(data, at)[1]
        parts.append(data[at + HEAD : at + step])
        at += step
    return b"".join(parts)


def send(line: socket.socket, raw: Any, data: memoryview) -> None:
    """Sends messages of rows to a server that copies in, past libpq, which has nothing left to send.

    What the server says meanwhile is read, or it might wait for that.

    Raises:
        OSError: the connection is lost.
    """
    while data:
        events = _wait(line, select.POLLIN | select.POLLOUT)
        if events & select.POLLIN:
            raw.consume_input()
            raw.put_copy_data(b"")  # has libpq tell notices; it keeps an error for the end
        if events & ~select.POLLIN:
            with contextlib.suppress(BlockingIOError):
                data = data[line.send(data) :]


def _wait(line: socket.socket, events: int) -> int:
    poll = select.poll()
    poll.register(line, events)
    found: int = poll.poll()[0][1]
    return found
