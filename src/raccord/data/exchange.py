"""Tables that are filled aside and exchanged for the old ones, as part of a push or of its undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from raccord.data.pairs import Pair
from raccord.data.scope import relation
from raccord.data.spec import Spec
from raccord.data.stage import Stage, run
from raccord.database import aside_postgres, postgres
from raccord.database.aside_postgres import Aside
from raccord.database.shape_postgres import number, shape
from raccord.database.tables import Name, identifier


def aside(
    db: postgres.Connection,
    pair: Pair,
    columns: Sequence[str],
    *,
    name: str,
    pour: Callable[[str], int],
) -> Stage:
    """Rows that go into a table of their own, which then takes the place of the old one.

    Args:
        name: of that table meanwhile.
        pour: copies them into what is named in SQL.
    """
    oid = number(db, pair.id)
    with aside_postgres.spelled(db):
        one = Aside(shape(db, oid), (pair.id[0], name))
    twin = replace(pair, target=replace(pair.target, name=name))
    goal = f"{one.place} ({', '.join(map(identifier, columns))})"

    def fill() -> int:
        aside_postgres.make(db, one)
        rows = pour(goal)
        aside_postgres.index(db, one)
        return rows

    return Stage(pair, relation(twin), "", tuple(columns), (), fill, empties=True, twin=twin, aside=one)


def asides(stages: Mapping[Name, Stage]) -> dict[Name, Aside]:
    """The tables that are exchanged."""
    return {name: stage.aside for name, stage in stages.items() if stage.aside is not None}


def ready(db: postgres.Connection, stages: Mapping[Name, Stage]) -> None:
    """Makes what was filled aside like the old tables, once all rows are where they shall be."""
    found = asides(stages)
    aside_postgres.refer(db, found)
    for one in found.values():
        aside_postgres.dress(db, one)


def gather(db: postgres.Connection, stages: Mapping[Name, Stage]) -> None:
    """Gathers the new tables' statistics: the old ones' go with them."""
    for one in asides(stages).values():
        run(db, f"analyze {one.place}")


def exchange(db: postgres.Connection, stages: Mapping[Name, Stage], spec: Spec) -> None:
    """Puts the new tables in the place of the old ones; what comes next is the commit.

    Raises:
        HeldBack: one would not be what it was; nothing was changed.
    """
    if found := asides(stages):
        aside_postgres.exchange(db, found, seconds=spec.lock_seconds)
