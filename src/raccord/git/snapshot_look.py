"""Finds out what a snapshot of a worktree has to keep: one git status and a few lookups beside it.

Never writes. The files themselves are read by `snapshot_write.py`; here only names, the index and the state
of an operation in progress.
"""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from raccord.errors import CannotRun, HeldBack, ProcessFailed, UnsafePath
from raccord.git import snapshot_unseen as unseen
from raccord.git.answer import ask
from raccord.git.repo import Repository
from raccord.git.run import Git, strings
from raccord.git.snapshot_draft import Draft
from raccord.git.snapshot_index import Index, parse
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
STATE_FILE = re.compile(
    r"MERGE_(HEAD|MSG|MODE|RR|AUTOSTASH)|SQUASH_MSG|(CHERRY_PICK|REVERT|REBASE)_HEAD|AUTO_MERGE|BISECT_[A-Z_]+"
)
STATE_DIRECTORIES = ("rebase-apply", "rebase-merge", "sequencer")


def look(repo: Repository, worktree: Worktree, ignored: str | Sequence[str]) -> Draft:
    """What a snapshot of `worktree` has to keep.

    Args:
        ignored: "none", "all", or the paths to look at byte by byte, whatever git says of them.

    Raises:
        HeldBack: a directory can't be read, or git would wait for ever.
        CannotRun: the index is damaged, or changes all the time.
        ProcessFailed: git failed.
    """
    git = repo.git.at(worktree.path)
    hash_size = len(repo.zero) // 2
    for _ in range(ATTEMPTS):
        taken = time.time()
        seen, index = read_index(git, worktree.gitdir, hash_size)
        tracked, status, empty, conversion = together(
            functools.partial(unseen.tracked, worktree.path, index),
            lambda: _run(git, worktree, *STATUS),
            lambda: _run(git, worktree, *unseen.EMPTY),
            functools.partial(unseen.conversion, repo, git, index),
        )
        if fs.signature(worktree.gitdir / "index") == seen:
            break
    else:
        raise CannotRun(f"the index of {shown(str(worktree.path))} changes all the time", hint="try again")
    draft = Draft(worktree, index, seen.mtime_ns if seen else 0, "", "", taken, hash_size)
    draft.ignored = tuple(_sort(draft, strings(status)))
    draft.staged.update(index.resolved())
    draft.modes, draft.permissions = tracked.usual, tracked.others
    with Tree(worktree.path) as tree:
        unseen.hidden(draft, tree, tracked)
        unseen.converted(draft, tree, conversion)
        if ignored == "all":
            draft.every_ignored = True
            for path in draft.ignored:
                _add(draft, tree, path, "ignored")
        elif not isinstance(ignored, str):
            _asked(draft, tree, ignored)
        elif ignored != "none":
            raise UnsafePath(f"{shown(ignored)!r} is neither none nor all nor a list of paths")
        unseen.empty(draft, tree, strings(empty), draft.ignored)
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
    result = ask(git, *args).check()
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


def _asked(draft: Draft, tree: Tree, paths: Iterable[str]) -> None:
    """Adds what is at the paths, at any of their parents that is no directory, and below them."""
    names = tuple(dict.fromkeys(path.rstrip("/") for path in paths))
    draft.asked = names
    blobs = {e.path: e.oid for e in draft.index.entries() if not e.stage and unseen.plain(e)} if names else {}
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
            unseen.note(draft, tree, name)
        else:
            {"opaque": draft.opaque, "special": draft.skipped}[kind].append(name)


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
