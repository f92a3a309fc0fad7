"""What `raccord doctor` answers with; see `report`."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.model.advice import State


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One finding, in the language of the workspace.

    Attributes:
        name: which check, as a dotted name ("watch.files").
        state: "ok", "warning" or "problem".
        what: what was found.
        why: what follows from it, or what it may come from; "" where nothing does.
        next: the command to type, or "".
    """

    name: str
    state: State
    what: str
    why: str
    next: str


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What was looked at.

    Attributes:
        findings: in the order in which they are worth reading.
        problems: how many of them are.
        warnings: likewise.
    """

    findings: tuple[DoctorFinding, ...]
    problems: int
    warnings: int
