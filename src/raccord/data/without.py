"""Counts rows that no row of another table refers to, such as documents without chunks. Writes nothing.

Whoever reads the tables hands them in, and asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from raccord.data.pairs import condition
from raccord.data.spec import Spec
from raccord.database.tables import Reference, Table
from raccord.model.text import shown


@dataclass(frozen=True, slots=True)
class Without:
    """The rows of a table that another has nothing for.

    Attributes:
        rows: how many; None where that can't be said.
        why: it can't, or "".
    """

    table: str
    other: str
    rows: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """How a database is asked.

    Attributes:
        relation: a table in SQL.
        meets: SQL for a row that refers to another, from the names of both.
        number: what a query answers with.
    """

    relation: Callable[[Table], str]
    meets: Callable[[Reference, str, str], str]
    number: Callable[[str], int]


def patterns(wanted: Mapping[str, str]) -> tuple[str, ...]:
    """All tables that are spoken of."""
    return tuple(dict.fromkeys([*wanted, *wanted.values()]))


def counted(
    ask: Ask, spec: Spec, wanted: Mapping[str, str], named: Mapping[str, Sequence[Table]]
) -> list[Without]:
    """Counts them, of the rows that belong to the set.

    Args:
        wanted: for a table, the one whose rows are to refer to it.
        named: the tables that each of `patterns` stands for.
    """
    return [_one(ask, spec, named, table, other) for table, other in wanted.items()]


def _one(ask: Ask, spec: Spec, named: Mapping[str, Sequence[Table]], table: str, other: str) -> Without:
    for name in (table, other):
        if len(named[name]) != 1:
            what = "several tables" if named[name] else "no table"
            return Without(table, other, None, f"there is {what} {shown(name)}")
    (mine,), (theirs,) = named[table], named[other]
    ways = [one for one in theirs.refers if one.target == mine.id]
    if not ways:
        return Without(table, other, None, f"{theirs.shown} has no foreign key to {mine.shown}")
    missing = " and ".join(
        f"not exists (select 1 from {ask.relation(theirs)} c where {ask.meets(one, 'c', 't')})"
        for one in ways
    )
    where = condition(spec, mine)
    inside = f"(select * from {ask.relation(mine)} where ({where}\n))" if where else ask.relation(mine)
    return Without(table, other, ask.number(f"select count(*) from {inside} t where {missing}"))
