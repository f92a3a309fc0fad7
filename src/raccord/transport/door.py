"""Sockets that listen here for what goes to another place. They are this user's alone."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

BLOCK = 1 << 18
BACKLOG = 64

Serve = Callable[[socket.socket], None]


class Door:
    """A socket that listens; each connection is served in a thread of its own.

    Args:
        listener: bound, not listening yet.
        serve: given each connection; it is closed afterwards.
    """

    def __init__(self, listener: socket.socket, serve: Serve) -> None:
        self._listener = listener
        self._serve = serve
        self._open: set[socket.socket] = set()
        self._mutex = threading.Lock()
        self._closed = False
        listener.listen(BACKLOG)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @classmethod
    def at(cls, path: Path, serve: Serve) -> Door:
        """A socket that is a file, in a folder that nobody else can enter."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        return cls(listener, serve)

    def close(self) -> None:
        """Stops listening and cuts every connection."""
        with self._mutex:
            self._closed = True
            for one in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                continue
            with self._mutex:
                if self._closed:
                    made.close()
                    return
                self._open.add(made)
            threading.Thread(target=self._attend, args=(made,), daemon=True).start()

    def _attend(self, made: socket.socket) -> None:
        try:
            self._serve(made)
        finally:
            with self._mutex:
                self._open.discard(made)
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
            made.close()


def joined(one: socket.socket, two: socket.socket) -> None:
    """Passes on what each of two sockets brings to the other, until both have ended."""
    back = threading.Thread(target=pour, args=(two, one), daemon=True)
    back.start()
    pour(one, two)
    back.join()


def pour(source: socket.socket, goal: socket.socket) -> None:
    """Passes on what one socket brings, and its end."""
    with contextlib.suppress(OSError):
        while data := source.recv(BLOCK):
            goal.sendall(data)
    with contextlib.suppress(OSError):
        goal.shutdown(socket.SHUT_WR)
