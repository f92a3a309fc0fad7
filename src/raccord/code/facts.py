"""What is known of each worktree's branch once everything was read, and what is decided for it. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class BranchFacts:
    """One worktree and its branch; a decision needs nothing else.

    Attributes:
        key: the worktree's path, which names its lane.
        name: how a person tells it from the others.
        gitdir: the worktree's own git directory.
        branch: the short branch name, "" where the head is detached.
        tip: the commit that is checked out, "" before the first one.
        missing: the directory is gone or is no worktree any more.
        locked: the reason of git's worktree lock, None where there is none.
        operation: what is in progress ("rebase", "merge", …), or "".
        unread: why the status could not be read, or "".
        unread_hint: the next command then, or "".
        dirty: counts of staged, unstaged, untracked and unmerged paths.
        own: how many of these paths hold nothing new but what raccord itself wrote.
        protected: the branch is never pushed with force, and follows only its own remote branch.
        onto: the commit to stand on, "" where there is none.
        onto_name: its name for a person, such as "origin/main".
        stacked_on: key of the lane whose branch this one stands on, or "".
        stack_start: the commit at which the own work of a stacked branch begins, or "".
        base: the commit below the branch's own work, "" where it is not known.
        remote: where the branch is pushed, or "".
        dest: the full ref there.
        upstream: what the remote had at `dest` at the last fetch, or None.
        gone: the branch had a remote branch, which was deleted there.
        integrated: the branch holds `upstream`, or held it once: pushing over it loses nothing.
        outcome: what the replay in memory came to; see `code.replay`.
        new: the tip after the replay.
        upstream_in_new: whether `new` holds `upstream`, so that a plain push is enough.
        dropped: commits that the replay left out, with why.
        merged_as: the commit of the base that holds the whole branch, "" where not known.
        conflict: the paths that conflict.
        conflict_commit: the commit that does not apply.
        why: what git said, where the outcome is unknown.
        problems: what stands in the way of the worktree's files following.
        changed: the paths that following changes.
    """

    key: str
    name: str
    gitdir: str
    branch: str = ""
    tip: str = ""
    missing: bool = False
    locked: str | None = None
    operation: str = ""
    unread: str = ""
    unread_hint: str = ""
    dirty: tuple[int, int, int, int] = (0, 0, 0, 0)
    own: int = 0
    protected: bool = False
    onto: str = ""
    onto_name: str = ""
    stacked_on: str = ""
    stack_start: str = ""
    base: str = ""
    remote: str = ""
    dest: str = ""
    upstream: str | None = None
    gone: bool = False
    integrated: bool = True
    outcome: str = ""
    new: str = ""
    upstream_in_new: bool = True
    dropped: tuple[tuple[str, str], ...] = ()
    merged_as: str = ""
    conflict: tuple[str, ...] = ()
    conflict_commit: str = ""
    why: str = ""
    problems: tuple[Finding, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PushIntent:
    """What is to be pushed: `new` over `lease` (None: the ref must not exist there yet)."""

    remote: str
    dest: str
    new: str
    lease: str | None
    force: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one branch.

    Attributes:
        held: why nothing does, or None.
        notes: what a person should know.
        move_to: the commit that the branch and its worktree go to, "" to stay.
        by_hand: open a real rebase and let a person resolve it.
        snapshot: keep the worktree's uncommitted state first.
        push: what goes to the remote, or None.
    """

    held: Finding | None = None
    notes: tuple[Finding, ...] = ()
    move_to: str = ""
    by_hand: bool = False
    snapshot: bool = False
    push: PushIntent | None = None
