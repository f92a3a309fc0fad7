"""The written log of a swap (`fs_swap.py` carries it out): what was there, what shall be, which way it goes.

`prepare` makes everything new durable and looks at every parent before the log exists; it changes nothing
in the tree.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from raccord.errors import CannotRun, UnsafePath
from raccord.kernel import fs, fs_rename
from raccord.kernel.fs import Signature
from raccord.kernel.fs_tree import Folder, Tree
from raccord.model.plan import Json
from raccord.model.text import shown

VERSION = 1


class Phase(Enum):
    """Which way a log goes; each has its own file name, so that turning is one rename."""

    FORWARD = "manifest.json"  # to be finished, or turned
    BACK = "back.json"  # being taken back
    DONE = "done.json"  # all is done; only the stage is to be cleaned


@dataclass(frozen=True, slots=True)
class Entry:
    """One path.

    Attributes:
        path: relative to the root.
        before: what is there, None for nothing.
        staged: the file below the stage's `new/` that shall be there; "" for none.
        after: the signature of the staged file; `prepare` fills it in.
        folder: a directory shall be there; it is made if missing, never emptied.
        mode: the permissions of a directory that is made, 0 for what the umask gives.
    """

    path: str
    before: Signature | None
    staged: str = ""
    after: Signature | None = None
    folder: bool = False
    mode: int = 0

    @property
    def removes(self) -> bool:
        """Whether a file goes away without another taking its name in the same swap."""
        return not self.staged and self.before is not None and not self.before.is_dir


@dataclass(frozen=True, slots=True)
class Swap:
    """A prepared log.

    Attributes:
        root: the tree's top.
        files: the directory with `new/` and `old/`, on the tree's file system.
        entries: sorted by path.
        made: directories that don't exist yet and shall, parents first.
        emptied: directories that go where nothing is left in them, with their modes, children first.
        extra: what the caller needs to finish or take back its own part.
    """

    root: str
    files: str
    entries: tuple[Entry, ...]
    made: tuple[str, ...] = ()
    emptied: tuple[tuple[str, int], ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)


def prepare(
    meta: Path,
    root: Path,
    files: Path,
    entries: Sequence[Entry],
    extra: Mapping[str, Json],
    *,
    synced: bool = False,
) -> Swap:
    """Makes the staged files durable, looks at every parent, and writes the log. Nothing is swapped yet.

    Args:
        meta: where the log is written; an existing directory.
        root: the tree's top.
        files: an existing directory with the staged files in `new/`.
        entries: what shall change; `after` is filled in here.
        synced: whether the bytes of the staged files are durable already.

    Raises:
        UnsafePath: a parent is a symbolic link, or a path leads out of the root.
        CannotRun: a parent is on another file system or may not be written, or the disk is full.
    """
    with fs.foreseen(f"can't prepare {shown(str(root))}"):
        for name in ("new", "old"):
            fs.make_dirs(files / name, durable=False)
        with Tree(files / "new") as staged:
            ordered = sorted(entries, key=lambda entry: entry.path)
            done = [_staged(staged, entry, synced) for entry in ordered]
            sync_dirs(staged, {up(entry.staged) for entry in done if entry.staged})
        if files != meta:
            fs.sync_dir(files)
            fs.sync_dir(files.parent)
        with Tree(root) as tree:
            made = _missing(tree, files, done)
            emptied = _emptied(tree, done)
    swap = Swap(str(root), str(files), tuple(done), tuple(made), tuple(emptied), dict(extra))
    text = json.dumps(
        {
            "version": VERSION,
            "root": swap.root,
            "files": swap.files,
            "entries": [_row(entry) for entry in swap.entries],
            "made": swap.made,
            "emptied": swap.emptied,
            "extra": swap.extra,
        }
    )
    fs.write_atomic(meta / Phase.FORWARD.value, text.encode())
    fs.sync_dir(meta.parent)
    return swap


def load(meta: Path) -> tuple[Swap, Phase] | None:
    """The log in a directory and which way it goes; None where there is none (yet, or any more)."""
    for phase in Phase:
        data = fs.read_or_none(meta / phase.value)
        if data is None:
            continue
        read = json.loads(data)
        if read["version"] != VERSION:
            raise CannotRun(
                f"{shown(str(meta))} was written by another release of raccord (format {read['version']})",
                hint="finish it with that release",
            )
        swap = Swap(
            read["root"],
            read["files"],
            tuple(_entry(each) for each in read["entries"]),
            tuple(read["made"]),
            tuple((path, mode) for path, mode in read["emptied"]),
            read["extra"],
        )
        return swap, phase
    return None


def turn(meta: Path, now: Phase, to: Phase) -> None:
    """Turns a log, durably."""
    with fs.foreseen(f"can't write {shown(str(meta))}"):
        os.replace(meta / now.value, meta / to.value)
    fs.sync_dir(meta)


def up(path: str) -> str:
    """The parent of a relative path, "" for the root."""
    return path.rpartition("/")[0]


def above(path: str) -> Iterator[str]:
    """The parents of a relative path, the nearest first, without the root."""
    while path := up(path):
        yield path


def sync_dirs(tree: Tree, paths: set[str]) -> None:
    """Makes the names in directories durable, in those that (still) are there."""
    for path in sorted(paths):
        # A directory that a link took the place of is gone, too.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, UnsafePath):
            tree.folder(path).sync()


def _row(entry: Entry) -> list[Json]:
    before, after = _numbers(entry.before), _numbers(entry.after)
    return [entry.path, before, entry.staged, after, entry.folder, entry.mode]


def _numbers(seen: Signature | None) -> list[int] | None:
    return [seen.ino, seen.size, seen.mtime_ns, seen.ctime_ns, seen.mode] if seen else None


def _entry(row: Sequence[Json]) -> Entry:
    path, before, staged, after, folder, mode = row
    return Entry(
        path,
        Signature(*before) if before else None,
        staged,
        Signature(*after) if after else None,
        folder,
        mode,
    )


def _staged(new: Tree, entry: Entry, synced: bool) -> Entry:
    if not entry.staged:
        return entry
    folder, name = new.parent(entry.staged)
    found = folder.signature(name)
    if found is None or found.is_dir:
        raise CannotRun(f"{shown(entry.path)} was not staged", path=entry.path)
    if found.is_file and not synced:
        folder.sync_file(name)
    return replace(entry, after=found)


def _missing(tree: Tree, files: Path, entries: Sequence[Entry]) -> list[str]:
    """The directories to make, parents first. Looks that the parents which are there may be changed."""
    made: dict[str, None] = {}
    looked: set[str] = set()
    going = {entry.path for entry in entries if entry.removes}
    with Tree(files) as stage:
        for entry in entries:
            path = entry.path
            while (folder := _open(tree, up(path), going)) is None:
                path = up(path)
            if up(path) not in looked:
                _may_change(folder, stage.top)
                looked.add(up(path))
            if entry.staged or entry.folder:
                made.update(
                    dict.fromkeys(each for each in [*above(entry.path)][::-1] if len(each) >= len(path))
                )
            if entry.folder and not (entry.before and entry.before.is_dir):
                made[entry.path] = None
    return list(made)


def _open(tree: Tree, path: str, going: set[str]) -> Folder | None:
    """A directory of the tree, None where it isn't there yet or a file or link is there that goes."""
    try:
        return tree.folder(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnsafePath:
        if going.isdisjoint([path, *above(path)]):
            raise
        return None


def _may_change(folder: Folder, stage: Folder) -> None:
    if folder.fd is not None and stage.fd is not None:
        same = fs_rename.same_mount(".", ".", one_fd=stage.fd, other_fd=folder.fd)
    else:
        same = os.stat(folder.path).st_dev == os.stat(stage.path).st_dev
    if not same:
        raise CannotRun(f"{shown(folder.path)} is on another file system than its worktree", path=folder.path)
    if not folder.writable():
        raise CannotRun(f"{shown(folder.path)} may not be written: permission denied", path=folder.path)


def _emptied(tree: Tree, entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """The directories that the removals may leave empty, children first."""
    kept = {parent for entry in entries if entry.staged or entry.folder for parent in above(entry.path)}
    kept |= {entry.path for entry in entries if entry.folder}
    found: dict[str, int] = {}
    for entry in entries:
        was_dir = entry.before is not None and entry.before.is_dir
        paths = list(above(entry.path)) if entry.removes or was_dir else []
        if was_dir and not entry.folder:
            paths += [entry.path, *(_below(tree, entry.path) if entry.staged else ())]
        for path in paths:
            if path not in kept and path not in found:
                seen = tree.signature(path)
                if seen is not None and seen.is_dir:
                    found[path] = seen.mode
    return sorted(found.items(), key=lambda item: (-item[0].count("/"), item[0]))


def _below(tree: Tree, path: str) -> Iterator[str]:
    """The directories below a directory."""
    for name, is_dir in tree.folder(path).names():
        if is_dir:
            yield f"{path}/{name}"
            yield from _below(tree, f"{path}/{name}")
