"""PostgreSQL databases that raccord makes: known by a name or a comment, and dropped only if they are.

A database and its comment can't be made in one transaction. So it is made as `raccord_new_…`, and gets its
comment and its name together once it is whole: killed in between, what is left is known by that name.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from raccord.database import postgres
from raccord.database.url import Target
from raccord.errors import NotOurs

MARK = "made by raccord: "
_NEW = re.compile(r"raccord_new_[0-9a-f]{16}")


def fresh() -> str:
    """A name for a database in the making."""
    return f"raccord_new_{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Made:
    """A database that raccord made.

    Attributes:
        name: its name.
        what: what for; "" where raccord was cut off while making it.
    """

    name: str
    what: str


def made(target: Target) -> tuple[Made, ...]:
    """The databases on a target's server that raccord made."""
    with postgres.administering(target) as db:
        rows = db.execute(
            "select datname, coalesce(shobj_description(oid, 'pg_database'), '') from pg_database order by 1"
        ).fetchall()
    return tuple(
        Made(name, note.removeprefix(MARK) if note.startswith(MARK) else "")
        for name, note in rows
        if note.startswith(MARK) or _NEW.fullmatch(name)
    )


def sweep(target: Target) -> tuple[str, ...]:
    """Drops what killed raccords left half made; nothing while another raccord is connected there."""
    with postgres.administering(target) as db:
        others = db.execute(
            "select 1 from pg_stat_activity where application_name like 'raccord%'"
            " and pid <> pg_backend_pid()"
        ).fetchone()
        if others is not None:
            return ()
        rows = db.execute("select datname from pg_database order by 1").fetchall()
        left = tuple(name for (name,) in rows if _NEW.fullmatch(name))
        for one in left:
            drop(db, one)
    return left


def name(db: postgres.Connection, temporary: str, final: str, what: str) -> None:
    """Gives a whole database its mark and its name.

    Raises:
        DatabaseError: the name is taken.
    """
    from psycopg import sql

    with db.transaction():
        mark(db, temporary, MARK + what)
        db.execute(
            sql.SQL("alter database {} rename to {}").format(sql.Identifier(temporary), sql.Identifier(final))
        )


def mark(db: postgres.Connection, database: str, comment: str | None) -> None:
    """Sets the comment of a database."""
    from psycopg import sql

    db.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(database), sql.Literal(comment)))


def drop(db: postgres.Connection, database: str) -> bool:
    """Drops a database that raccord made, with the sessions in it; False where there is none of that name.

    Raises:
        NotOurs: raccord didn't make it.
    """
    from psycopg import sql

    row = db.execute(
        "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [database]
    ).fetchone()
    if row is None:
        return False
    if not (row[0] or "").startswith(MARK) and not _NEW.fullmatch(database):
        raise NotOurs(
            f"the database {database} was not made by raccord",
            hint="drop it by hand if it is no longer needed",
            database=database,
        )
    how = sql.SQL("drop database {} with (force)" if db.info.server_version >= 130000 else "drop database {}")
    db.execute(how.format(sql.Identifier(database)))
    return True


@contextlib.contextmanager
def unfinished(db: postgres.Connection, database: str) -> Iterator[None]:
    """Drops a database in the making where the block fails, if that can be; its name tells what it is."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(postgres.driver().Error):
            drop(db, database)
        raise


def template(
    db: postgres.Connection, target: Target, source: str, *, wait: float, evict: bool = False
) -> str:
    """Copies a database as it is, under a temporary name; nobody may be connected to it.

    Raises:
        DatabaseBusy: somebody stayed; the message names them.
        DatabaseError: it may not be copied.
    """
    from psycopg import sql

    new = fresh()
    statement = sql.SQL("create database {} template {}").format(sql.Identifier(new), sql.Identifier(source))
    postgres.alone(db, target, source, lambda: db.execute(statement), wait=wait, evict=evict)
    return new
