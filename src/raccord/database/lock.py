"""One upgrade of a database at a time, whoever starts it: a lock that ends with the process that holds it.

PostgreSQL: an advisory lock of a transaction on a connection of its own. Of a transaction, since a pooler may
give each transaction another session. Waiters ask again and again, and hold no transaction meanwhile: CREATE
INDEX CONCURRENTLY waits for every transaction with a snapshot, so one that blocks in `pg_advisory_lock` would
block the upgrade that it waits for. SQLite: a locked file (`kernel/fs_alive.py`), which children that get it
hold as well; Windows has no such lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from raccord.database import postgres, sqlite
from raccord.database.heads import VERSION_TABLE
from raccord.database.url import SQLITE, Target
from raccord.errors import LockTimeout, WorldMoved
from raccord.kernel import fs, fs_alive

POLL_SECONDS = 0.1

# Of this transaction alone: none of these may end it, and a machine that vanished is noticed.
_SETTINGS = {
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "tcp_keepalives_count": "3",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "transaction_timeout": "0",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is held.

    Attributes:
        waited: whether somebody else held it first: what was observed before may be over.
        key: PostgreSQL's number of it, 0 with SQLite.
        file: SQLite's locked file, to be given to children as their standard error; None with PostgreSQL.
    """

    waited: bool
    key: int = 0
    file: IO[bytes] | None = None
    _db: postgres.Connection | None = field(default=None, repr=False)

    @property
    def handle(self) -> int:
        """The open file that the lock lives with, to be kept open by a child that must not outlive the lock.

        With PostgreSQL it is the connection: the server frees the lock once nobody has it open any more.
        """
        if self.file is not None:
            return self.file.fileno()
        assert self._db is not None
        return self._db.fileno()

    def check(self) -> None:
        """Makes sure that it is still held.

        Raises:
            WorldMoved: the connection that held it is gone, and so is the lock.
        """
        if self._db is None:
            return
        try:
            self._db.execute("select 1")
        except postgres.driver().Error:
            raise WorldMoved("the lock on the database was lost: its connection has ended") from None


@contextlib.contextmanager
def lock(
    target: Target,
    folder: Path,
    *,
    version_table: str = VERSION_TABLE,
    schema: str | None = None,
    wait: float = 60.0,
    waiting: Callable[[str], None] = lambda holder: None,
) -> Iterator[Held]:
    """Holds the right to change what a version table describes.

    Args:
        folder: where SQLite's lock file is; the same for all who are to exclude one another.
        wait: seconds to wait for whoever holds it.
        waiting: called once if it has to be waited for, with the holder as text.

    Raises:
        LockTimeout: somebody held it for longer.
        DatabaseError: the database can't be reached.
    """
    if target.kind == SQLITE:
        kept = _sqlite(target, folder, version_table, wait, waiting)
    else:
        kept = _postgres(target, version_table, schema, wait, waiting)
    with kept as held:
        yield held


def advisory_key(database: str, schema: str, version_table: str) -> int:
    """The number of PostgreSQL's advisory lock: of 64 bits, signed. Its locks count within one database."""
    text = "\0".join(("raccord", database, schema, version_table))
    return int.from_bytes(
        hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big", signed=True
    )


@contextlib.contextmanager
def _postgres(
    target: Target, table: str, schema: str | None, wait: float, waiting: Callable[[str], None]
) -> Iterator[Held]:
    name = f"raccord process {os.getpid()} on {socket.gethostname()}"
    until = time.monotonic() + wait
    with postgres.connected(target, name=name) as db:
        from psycopg import IsolationLevel

        database, place = _place(db, table, schema)
        key = advisory_key(database, place, table)
        db.autocommit = False
        # A role's default may be another, and a higher one keeps its snapshot until the end.
        db.isolation_level, db.read_only = IsolationLevel.READ_COMMITTED, True
        waited = False
        while not tried(db, key):
            holder = _holder(db, key)
            db.rollback()
            if time.monotonic() >= until:
                raise LockTimeout(
                    f"{holder} has been changing {target.shown} for over {wait:g} s",
                    hint="run it again once that is done; the lock ends with its process",
                    holder=holder,
                )
            if not waited:
                waited = True
                waiting(holder)
            time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads the waiters
        try:
            yield Held(waited, key, None, db)
        finally:
            with contextlib.suppress(postgres.driver().Error):  # a connection that is gone holds nothing
                db.rollback()


def _place(db: postgres.Connection, table: str, schema: str | None) -> tuple[str, str]:
    """The database, and the schema that the version table is in, or will be."""
    row = db.execute(
        "select current_database(), coalesce(%s, (select n.nspname from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass(quote_ident(%s))),"
        " current_schema(), '')",
        [schema, table],
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def tried(db: postgres.Connection, key: int) -> bool:
    """Takes an advisory lock for the transaction that it begins; where somebody has it, ends that."""
    row = db.execute("select pg_try_advisory_xact_lock(%s)", [key]).fetchone()
    if row is None or not row[0]:
        db.rollback()
        return False
    db.execute(
        "select set_config(name, (%s::jsonb) ->> name, true) from pg_settings where name = any(%s)",
        [json.dumps(_SETTINGS), list(_SETTINGS)],
    )
    # A statement with values leaves its portal open, and with it the snapshot that CREATE INDEX CONCURRENTLY
    # waits for. One without values closes it.
    db.execute("select 1")
    return True


def _holder(db: postgres.Connection, key: int) -> str:
    row = db.execute(
        "select a.application_name, a.usename, a.pid from pg_locks l join pg_stat_activity a using (pid)"
        " where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid::bigint = %s"
        " and l.objid::bigint = %s and a.datname = current_database() and l.database = a.datid",
        [(key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF],
    ).fetchone()
    return f"{row[0] or row[1]} (session {row[2]})" if row else "somebody"


@contextlib.contextmanager
def _sqlite(
    target: Target, folder: Path, table: str, wait: float, waiting: Callable[[str], None]
) -> Iterator[Held]:
    if not target.path:
        sqlite.existing(target)  # raises: it is in memory
    text = f"{target.key}\0{table}"
    name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    fs.make_dirs(folder)
    path = folder / f"database-{name}.lock"
    with contextlib.ExitStack() as stack:
        waited = False
        try:
            file = stack.enter_context(fs_alive.alive(path, 0.0))
        except LockTimeout:
            waited = True
            waiting(_noted(path))
            try:
                file = stack.enter_context(fs_alive.alive(path, wait))
            except LockTimeout:
                holder = _noted(path)
                raise LockTimeout(
                    f"{holder} has been changing {target.shown} for over {wait:g} s",
                    hint="run it again once that is done; the lock ends with the process and what it started",
                    holder=holder,
                ) from None
        file.seek(0)
        file.write(f"process {os.getpid()}\n".encode())
        yield Held(waited, 0, file)


def _noted(path: Path) -> str:
    found = re.match(rb"process (\d+)\n", fs.read_or_none(path) or b"")
    return f"process {int(found[1])}" if found else "another process"
