"""Which remote a workspace syncs with, and which branch its branches stand on."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from raccord.errors import UsageError
from raccord.git.config import Settings
from raccord.git.refs import Refs
from raccord.git.remote import default_branch
from raccord.git.repo import Repository
from raccord.git.worktrees import Worktree
from raccord.model.text import shown


@dataclass(frozen=True, slots=True)
class Base:
    """What branches stand on.

    Attributes:
        branch: its short name.
        ref: its full name, remote-tracking where there is a remote.
        oid: its commit.
        name: for a person: "origin/main".
    """

    branch: str
    ref: str
    oid: str
    name: str


@dataclass(frozen=True, slots=True)
class Far:
    """Where a branch is pushed.

    Attributes:
        remote: the remote, "" where there is none.
        dest: the full ref there.
        known: what the remote had at `dest` at the last fetch, or None.
        tracked: git's own configuration says that the branch follows that very ref.
    """

    remote: str
    dest: str
    known: str | None
    tracked: bool


def choose_remote(settings: Settings, configured: str) -> str:
    """The remote to sync with, "" where there is none.

    Raises:
        UsageError: the configured one does not exist, or there are several and none is called origin.
    """
    remotes = settings.remotes()
    if configured:
        if configured not in remotes:
            raise UsageError(f"no remote called {configured!r}", hint="git remote -v")
        return configured
    if not remotes or "origin" in remotes:
        return "origin" if remotes else ""
    if len(remotes) == 1:
        return next(iter(remotes))
    names = ", ".join(sorted(remotes))
    raise UsageError(f"several remotes ({names}) and none is called origin", hint="raccord init")


def push_remote(settings: Settings, branch: str, remote: str) -> str:
    """Where a branch is pushed: as git itself would choose, among the remotes that exist."""
    for key in (f"branch.{branch}.pushremote", "remote.pushdefault"):
        name = settings.get(key)
        if name and name in settings.remotes():
            return name
    return remote


def find_base(repo: Repository, refs: Refs, remote: str, asked: str, trees: tuple[Worktree, ...]) -> Base:
    """The base, as asked for, else the remote's default branch, else the main worktree's branch.

    Args:
        asked: "main", "origin/main", or "".

    Raises:
        UsageError: there is no such branch, or nothing says which it is.
    """
    if asked:
        return _named(refs, remote, asked)
    branch = default_branch(repo, remote) if remote else None
    if branch is None:
        heads = refs.heads
        mine = next((tree.branch for tree in trees if tree.main and tree.branch), None)
        branch = next((name for name in ("main", "master", mine) if name in heads), None)
    if branch is None:
        raise UsageError("nothing says which branch is the base", hint="raccord sync --base BRANCH")
    return _named(refs, remote, branch)


def _named(refs: Refs, remote: str, asked: str) -> Base:
    short = asked.removeprefix("refs/heads/")
    if remote:
        short = short.removeprefix("refs/remotes/").removeprefix(f"{remote}/")
        oid = refs.remote(remote).get(short)
        if oid:
            return Base(short, f"refs/remotes/{remote}/{short}", oid, f"{remote}/{short}")
    oid = refs.heads.get(short)
    if oid:
        return Base(short, f"refs/heads/{short}", oid, short)
    known = sorted({*refs.heads, *(refs.remote(remote) if remote else ())})
    near = difflib.get_close_matches(short, known, 1)
    guess = f"; did you mean {shown(near[0])}?" if near else ""
    raise UsageError(f"no branch called {shown(asked)}{guess}", hint="git branch -a", branch=asked)


def destination(settings: Settings, remote: str, branch: str, base: str) -> str:
    """The full ref that a branch is pushed to: its upstream's name, never the base's by way of tracking."""
    merge = settings.get(f"branch.{branch}.merge")
    tracked = settings.get(f"branch.{branch}.remote") == remote and merge
    if tracked and merge and (merge != f"refs/heads/{base}" or branch == base):
        return merge
    return f"refs/heads/{branch}"


def far_side(settings: Settings, refs: Refs, remote: str, branch: str, base: str) -> Far:
    """Where a branch is pushed, and what is known of it.

    Args:
        remote: the remote to sync with, "" where there is none.
        base: the short name of the base branch.
    """
    there = push_remote(settings, branch, remote)
    dest = destination(settings, there, branch, base)
    known = refs.get(f"refs/remotes/{there}/{dest.removeprefix('refs/heads/')}") if there else None
    tracked = (
        settings.get(f"branch.{branch}.remote") == there and settings.get(f"branch.{branch}.merge") == dest
    )
    return Far(there, dest, known, tracked)
