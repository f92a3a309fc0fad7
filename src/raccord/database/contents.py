"""What is in a database's tables, as a count and a digest each: to prove that two hold the same rows.

A digest is the sum of the digests of the rows: their order doesn't matter, their number does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raccord.database import postgres, sqlite
from raccord.database.url import SQLITE, Target

if TYPE_CHECKING:
    from psycopg import Cursor

_WIDTH = 16
_MODULUS = 1 << (8 * _WIDTH)

# Every kind of table with rows of its own; not those that an extension brought, which bring their rows again.
_TABLES = """
select n.nspname, c.relname,
  coalesce(array_agg(a.attname order by a.attnum) filter (where a.attname is not null), '{}')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a
  on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
where c.relkind = 'r' and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (
    select from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
group by 1, 2 order by 1, 2
"""


@dataclass(slots=True)
class Sum:
    """The rows of one table, counted and digested."""

    rows: int = 0
    total: int = field(default=0, repr=False)

    def add(self, row: bytes | bytearray | memoryview) -> None:
        """Adds a row, as the bytes that stand for it."""
        self.rows += 1
        digest = hashlib.blake2b(row, digest_size=_WIDTH).digest()
        self.total = (self.total + int.from_bytes(digest, "big")) % _MODULUS


Table = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Contents:
    """All tables of a database, by schema ("main" in SQLite) and name.

    Attributes:
        digest: the same for the same rows in the same tables.
        rows: how many there are in all.
    """

    tables: dict[Table, Sum]

    @property
    def digest(self) -> str:
        whole = hashlib.sha256()
        for (schema, table), found in sorted(self.tables.items()):
            whole.update(
                f"{schema}\0{table}\0{found.rows}\0{found.total:x}\n".encode("utf-8", "surrogateescape")
            )
        return whole.hexdigest()

    @property
    def rows(self) -> int:
        return sum(found.rows for found in self.tables.values())

    def differences(self, other: Contents) -> tuple[str, ...]:
        """In which tables they differ, a line each."""
        lines = []
        for key in sorted(self.tables.keys() | other.tables.keys()):
            mine, theirs = self.tables.get(key), other.tables.get(key)
            if mine != theirs:
                counts = [str(found.rows) if found else "no table" for found in (mine, theirs)]
                how = f"{counts[0]} rows, then {counts[1]}" if counts[0] != counts[1] else "other values"
                lines.append(f"{'.'.join(key)}: {how}")
        return tuple(lines)


def contents(target: Target) -> Contents:
    """Reads every row of a database, as of one moment.

    Raises:
        DatabaseError: it can't be read, or row security hides some of it.
    """
    if target.kind == SQLITE:
        return sqlite.read(target, of_sqlite)
    with postgres.connected(target) as db, postgres.looking(db):
        return of_postgres(db)


def of_postgres(db: postgres.Connection) -> Contents:
    """The same over a connection, within the transaction that it is in."""
    tables = db.execute(_TABLES).fetchall()
    settle(db)
    found = Contents({(schema, name): _copied(db, schema, name, columns) for schema, name, columns in tables})
    db.execute("set local client_encoding to utf8")
    return found


def settle(db: postgres.Connection) -> None:
    """Makes the text of values independent of who asks, and of their encoding."""
    postgres.spell(db)
    # No conversion: a value that is no character of the client's would end the reading.
    db.execute("select set_config('client_encoding', current_setting('server_encoding'), true)")


def _copied(db: postgres.Connection, schema: str, name: str, columns: list[str]) -> Sum:
    from psycopg import sql

    found = Sum()
    table = sql.Identifier(schema, name)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    what = sql.SQL("{} ({})").format(table, names) if columns else table
    cursor: Cursor[tuple[object, ...]] = db.cursor()
    with cursor.copy(sql.SQL("copy {} to stdout").format(what)) as rows:
        for row in rows:
            found.add(row)
    return found


def of_sqlite(db: sqlite.Connection) -> Contents:
    """The same of a SQLite file."""
    return Contents({("main", name): _selected(db, name) for name in _tables(db)})


def _tables(db: sqlite.Connection) -> list[str]:
    names = db.execute(
        "select name, sql from sqlite_schema"
        " where type = 'table' and name not like 'sqlite\\_stat%' escape '\\'"
    ).fetchall()
    # A virtual table's rows are made by a module that may not be here; its own tables hold what there is.
    return [
        name for name, text in names if not (text or "").lstrip()[:14].upper().startswith("CREATE VIRTUAL")
    ]


def written(now: Target, before: Target, *, without: Collection[str] = ()) -> tuple[str, ...]:
    """The tables of a SQLite file whose rows are others than before, in those columns that they had before.

    Args:
        without: tables that are not compared.

    Raises:
        DatabaseError: one can't be read.
    """
    old = sqlite.read(before, _columns_of_tables)
    new = sqlite.read(now, _columns_of_tables)
    common = {
        table: [column for column in columns if column in new[table]]
        for table, columns in old.items()
        if table in new and table not in without
    }

    def sums(db: sqlite.Connection) -> dict[str, Sum]:
        return {table: _selected(db, table, columns) for table, columns in common.items()}

    was, is_ = sqlite.read(before, sums), sqlite.read(now, sums)
    return tuple(table for table in common if was[table] != is_[table])


def _columns_of_tables(db: sqlite.Connection) -> dict[str, list[str]]:
    """SQLite's own tables, such as the counters of AUTOINCREMENT, aside."""
    return {name: _columns(db, name) for name in _tables(db) if not name.startswith("sqlite_")}


def _columns(db: sqlite.Connection, name: str) -> list[str]:
    asked = db.execute("select name from pragma_table_xinfo(?) where hidden in (0, 1)", [name])
    return [row[0] for row in asked]


def _selected(db: sqlite.Connection, name: str, columns: Sequence[str] | None = None) -> Sum:
    every = _columns(db, name)
    columns = every if columns is None else columns
    known = {column.lower() for column in every}
    rowid = next((alias for alias in ("rowid", "_rowid_", "oid") if alias not in known), None)
    without = db.execute(
        "select count(*) from pragma_index_list(?) i where i.origin = 'pk'"
        " and not exists (select 1 from sqlite_schema s where s.name = i.name)",
        [name],
    ).fetchone()[0]
    asked = [sqlite.identifier(column) for column in columns]
    if rowid is not None and not without:
        asked.append(rowid)
    return _summed(db.execute(f"select {', '.join(asked) or '1'} from {sqlite.identifier(name)}"))  # noqa: S608


def _summed(rows: Iterable[tuple[object, ...]]) -> Sum:
    found = Sum()
    for row in rows:
        found.add(repr(row).encode("utf-8", "surrogateescape"))
    return found
