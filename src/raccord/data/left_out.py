"""Takes out what an insert may not bring, before it does. It overwrites nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raccord.data.job import Changed
from raccord.data.order import Order
from raccord.data.scope import meets, relation
from raccord.data.stage import Stage, run
from raccord.database import postgres
from raccord.database.tables import Name, identifier, label


def leave_out(
    db: postgres.Connection, stages: Sequence[Stage], order: Order, changed: Mapping[Name, Changed]
) -> None:
    """Takes out rows that are there under another unique key, and rows whose parents neither are there nor
    come, for that reason or since they lack theirs; says of each table how many, and why."""
    for stage in stages:
        _taken(db, stage, changed[stage.pair.id])
    named = {stage.pair.id: stage for stage in stages}
    # As long as any goes: its children, in whatever table, have no parent by then.
    while sum([_orphans(db, stage, named, order, changed[stage.pair.id]) for stage in stages]):
        pass


def _taken(db: postgres.Connection, stage: Stage, changed: Changed) -> None:
    pair = stage.pair
    for unique in pair.target.uniques:
        if set(unique.columns) == set(pair.key) or not set(unique.columns) <= set(stage.columns):
            continue
        equal = "is not distinct from" if unique.nulls else "="
        same = " and ".join(f"t.{identifier(name)} {equal} p.{identifier(name)}" for name in unique.columns)
        count = run(
            db, f"delete from {stage.put} p where exists (select from {relation(pair)} t where {same})"
        )
        if count:
            changed.skipped[f"{', '.join(unique.columns)} is taken"] = count


def _orphans(
    db: postgres.Connection, stage: Stage, stages: Mapping[Name, Stage], order: Order, changed: Changed
) -> int:
    gone = 0
    for one in stage.pair.target.refers:
        if one.target not in order.tables or not set(one.columns) <= set(stage.columns):
            continue
        filled = " and ".join(f"p.{identifier(name)} is not null" for name in one.columns)
        there = f"exists (select from {identifier(*one.target)} t where {meets(one, 'p', 't')})"
        if parent := stages.get(one.target):
            there += f" or exists (select from {parent.put} q where {meets(one, 'p', 'q')})"
        if count := run(db, f"delete from {stage.put} p where {filled} and not ({there})"):
            said = f"the {label(one.target)} it refers to is not there"
            changed.skipped[said] = changed.skipped.get(said, 0) + count
            gone += count
    return gone
