"""Decides which applied revisions are nobody's any more, and what taking them down leads to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from raccord.migrations.contents import Kind, Sighting
from raccord.migrations.graph import Graph
from raccord.migrations.sightings import Seen, stands_on
from raccord.model.handler import Position

# What is seen there is somebody's; a worktree's files are too, unless git ignores them as it does copies.
LIVING: frozenset[Kind] = frozenset({"directory", "index", "ref", "history", "stash"})


def living(seen: Iterable[Seen], ignored: Set[tuple[str, str]]) -> dict[str, Seen]:
    """The revisions that somebody has, each with one place: a ref, its history, an index, a stash, a file.

    Args:
        seen: every sighting.
        ignored: the top of a worktree and the path of each file that git ignores there.
    """
    found: dict[str, Seen] = {}
    for sighting, revision in seen:
        if _alive(sighting, ignored):
            found.setdefault(revision.id, (sighting, revision))
    return found


def _alive(one: Sighting, ignored: Set[tuple[str, str]]) -> bool:
    if one.kind == "worktree":
        return (one.where, one.path) not in ignored
    return one.kind in LIVING


@dataclass(frozen=True, slots=True)
class Rollback:
    """What is taken down.

    Attributes:
        gone: the phantoms, in the order in which they are taken down.
        kept: living revisions that stand on one of them, with the phantoms that they need.
    """

    gone: tuple[str, ...]
    kept: Mapping[str, tuple[str, ...]]


def decide(graph: Graph, heads: Iterable[str], alive: Mapping[str, Seen]) -> Rollback:
    """Which revisions are phantoms.

    Args:
        graph: a history in which nothing of what is applied is missing.
        heads: the ids in the version table.
        alive: see `living`.
    """
    applied = graph.ancestors(heads)
    gone = graph.order(one for one in applied if one not in alive)
    lost = {*gone} | {label for one in gone for label in graph[one].labels}
    needs = {one: stands_on(revision) for one, (_, revision) in alive.items()}
    needs |= {one: (*graph.needs(one), *needs[one]) for one in alive if one in graph}
    kept = {one: tuple(dict.fromkeys(name for name in names if name in lost)) for one, names in needs.items()}
    return Rollback(gone, {one: names for one, names in kept.items() if names})


def position(now: Set[str], before: Set[str], after: Set[str], gone: Sequence[str], graph: Graph) -> Position:
    """Where a database stands, seen from a rollback.

    Args:
        now: the ids in its version table.
        before, after: those on which it was planned, and those that it leads to.
        graph: the history with the phantoms in it.
    """
    if now == after:
        return Position.AFTER
    if now == before:
        return Position.BEFORE
    if any(one not in graph for one in now):
        return Position.NEITHER
    applied = graph.ancestors(now)
    if not graph.ancestors(after) <= applied:
        return Position.NEITHER
    if not applied & {*gone}:
        return Position.AFTER  # somebody went on from there
    return Position.BETWEEN if applied <= graph.ancestors(before) else Position.NEITHER
