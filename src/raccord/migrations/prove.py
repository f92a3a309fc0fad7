"""Decides what a trial of a revision tells, and which revisions are tried. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from raccord.database.catalog import Catalog, differences
from raccord.migrations.graph import Graph
from raccord.model.proof import MigrationProof, ProofState

Catalogs = Mapping[str, Catalog]  # by the name of the database
MOST = 50  # objects that are named


@dataclass(frozen=True, slots=True)
class Failure:
    """How a direction failed.

    Attributes:
        error: in one line.
        trace: the last lines of it.
    """

    error: str
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """What was seen of a revision on a clone. What comes after a failure was not tried.

    Attributes:
        before, up, down, again: the catalogs at the beginning and after each direction, or its failure.
        applied: whether it was applied already, and so had to be taken down first.
        idle: whether that changed nothing.
    """

    before: Catalogs
    up: Catalogs | Failure
    down: Catalogs | Failure | None = None
    again: Catalogs | Failure | None = None
    applied: bool = False
    idle: bool = False


def verdict(id_: str, message: str, trial: Trial) -> MigrationProof:
    """What a trial tells."""

    def say(
        state: ProofState, reason: str = "", left: Sequence[str] = (), failed: Failure | None = None
    ) -> MigrationProof:
        return MigrationProof(id_, message, state, reason, tuple(left[:MOST]), failed.trace if failed else ())

    if isinstance(trial.up, Failure):
        if trial.idle:
            return say("irreversible", f"its downgrade does nothing: {trial.up.error}", failed=trial.up)
        if trial.applied:
            said = f"once taken down it can't be applied again: {trial.up.error}"
            return say("irreversible", said, failed=trial.up)
        return say("failed", trial.up.error, failed=trial.up)
    if isinstance(trial.down, Failure):
        return say("irreversible", f"its downgrade fails: {trial.down.error}", failed=trial.down)
    assert trial.down is not None
    left = changes(trial.before, trial.down)
    if left:
        idle = not changes(trial.up, trial.down)
        again = trial.again if isinstance(trial.again, Failure) else None
        also = f"; so it can't be applied again: {again.error}" if again else ""
        said = "its downgrade does nothing" if idle else f"its downgrade leaves {_what(left)}"
        return say("irreversible", said + also, left, again)
    if isinstance(trial.again, Failure):
        return say("failed", f"it can't be applied a second time: {trial.again.error}", failed=trial.again)
    assert trial.again is not None
    if other := changes(trial.up, trial.again):
        return say("failed", "applied a second time it does something else", other)
    if not changes(trial.before, trial.up):
        return say("pass", "it changes no schema, and rows are not compared")
    return say("pass")


def changes(first: Catalogs, second: Catalogs) -> tuple[str, ...]:
    """What differs, a line for each object."""
    several = len(first) > 1
    return tuple(
        f"{name}: {line}" if several else line
        for name in first
        for line in differences(first[name], second[name])
    )


def _what(left: Sequence[str]) -> str:
    """What a downgrade leaves, in few words: "enum public.color" behind, or what it doesn't bring back."""
    behind = [line.partition(" is new")[0] for line in left if " is new" in line]
    named = behind or [line.partition(" is missing")[0].partition(" was ")[0] for line in left]
    some = ", ".join(named[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
    return f"{some} behind" if behind else f"{some} other than it was"


def order(
    graph: Graph, wanted: Iterable[str], heads: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is taken down first, and what is then applied: the wanted ones, and what they stand on.

    Args:
        heads: the ids in the version table.

    Returns:
        The applied revisions to take down, the newest first; all that are applied afterwards, in order.
    """
    wanted = set(wanted)
    applied = graph.ancestors(heads)
    above = graph.descendants(wanted & applied) & applied
    # Of what was taken down, all that a wanted one stands on, and the wanted ones themselves.
    todo = graph.ancestors(wanted) - (applied - above)
    return graph.order(above), tuple(reversed(graph.order(todo)))
