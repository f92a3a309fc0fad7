"""Tells across containers that a process lives: it holds one byte of a shared file locked.

The kernel lets go of the byte when the process ends, however it ends, and answers in every container that
it carries; a process number means something in one pid namespace only. No byte is ever written. Windows has
no such lock: there nobody can tell.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from pathlib import Path

from raccord.kernel.fs import CLOEXEC, NOFOLLOW, foreseen
from raccord.model.text import shown

try:
    import fcntl
except ImportError:  # Windows
    _fcntl = None
else:
    _fcntl = fcntl

# Never closed: closing any descriptor of a file drops every lock that the process has on it (fcntl(2)).
_open: dict[tuple[str, int], int] = {}
_lit: dict[tuple[int, int], int] = {}
_mutex = threading.Lock()


def light(path: Path) -> int:
    """Locks a byte for as long as this process lives; the same one when asked again.

    Returns:
        Its number, above 0; 0 where the system has no such lock.

    Raises:
        CannotRun: the file can't be made.
    """
    if _fcntl is None:
        return 0
    with _mutex:
        with foreseen(f"can't lock {shown(str(path))}"):
            handle = _handle(path, os.O_RDWR | os.O_CREAT)
            # A forked child has its parent's descriptors but none of its locks.
            key = (handle, os.getpid())
            if key not in _lit:
                number = 1 + secrets.randbits(60)
                _fcntl.lockf(handle, _fcntl.LOCK_EX | _fcntl.LOCK_NB, 1, number)
                _lit[key] = number
        return _lit[key]


def lit(path: Path, number: int) -> bool | None:
    """Whether another process holds the byte; None where nobody can tell."""
    if _fcntl is None or not number:
        return None
    with _mutex:
        try:
            handle = _handle(path, os.O_RDONLY)
            _fcntl.lockf(handle, _fcntl.LOCK_SH | _fcntl.LOCK_NB, 1, number)
        except FileNotFoundError:
            return False
        except OSError as error:
            return True if error.errno in (errno.EACCES, errno.EAGAIN) else None
        _fcntl.lockf(handle, _fcntl.LOCK_UN, 1, number)
    return False


def _handle(path: Path, flags: int) -> int:
    handle = _open.get((str(path), flags))
    if handle is None or not _same(path, handle):
        _open[str(path), flags] = handle = os.open(path, flags | NOFOLLOW | CLOEXEC, 0o600)
    return handle


def _same(path: Path, handle: int) -> bool:
    # The folder may have been removed and made anew.
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
