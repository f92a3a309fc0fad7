"""Finds out what a snapshot of a worktree has to keep: one git status and a few lookups beside it.

Never writes. The files themselves are read by `snapshot_write.py`; here only names, the index and the state
of an operation in progress.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raccord.errors import CannotRun, HeldBack, ProcessFailed, UnsafePath
from raccord.git.repo import Repository
from raccord.git.run import Git, strings
from raccord.git.snapshot_index import GITLINK, Entry, Index, parse
from raccord.git.snapshot_walk import unreadable, walk
from raccord.git.worktrees import Worktree, operation
from raccord.kernel import fs
from raccord.kernel.fs_tree import Tree
from raccord.model.text import shown

ATTEMPTS = 5
STATUS = (
    "status",
    "--porcelain=v2",
    "-z",
    "--branch",
    "--no-ahead-behind",
    "--untracked-files=all",
    "--ignored=matching",
    "--no-renames",
    # A submodule is left alone: its inner state is not looked at, since that would run git in it.
    "--ignore-submodules=dirty",
)
EMPTY = ("ls-files", "-z", "--others", "--directory", "--exclude-standard")
CONVERTING = ":(exclude,attr:!text !eol !filter !ident !working-tree-encoding)"
REWRITING = ":(exclude,attr:!filter !ident !working-tree-encoding)"
STATE_FILE = re.compile(
    r"MERGE_(HEAD|MSG|MODE|RR|AUTOSTASH)|SQUASH_MSG|(CHERRY_PICK|REVERT|REBASE)_HEAD|AUTO_MERGE|BISECT_[A-Z_]+"
)
STATE_DIRECTORIES = ("rebase-apply", "rebase-merge", "sequencer")


@dataclass(slots=True)
class Draft:
    """A snapshot whose files are still to be read; the attributes are those of `Snapshot`.

    Attributes:
        reads: path to why it has to be kept.
        staged: blobs that the index names and HEAD may not.
        unmerged: paths in conflict.
        intents: whether a file is only meant to be added (`git add -N`).
        clean: asked paths to the blob of the index: kept only where their bytes are not that blob's.
        state: state files of the operation in progress, relative to the git directory.
    """

    worktree: Worktree
    index: Index
    index_mtime_ns: int
    head: str
    branch: str
    taken: float
    hash_size: int
    reads: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    staged: set[str] = field(default_factory=set)
    unmerged: list[str] = field(default_factory=list)
    intents: bool = False
    modes: tuple[int, int] = (0o100644, 0o100755)
    permissions: dict[str, int] = field(default_factory=dict)
    clean: dict[str, str] = field(default_factory=dict)
    opaque: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    directories: dict[str, int] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    every_ignored: bool = False
    state: list[str] = field(default_factory=list)
    doing: str = ""


@dataclass(frozen=True, slots=True)
class _Conversion:
    """Tracked paths that git may convert: their blob, and its size (-1 where the size tells nothing)."""

    blobs: Mapping[str, tuple[str, int]]


def look(repo: Repository, worktree: Worktree, ignored: str | Sequence[str]) -> Draft:
    """What a snapshot of `worktree` has to keep.

    Args:
        ignored: "none", "all", or the paths to look at byte by byte, whatever git says of them.

    Raises:
        HeldBack: a directory can't be read.
        CannotRun: the index is damaged, or changes all the time.
        ProcessFailed: git failed.
    """
    git = repo.git.at(worktree.path)
    hash_size = len(repo.zero) // 2
    for _ in range(ATTEMPTS):
        taken = time.time()
        seen, index = read_index(git, worktree.gitdir, hash_size)
        permissions, status, empty, conversion = together(
            functools.partial(_permissions, worktree.path, index),
            lambda: _run(git, worktree, *STATUS),
            lambda: _run(git, worktree, *EMPTY),
            functools.partial(_conversion, repo, git, index),
        )
        if fs.signature(worktree.gitdir / "index") == seen:
            break
    else:
        raise CannotRun(f"the index of {shown(str(worktree.path))} changes all the time", hint="try again")
    draft = Draft(worktree, index, seen.mtime_ns if seen else 0, "", "", taken, hash_size)
    draft.ignored = tuple(_sort(draft, strings(status)))
    draft.staged.update(index.resolved())
    draft.modes, draft.permissions = _usual(permissions)
    with Tree(worktree.path) as tree:
        _hidden(draft, tree)
        _converted(draft, tree, conversion)
        if ignored == "all":
            draft.every_ignored = True
            for path in draft.ignored:
                _add(draft, tree, path, "ignored")
        elif not isinstance(ignored, str):
            _asked(draft, tree, ignored)
        elif ignored != "none":
            raise UnsafePath(f"{shown(ignored)!r} is neither none nor all nor a list of paths")
        _empty(draft, tree, strings(empty), draft.ignored)
    draft.state, draft.doing = state_files(worktree.gitdir), operation(worktree.gitdir)[0] or ""
    return draft


def demand_files(worktree: Worktree) -> None:
    """Raises `HeldBack` where a worktree is missing, or bare."""
    if worktree.bare or worktree.missing:
        raise HeldBack(f"{shown(str(worktree.path))} has no files", hint="git worktree list")


def read_index(git: Git, gitdir: Path, hash_size: int) -> tuple[fs.Signature | None, Index]:
    """The index of a worktree as one file, and the signature that the file had.

    Raises:
        CannotRun: it is damaged.
    """
    path = gitdir / "index"
    while True:
        seen = fs.signature(path)
        data = fs.read_or_none(path) or b""
        if fs.signature(path) == seen:
            break
    index = parse(data, hash_size)
    if index.split:
        index = parse(_unsplit(git, gitdir, data), hash_size)
    return seen, index


def state_files(gitdir: Path) -> list[str]:
    """The files that hold the state of an operation in progress, sorted, relative to the git directory."""
    with os.scandir(gitdir) as entries:
        names = [entry.name for entry in entries]
    found = [name for name in names if STATE_FILE.fullmatch(name)]
    with Tree(gitdir) as tree:
        for name in STATE_DIRECTORIES:
            if name in names:
                found += [path for path, kind in walk(tree, name) if kind == "file"]
    return sorted(found)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Calls all at once, each in a thread; returns their results in order, or raises the first error."""
    results: list[Any] = [None] * len(calls)
    errors: list[BaseException] = []

    def one(number: int) -> None:
        try:
            results[number] = calls[number]()
        except BaseException as error:  # noqa: BLE001 (raised again below, by the caller's thread)
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(1, len(calls))]
    for thread in threads:
        thread.start()
    one(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def _run(git: Git, worktree: Worktree, *args: str) -> bytes:
    result = git.run(*args).check()
    # git only warns of a directory that it can't open, and lists what it can.
    for line in result.stderr.splitlines():
        if line.startswith("warning: could not open directory"):
            raise unreadable(line.partition("'")[2].rpartition("'")[0] or str(worktree.path))
    return result.stdout


def _sort(draft: Draft, records: Sequence[str]) -> list[str]:
    """Reads the status into the draft; returns the ignored paths."""
    ignored = []
    for record in records:
        kind, _, rest = record.partition(" ")
        if kind == "1":
            state, submodule, _, in_index, _, _, oid, path = rest.split(" ", 7)
            if submodule[0] == "S":
                draft.opaque.append(path)
            if state[0] != "." and in_index not in ("000000", "160000"):
                draft.staged.add(oid)
            if state[1] == "A":
                draft.intents = True
            if state[1] == "D":
                draft.absent.append(path)
            elif state[1] != "." and submodule[0] != "S":
                draft.reads[path] = "changed"
        elif kind == "u":
            _, _, *modes, _, one, two, three, path = rest.split(" ", 9)
            stages = zip(modes, (one, two, three), strict=True)
            draft.staged.update(oid for mode, oid in stages if mode not in ("000000", "160000"))
            draft.reads[path] = "changed"
            draft.unmerged.append(path)
        elif kind == "?" and rest.endswith("/"):
            draft.opaque.append(rest.rstrip("/"))
        elif kind == "?":
            draft.reads[rest] = "untracked"
        elif kind == "!":
            ignored.append(rest)
        elif rest.startswith("branch.oid ") and rest != "branch.oid (initial)":
            draft.head = rest.removeprefix("branch.oid ")
        elif rest.startswith("branch.head ") and rest != "branch.head (detached)":
            draft.branch = "refs/heads/" + rest.removeprefix("branch.head ")
    return ignored


def _hidden(draft: Draft, tree: Tree) -> None:
    for entry in draft.index.hidden:
        if entry.mode == GITLINK or entry.stage or entry.mode == 0o040000:
            continue
        if _there(tree, entry.path) is not None:
            draft.reads.setdefault(entry.path, "hidden")
        elif "s" not in entry.flags and entry.path not in draft.absent:
            draft.absent.append(entry.path)


def _conversion(repo: Repository, git: Git, index: Index) -> _Conversion:
    """The tracked files of which "unmodified" does not tell the bytes, since git converts them."""
    entries_of = (*repo.settings.entries, *repo.settings.elsewhere)
    values = {each.value.lower() for each in entries_of if each.key == "core.autocrlf"}
    everything = not values <= {"false", "no", "off", "0", ""}
    names = None if everything else set(strings(git.out("ls-files", "-z", "--", CONVERTING)))
    if names is not None and not names:
        return _Conversion({})
    rewritten = set(strings(git.out("ls-files", "-z", "--", REWRITING)))
    entries = [e for e in index.entries() if not e.stage and _plain(e) and (names is None or e.path in names)]
    asked = "".join(f"{entry.oid}\n" for entry in entries).encode()
    sizes = git.out("cat-file", "--batch-check=%(objectsize)", stdin=asked).split(b"\n")
    blobs = {}
    for entry, size in zip(entries, sizes, strict=False):
        told = size.isdigit() and entry.path not in rewritten
        blobs[entry.path] = entry.oid, int(size) if told else -1
    return _Conversion(blobs)


def _permissions(root: Path, index: Index) -> list[tuple[str, int, int]]:
    """Each tracked file that is there: its path, its mode in the index, its mode; read while git looks."""
    found = []
    top = os.path.join(root, "")
    for entry in index.entries():
        if stat.S_ISREG(entry.mode) and not entry.stage:
            with contextlib.suppress(OSError):
                mode = os.lstat(top + entry.path).st_mode
                if stat.S_ISREG(mode):
                    found.append((entry.path, entry.mode, mode))
    return found


def _usual(permissions: Sequence[tuple[str, int, int]]) -> tuple[tuple[int, int], dict[str, int]]:
    """The most frequent mode of plain and of executable files, and the files that have another."""
    counts = {False: Counter[int](), True: Counter[int]()}
    for _, in_index, mode in permissions:
        counts[in_index == 0o100755][mode] += 1
    plain, executable = (counts[kind].most_common(1) for kind in (False, True))
    usual = plain[0][0] if plain else 0o100644, executable[0][0] if executable else 0o100755
    return usual, {path: mode for path, index, mode in permissions if mode != usual[index == 0o100755]}


def _converted(draft: Draft, tree: Tree, conversion: _Conversion) -> None:
    gone = set(draft.absent)
    for path, (oid, size) in conversion.blobs.items():
        if path in draft.reads or path in gone:
            continue
        seen = tree.signature(path)
        # Conversion of line ends only takes bytes away, so that an equal size means equal bytes.
        if seen is not None and seen.size != size:
            draft.reads[path] = "converted"
            draft.clean[path] = oid


def _asked(draft: Draft, tree: Tree, paths: Iterable[str]) -> None:
    """Adds what is at the paths, at any of their parents that is no directory, and below them."""
    names = tuple(dict.fromkeys(path.rstrip("/") for path in paths))
    draft.asked = names
    blobs = {e.path: e.oid for e in draft.index.entries() if not e.stage and _plain(e)} if names else {}
    for name in names:
        parts = fs.split(name)
        if ".git" in parts:
            raise UnsafePath(f"{shown(name)} lies in a git directory", path=name)
        for end in range(1, len(parts) + 1):
            path = "/".join(parts[:end])
            seen = tree.signature(path)
            if seen is None:
                break
            if not seen.is_dir:
                if path in blobs and path not in draft.reads:
                    draft.clean[path] = blobs[path]
                draft.reads.setdefault(path, "asked")
                break
        else:
            _add(draft, tree, name + "/", "asked", blobs)


def _add(draft: Draft, tree: Tree, path: str, why: str, blobs: Mapping[str, str] | None = None) -> None:
    """Adds a file, or all that is below a directory (a path that ends in a slash)."""
    if not path.endswith("/"):
        draft.reads.setdefault(path, why)
        return
    for name, kind in walk(tree, path.rstrip("/")):
        if kind == "file":
            if name not in draft.reads and blobs and name in blobs:
                draft.clean[name] = blobs[name]
            draft.reads.setdefault(name, why)
        elif kind == "empty":
            _note(draft, tree, name)
        else:
            {"opaque": draft.opaque, "special": draft.skipped}[kind].append(name)


def _empty(draft: Draft, tree: Tree, untracked: Iterable[str], ignored: Iterable[str]) -> None:
    """Finds the directories without any file, which `git status` doesn't show."""
    left_out = {path.rstrip("/") for path in (*ignored, *draft.opaque)}
    tops = {path.rstrip("/") for path in untracked if path.endswith("/")}
    # Where a tracked file is gone, git takes its directory, and one in its place, for tracked.
    for path in (*draft.absent, *(entry.path for entry in draft.index.hidden), *draft.unmerged):
        seen = _there(tree, path)
        if seen is None:
            tops.add(_emptied(tree, path))
        elif seen.is_dir:
            tops.add(path)
    for top in tops - left_out - {""}:
        for name, kind in walk(tree, top, left_out):
            if kind == "empty":
                _note(draft, tree, name)


def _note(draft: Draft, tree: Tree, directory: str) -> None:
    seen = tree.signature(directory)
    if seen is not None:
        draft.directories[directory] = seen.mode


def _emptied(tree: Tree, path: str) -> str:
    """The nearest directory above a tracked file that is gone, where nothing is left in it; else ""."""
    while path := path.rpartition("/")[0]:
        try:
            return "" if tree.folder(path).names() else path
        except FileNotFoundError:
            continue
        except (NotADirectoryError, UnsafePath):
            break
        except PermissionError as error:
            raise unreadable(path) from error
    return ""


def _there(tree: Tree, path: str) -> fs.Signature | None:
    """What is at a path; what lies beyond a link is not in the worktree."""
    try:
        return tree.signature(path)
    except UnsafePath:
        return None


def _plain(entry: Entry) -> bool:
    return stat.S_ISREG(entry.mode) and not entry.flags


def _unsplit(git: Git, gitdir: Path, data: bytes) -> bytes:
    """A split index as one: git joins it in a copy beside the real one, which is not touched."""
    copy = gitdir / f"raccord-index-{os.getpid()}-{threading.get_ident()}"
    try:
        fs.write_new(copy, data)
        joined = git.using(GIT_INDEX_FILE=str(copy))
        joined.out("-c", "core.splitIndex=false", "update-index", "--no-split-index", "--force-write-index")
        return fs.read(copy)
    except ProcessFailed as error:
        raise CannotRun("the split index can't be read", hint="git update-index --no-split-index") from error
    finally:
        fs.unlink(copy)
