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
_open: dict[str, int] = {}
_lit: dict[tuple[str, int], int] = {}
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
        handle = _handle(path, os.O_RDWR | os.O_CREAT)
        # A forked child has its parent's descriptors but none of its locks.
        key = (f"{path}:{os.fstat(handle).st_ino}", os.getpid())
        if key not in _lit:
            number = 1 + secrets.randbits(60)
            with foreseen(f"can't lock {shown(str(path))}"):
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
    handle = _open.get(str(path))
    # The folder may have been removed and made anew since.
    if handle is not None and flags == os.O_RDONLY and _same(path, handle):
        return handle
    if handle is not None and _same(path, handle) and _writable(handle):
        return handle
    handle = os.open(path, flags | NOFOLLOW | CLOEXEC, 0o600)
    _open[str(path)] = handle
    return handle


def _same(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
