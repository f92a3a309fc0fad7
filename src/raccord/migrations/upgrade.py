"""Decides what an upgrade applies, and where a database stands in between. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from raccord.migrations.graph import Graph
from raccord.migrations.resolve import target
from raccord.model.handler import Position


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What brings a database to where it shall be.

    Attributes:
        pending: the revisions to apply, in order; none where there is nothing to do.
        targets: the last of each branch of them, which alembic is told.
        after: what the version table holds then.
    """

    pending: tuple[str, ...]
    targets: tuple[str, ...]
    after: frozenset[str]


def decide(graph: Graph, heads: Iterable[str], to: str = "") -> Upgrade:
    """What has to be applied.

    Args:
        graph: a whole history.
        heads: the ids in the version table.
        to: where to, in alembic's words; "" for all heads.

    Raises:
        UsageError: `to` stands for nothing, or for one of several.
    """
    heads = frozenset(heads)
    return towards(graph, heads, target(graph, to or "heads", heads))


def towards(graph: Graph, heads: Iterable[str], wanted: Iterable[str]) -> Upgrade:
    """What has to be applied until these revisions are, and what they stand on.

    Args:
        graph: a whole history.
        heads: the ids in the version table.
    """
    heads = frozenset(heads)
    wanted = graph.tips(wanted)
    pending = graph.between(heads, wanted)
    # In the order in which they are applied: one may stand on what another brings.
    new = {*graph.tips(pending)}
    targets = tuple(rev for rev in pending if rev in new)
    return Upgrade(pending, targets, frozenset(graph.tips(graph.ancestors([*heads, *wanted]))))


def position(
    now: Set[str], before: Set[str], after: Set[str], pending: Sequence[str], graph: Graph
) -> Position:
    """Where a database stands, seen from an upgrade.

    Args:
        now: the ids in its version table.
        before, after: those on which the upgrade was planned, and those that it leads to.
        graph: the history as it is on the disk, as far as that can be read.
    """
    if now == after:
        return Position.AFTER
    if now == before:
        return Position.BEFORE
    if any(one not in graph for one in now):
        return Position.NEITHER
    applied, old = graph.ancestors(now), graph.ancestors(before)
    if applied >= {*pending} | old:
        return Position.AFTER  # somebody went on from there
    return Position.BETWEEN if old <= applied <= old | {*pending} else Position.NEITHER
