"""Looks at paths: what is there, whether a path stays inside its root, what a failure means. Never writes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import CannotRun, UnsafePath
from raccord.model.text import shown

# What a person can do something about; anything else is a bug and stays an OSError.
_FORESEEN = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "not permitted",
    errno.EIO: "input/output error",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMLINK: "too many links",
    errno.EXDEV: "on another file system",
}
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
DIRECTORY = getattr(os, "O_DIRECTORY", 0)
CLOEXEC = getattr(os, "O_CLOEXEC", 0)
BINARY = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Signature:
    """What `lstat` says of a file, a link or a directory; differs when someone wrote to it.

    Attributes:
        ino: the inode.
        size: bytes.
        mtime_ns, ctime_ns: nanoseconds since the epoch.
        mode: type and permissions, as in `st_mode`.
    """

    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory (and no link to one)."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    def same(self, other: Signature | None, *, moved: bool = False) -> bool:
        """Whether `other` is the same, unwritten thing.

        Args:
            moved: it was renamed or linked in between, which changes the ctime.
        """
        return (
            other is not None
            and (self.ino, self.size, self.mtime_ns, self.mode)
            == (other.ino, other.size, other.mtime_ns, other.mode)
            and (moved or self.ctime_ns == other.ctime_ns)
        )


def signed(status: os.stat_result) -> Signature:
    """The signature in the result of an `lstat`."""
    return Signature(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)


def signature(path: str | Path) -> Signature | None:
    """The signature of what is at a path (links not followed), None where nothing is."""
    try:
        return signed(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextlib.contextmanager
def foreseen(doing: str) -> Iterator[None]:
    """Turns a full or read-only disk, a missing permission and their like into `CannotRun`.

    Args:
        doing: what is being done, for the message: "can't write /x/y".
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FORESEEN:
            raise
        raise CannotRun(f"{doing}: {_FORESEEN[error.errno]}", errno=error.errno) from error


def contained(root: str | Path, relative: str) -> Path:
    """The path `relative` below `root`, for the moment safe to use.

    Raises:
        UnsafePath: it is empty, absolute, has a `..` or NUL, or a parent of it is a symbolic link.
    """
    parts = split(relative)
    path = Path(root)
    for part in parts[:-1]:
        path = path / part
        seen = signature(path)
        if seen is None:
            break
        if seen.is_link:
            raise UnsafePath(
                f"{shown(relative)} leads through the symbolic link {shown(str(path))}", path=relative
            )
    return Path(root).joinpath(*parts)


def split(relative: str) -> tuple[str, ...]:
    """The components of a relative path.

    Raises:
        UnsafePath: it is empty, absolute, or has an empty, `.` or `..` component or a NUL.
    """
    parts = tuple(relative.split("/"))
    bad = {"", ".", ".."}
    bad_inside = os.sep == "\\" and any("\\" in part or ":" in part for part in parts)
    if "\0" in relative or bad_inside or not bad.isdisjoint(parts):
        raise UnsafePath(f"{shown(relative)!r} leads out of its directory", path=relative)
    return parts
