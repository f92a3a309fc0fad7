"""Counts rows that no row of another table refers to, such as documents without chunks. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raccord.data.pairs import condition
from raccord.data.scope import meets, relation_of
from raccord.data.spec import Spec
from raccord.data.stage import one_row
from raccord.database import postgres, tables_postgres
from raccord.database.tables import Table
from raccord.database.url import Target
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


def counted(target: Target, spec: Spec, wanted: Mapping[str, str]) -> list[Without]:
    """Counts them, of the rows that belong to the set.

    Args:
        wanted: for a table, the one whose rows are to refer to it.

    Raises:
        DatabaseError: it can't be read.
    """
    if not wanted:
        return []
    with postgres.connected(target, name="raccord data") as db, postgres.looking(db):
        db.execute("set local search_path to default")
        found = tables_postgres.matching(
            tables_postgres.listed(db), tuple(dict.fromkeys([*wanted, *wanted.values()]))
        )
        db.execute("set local search_path to pg_catalog")
        known = tables_postgres.tables(db, {oid for hits in found.values() for oid, *_ in hits})
        db.execute("set local search_path to default")
        named = {name: [known[hit[1]] for hit in hits if hit[1] in known] for name, hits in found.items()}
        return [_one(db, spec, named, table, other) for table, other in wanted.items()]


def _one(
    db: postgres.Connection, spec: Spec, named: Mapping[str, list[Table]], table: str, other: str
) -> Without:
    for name in (table, other):
        if len(named[name]) != 1:
            what = "several tables" if named[name] else "no table"
            return Without(table, other, None, f"there is {what} {shown(name)}")
    (mine,), (theirs,) = named[table], named[other]
    ways = [one for one in theirs.refers if one.target == mine.id]
    if not ways:
        return Without(table, other, None, f"{theirs.shown} has no foreign key to {mine.shown}")
    missing = " and ".join(
        f"not exists (select from {relation_of(theirs)} c where {meets(one, 'c', 't')})" for one in ways
    )
    where = condition(spec, mine)
    inside = f"(select * from {relation_of(mine)} where ({where}\n))" if where else relation_of(mine)
    row = one_row(db, f"select count(*) from {inside} t where {missing}")
    return Without(table, other, int(str(row[0])))
