"""The SQL with which SQLite is asked about the rows of a set. Pure.

Rows belong together where SQLite itself takes their keys for equal, by the collation of the target's columns.
They are equal where every value has the same storage class and the same bytes: 1, 1.0 and '1' are three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raccord.data.difference import LONGEST
from raccord.data.pairs import Pair
from raccord.database.tables import Reference, identifier

SOURCE = "raccord_source"  # the schema as which the source is attached


def relation(pair: Pair) -> str:
    """The target's table."""
    return identifier("main", pair.target.name)


def scope(pair: Pair) -> str:
    """The target's rows that belong to the set, as a table to select from; `place` is where a row is, if rows
    have a place."""
    if not pair.where:
        return relation(pair)
    place = f"{identifier(pair.target.place)}, " if pair.target.place else ""
    return f"(select {place}* from {relation(pair)} where ({pair.where}\n))"


def sent(pair: Pair) -> str:
    """Asks the source, as its own main database, for its rows of the set as they are sent."""
    said = [f"({pair.masks[name]}\n)" if name in pair.masks else identifier(name) for name in pair.columns]
    where = f" where ({pair.where}\n)" if pair.where else ""
    return f"select {', '.join(said)} from {identifier('main', pair.source.name)}{where}"


def listed(names: Iterable[str], alias: str = "") -> str:
    """Columns."""
    return ", ".join(f"{alias}{'.' if alias else ''}{identifier(name)}" for name in names)


def matched(names: Sequence[str], one: str, other: str) -> str:
    """SQL for two rows with one key. The first is the target's: its collation counts."""
    return " and ".join(f"{one}.{identifier(name)} = {other}.{identifier(name)}" for name in names)


def differs(names: Iterable[str], one: str, other: str) -> str:
    """SQL for two rows of which any value is another."""
    said = [
        f"typeof({one}.{column}) <> typeof({other}.{column})"
        f" or {one}.{column} is not {other}.{column} collate binary"
        for column in map(identifier, names)
    ]
    return f"({' or '.join(said) or '0'})"


def told_apart(pair: Pair) -> list[str]:
    """The columns in which rows with one key can differ."""
    return [name for name in pair.columns if name not in pair.key or not pair.column(name).plain]


def spelled(names: Iterable[str], alias: str) -> str:
    """A row as one text, for tables without a key: the same for equal rows, and for no others."""
    parts = [
        f"case typeof({column}) when 'text' then 't' || hex({column}) when 'blob' then 'b' || hex({column})"
        f" else quote({column}) end"
        for column in (f"{alias}.{identifier(name)}" for name in names)
    ]
    return " || ',' || ".join(parts)


def numbered(rows: str, place: str, names: Iterable[str]) -> str:
    """Asks for the rows of a table without a key: the place, the text, and the how manieth of that it is."""
    inner = f"select r.{identifier(place)} as place, {spelled(names, 'r')} as w from {rows} r"
    return f"select place, w, row_number() over (partition by w order by place) as n from ({inner})"


def meets(one: Reference, child: str, parent: str) -> str:
    """SQL for a row that refers to another by a foreign key: the parent's collation counts."""
    return " and ".join(
        f"{parent}.{identifier(theirs)} = {child}.{identifier(mine)}"
        for mine, theirs in zip(one.columns, one.refs, strict=True)
    )


def shown_value(value: object) -> str:
    """A value for a person; of a blob, that it is one."""
    if isinstance(value, bytes):
        return f"x'{value[: LONGEST + 1].hex()}'"
    return str(value)
