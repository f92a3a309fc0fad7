"""Every worktree of a repository and what goes on in it, read without running anything in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from raccord.git.gitdir import common_of, gitdir_at, text
from raccord.git.repo import Repository
from raccord.git.run import strings

HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True)
class Worktree:
    """One worktree.

    Attributes:
        path: its top directory; for a bare repository the repository's directory.
        gitdir: its own git directory (HEAD, index, operation files).
        head: the commit that it stands on, None on an unborn or broken HEAD.
        branch: the short name of its branch; during a rebase or bisect the branch that it will come back to.
        main: whether it is the main worktree (or the bare repository itself).
        bare: whether it has no files.
        detached: whether HEAD is no branch now.
        locked: why it is locked ("" without a reason), None where it isn't.
        missing: whether its directory is gone, or its `.git` and `gitdir` do not lead to each other and to
            this repository.
        operation: "rebase", "merge", "cherry-pick", "revert", "bisect", "am", or None.
    """

    path: Path
    gitdir: Path
    head: str | None
    branch: str | None
    main: bool = False
    bare: bool = False
    detached: bool = False
    locked: str | None = None
    missing: bool = False
    operation: str | None = None


def worktrees(repo: Repository) -> tuple[Worktree, ...]:
    """Every worktree, the main one first, in git's order.

    Raises:
        ProcessFailed: git failed.
    """
    gitdirs = _linked_gitdirs(repo.common)
    found: list[Worktree] = []
    record: dict[str, str] = {}
    for field in (*_listing(repo), ""):
        if field:
            name, _, value = field.partition(" ")
            record[name] = value
        elif record:
            found.append(_worktree(repo, record, gitdirs, main=not found))
            record = {}
    return tuple(found)


def operation(gitdir: Path) -> tuple[str | None, str | None]:
    """The operation in progress in a worktree, and the branch (short name) that it will come back to.

    The order is that of `git status`: a rebase that stopped may also hold a CHERRY_PICK_HEAD.
    """
    there = frozenset(_names(gitdir))
    if "rebase-merge" in there:
        return "rebase", _head_name(gitdir / "rebase-merge")
    if "rebase-apply" in there:
        applying = os.path.exists(gitdir / "rebase-apply" / "applying")
        return ("am", None) if applying else ("rebase", _head_name(gitdir / "rebase-apply"))
    if "MERGE_HEAD" in there:
        return "merge", None
    if "CHERRY_PICK_HEAD" in there:
        return "cherry-pick", None
    if "REVERT_HEAD" in there:
        return "revert", None
    if "sequencer" in there and (todo := text(str(gitdir / "sequencer" / "todo"))):
        # Between two commits of several only the list of those to come tells.
        return ("revert" if todo.startswith("revert") else "cherry-pick"), None
    if "BISECT_LOG" in there:
        start = text(str(gitdir / "BISECT_START")) or ""
        bare_oid = len(start) in (40, 64) and not start.strip("0123456789abcdef")
        return "bisect", None if bare_oid else start.removeprefix(HEADS) or None
    return None, None


def _listing(repo: Repository) -> list[str]:
    return list(strings(repo.git.out("worktree", "list", "--porcelain", "-z")))


def _worktree(repo: Repository, record: dict[str, str], gitdirs: dict[str, str], *, main: bool) -> Worktree:
    path = record["worktree"]
    bare = "bare" in record
    if main:
        gitdir = str(repo.common)
        path = _main_path(repo, path, bare=bare)
    else:
        gitdir = gitdirs.get(path) or gitdirs.get(os.path.realpath(path)) or ""
    known = gitdir != ""
    path = os.path.normpath(os.path.join(gitdir, path))
    gitdir = gitdir or str(repo.common / "worktrees")
    doing, back = operation(Path(gitdir)) if known else (None, None)
    branch = record.get("branch")
    head = record.get("HEAD", "")
    return Worktree(
        path=Path(path),
        gitdir=Path(gitdir),
        head=head if head.strip("0") else None,
        branch=branch.removeprefix(HEADS) if branch else back,
        main=main,
        bare=bare,
        detached="detached" in record,
        locked=record.get("locked"),
        missing=not bare and not (known and _linked(repo, path, gitdir)),
        operation=doing,
    )


def _linked(repo: Repository, path: str, gitdir: str) -> bool:
    """Whether git at `path` would find `gitdir` and this repository's configuration, and not another's."""
    real = os.path.realpath(gitdir)
    return gitdir_at(path) == real and common_of(real) == str(repo.common)


def _main_path(repo: Repository, listed: str, *, bare: bool) -> str:
    """The main worktree's top: git lists the git directory itself where that lies apart from the files."""
    if bare or gitdir_at(listed) == str(repo.common):
        return listed
    if repo.gitdir == repo.common and repo.top is not None:
        return str(repo.top)
    tree = repo.settings.get("core.worktree")
    apart = os.path.realpath(os.path.join(repo.common, tree)) if tree else listed
    return apart if gitdir_at(apart) == str(repo.common) else listed


def _linked_gitdirs(common: Path) -> dict[str, str]:
    """The git directory of each linked worktree by the path of its top, as written and as it really is."""
    found: dict[str, str] = {}
    root = os.path.join(common, "worktrees")
    for name in _names(Path(root)):
        gitdir = os.path.join(root, name)
        link = text(os.path.join(gitdir, "gitdir"))
        if link:
            # Written relative to `gitdir` under worktree.useRelativePaths.
            top = os.path.dirname(os.path.normpath(os.path.join(gitdir, link)))
            found[top] = gitdir
            found[os.path.dirname(link)] = gitdir  # git before 2.48 lists it as written
            found.setdefault(os.path.realpath(top), gitdir)
    return found


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _head_name(state: Path) -> str | None:
    name = text(str(state / "head-name")) or ""
    return name.removeprefix(HEADS) if name.startswith(HEADS) else None
