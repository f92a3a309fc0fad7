"""What a verb answers with: frozen data that every face renders and `--json` prints as it is.

Times are seconds since the epoch. Paths are absolute, and text is raw: a face escapes what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from raccord.model.plan import Finding, Json, Plan, Waiver

RunState = Literal["running", "done", "partial", "stopped", "interrupted", "aborted", "failed", "nothing"]
LaneState = Literal[
    "pending", "running", "done", "nothing", "held", "stopped", "skipped", "aborted", "failed"
]


@dataclass(frozen=True, slots=True)
class StepReport:
    """Where one step of a lane stands.

    Attributes:
        kind: the handler's name, such as "worktree.follow".
        title: one line for a person.
        state: "pending", "running", "done", "failed", "stopped", "undone" or "skipped".
        note: what the step left to say, or "".
        counts: what it did, in numbers, such as {"heals": 1, "revisions_copied": 2, "by_source": {"ref": 2}}.
    """

    kind: str
    title: str
    state: str
    note: str = ""
    counts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaneReport:
    """How one lane of a run ended.

    Attributes:
        key: names the lane; what `continue`, `skip` and `abort` take.
        title: one line for a person, such as the worktree's name and branch.
        state: see `LaneState`.
        finding: why it is held back, stopped or failed, with the next command; None where it is well.
        steps: in order.
        notes: what a person should know besides.
    """

    key: str
    title: str
    state: LaneState
    finding: Finding | None = None
    steps: tuple[StepReport, ...] = ()
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of the journal.

    Attributes:
        id: what `show` and `undo` take.
        verb: the command.
        state: see `RunState`.
        started: seconds since the epoch.
        ended: seconds since the epoch; None while it is unfinished.
        lanes: how many lanes it had.
        held: how many of them were held back, stopped or failed.
        undo_of: the run that it took back, or "".
        undone_by: the run that took it back, or "".
        by: who asked.
    """

    id: str
    verb: str
    state: RunState
    started: float
    ended: float | None = None
    lanes: int = 0
    held: int = 0
    undo_of: str = ""
    undone_by: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run with all that happened in it.

    Attributes:
        id: what `show` and `undo` take; "" where nothing had to be done and so nothing was journalled.
        verb: the command.
        state: see `RunState`.
        lanes: in the order of the plan.
        notes: findings about the whole.
        waivers: the guards that were skipped, by whom and why.
        started: seconds since the epoch.
        ended: seconds since the epoch; None while it is unfinished.
        undo_of: the run that it took back, or "".
        by: who asked.
        next_command: what to type next, or "".
    """

    id: str
    verb: str
    state: RunState
    lanes: tuple[LaneReport, ...] = ()
    notes: tuple[Finding, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    started: float = 0.0
    ended: float | None = None
    undo_of: str = ""
    by: str = ""
    next_command: str = ""


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the last run that touched a worktree did there.

    Attributes:
        id: the run.
        verb: its command.
        state: how the worktree's own lane ended.
        at: when, in seconds since the epoch.
    """

    id: str
    verb: str
    state: LaneState
    at: float


@dataclass(frozen=True, slots=True)
class WorktreeReport:
    """One worktree at a glance. A count is None where it could not be read: unknown is not clean.

    Attributes:
        path: its top directory.
        name: the directory's name, or what tells it apart from others of that name.
        branch: the short branch name; "" where the head is detached.
        base: what the branch is compared with, such as "origin/main"; "" where there is none.
        ahead: commits that only the branch has.
        behind: commits that only the base has.
        staged: paths whose index differs from the head.
        unstaged: paths whose file differs from the index.
        untracked: paths that git neither tracks nor ignores.
        unmerged: paths with conflicts.
        reports: how many of these paths hold nothing new but raccord's own reports: a sync carries them over.
        operation: what is in progress ("rebase", "merge", "cherry-pick", "bisect"), or "".
        locked: whether git's own worktree lock is on.
        missing: whether the directory is gone.
        detached: whether the head is on no branch.
        head: the commit's full id, or "".
        note: what a person should know, or "".
        last_run: the last run that touched it.
        current: whether the command was started in it.
    """

    path: str
    name: str
    branch: str = ""
    base: str = ""
    ahead: int | None = None
    behind: int | None = None
    staged: int | None = None
    unstaged: int | None = None
    untracked: int | None = None
    unmerged: int | None = None
    reports: int = 0
    operation: str = ""
    locked: bool = False
    missing: bool = False
    detached: bool = False
    head: str = ""
    note: str = ""
    last_run: LastRun | None = None
    current: bool = False

    @property
    def clean(self) -> bool | None:
        """Whether nothing is uncommitted; None where nobody could tell."""
        counts = (self.staged, self.unstaged, self.untracked, self.unmerged)
        if any(counts):
            return False
        return None if None in counts else True


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The workspace at a glance.

    Attributes:
        top: the directory of the worktree that the command was started in, or of the bare repository.
        worktrees: the main one first.
        last_run: the newest run, if any.
        stopped: runs that wait for a person or were cut off.
        disk: bytes that snapshots, backups and kept output hold.
        snapshots: how many snapshots and backups there are.
        notes: findings about the whole.
        next_command: the one command to type next, or "".
    """

    top: str
    worktrees: tuple[WorktreeReport, ...]
    last_run: RunSummary | None = None
    stopped: tuple[RunSummary, ...] = ()
    disk: int = 0
    snapshots: int = 0
    notes: tuple[Finding, ...] = ()
    next_command: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """One snapshot of one worktree.

    Attributes:
        id: what `restore` takes.
        worktree: the top directory that it was taken of.
        branch: the branch at that time, or "".
        head: the commit at that time, or "".
        taken: seconds since the epoch.
        message: what the person wrote, or why raccord took it.
        run: the run that took it.
        ignored: whether ignored files are in it.
    """

    id: str
    worktree: str
    branch: str
    head: str
    taken: float
    message: str = ""
    run: str = ""
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """What `gc` or `eject` removed, or would remove.

    Attributes:
        verb: "gc" or "eject".
        dry_run: whether nothing was removed yet.
        removed: one line each, for a person.
        kept: how many things stay.
        freed: bytes that become free; None where it is not known.
        notes: what a person should know.
    """

    verb: str
    dry_run: bool
    removed: tuple[str, ...] = ()
    kept: int = 0
    freed: int | None = None
    notes: tuple[Finding, ...] = ()


# What a verb that changes something answers with: the plan where it was asked for a dry run.
Answer = RunReport | Plan
