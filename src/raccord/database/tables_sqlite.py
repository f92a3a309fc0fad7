"""Reads tables from the schema of a SQLite database, with all that hangs on them. Reads no rows.

SQLite compares names without regard to case; here each is spelled as the table itself has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from raccord.database import sqlite, sqlite_text
from raccord.database.tables import Column, Listed, Name, Reference, Table, Trigger, Unique, identifier
from raccord.model.language import sentence

MAIN = "main"
OLDEST = (3, 37, 0)  # the first with pragma table_list, which tells shadow tables and STRICT
ROWIDS = ("rowid", "oid", "_rowid_")
# https://www.sqlite.org/datatype3.html, 3.1: the first that the type's name holds.
_AFFINITIES = (
    ("int", "integer"),
    ("char", "text"),
    ("clob", "text"),
    ("text", "text"),
    ("blob", "blob"),
    ("real", "real"),
    ("floa", "real"),
    ("doub", "real"),
)
_KINDS = {
    "view": sentence("view"),
    "virtual": sentence("virtual table"),
    "shadow": sentence("shadow table of a virtual table"),
}
_EVENTS = ("delete", "insert", "update")


def affinity(kind: str, *, strict: bool = False) -> str:
    """What a column of a declared type makes of values: "integer", "text", "blob" (nothing), "real" or
    "numeric"."""
    low = kind.lower()
    if not low or (strict and low == "any"):
        return "blob"
    return next((found for part, found in _AFFINITIES if part in low), "numeric")


def listed(db: sqlite.Connection) -> list[Listed]:
    """Every table and view; its number is its place in this list.

    Raises:
        CannotRun: this Python's SQLite is too old.
    """
    sqlite.demand(OLDEST)
    rows = db.execute(
        "select name, type from pragma_table_list where schema = 'main'"
        " and name not like 'sqlite\\_%' escape '\\' order by name"
    )
    # A virtual table counts as a table, so that a pattern that means it is told why it doesn't travel.
    return [
        (at, (MAIN, name), _KINDS.get(kind, "table"), kind == "shadow", True)
        for at, (name, kind) in enumerate(rows.fetchall())
    ]


def tables(db: sqlite.Connection, names: Iterable[str]) -> dict[Name, Table]:
    """Reads tables.

    Raises:
        sqlite3.Error: they can't be read.
    """
    kinds = {
        name: (kind, bool(strict), bool(without))
        for name, kind, strict, without in db.execute(
            "select name, type, strict, wr from pragma_table_list where schema = 'main'"
        )
    }
    references = [one for name, (kind, *_) in kinds.items() if kind == "table" for one in _refers(db, name)]
    spelled = {name.lower(): name for name in kinds}
    found = {}
    for name in names:
        kind, strict, without = kinds[name]
        table = _table(db, name, _KINDS.get(kind, "table"), strict, without, references, spelled)
        found[table.id] = table
    return found


def _table(
    db: sqlite.Connection, name: str, kind: str, strict: bool, without: bool, references: list[Any],
    spelled: dict[str, str],
) -> Table:  # fmt: skip
    sql = db.execute(
        "select sql from sqlite_schema where type in ('table', 'view') and name = ?", [name]
    ).fetchone()
    if kind != "table":
        return Table(MAIN, name, kind)
    extras = sqlite_text.extras(sql[0])
    info = db.execute(
        'select name, type, "notnull", dflt_value, pk, hidden from pragma_table_xinfo(?)', [name]
    ).fetchall()
    keys = [row[0] for row in sorted((row for row in info if row[4]), key=lambda row: row[4])]
    lone = len(keys) == 1 and next(row[1] for row in info if row[0] == keys[0]).lower() == "integer"
    columns = []
    for column, type_, not_null, default, pk, hidden in info:
        said = extras.columns.get(column.lower(), "")
        null = not not_null and not (pk and (lone or without))
        if pk and null:
            # The key of a table with a rowid may hold null, if nobody wrote NOT NULL. It seldom does.
            null = _null(db, name, column)
        kept = affinity(type_, strict=strict)
        columns.append(
            Column(
                name=column,
                type=type_.lower(),
                detail=" ".join(filter(None, (said, "strict" if strict else ""))),
                nullable=null,
                default=default is not None or (bool(pk) and lone),
                generated=hidden in (2, 3),
                key="{}",
                plain="collate" not in said and kept != "blob",
                texts=kept not in ("integer", "real"),
            )
        )
    uniques, others = _indexes(db, name, keys, columns)
    by_name = {one.name.lower(): one.name for one in columns}
    refers = [_reference(db, one, spelled) for one in references if one[0] == name]
    referred = [
        _reference(db, one, spelled) for one in references if spelled.get(one[2].lower(), one[2]) == name
    ]
    rowid = next((one for one in ROWIDS if one not in by_name), "")
    return Table(
        schema=MAIN,
        name=name,
        kind="table",
        columns=tuple(columns),
        uniques=tuple(uniques),
        refers=tuple(refers),
        referred=tuple(referred),
        triggers=tuple(_triggers(db, name)),
        others=tuple(others),
        place="" if without else rowid,
    )


def _null(db: sqlite.Connection, table: str, column: str) -> bool:
    query = f"select 1 from {identifier(table)} where {identifier(column)} is null limit 1"  # noqa: S608
    return db.execute(query).fetchone() is not None


def _indexes(
    db: sqlite.Connection, table: str, keys: list[str], columns: list[Column]
) -> tuple[list[Unique], list[str]]:
    """Unique indexes over whole columns of all rows, and the names of other unique ones.

    An index that takes for different what its column takes for equal is among the others.
    """
    uniques, others = [], []
    collated = {one.name: _collation(one) for one in columns}
    primary = [Unique("primary key", tuple(keys), primary=True)] if keys else []
    for index, origin, partial in db.execute(
        'select name, origin, partial from pragma_index_list(?) where "unique"', [table]
    ).fetchall():
        parts = [
            (name, coll.lower())
            for name, coll in db.execute(
                "select name, coll from pragma_index_xinfo(?) where key order by seqno", [index]
            )
        ]
        plain = not partial and all(collated.get(name) in ("binary", coll) for name, coll in parts)
        if origin == "pk":
            primary = primary if plain else []
        elif plain:
            uniques.append(Unique(index, tuple(name for name, _ in parts)))
        if not plain or any(coll != collated[name] for name, coll in parts):
            others.append(index)
    return [*primary, *sorted(uniques, key=lambda one: one.name)], sorted(others)


def _collation(column: Column) -> str:
    words = column.detail.split()
    return words[words.index("collate") + 1].strip('"') if "collate" in words else "binary"


def _refers(db: sqlite.Connection, table: str) -> list[Any]:
    """The foreign keys of a table: itself, its columns, the other's name, its columns, and both actions."""
    found: dict[int, Any] = {}
    for number, column, other, goal, update, delete in db.execute(
        'select id, "from", "table", "to", on_update, on_delete from pragma_foreign_key_list(?)'
        " order by id, seq",
        [table],
    ):
        one = found.setdefault(number, (table, [], other, [], update.lower(), delete.lower()))
        one[1].append(column)
        if goal is not None:
            one[3].append(goal)
    return list(found.values())


