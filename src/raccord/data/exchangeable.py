"""Decides which tables are filled aside and put in the place of the old ones, and which rather not. Pure.

A table that is exchanged is another table afterwards, so all that refers to it is exchanged with it; and the
old one refers to its parents to the end, so no row goes from those.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from raccord.data import plan
from raccord.data.difference import Difference
from raccord.data.order import Order
from raccord.data.pairs import Pair
from raccord.data.plan import ANEW, FILL, SKIP, SWAP, Counts, Decision, Expected
from raccord.data.spec import REPLACE, Spec
from raccord.database.tables import Name, Table

MANY_ROWS = 20_000  # from which on indexes are built faster than they take rows one by one
SLOW_MOST = 0.25  # share of rows beyond which that holds for indexes that take rows slowly
QUICK = frozenset({"btree", "hash", "brin"})  # the others: vectors, texts, places


def exchanged(
    spec: Spec, order: Order, found: Sequence[Difference], made: Sequence[Decision]
) -> list[Decision]:
    """The decisions, with those tables exchanged for which that is open and worth it."""
    known = {one.pair.id: (one, decision) for one, decision in zip(found, made, strict=True)}
    wanted = {name for name, (one, decision) in known.items() if _gains(spec, order, one, decision)}
    may = {name for name in wanted if not against(spec, known[name][0].pair)}
    ways = {name: (decision.way, decision.counts) for name, (_, decision) in known.items()}
    may = _together({name: known[name][0].pair for name in may}, ways)
    may = _worthy(may, known)
    told = []
    for one, decision in zip(found, made, strict=True):
        name = one.pair.id
        if name in may:
            told.append(replace(decision, way=SWAP, why=_why(one, decision)))
        elif name in wanted and _worth(one) and decision.way in (ANEW, FILL):
            why = ", ".join(against(spec, one.pair)) or "what refers to it, or what it refers to"
            told.append(replace(decision, why=f"{decision.why}; not exchanged for: {why}"))
        else:
            told.append(decision)
    return told


def _gains(spec: Spec, order: Order, one: Difference, decision: Decision) -> bool:
    """Whether all rows might as well be copied."""
    if decision.way in (ANEW, FILL):
        return not one.pair.kept and not plan.fires(spec, one.pair)
    total = sum(decision.counts)
    return (
        decision.way != SKIP
        and spec.mode == REPLACE
        and plan.straight(spec, order, one.pair)
        and _slow(one.pair.target)
        and total > plan.FEW_ROWS
        and total > SLOW_MOST * max(one.source.rows, one.target.rows)
    )


def _worth(one: Difference) -> bool:
    rows = max(one.source.rows, one.target.rows)
    return rows >= MANY_ROWS or (rows > plan.FEW_ROWS and _slow(one.pair.target))


def _slow(table: Table) -> bool:
    return not QUICK.issuperset(table.methods)


def _why(one: Difference, decision: Decision) -> str:
    first = "copied into the empty table"
    if one.target.rows:
        part = one.share or min(1.0, sum(decision.counts) / max(one.source.rows, one.target.rows))
        first = f"{'about ' if one.share else ''}{round(part * 100)} % of the rows differ"
    slow = sorted({*one.pair.target.methods} - QUICK)
    built = f", {', '.join(slow)} among them" if slow else ""
    return f"{first}: a table is filled aside, its indexes built{built}, and exchanged for the old one"


def against(spec: Spec, pair: Pair) -> tuple[str, ...]:
    """What speaks against exchanging a table, whatever its rows are."""
    if not spec.swap:
        return (f"swap = false in [data.{spec.name}]",)
    if not pair.copied:
        return ("columns of the file that don't travel",)
    return pair.target.held


def _together(may: Mapping[Name, Pair], ways: Mapping[Name, tuple[str, Counts]]) -> set[Name]:
    """Those that can be exchanged at once: with what refers to each, and without losing a parent's row."""
    found = set(may)
    while bad := {name for name in found if blocked(may[name], found, ways)}:
        found -= bad
    return found


def blocked(pair: Pair, exchanging: Collection[Name], ways: Mapping[Name, tuple[str, Counts]]) -> bool:
    """Whether a table's foreign keys, or those that lead to it, keep it from being exchanged.

    Args:
        exchanging: the tables that would be.
        ways: of every table of the set.
    """
    if any(one.table not in exchanging for one in pair.target.referred):
        return True
    for one in pair.target.refers:
        if one.target in exchanging or one.target not in ways:
            continue
        way, counts = ways[one.target]
        if way == ANEW or counts[2]:
            return True
        # A value that is referred to may change, if it isn't the key.
        if counts[1] and not one.keyed:
            return True
    return False


def _worthy(may: set[Name], known: Mapping[Name, tuple[Difference, Decision]]) -> set[Name]:
    """Of those that belong together, all or none: one that gains is enough."""
    found: set[Name] = set()
    left = set(may)
    while left:
        group, todo = set(), {min(left)}
        while todo:
            name = todo.pop()
            group.add(name)
            table = known[name][0].pair.target
            near = {one.target for one in table.refers} | {one.table for one in table.referred}
            todo |= near & may - group
        left -= group
        if any(_worth(known[name][0]) for name in group):
            found |= group
    return found


def changed(spec: Spec, pairs: Iterable[Pair], expected: Mapping[Name, Expected]) -> list[Name]:
    """Tables that can no longer be exchanged as it was planned."""
    exchanging = {name for name, one in expected.items() if one.way == SWAP}
    ways = {name: (one.way, one.counts) for name, one in expected.items()}
    return [
        pair.id
        for pair in pairs
        if pair.id in exchanging and (against(spec, pair) or pair.kept or blocked(pair, exchanging, ways))
    ]


def returning(spec: Spec, every: Collection[Name], pairs: Mapping[Name, Pair]) -> set[Name]:
    """Which tables of those that go back whole are exchanged again.

    Args:
        every: all tables that go back in some way.
        pairs: those that were exchanged, and are as they were left.
    """
    # Nothing is known of what the others lose.
    ways = dict.fromkeys(every, (ANEW, (0, 0, 0)))
    return _together({name: pair for name, pair in pairs.items() if not against(spec, pair)}, ways)
