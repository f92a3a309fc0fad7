"""What the verbs of coordination answer with; see `report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raccord.model.plan import Json


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """A change of a watched file.

    Attributes:
        id: rises by time.
        worktree: the path of the worktree.
        path: of the file, below it.
        kind: "created", "modified", "deleted" or "renamed".
        at: when it was seen.
        old: the checksum before; "" where there was no file.
        new: the checksum after; "" where there is none.
        before: the path that a renamed file had.
        owner: who made it; "unknown" where that isn't known.
        how: by what the owner is known.
        consolidation: that told of it; "" while it is pending.
        machine: the other machine on which it was made; "" for this one.
    """

    id: int
    worktree: str
    path: str
    kind: str
    at: float
    old: str
    new: str
    before: str
    owner: str
    how: str
    consolidation: str
    machine: str = ""


@dataclass(frozen=True, slots=True)
class ConsolidationReport:
    """Changes that were turned into one report.

    Attributes:
        id: of it.
        trigger: "threshold", "time_based" or "manual".
        conditions: what the trigger saw.
        at: when.
        changes: how many it tells of.
        files: of how many files.
        seconds: that it took.
        placed: whether it is in the document.
        report: its text, in Markdown.
        machine: the other machine that made it; "" for this one.
    """

    id: str
    trigger: str
    conditions: Mapping[str, Json]
    at: float
    changes: int
    files: int
    seconds: float
    placed: bool
    report: str
    machine: str = ""


@dataclass(frozen=True, slots=True)
class ConsolidateReport:
    """What a consolidation by hand came to.

    Attributes:
        consolidation: that was made; null where nothing was pending.
        document: the path of the document that has the report; "" where it is not in it yet.
        error: why it isn't.
        commit: the commit that has the report; "" where none was made.
        uncommitted: why it is not committed, or not pushed, where the configuration asks for that.
        journals: why old entries of a journal did not move into its archive, likewise.
    """

    consolidation: ConsolidationReport | None
    document: str
    error: str
    commit: str = ""
    uncommitted: str = ""
    journals: str = ""


@dataclass(frozen=True, slots=True)
class MachineReport:
    """A machine that works on the same project.

    Attributes:
        id: of it.
        name: what people call it.
        place: the directory of its main worktree.
        release: of its raccord.
        seen: when the hub last heard of it.
        own: whether it is this one.
    """

    id: str
    name: str
    place: str
    release: str
    seen: float
    own: bool


@dataclass(frozen=True, slots=True)
class FarRun:
    """A run of another machine.

    Attributes:
        id: of it, there.
        machine: where it ran.
        verb: the command.
        state: as it last said.
        started: when.
        ended: when; null while it is unfinished.
        lanes: how many lanes it had.
        held: how many of them were held back, stopped or failed.
        by: who asked.
        undo_of: the run that it took back, or "".
    """

    id: str
    machine: str
    verb: str
    state: str
    started: float
    ended: float | None
    lanes: int
    held: int
    by: str
    undo_of: str


@dataclass(frozen=True, slots=True)
class HubReport:
    """How this machine stands to its hub.

    Attributes:
        hub: where it is, without secrets; "" where none is configured.
        connected: whether a service that runs here exchanges with it now.
        since: when that began, or ended; null where it never was.
        why: it is not connected, as far as that is known.
        waiting: how many things wait to be sent.
        machines: all that the hub knows, as they were last heard of.
        runs: the newest of other machines, the newest first.
    """

    hub: str
    connected: bool
    since: float | None
    why: str
    waiting: int
    machines: tuple[MachineReport, ...] = ()
    runs: tuple[FarRun, ...] = ()


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """A claim on paths that was granted.

    Attributes:
        pattern: of paths below the top of each worktree; a directory stands for all in it.
        owner: who holds it.
        machine: the other machine where it was claimed; "" for this one.
        worktree: where.
        token: rises with each grant; what carries a smaller one is from somebody who lost it.
        ends: when.
    """

    pattern: str
    owner: str
    machine: str
    worktree: str
    token: int
    ends: float
