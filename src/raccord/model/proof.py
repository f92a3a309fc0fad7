"""What became of revisions that were tried on clones: frozen data that every face renders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raccord.model.plan import Finding

ProofState = Literal["pass", "irreversible", "failed", "unreached"]


@dataclass(frozen=True, slots=True)
class MigrationProof:
    """What a revision did on a clone: up, down, and up again.

    Attributes:
        revision: its id.
        message: what it does.
        state: "pass"; "irreversible", its downgrade doesn't lead back; "failed", it can't be applied, or not
            with the same result again; "unreached", what it stands on failed.
        reason: in words, or "".
        left: the objects that differ, a line each: after the downgrade from before, or the second time from
            the first.
        trace: the last lines of what was raised.
    """

    revision: str
    message: str
    state: ProofState
    reason: str = ""
    left: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What became of the revisions that were proven.

    Attributes:
        databases: those that were cloned, without their passwords.
        fresh: whether empty ones were used instead.
        proofs: in the order of applying.
        notes: what a person should know.
        next_command: the one command to type next, or "".
    """

    databases: tuple[str, ...]
    fresh: bool
    proofs: tuple[MigrationProof, ...]
    notes: tuple[Finding, ...] = ()
    next_command: str = ""

    @property
    def passed(self) -> bool:
        """Whether every revision is what it should be."""
        return all(one.state == "pass" for one in self.proofs)
