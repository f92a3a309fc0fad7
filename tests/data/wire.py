"""Stands between raccord and a PostgreSQL server, counts what goes by, and strikes at some moment.

A moment is a number of packets or of bytes, or the COMMIT of the transaction that a push has numbered.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

SIZE = 8192
UP, DOWN = "up", "down"
NUMBERED, COMMIT = b"pg_current_xact_id", b"COMMIT"


@dataclass
class Moment:
    """When to strike.

    Attributes:
        packets: after so many, in both directions; 0 for never.
        bytes: after so many toward `toward`.
        commit: how many bytes of the COMMIT still pass, its answer not; None for never.
        act: what is done, besides a cut, with the port that the server sees the client at.
        cuts: whether the connection ends there.
        before: whether it is done before the packet passes, also on the way up.
    """

    packets: int = 0
    bytes: int = 0
    toward: str = UP
    commit: int | None = None
    act: Callable[[int], None] = lambda port: None
    cuts: bool = False
    before: bool = False
    struck: bool = False


class Wire:
    """A port of this machine that leads to a server's."""

    def __init__(self, port: int) -> None:
        self.goal = port
        self.moment: Moment | None = None
        self.packets = 0
        self.bytes = {UP: 0, DOWN: 0}
        self._guard = threading.Lock()
        self._apart = False
        self._lines: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def arm(self, moment: Moment | None) -> None:
        """Counts anew, and strikes then."""
        with self._guard:
            self.packets, self.bytes, self.moment = 0, {UP: 0, DOWN: 0}, moment

    def part(self, apart: bool) -> None:
        """Cuts every connection and lets no more through, or lets them through again."""
        with self._guard:
            self._apart, lines = apart, list(self._lines)
            self._lines.clear()
        for near, far in lines:
            _end(near)
            _end(far)

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.goal))
            except OSError:  # a server that is starting again
                _end(near)
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._guard:
                apart = self._apart
                self._lines.append((near, far))
            if apart:
                _end(near)
                _end(far)
                continue
            line = _Line(self, near, far)
            for args in ((near, far, UP), (far, near, DOWN)):
                threading.Thread(target=line.pump, args=args, daemon=True).start()

    def passes(self, data: bytes, toward: str, line: _Line) -> tuple[int, Moment | None]:
        """How much of a packet passes, and what then strikes."""
        with self._guard:
            self.packets += 1
            before = self.bytes[toward]
            self.bytes[toward] = before + len(data)
            moment = self.moment
            if moment is None or moment.struck:
                return len(data), None
            passing = len(data)
            if moment.commit is not None:
                at = data.find(COMMIT) if toward == UP and line.numbered else -1
                line.numbered |= toward == UP and NUMBERED in data
                hit = at >= 0
                if hit and moment.cuts:
                    passing = min(len(data), at + moment.commit)
            elif moment.bytes:
                hit = moment.toward == toward and self.bytes[toward] >= moment.bytes
                passing = moment.bytes - before if hit else passing
            else:
                hit = bool(moment.packets) and self.packets >= moment.packets
            moment.struck = hit
            return passing, moment if hit else None


class _Line:
    """One connection."""

    def __init__(self, wire: Wire, near: socket.socket, far: socket.socket) -> None:
        self.wire, self.near, self.far = wire, near, far
        self.numbered = False
        self.port = int(far.getsockname()[1])

    def pump(self, one: socket.socket, other: socket.socket, toward: str) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(SIZE):
                passing, moment = self.wire.passes(data, toward, self)
                if moment is None:
                    other.sendall(data)
                    continue
                # What strikes after a packet has gone up strikes a server at work on it.
                later = moment.before or toward == DOWN
                if moment.cuts or not later:
                    other.sendall(data[:passing])
                if moment.cuts:
                    break
                moment.act(self.port)
                if later:
                    other.sendall(data)
        _end(self.near)
        _end(self.far)


def _end(one: socket.socket) -> None:
    # A reset would have the server drop what it was sent and has not read yet.
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
