"""A port on this machine's loopback that leads to a server elsewhere, for this process alone.

A port can be reached by every local user, and a database has no place for a password of ours: so a connection
is passed on only where its other end is a socket of this process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from raccord.transport.door import Door, joined

ADDRESS = "127.0.0.1"
FILES = ("/proc/self/fd", "/dev/fd")  # the open files of a process, on Linux and elsewhere


@contextlib.contextmanager
def listening(forwarded: AbstractContextManager[Path]) -> Iterator[int]:
    """The port's number.

    Args:
        forwarded: the socket here that leads to the server; see `Transport`.
    """
    with forwarded as path:

        def serve(made: socket.socket) -> None:
            if not is_own(made.getpeername()):
                return
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as goal:
                goal.connect(str(path))
                joined(made, goal)

        listener = socket.socket()
        listener.bind((ADDRESS, 0))
        door = Door(listener, serve)
        try:
            yield listener.getsockname()[1]
        finally:
            door.close()


def is_own(address: tuple[str, int]) -> bool:
    """Whether a socket of this process has that address."""
    for place in FILES:
        with contextlib.suppress(OSError):
            return any(_address(int(name)) == address for name in os.listdir(place))
    return False


def _address(handle: int) -> object:
    """Where a socket is, None where an open file is none. The file is borrowed: it is never closed here."""
    try:
        if not stat.S_ISSOCK(os.fstat(handle).st_mode):
            return None
        borrowed = socket.socket(fileno=handle)
    except OSError:
        return None
    try:
        return borrowed.getsockname()
    except OSError:
        return None
    finally:
        borrowed.detach()
