"""Files below a root as objects: listed, read whole or not at all, replaced and removed on a condition.

No symbolic link below the root is followed. A version says which inode, size and time a file has; a write
that expects another than it finds puts back what it found.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from raccord.errors import CannotRun, RaccordError, UnsafePath, WorldMoved
from raccord.kernel import fs
from raccord.kernel.fs_look import Signature, foreseen, split
from raccord.kernel.fs_rename import Unsupported
from raccord.kernel.fs_tree import Folder, Tree
from raccord.model.text import shown

CHUNK = 1 << 20  # bytes that are read at once
STAGE = ".raccord-stage"  # where what goes into somebody's folder is written first


def version(seen: Signature) -> str:
    """Which file it is, as far as the system tells: another one after every write and every replacement."""
    return f"{seen.mtime_ns:x}-{seen.size:x}-{seen.ino:x}"


def walk(root: str | Path, below: str = "") -> Iterator[tuple[str, Signature]]:
    """Everything below a root that is no directory, links included, with its path relative to the root.

    Args:
        below: the directory to begin at; nothing is found where it isn't there.

    Raises:
        FileNotFoundError, NotADirectoryError: the root isn't a directory.
        UnsafePath: a link leads to where it begins.
        CannotRun: part of it can't be read.
    """
    waiting = [below]
    with foreseen(f"can't list {shown(str(root))}"), Tree(root) as tree:
        while waiting:
            at = waiting.pop()
            try:
                folder = tree.folder(at)
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone since it was named
            except UnsafePath:
                if at == below:
                    raise
                continue  # replaced since then
            for name, is_dir in sorted(folder.names(), reverse=True):
                path = f"{at}/{name}" if at else name
                if is_dir:
                    waiting.append(path)
                elif (seen := folder.signature(name)) is not None:
                    yield path, seen


def look(root: str | Path, path: str) -> Signature | None:
    """What is at a path; None where nothing is."""
    with Tree(root) as tree:
        return tree.signature(path)


@contextlib.contextmanager
def opened(root: str | Path, path: str, expected: str) -> Iterator[tuple[Signature, Iterator[bytes]]]:
    """One version of a file, and its bytes, which are read while the block lasts.

    Raises:
        WorldMoved: another version is there; or, from the bytes, it was written to while it was read.
    """
    with contextlib.ExitStack() as open_:
        try:
            with foreseen(f"can't read {shown(path)}"):
                folder, name = open_.enter_context(Tree(root)).parent(path)
                seen = folder.signature(name)
                if seen is None or not seen.is_file or version(seen) != expected:
                    raise _moved(path)
                handle = folder.descriptor(name)
                open_.callback(os.close, handle)
        except (FileNotFoundError, NotADirectoryError):
            raise _moved(path) from None
        yield seen, _chunks(folder, name, handle, seen, path)


def _chunks(folder: Folder, name: str, handle: int, seen: Signature, path: str) -> Iterator[bytes]:
    with foreseen(f"can't read {shown(path)}"):
        left = seen.size
        # Each system call lets other threads run, and there are many: none to be told again that it ended.
        while left and (chunk := os.read(handle, min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
        if not seen.same(folder.signature(name)):
            raise _moved(path)


def put(root: str | Path, path: str, data: Iterable[bytes], expected: str, stage: str) -> str:
    """Puts a file at a path, whole or not at all, and durably.

    Args:
        expected: the version that is there now; "" for none.
        stage: a directory below the root where it is written first.

    Returns:
        Its version.

    Raises:
        WorldMoved: something else is there, which stays.
        UnsafePath: the path leads out of the root, or through a link.
        CannotRun: the disk is full, or one of the reasons of `foreseen`.
    """
    split(path)
    fs.make_dirs(Path(root) / stage, durable=False)
    name = secrets.token_hex(8)
    temporary = Path(root) / stage / name
    old = look(root, path) if expected else None
    mode = stat.S_IMODE(old.mode) if old is not None else 0o666
    with fs.opened_new(temporary, mode=mode, exact=old is not None) as file:
        for chunk in data:
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
    try:
        with foreseen(f"can't write {shown(path)}"), Tree(root) as tree, Tree(root) as other:
            _make_parents(tree, path)
            (folder, last), (source, made) = tree.parent(path), other.parent(f"{stage}/{name}")
            try:
                if expected:
                    _swap(folder, last, source, made, expected)
                else:
                    source.place(made, folder, last)
            except (FileExistsError, FileNotFoundError):
                raise _moved(path) from None
            folder.sync()
            seen = folder.signature(last)
    except (NotADirectoryError, IsADirectoryError):
        raise _moved(path) from None
    finally:
        fs.unlink(temporary)
    if seen is None:
        raise _moved(path)
    return version(seen)


def content(root: str | Path, path: str) -> tuple[bytes, str]:
    """What is in a file, and its version; nothing and "" where there is none.

    Raises:
        CannotRun: it is no regular file, or can't be read.
        UnsafePath: the path leads through a link.
        WorldMoved: it was written to while it was read.
    """
    try:
        seen = look(root, path)
        if seen is None:
            return b"", ""
        if not seen.is_file:
            said = f"{shown(path)} is no regular file, so it isn't written to"
            raise CannotRun(said, hint=f"ls -la {shown(path)}")
        known = version(seen)
        with opened(root, path, known) as (_, chunks):
            return b"".join(chunks), known
    except OSError as error:
        said = f"can't read {shown(path)}: {error.strerror}"
        raise CannotRun(said, hint=f"ls -la {shown(path)}") from error


def exchange(root: str | Path, path: str, data: bytes | None, expected: str) -> None:
    """Puts a file into somebody's folder, or removes it, and leaves nothing of its own beside it.

    Args:
        data: what is to be in it; None to remove it.
        expected: the version that is there now; "" for none.

    Raises:
        WorldMoved: another version is there, which stays.
        CannotRun: it can't be written.
    """
    stage = Path(root) / STAGE
    try:
        fs.self_ignoring(stage)
        if data is None:
            remove(root, path, expected, STAGE)
        else:
            put(root, path, [data], expected, STAGE)
        fs.remove_tree(stage)
    except WorldMoved:
        raise
    except (RaccordError, OSError) as error:
        said = error.message if isinstance(error, RaccordError) else error.strerror
        raise CannotRun(f"can't write {shown(path)}: {said}", hint=f"ls -la {shown(path)}") from error


def _swap(folder: Folder, name: str, source: Folder, made: str, expected: str) -> None:
    try:
        source.exchange(made, folder, name)
    except Unsupported:
        # Between the look and the rename somebody may write: this file system offers no better.
        seen = folder.signature(name)
        if seen is None or version(seen) != expected:
            raise FileExistsError from None
        os.replace(source.name(made), folder.name(name), src_dir_fd=source.fd, dst_dir_fd=folder.fd)
        return
    old = source.signature(made)
    if old is None or version(old) != expected:
        source.exchange(made, folder, name)
        raise FileExistsError


def remove(root: str | Path, path: str, expected: str, stage: str) -> None:
    """Removes a file, and the directories above it that are empty then.

    Raises:
        WorldMoved: another version is there, which stays.
    """
    fs.make_dirs(Path(root) / stage, durable=False)
    name = secrets.token_hex(8)
    with foreseen(f"can't remove {shown(path)}"), Tree(root) as tree, Tree(root) as other:
        try:
            folder, last = tree.parent(path)
            target, made = other.parent(f"{stage}/{name}")
            folder.place(last, target, made)
        except (FileNotFoundError, NotADirectoryError, UnsafePath):
            raise _moved(path) from None
        old = target.signature(made)
        if old is None or version(old) != expected:
            target.place(made, folder, last)
            raise _moved(path)
        folder.sync()
        fs.unlink(Path(root) / stage / name)
        above = path.rpartition("/")[0]
        while above and tree.remove(above):
            above = above.rpartition("/")[0]


def _make_parents(tree: Tree, path: str) -> None:
    parts = path.split("/")[:-1]
    for end in range(1, len(parts) + 1):
        at = "/".join(parts[:end])
        try:
            tree.folder(at)
        except FileNotFoundError:
            if tree.make(at):
                tree.parent(at)[0].sync()


def _moved(path: str) -> WorldMoved:
    return WorldMoved(f"{shown(path)} is not as it was", path=path)
