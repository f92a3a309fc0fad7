"""Restores PostgreSQL within the database itself, in one transaction: for a role that may not make databases.

It empties the schemas and executes the dump. Others wait, or see the old state, until the commit.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from raccord.database import postgres, restore_postgres, tools
from raccord.database.keeping import Backup, Restored
from raccord.database.url import Target

if TYPE_CHECKING:
    from psycopg import Copy

_SCHEMAS = """
select n.nspname, pg_get_userbyid(n.nspowner), obj_description(n.oid, 'pg_namespace'), n.nspacl is not null
from pg_namespace n where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""
_GRANTS = """
select a.privilege_type, nullif(a.grantee, 0)::regrole::text, a.is_grantable
from pg_namespace n, aclexplode(n.nspacl) a where n.nspname = 'public' and a.grantee <> n.nspowner
"""


def restore(target: Target, kept: Backup, programs: tools.Tools, *, wait: float) -> Restored:
    """See `backup.restore`."""
    with postgres.connected(target) as db:
        db.autocommit = False
        db.execute("set local statement_timeout to 0")
        db.execute("select set_config('lock_timeout', %s, true)", [str(max(1, int(wait * 1000)))])
        _empty(db)
        feeder = _Feeder(db)
        tools.script(programs, kept.place, feeder.take)
        feeder.flush()
        db.execute("set local row_security to off")
        db.execute("set local search_path to pg_catalog")
        restore_postgres.verify(db, kept)
        db.commit()
    return Restored(
        "transaction", ("the role may not make databases, so the restore went on inside this one",)
    )


def _empty(db: postgres.Connection) -> None:
    """Drops everything that a dump holds. `public` is made anew, since a dump takes it for given."""
    from psycopg import sql

    grants = db.execute(_GRANTS).fetchall()
    for name, owner, comment, granted in db.execute(_SCHEMAS).fetchall():
        schema = sql.Identifier(name)
        db.execute(sql.SQL("drop schema {} cascade").format(schema))
        if name != "public":
            continue
        db.execute(sql.SQL("create schema public authorization {}").format(sql.Identifier(owner)))
        db.execute(sql.SQL("comment on schema public is {}").format(sql.Literal(comment)))
        for privilege, who, grantable in grants if granted else ():
            option = " with grant option" if grantable else ""
            db.execute(sql.SQL(f"grant {privilege} on schema public to {who or 'public'}{option}"))
    db.execute("select lo_unlink(oid) from pg_largeobject_metadata")


class _Feeder(tools.Cutter):
    """Executes the SQL of an archive as it comes."""

    def __init__(self, db: postgres.Connection) -> None:
        super().__init__(db.info.encoding)
        self._db = db
        self._text: list[bytes] = []
        self._stack = contextlib.ExitStack()
        self._copy: Copy | None = None

    def text(self, line: bytes) -> None:
        self._text.append(line)

    def flush(self) -> None:
        """Executes what has come so far."""
        text, self._text = b"".join(self._text), []
        if text.strip():
            self._db.execute(text)

    def begin(self, head: bytes, table: tuple[str, str]) -> None:
        self.flush()
        self._copy = self._stack.enter_context(self._db.cursor().copy(head))

    def row(self, line: bytes) -> None:
        assert self._copy is not None
        self._copy.write(line)

    def end(self) -> None:
        self._stack.close()
