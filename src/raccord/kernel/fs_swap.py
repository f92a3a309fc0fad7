"""Many files of a tree change together: a kill at any point leaves what `forward` finishes or `backward`
takes back.

Everything new lies complete and durable in a stage on the same file system before the first swap, so that
swapping is only renames that never overwrite: what was at a path at that very instant is kept in the stage.
Whether an entry is done is told by the stage alone, which nobody else touches. What someone wrote meanwhile
is never lost: before a swap it refuses the whole, after it it stays where it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from raccord.errors import UnsafePath, WorldMoved
from raccord.kernel import fs, fs_rename
from raccord.kernel.fs import Signature
from raccord.kernel.fs_alive import being_written
from raccord.kernel.fs_swap_log import Entry, Swap, sync_dirs, up
from raccord.kernel.fs_tree import Folder, Tree
from raccord.model.text import shown


def verify(swap: Swap) -> None:
    """Looks whether every path is still as the log expects it, before the first swap.

    Raises:
        WorldMoved: one is not.
    """
    with Tree(swap.root) as tree:
        for entry in swap.entries:
            if not _as_before(entry, _look(tree, entry.path)):
                raise _moved(entry)


def forward(swap: Swap) -> None:
    """Does what isn't done yet, and makes it durable.

    Raises:
        WorldMoved: a path is not as expected; `backward` takes back the rest.
        CannotRun: disk full, permission denied.
    """
    with _opened(swap, "can't change") as (tree, new, old):
        for number, entry in enumerate(swap.entries):
            if entry.removes:
                with _expecting(entry):
                    _remove(tree, old, number, entry)
        for path, _ in swap.emptied:
            tree.remove(path)
        tree.forget()
        modes = {entry.path: entry.mode for entry in swap.entries if entry.folder and entry.mode}
        for path in swap.made:
            with _expecting(path):
                tree.make(path, modes.get(path, 0))
        for number, entry in enumerate(swap.entries):
            if entry.staged:
                with _expecting(entry):
                    _put(tree, new, old, number, entry)
        _sync(swap, tree, new, old)


def backward(swap: Swap) -> None:
    """Takes back what is done, and makes it durable. What someone wrote after our swap stays in its place;
    what was there before is then kept in the stage, for `rescue`.

    Raises:
        CannotRun: disk full, permission denied; call it again.
    """
    in_the_way = (FileNotFoundError, NotADirectoryError, FileExistsError, UnsafePath)
    with _opened(swap, "can't take back") as (tree, new, old):
        for number, entry in reversed(list(enumerate(swap.entries))):
            if entry.staged:
                with contextlib.suppress(*in_the_way):
                    _unput(tree, new, old, number, entry)
        for path in reversed(swap.made):
            tree.remove(path)
        tree.forget()
        for path, mode in reversed(swap.emptied):
            with contextlib.suppress(*in_the_way):
                folder, name = tree.parent(path)
                folder.mkdir(name, mode & 0o7777)
        for number, entry in enumerate(swap.entries):
            if entry.removes and old.look(str(number)) is not None:
                with contextlib.suppress(*in_the_way):
                    folder, name = tree.parent(entry.path)
                    old.place(str(number), folder, name)
        _sync(swap, tree, new, old)


def rescue(swap: Swap, into: Path, *, done: bool) -> tuple[str, ...]:
    """Moves aside what lies in the stage and isn't what the log put there: someone wrote to it, still has it
    open for writing, or is in its way.

    Args:
        into: a directory on the same file system, made if needed.
        done: whether the log went forward to its end; else it was taken back.

    Returns:
        Where the copies are.
    """
    saved: list[str] = []
    for number, entry in enumerate(swap.entries):
        left = [(f"{swap.files}/old/{number}", entry.before if done else None)] if entry.before else []
        if entry.staged:
            left.append((f"{swap.files}/new/{entry.staged}", entry.before if done else entry.after))
        for path, expected in left:
            found = fs.signature(path)
            if found is None or (found.same(expected, moved=True) and not being_written(path)):
                continue
            saved.append(str(fs.set_aside(path, into, entry.path)))
    return tuple(saved)


def placed(swap: Swap) -> Iterator[tuple[Entry, os.stat_result]]:
    """Each staged file that is now at its path, unwritten since, with its `lstat`."""
    with Tree(swap.root) as tree:
        for entry in swap.entries:
            if not entry.staged:
                continue
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, UnsafePath):
                folder, name = tree.parent(entry.path)
                found = folder.look(name)
                if found is not None and fs.signed(found).same(entry.after, moved=True):
                    yield entry, found


def _remove(tree: Tree, old: Folder, number: int, entry: Entry) -> None:
    if old.look(str(number)) is None:
        folder, name = tree.parent(entry.path)
        if not _as_before(entry, folder.look(name)):
            raise _moved(entry)
        folder.place(name, old, str(number))
    _check_kept(entry, old.signature(str(number)))


def _put(tree: Tree, new: Tree, old: Folder, number: int, entry: Entry) -> None:
    assert entry.after is not None
    staged, staged_name = new.parent(entry.staged)
    waiting = staged.signature(staged_name)
    if entry.before is None or entry.before.is_dir:
        if waiting is not None:
            folder, name = tree.parent(entry.path)
            staged.place(staged_name, folder, name)
        return
    if waiting is not None and waiting.ino == entry.after.ino:
        folder, name = tree.parent(entry.path)
        if old.look(str(number)) is None:
            if not _as_before(entry, folder.look(name)):
                raise _moved(entry)
            try:
                staged.exchange(staged_name, folder, name)
            except fs_rename.Unsupported:
                folder.place(name, old, str(number))
        if old.look(str(number)) is not None:
            _check_kept(entry, old.signature(str(number)))
            staged.place(staged_name, folder, name)
    _check_kept(entry, staged.signature(staged_name) or old.signature(str(number)))


def _unput(tree: Tree, new: Tree, old: Folder, number: int, entry: Entry) -> None:
    assert entry.after is not None
    staged, staged_name = new.parent(entry.staged)
    waiting = staged.signature(staged_name)
    folder, name = tree.parent(entry.path)
    here = folder.signature(name)
    ours = entry.after.same(here, moved=True)
    if waiting is not None and waiting.ino != entry.after.ino:  # exchanged
        if ours:
            staged.exchange(staged_name, folder, name)
            if not entry.after.same(staged.signature(staged_name), moved=True):
                staged.exchange(staged_name, folder, name)  # written at that very instant: stays
        elif here is None:
            staged.place(staged_name, folder, name)
        return
    if waiting is None and ours:
        folder.place(name, staged, staged_name)
        if not entry.after.same(staged.signature(staged_name), moved=True):
            staged.place(staged_name, folder, name)
    if entry.before is not None and old.look(str(number)) is not None:
        old.place(str(number), folder, name)


def _as_before(entry: Entry, found: os.stat_result | None) -> bool:
    if entry.before is None or found is None:
        return entry.before is None and found is None
    if entry.before.is_dir:
        return entry.before.ino == found.st_ino and fs.signed(found).is_dir
    # Renaming one of several names of a file changes the ctime seen through the others.
    return entry.before.same(fs.signed(found), moved=found.st_nlink > 1)


def _check_kept(entry: Entry, kept: Signature | None) -> None:
    if kept is not None and not kept.same(entry.before, moved=True):
        raise _moved(entry)


def _moved(entry: Entry | str) -> WorldMoved:
    path = entry if isinstance(entry, str) else entry.path
    return WorldMoved(f"{shown(path)} changed meanwhile", hint="try again", path=path)


@contextlib.contextmanager
def _expecting(entry: Entry | str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
        raise _moved(entry) from error


@contextlib.contextmanager
def _opened(swap: Swap, doing: str) -> Iterator[tuple[Tree, Tree, Folder]]:
    with (
        fs.foreseen(f"{doing} {shown(swap.root)}"),
        Tree(swap.root) as tree,
        Tree(os.path.join(swap.files, "new")) as new,
        Tree(os.path.join(swap.files, "old")) as old,
    ):
        yield tree, new, old.top


def _look(tree: Tree, path: str) -> os.stat_result | None:
    try:
        folder, name = tree.parent(path)
    except (FileNotFoundError, NotADirectoryError, UnsafePath):
        return None  # behind a link is nothing of ours; the swap itself never goes through one
    return folder.look(name)


def _sync(swap: Swap, tree: Tree, new: Tree, old: Folder) -> None:
    touched = {up(entry.path) for entry in swap.entries}
    touched |= {up(path) for path in swap.made} | {up(path) for path, _ in swap.emptied}
    sync_dirs(tree, touched)
    sync_dirs(new, {up(entry.staged) for entry in swap.entries if entry.staged})
    old.sync()
