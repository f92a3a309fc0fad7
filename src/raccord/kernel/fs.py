"""The only writer of files: atomic, durable, contained; symbolic links are never followed on purpose.

`fs_rename.py` holds the renames that never overwrite, `fs_tree.py` walks below a root, `fs_swap.py` the redo/undo
log of many swaps. Nothing here deletes what raccord didn't make: that goes to a trash directory.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from raccord.errors import CannotRun, UnsafePath
from raccord.kernel.fs_rename import place, same_mount
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
    if os.sep == "\\":
        bad_inside = any("\\" in part or ":" in part for part in parts)
    else:
        bad_inside = False
    if "\0" in relative or bad_inside or not bad.isdisjoint(parts):
        raise UnsafePath(f"{shown(relative)!r} leads out of its directory", path=relative)
    return parts


def read(path: str | Path) -> bytes:
    """The bytes of a file; links are not followed.

    Raises:
        FileNotFoundError: it isn't there.
        UnsafePath: it is a symbolic link.
        CannotRun: it can't be read.
    """
    with foreseen(f"can't read {shown(str(path))}"):
        try:
            handle = os.open(path, os.O_RDONLY | NOFOLLOW | CLOEXEC | BINARY)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UnsafePath(f"{shown(str(path))} is a symbolic link", path=str(path)) from error
            raise
        with open(handle, "rb") as file:
            return file.read()


def read_or_none(path: str | Path) -> bytes | None:
    """The bytes of a file, None where it isn't there."""
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def names(path: str | Path) -> set[str]:
    """The names in a directory, none where it isn't there."""
    try:
        return set(os.listdir(path))
    except FileNotFoundError:
        return set()


