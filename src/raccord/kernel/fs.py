"""The only writer of files: atomic, durable, contained; symbolic links are never followed on purpose.

`fs_look.py` looks, `fs_rename.py` holds the renames that never overwrite, `fs_tree.py` walks below a root,
`fs_swap.py` is the redo and undo log of many swaps. Nothing here deletes what raccord didn't make: that
goes to a trash directory.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from raccord.errors import UnsafePath
from raccord.kernel.fs_look import BINARY as BINARY
from raccord.kernel.fs_look import CLOEXEC as CLOEXEC
from raccord.kernel.fs_look import DIRECTORY as DIRECTORY
from raccord.kernel.fs_look import NOFOLLOW as NOFOLLOW
from raccord.kernel.fs_look import Signature as Signature
from raccord.kernel.fs_look import contained as contained
from raccord.kernel.fs_look import foreseen as foreseen
from raccord.kernel.fs_look import signature as signature
from raccord.kernel.fs_look import signed as signed
from raccord.kernel.fs_look import split as split
from raccord.kernel.fs_rename import place, same_mount
from raccord.model.text import shown


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


def free(path: str | Path) -> int:
    """The bytes that are free on the file system of a path."""
    return shutil.disk_usage(path).free


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


def make_dirs(path: str | Path, *, durable: bool = True) -> None:
    """Makes a directory and its missing parents.

    Args:
        durable: whether they are to outlive a power cut that comes next.

    Raises:
        NotADirectoryError: a file is in the way.
    """
    path = str(path)
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and parent != path:
        make_dirs(parent, durable=durable)
    with foreseen(f"can't make {shown(path)}"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, "a file is in the way", path)
    if durable:
        sync_dir(parent or ".")


@contextlib.contextmanager
def opened_new(
    path: str | Path, *, mode: int = 0o666, exact: bool = True, durable: bool = True
) -> Iterator[IO[bytes]]:
    """A file that isn't there yet, open for writing.

    Args:
        mode: permissions.
        exact: whether they are exact; else the umask takes from them.
        durable: whether its bytes outlive a power cut after the block (its name is left to the caller).

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
                if durable:
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
    durable: bool = True,
    mtime_ns: int | None = None,
) -> None:
    """Writes a file that isn't there yet; see `opened_new`.

    Args:
        mtime_ns: the modification time to give it.
    """
    with opened_new(path, mode=mode, exact=exact, durable=durable) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        if mtime_ns is not None:
            os.utime(file.fileno() if os.utime in os.supports_fd else path, ns=(mtime_ns, mtime_ns))


@contextlib.contextmanager
def appending(path: str | Path) -> Iterator[IO[bytes]]:
    """A log of raccord's own, made where it isn't there; what is written is added at its end, unbuffered."""
    with foreseen(f"can't write {shown(str(path))}"):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NOFOLLOW | CLOEXEC | BINARY, 0o600)
        with open(handle, "ab", buffering=0) as file:
            yield file


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


def rename(source: str | Path, target: str | Path) -> None:
    """Renames within a stage of raccord's own; not durable, replaces what is at `target`."""
    with foreseen(f"can't write {shown(str(target))}"):
        os.replace(source, target)


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
    with foreseen(f"can't remove {shown(str(path))}"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            # A directory: Linux says EISDIR, others EPERM.
            if error.errno not in (errno.EISDIR, errno.EPERM, errno.EACCES) or not os.path.isdir(path):
                raise
            _remove_dir(str(path))


def _remove_dir(path: str) -> None:
    if os.lstat(path).st_mode & 0o700 != 0o700:
        os.chmod(path, 0o700)
    with os.scandir(path) as entries:
        found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_dir in found:
        if is_dir:
            _remove_dir(name)
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
    """Moves a file or directory to `relative` below `into`, on the same file system; a taken name gets a
    number.

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
