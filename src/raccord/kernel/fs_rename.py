"""Renames that never overwrite: into a free name, or two names exchanged; by the kernel where it can.

Linux has `renameat2`, macOS `renameatx_np`. Elsewhere, and on file systems without them, `place` links and
unlinks; `exchange` says that it can't.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import sys
from collections.abc import Callable

_NOREPLACE, _EXCHANGE = (4, 2) if sys.platform == "darwin" else (1, 2)
AT_FDCWD = -2 if sys.platform == "darwin" else -100
# What a file system says that doesn't know the flag, and an old kernel that doesn't know the call.
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class Unsupported(Exception):
    """This file system or platform can't do it in one step."""


def _native() -> Callable[..., int] | None:
    name = {"linux": "renameat2", "darwin": "renameatx_np"}.get(sys.platform)
    if name is None:
        return None
    try:
        call = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    call.restype = ctypes.c_int
    return call  # type: ignore[no-any-return]  # ctypes functions are untyped


_RENAME = _native()


def _flagged(source: str, source_fd: int | None, target: str, target_fd: int | None, flag: int) -> None:
    if _RENAME is None:
        raise Unsupported
    from_fd = AT_FDCWD if source_fd is None else source_fd
    to_fd = AT_FDCWD if target_fd is None else target_fd
    while _RENAME(from_fd, os.fsencode(source), to_fd, os.fsencode(target), flag):
        number = ctypes.get_errno()
        if number == errno.EINTR:
            continue
        if number in _UNSUPPORTED:
            raise Unsupported
        raise OSError(number, os.strerror(number), source, None, target)


def exchange(source: str, target: str, *, source_fd: int | None = None, target_fd: int | None = None) -> None:
    """Exchanges what is at two names, in one step.

    Raises:
        Unsupported: this file system can't; nothing was done.
        OSError: one of them isn't there, or is on another file system.
    """
    _flagged(source, source_fd, target, target_fd, _EXCHANGE)


def place(source: str, target: str, *, source_fd: int | None = None, target_fd: int | None = None) -> None:
    """Moves `source` to the free name `target`.

    Where the kernel can't, a kill in between leaves both names on one inode, which `place` called again
    finishes.

    Raises:
        FileExistsError: something is at `target`; nothing was done.
        OSError: `source` isn't there, or `target` is on another file system.
    """
    try:
        _flagged(source, source_fd, target, target_fd, _NOREPLACE)
        return
    except Unsupported:
        pass
    if os.name == "nt":
        os.rename(source, target)  # never replaces there
        return
    try:
        os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
    except FileExistsError:
        with contextlib.suppress(FileNotFoundError):
            ours = os.lstat(source, dir_fd=source_fd)
            there = os.lstat(target, dir_fd=target_fd)
            if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
                raise
            os.unlink(source, dir_fd=source_fd)
            return
        raise
    os.unlink(source, dir_fd=source_fd)


def same_mount(one: str, other: str, *, one_fd: int | None = None, other_fd: int | None = None) -> bool:
    """Whether a rename between two directories can work: same file system, same mount.

    Two bind mounts of one file system share `st_dev` and still refuse renames. Linux looks at the mounts
    before it looks for the names, so renaming a name that doesn't exist asks without touching anything.

    Args:
        one, other: the directories; relative to their descriptors where these are given.
    """
    name = f"raccord-no-such-name-{secrets.token_hex(8)}"
    try:
        os.rename(os.path.join(one, name), os.path.join(other, name), src_dir_fd=one_fd, dst_dir_fd=other_fd)
    except OSError as error:
        return error.errno != errno.EXDEV
    return True