def sync_dir(path: str | Path) -> None:
    """Makes the names in a directory durable."""
    if not DIRECTORY:
        return  # Windows has no such call and orders its metadata itself
    with foreseen(f"can't sync {shown(str(path))}"):
        handle = os.open(path, os.O_RDONLY | DIRECTORY | CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_file(path: str | Path) -> None:
    """Makes the bytes of a regular file durable; links and directories are left alone."""
    with foreseen(f"can't sync {shown(str(path))}"):
        handle = os.open(path, (os.O_RDONLY if os.name == "posix" else os.O_RDWR) | NOFOLLOW | CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_dirs(path: str | Path) -> None:
    """Makes a directory and its missing parents, durably.

    Raises:
        NotADirectoryError: a file is in the way.
    """
    path = Path(path)
    if path.is_dir():
        return
    if path.parent != path:
        make_dirs(path.parent)
    with foreseen(f"can't make {shown(str(path))}"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file is in the way", str(path))
    sync_dir(path.parent)


@contextlib.contextmanager
def opened_new(path: str | Path, *, mode: int = 0o666, exact: bool = True) -> Iterator[IO[bytes]]:
    """A file that isn't there yet, open for writing; durable when the block ends (its directory is left to the caller).

    Args:
        mode: permissions.
        exact: whether they are exact; else the umask takes from them.

    Raises:
        FileExistsError: something is there.
        CannotRun: disk full or read-only; what was written of it is removed.
    """
    with foreseen(f"can't write {shown(str(path))}"):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | NOFOLLOW | CLOEXEC | BINARY, mode)
        try:
            with open(handle, "r+b", buffering=0) as file:
                if exact and hasattr(os, "fchmod"):
                    os.fchmod(handle, mode)
                yield file
                os.fsync(handle)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise


def write_new(
    path: str | Path,
    data: bytes | memoryview,
    *,
    mode: int = 0o666,
    exact: bool = False,
    mtime_ns: int | None = None,
) -> None:
    """Writes a file that isn't there yet, durably (its directory is left to the caller); raises as `opened_new`.

    Args:
        mode: permissions.
        exact: whether they are exact; else the umask takes from them.
        mtime_ns: the modification time to give it.
    """
    with opened_new(path, mode=mode, exact=exact) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        if mtime_ns is not None:
            os.utime(file.fileno() if os.utime in os.supports_fd else path, ns=(mtime_ns, mtime_ns))


def make_link(path: str | Path, target: bytes) -> None:
    """Makes a symbolic link that isn't there yet."""
    with foreseen(f"can't write {shown(str(path))}"):
        os.symlink(target, os.fsencode(path))


def write_atomic(path: str | Path, data: bytes, *, mode: int = 0o666, exact: bool = False) -> None:
    """Puts `data` at `path` so that, whenever the machine stops, either the old or the new bytes are there.

    Args:
        mode: permissions.
        exact: whether they are exact; else the umask takes from them.

    Raises:
        CannotRun: disk full or read-only; the old file is as it was.
    """
    path = Path(path)
    while True:
        temporary = path.parent / f".{path.name[:60]}.{secrets.token_hex(4)}.tmp"
        with contextlib.suppress(FileExistsError):
            write_new(temporary, data, mode=mode, exact=exact)
            break
    with foreseen(f"can't write {shown(str(path))}"):
        try:
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    sync_dir(path.parent)


def link(source: str | Path, target: str | Path) -> None:
    """Gives a file a second name.

    Raises:
        FileExistsError: something is at `target`.
        CannotRun: this file system has no hard links, or one of the reasons of `foreseen`.
    """
    with foreseen(f"can't link {shown(str(target))}"):
        os.link(source, target)


def replace(source: str | Path, target: str | Path) -> None:
    """Renames a file over another one, durably."""
    with foreseen(f"can't write {shown(str(target))}"):
        os.replace(source, target)
    sync_dir(Path(target).parent)


def unlink(path: str | Path) -> bool:
    """Removes a file of raccord's own; False where it isn't there."""
    with foreseen(f"can't remove {shown(str(path))}"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        return True


def remove_tree(path: str | Path) -> None:
    """Removes a temporary tree of raccord's own; links in it are removed, not followed."""
    seen = signature(path)
    if seen is None:
        return
    with foreseen(f"can't remove {shown(str(path))}"):
        if not seen.is_dir:
            os.unlink(path)
            return
        if seen.mode & 0o700 != 0o700:
            os.chmod(path, 0o700)
        with os.scandir(path) as entries:
            names = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_dir in names:
            if is_dir:
                remove_tree(name)
            else:
                os.unlink(name)
        os.rmdir(path)


def trash(root: str | Path, relative: str, into: str | Path) -> Path:
    """Moves what is at `relative` below `root` into a trash directory, where it keeps its relative path.

    Never overwrites: a name that is taken gets a number. Where the trash is on another file system (a
    rename can't reach it), `.raccord-trash/` at the root, which ignores itself, takes it.

    Args:
        into: the trash directory, made if missing.

    Returns:
        Where it is now.

    Raises:
        FileNotFoundError: nothing is there.
        UnsafePath: `relative` leads out of `root` or through a link.
        CannotRun: disk full or read-only; it stays where it was.
    """
    path = contained(root, relative)
    os.lstat(path)
    make_dirs(into)
    if not same_mount(str(path.parent), str(into)):
        into = self_ignoring(Path(root) / ".raccord-trash")
    return set_aside(path, into, relative)


def set_aside(path: str | Path, into: str | Path, relative: str) -> Path:
    """Moves a file or directory to `relative` below `into`, on the same file system; a taken name gets a number.

    Returns:
        Where it is now.

    Raises:
        CannotRun: disk full or read-only; it stays where it was.
    """
    make_dirs(into)
    with foreseen(f"can't set {shown(relative)} aside"):
        for number in itertools.count():
            target = contained(into, relative + (f".{number}" if number else ""))
            try:
                make_dirs(target.parent)
                place(str(path), str(target))
            except (FileExistsError, NotADirectoryError):
                continue
            sync_dir(target.parent)
            sync_dir(Path(path).parent)
            return target
    raise AssertionError("itertools.count ended")


def self_ignoring(path: str | Path) -> Path:
    """Makes a directory of raccord's own inside a worktree, which git doesn't show.

    Raises:
        UnsafePath: a link or a file of someone else is in the way.
    """
    path = Path(path)
    seen = signature(path)
    if seen is not None and not seen.is_dir:
        raise UnsafePath(f"{shown(str(path))} is in the way", path=str(path))
    make_dirs(path)
    if signature(path / ".gitignore") is None:
        write_atomic(path / ".gitignore", b"*\n")
    return path


def remove_empty(path: str | Path) -> bool:
    """Removes a directory where it is empty; False where it isn't, or isn't there."""
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True
