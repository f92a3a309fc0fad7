"""PostgreSQL databases that raccord makes: known by a name or a comment, and dropped only if they are.

A database and its comment can't be made in one transaction. So it is made as `raccord_new_…`, and gets its
comment and its name together once it is whole: killed in between, what is left is known by that name.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

from raccord.database import postgres
from raccord.database.lock import advisory_key, tried
from raccord.database.url import Target
from raccord.errors import DatabaseBusy, LockTimeout, NotOurs

MARK = "made by raccord: "
_NEW = re.compile(r"raccord_new_[0-9a-f]{16}")


def fresh(id_: str = "") -> str:
    """A name for a database in the making.

    Args:
        id_: 16 hexadecimal digits, for one that has to be found again after a kill; "" for a random one.
    """
    return f"raccord_new_{id_ or secrets.token_hex(8)}"


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


def purpose(db: postgres.Connection, database: str) -> str | None:
    """What raccord made a database for, "" where it was cut off; None where there is none of that name.

    Raises:
        NotOurs: raccord didn't make it.
    """
    row = db.execute(
        "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [database]
    ).fetchone()
    if row is None:
        return None
    note = row[0] or ""
    if not note.startswith(MARK) and not _NEW.fullmatch(database):
        raise NotOurs(
            f"the database {database} was not made by raccord",
            hint="drop it by hand if it is no longer needed",
            database=database,
        )
    return note.removeprefix(MARK) if note.startswith(MARK) else ""


def drop(db: postgres.Connection, database: str, *, force: bool = True) -> bool:
    """Drops a database that raccord made; False where there is none of that name.

    Args:
        force: end the sessions in it.

    Raises:
        NotOurs: raccord didn't make it.
    """
    from psycopg import sql

    if purpose(db, database) is None:
        return False
    forced = force and db.info.server_version >= 130000
    how = sql.SQL("drop database {} with (force)" if forced else "drop database {}")
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


@contextlib.contextmanager
def queue(target: Target, source: str, wait: float) -> Iterator[None]:
    """Lets one after the other copy a database: they would keep each other out.

    Raises:
        LockTimeout: others were at it for longer than `wait` seconds.
    """
    key = advisory_key("raccord copies", source, "")
    until = time.monotonic() + wait
    with postgres.administering(target) as db:
        db.autocommit = False
        while not tried(db, key):
            if time.monotonic() >= until:
                raise LockTimeout(
                    f"the database {source} has been copied by others for over {wait:g} s",
                    hint="run it again once they are done",
                )
            time.sleep(postgres.POLL_SECONDS)
        try:
            yield
        finally:
            with contextlib.suppress(postgres.driver().Error):  # a connection that is gone holds nothing
                db.rollback()


def rest(db: postgres.Connection, target: Target, name: str, wait: float) -> None:
    """Waits for what a killed raccord asked the server to do with a database: the server goes on with it.

    Raises:
        DatabaseBusy: it did for longer than `wait` seconds.
    """
    until = time.monotonic() + wait
    asked = (
        "select 1 from pg_stat_activity"
        " where pid <> pg_backend_pid() and state = 'active' and strpos(query, %s) > 0"
    )
    while db.execute(asked, [name]).fetchone() is not None:
        if time.monotonic() >= until:
            raise DatabaseBusy(
                f"the server of {target.shown} is still making {name}", hint="raccord continue"
            )
        time.sleep(postgres.POLL_SECONDS)


def template(
    db: postgres.Connection,
    target: Target,
    source: str,
    *,
    wait: float,
    evict: bool = False,
    id_: str = "",
) -> str:
    """Copies a database as it is, under a temporary name; nobody may be connected to it.

    Raises:
        DatabaseBusy: somebody stayed; the message names them.
        DatabaseError: it may not be copied.
    """
    from psycopg import sql

    new = fresh(id_)
    statement = sql.SQL("create database {} template {}").format(sql.Identifier(new), sql.Identifier(source))
    postgres.alone(db, target, source, lambda: db.execute(statement), wait=wait, evict=evict)
    return new
