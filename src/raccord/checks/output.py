"""A command's output, kept within bounds: its beginning and its end. Touches no file."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque

HEAD_LIMIT = 256 * 1024
TAIL_LIMIT = 768 * 1024
_OF_MAKE = re.compile(r"g?make(\[\d+\])?: ")


class Output:
    """Takes what a command says, in any amount; keeps at most `HEAD_LIMIT + TAIL_LIMIT` bytes and a line."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()  # the pipe's reader may still be at it when the command has ended
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        """Takes a piece."""
        with self._mutex:
            room = HEAD_LIMIT - len(self._head)
            self._head += chunk[:room]
            if rest := chunk[room:]:
                self._tail.append(rest)
                self._tail_size += len(rest)
            while self._tail_size > TAIL_LIMIT:
                excess = self._tail_size - TAIL_LIMIT
                first = self._tail.popleft()
                if len(first) > excess:
                    self._tail.appendleft(first[excess:])
                cut = min(excess, len(first))
                self._tail_size -= cut
                self._dropped += cut

    def kept(self) -> bytes:
        """The beginning and the end, and how much is missing between them."""
        with self._mutex:
            between = f"\n… {self._dropped} bytes left out …\n".encode() if self._dropped else b""
            return bytes(self._head) + between + b"".join(self._tail)

    def last_lines(self, count: int) -> list[str]:
        """The last lines that aren't blank, each cut to 500 characters; what make says of itself left out."""
        text = self.kept()[-64 * 1024 :].decode("utf-8", "surrogateescape")
        lines = [line.rstrip()[:500] for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if not _OF_MAKE.match(line)]
        return (telling or lines)[-count:]


def log_name(lane: str, number: int) -> str:
    """A file name for a lane's command; distinct for distinct lanes, whatever their names hold."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", lane).lstrip(".-")[:80]
    if safe != lane:
        safe += "-" + hashlib.sha256(lane.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{safe}-{number}.log"
