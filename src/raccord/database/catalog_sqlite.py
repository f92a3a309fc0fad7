"""What a SQLite database is made of: from the pragmas where they tell, else from the text of the schema.

A table that Alembic's batch mode made anew is spelled otherwise and means the same: its text is not compared.
"""

from __future__ import annotations

from collections.abc import Collection

from raccord.database import sqlite, sqlite_text
from raccord.database.sqlite_text import Extras

_GENERATED = {2: "virtual", 3: "stored"}


def objects(db: sqlite.Connection, without: Collection[str]) -> dict[str, str]:
    """All objects, by key; see `catalog.Catalog`."""
    left_out = {name.lower() for name in without}
    found: dict[str, str] = {}
    rows = db.execute(
        "select type, name, tbl_name, sql from sqlite_schema where name not like 'sqlite\\_%' escape '\\'"
    ).fetchall()
    for kind, name, table, sql in rows:
        if table.lower() in left_out:
            continue
        text = sqlite_text.spelled(sql or "").replace(" if not exists ", " ", 1)
        if kind == "table" and not text.startswith("create virtual table"):
            _table(db, found, name, sql)
        else:
            found[f"{kind} {name}"] = text
    return dict(sorted(found.items()))


def _table(db: sqlite.Connection, found: dict[str, str], name: str, sql: str) -> None:
    extras = sqlite_text.extras(sql)
    tail = [word for word in sqlite_text.tokens(sql.rpartition(")")[2]) if word != ","]
    found[f"table {name}"] = " ".join([*tail, *sorted(extras.marks)])
    _columns(db, found, name, extras)
    for index, origin in db.execute(
        "select name, origin from pragma_index_list(?) where origin = 'u'", [name]
    ).fetchall():
        keys = ", ".join(
            (column or "expression") + " desc" * desc + (f" collate {coll}" if coll != "BINARY" else "")
            for column, desc, coll in db.execute(
                'select name, "desc", coll from pragma_index_xinfo(?) where key order by seqno', [index]
            )
        )
        found[f"constraint {name}: unique ({keys})"] = origin and ""
    for check in extras.checks:
        found[f"constraint {name}: check {check}"] = ""
    for constraint, kind in extras.names.items():
        found[f"constraint {name}.{constraint}"] = kind
    _foreign_keys(db, found, name)


def _columns(db: sqlite.Connection, found: dict[str, str], table: str, extras: Extras) -> None:
    columns = db.execute(
        'select name, lower(type), "notnull", dflt_value, pk, hidden from pragma_table_xinfo(?)', [table]
    ).fetchall()
    keys = sorted((pk, name) for name, _, _, _, pk, _ in columns if pk)
    for name, kind, not_null, default, pk, hidden in columns:
        # A lone INTEGER PRIMARY KEY is the rowid, never null whatever it says.
        rowid = bool(pk) and len(keys) == 1 and kind == "integer"
        words = [
            kind,
            "not null" if not_null or rowid else "",
            f"default {sqlite_text.spelled(str(default))}" if default is not None else "",
            _GENERATED.get(hidden, ""),
            extras.columns.get(name.lower(), ""),
        ]
        found[f"column {table}.{name}"] = " ".join(filter(None, words))
    if keys:
        found[f"constraint {table}: primary key"] = ", ".join(name for _, name in keys)


def _foreign_keys(db: sqlite.Connection, found: dict[str, str], table: str) -> None:
    keys: dict[int, list[tuple[str, str | None, str]]] = {}
    for number, column, other, goal, update, delete in db.execute(
        'select id, "from", "table", "to", on_update, on_delete from pragma_foreign_key_list(?)'
        " order by id, seq",
        [table],
    ):
        how = f"{other} on update {update} on delete {delete}".lower()
        keys.setdefault(number, []).append((column, goal, how))
    for columns in keys.values():
        mine = ", ".join(column for column, _, _ in columns)
        theirs = ", ".join(goal or "its key" for _, goal, _ in columns)
        found[f"constraint {table}: foreign key ({mine}) references {columns[0][2]} ({theirs})"] = ""