def _reference(db: sqlite.Connection, one: Any, spelled: dict[str, str]) -> Reference:
    table, columns, other, goals, update, delete = one
    target = spelled.get(other.lower(), other)
    if not goals:
        rows = db.execute("select name, pk from pragma_table_info(?) where pk order by pk", [target])
        goals = [name for name, _ in rows]
    known = {
        of: {row[0].lower(): row[0] for row in db.execute("select name from pragma_table_xinfo(?)", [of])}
        for of in (table, target)
    }
    mine = tuple(known[table].get(name.lower(), name) for name in columns)
    theirs = tuple(known[target].get(name.lower(), name) for name in goals)
    # Every key waits for the commit, where the connection asks for that.
    return Reference(", ".join(mine), (MAIN, table), mine, (MAIN, target), theirs, delete, update, True)


def _triggers(db: sqlite.Connection, table: str) -> list[Trigger]:
    found = []
    for name, sql in db.execute(
        "select name, sql from sqlite_schema where type = 'trigger' and tbl_name = ? collate nocase"
        " order by rowid",
        [table],
    ):
        found.append(Trigger(name, _events(sqlite_text.tokens(sql))))
    return found


def _events(words: list[str]) -> tuple[str, ...]:
    """create [temp] trigger [if not exists] [SCHEMA.]NAME [before | after | instead of] EVENT … on TABLE …"""
    rest = words[words.index("trigger") + 1 :]
    rest = rest[3:] if rest[:3] == ["if", "not", "exists"] else rest
    rest = rest[3:] if rest[1:2] == ["."] else rest[1:]
    event = next((word for word in rest if word not in ("before", "after", "instead", "of")), "")
    return (event,) if event in _EVENTS else _EVENTS
