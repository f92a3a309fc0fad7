"""Decides what a push does with each table, and what it can't do. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raccord.data.compare import Difference
from raccord.data.spec import CHANGES, INSERT, REMOVES, Spec
from raccord.model.plan import Finding

SKIP, DELTA, WHOLE = "skip", "delta", "whole"
Counts = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one table.

    Attributes:
        way: "skip", "delta", where the rows that differ travel, or "whole", where all do.
        why: in words.
        added, changed, removed: how many rows.
        stays: how many rows differ, or are the target's own, and stay as they are.
    """

    table: str
    way: str
    why: str
    added: int = 0
    changed: int = 0
    removed: int = 0
    stays: int = 0

    @property
    def counts(self) -> Counts:
        """Rows added, changed and removed."""
        return self.added, self.changed, self.removed

    @property
    def said(self) -> str:
        """All of it in one line."""
        parts = [
            f"{number} to {verb}"
            for number, verb in zip(self.counts, ("add", "change", "remove"), strict=True)
            if number
        ]
        if self.stays:
            parts.append(f"{self.stays} stay as they are")
        return f"{self.table}: {', '.join(parts) or 'nothing to do'} ({self.why})"


def relevant(spec: Spec, one: Difference) -> Counts:
    """How many rows a mode adds, changes and removes."""
    return one.added, one.changed if spec.mode in CHANGES else 0, one.removed if spec.mode in REMOVES else 0


def decide(spec: Spec, one: Difference) -> Decision:
    """What to do with a table."""
    name = one.pair.shown
    added, changed, removed = relevant(spec, one)
    stays = one.changed + one.removed - changed - removed
    if not (added or changed or removed):
        why = f"equal: {one.source.rows} rows" if one.equal else f"mode {spec.mode}"
        return Decision(name, SKIP, why, stays=stays)
    total = added + changed + removed
    if not one.pair.key:
        return Decision(name, WHOLE, "all rows travel: it has no key", added, changed, removed, stays)
    if one.puts is None:
        return Decision(name, WHOLE, f"all rows travel: {total} differ", added, changed, removed, stays)
    share = f"{total} of {max(one.source.rows, one.target.rows)} rows travel or go"
    return Decision(name, DELTA, share, added, changed, removed, stays)


def emptied(spec: Spec, found: Sequence[Difference]) -> Finding | None:
    """A source that came up empty never means to empty the target, unless that is asked for."""
    if spec.allow_empty or spec.mode not in REMOVES:
        return None
    for one in found:
        if not one.source.rows and one.target.rows:
            return Finding(
                "data.empty",
                "fail",
                f"{one.pair.shown} has no row in {spec.origin}, and {one.target.rows} in {spec.goal}",
                f"raccord data push {spec.name} --to {spec.goal} --allow-empty",
            )
    return None


def unfilled(found: Sequence[Difference]) -> Finding | None:
    """A new row needs a value in each column that takes no null and has no default, if that stays too."""
    for one in found:
        for column in map(one.pair.column, one.pair.kept if one.added else ()):
            if not column.nullable and not column.default:
                name = f"{one.pair.shown}.{column.name}"
                said = f"{name} doesn't travel, and new rows need it: it takes no null and has no default"
                return Finding("data.column", "fail", said, "mask it, or send it: see exclude and secrets")
    return None


def staying(spec: Spec, decisions: Sequence[Decision]) -> list[Finding]:
    """What a push leaves although it differs."""
    if spec.mode != INSERT:
        return []
    return [
        Finding(
            "data.stays", "note", f"{one.table}: {one.stays} rows differ or are {spec.goal}'s own, and stay"
        )
        for one in decisions
        if one.stays
    ]
