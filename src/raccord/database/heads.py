"""Which revisions a database is at: Alembic's version table, read straight. Nothing is written or created."""

from __future__ import annotations

from raccord.database import postgres, sqlite
from raccord.database.url import SQLITE, Target
from raccord.errors import DatabaseError
from raccord.model.text import shown

VERSION_TABLE = "alembic_version"
SECONDS = 10.0


def heads(
    target: Target, version_table: str = VERSION_TABLE, schema: str | None = None
) -> frozenset[str] | None:
    """The revisions in the version table, all of them.

    Args:
        schema: where the table is; None for where the server itself looks.

    Returns:
        None where there is no such table; an empty set where it is empty.

    Raises:
        DatabaseError: the database can't be read, or the table is not Alembic's.
    """
    if target.kind == SQLITE:
        found = sqlite.read(target, lambda db: _sqlite(db, version_table, schema))
    else:
        found = _postgres(target, version_table, schema)
    if found is None:
        return None
    if any(one is None or one == "" or isinstance(one, bytes) for one in found):
        raise DatabaseError(
            f"{shown(version_table)} in {target.shown} has no text column version_num, or a row without text",
            hint="name Alembic's own table: version_table in env.py",
        )
    return frozenset(str(value) for value in found)


def _sqlite(db: sqlite.Connection, table: str, schema: str | None) -> list[object] | None:
    # SQLite's only schema of a file opened alone; another is a file that env.py attaches.
    if schema not in (None, "", "main"):
        raise DatabaseError(
            f"the schema {shown(schema)} is attached by the project's env.py, and can't be read from outside",
            hint="alembic current, there",
        )
    listed = db.execute(
        "select name from sqlite_schema where type in ('table', 'view') and lower(name) = lower(?)", [table]
    ).fetchone()
    if listed is None:
        return None
    columns = [row[0] for row in db.execute("select lower(name) from pragma_table_info(?)", [listed[0]])]
    if "version_num" not in columns:
        return [None]
    return [row[0] for row in db.execute(f"select version_num from {sqlite.identifier(listed[0])}")]  # noqa: S608


def _postgres(target: Target, table: str, schema: str | None) -> list[object] | None:
    with postgres.connected(target) as db:
        from psycopg import sql

        db.read_only = True
        with db.transaction():
            postgres.bound(db, SECONDS)
            given = [schema, table] if schema else [table]
            name = "quote_ident(%s) || '.' || quote_ident(%s)" if schema else "quote_ident(%s)"
            found = db.execute(
                sql.SQL(
                    "select n.nspname, c.relname, exists (select from pg_attribute a where a.attrelid = c.oid"
                    " and a.attname = 'version_num' and not a.attisdropped)"
                    " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                    " where c.oid = to_regclass({}) and c.relkind in ('r', 'p', 'v', 'm', 'f')"
                ).format(sql.SQL(name)),
                given,
            ).fetchone()
            if found is None:
                return None
            if not found[2]:
                return [None]
            query = sql.SQL("select version_num from {}").format(sql.Identifier(found[0], found[1]))
            return [row[0] for row in db.execute(query)]
