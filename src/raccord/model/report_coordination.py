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


@dataclass(frozen=True, slots=True)
class ConsolidateReport:
    """What a consolidation by hand came to.

    Attributes:
        consolidation: that was made; null where nothing was pending.
        document: the path of the document that has the report; "" where it is not in it yet.
        error: why it isn't.
        commit: the commit that has the report; "" where none was made.
        uncommitted: why it is not committed, or not pushed, where the configuration asks for that.
    """

    consolidation: ConsolidationReport | None
    document: str
    error: str
    commit: str = ""
    uncommitted: str = ""
