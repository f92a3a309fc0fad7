"""A lock that lives as long as any process of an attempt: its parent, and every child that was given the
file.

`flock` belongs to the open file, which children share when they get it as their standard error. After a kill
of the parent it is therefore free only once the last child has ended too. Windows has no such lock: there the
file is opened without one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from raccord.errors import LockTimeout
from raccord.kernel.fs import CLOEXEC, NOFOLLOW, foreseen
from raccord.model.text import shown

ROOM = 4096  # bytes that children can write even on a full disk, where they have the most to say

try:
    import fcntl
except ImportError:  # Windows
    _fcntl = None
else:
    _fcntl = fcntl


@contextlib.contextmanager
def alive(path: Path, wait: float) -> Iterator[IO[bytes]]:
    """The file at `path`, made if missing, locked; to be handed to children as their standard error.

    It has room for `ROOM` bytes of what they say; its position is shared with them.

    Args:
        wait: seconds to wait for the processes of an earlier attempt.

    Raises:
        LockTimeout: one of them still runs.
    """
    until = time.monotonic() + wait
    while True:
        with foreseen(f"can't open {shown(str(path))}"):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | NOFOLLOW | CLOEXEC, 0o600)
        with open(handle, "rb+", buffering=0) as file:
            if not _lock(handle):
                if time.monotonic() > until:
                    raise LockTimeout(f"an earlier attempt is still at work ({shown(str(path.parent))})")
                time.sleep(0.02)
                continue
            if not _is(path, handle):
                continue
            with foreseen(f"can't write {shown(str(path))}"):
                file.write(b" " * ROOM)
            yield file
            return


def _is(path: Path, handle: int) -> bool:
    """Whether a file is still the one at a path: whoever ended before us took it away."""
    try:
        return os.stat(path).st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _lock(handle: int) -> bool:
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(handle, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def being_written(path: str) -> bool:
    """Whether a process has a regular file open for writing, as far as the system tells (Linux).

    A read lease is refused for such a file. It is given back at once; the signal that would tell of its end
    is made one that is ignored by default.
    """
    if _fcntl is None or sys.platform != "linux":
        return False
    try:
        handle = os.open(path, os.O_RDONLY | NOFOLLOW | CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        _fcntl.fcntl(handle, _fcntl.F_SETSIG, signal.SIGURG)
        _fcntl.fcntl(handle, _fcntl.F_SETLEASE, _fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without leases
    finally:
        os.close(handle)
    return False
