"""The state database: one SQLite file, always local, write-ahead logged and flushed at every commit.

Everything durable that raccord knows goes through here. Times are Unix seconds (float, UTC). A schema
made by a newer raccord is only read.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from raccord.errors import StoreError
from raccord.model.plan import Json

SCHEMA = 1
BUSY_SECONDS = 30.0

TABLES = """
create table if not exists runs (
  id text primary key,
  verb text not null,
  state text not null,
  plan text not null,
  owner text not null,
  undo_of text not null default '',
  started real not null,
  ended real
) strict;
create table if not exists lanes (
  run text not null references runs on delete cascade,
  key text not null,
  title text not null,
  state text not null,
  finding text not null default 'null',
  primary key (run, key)
) strict;
create table if not exists steps (
  run text not null references runs on delete cascade,
  seq integer not null,
  stage integer not null,
  lane text not null,
  back integer not null default 0,
  step text not null,
  state text not null,
  outcome text not null default 'null',
  primary key (run, seq)
) strict;
create index if not exists steps_lane on steps (run, lane, seq);
create table if not exists locks (
  resource text primary key,
  run text not null,
  owner text not null,
  token integer not null,
  since real not null
) strict;
create table if not exists tokens (resource text primary key, token integer not null) strict;
create table if not exists cache (
  space text not null,
  key text not null,
  value text not null,
  at real not null,
  primary key (space, key)
) strict;
"""


def dumps(value: Json) -> str:
    """JSON text in ASCII: escaped surrogates keep undecodable path bytes through SQLite."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


class Store:
    """The open state database. Safe to share between threads.

    Args:
        path: the database file; its directory exists.
        readonly: open for looking only; nothing is created.

    Raises:
        StoreError: it can't be opened, or is no state database.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._depth = 0
        try:
            self._db = self._connect(path, readonly)
            found = self._version()
            self.newer = found > SCHEMA
            if not readonly and found < SCHEMA:
                self._create()
        except sqlite3.Error as error:
            raise self._error(error) from error

    @staticmethod
    def _connect(path: Path, readonly: bool) -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        db = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        if not readonly:
            # A concurrent first opener may hold the lock that the switch to WAL needs; sqlite does
            # not wait for that one by itself.
            until = time.monotonic() + BUSY_SECONDS
            while True:
                try:
                    db.execute("pragma journal_mode = wal")
                    break
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error) or time.monotonic() > until:
                        raise
                    time.sleep(0.02)
            db.execute("pragma synchronous = full")
            db.execute("pragma foreign_keys = on")
        return db

    def _version(self) -> int:
        return int(self._db.execute("pragma user_version").fetchone()[0])

    def _create(self) -> None:
        with self.transaction():
            if self._version() < SCHEMA:
                for statement in TABLES.split(";\n"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"pragma user_version = {SCHEMA}")

    def _error(self, error: sqlite3.Error) -> StoreError:
        return StoreError(
            f"the state database {self.path} can't be used: {error}",
            hint=f"move {self.path} away; its runs are rebuilt from refs/raccord",
        )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction; nested ones join the outer one.

        Raises:
            StoreError: the database can't be written, or was made by a newer raccord.
        """
        with self._mutex:
            if self._depth:
                yield self._db
                return
            if self.newer_schema():
                raise StoreError(
                    f"{self.path} was written by a newer raccord; this one only reads it",
                    hint="upgrade raccord",
                )
            try:
                self._db.execute("begin immediate")
                self._depth = 1
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("rollback")
                    raise
                self._db.execute("commit")
            except sqlite3.Error as error:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("rollback")
                raise self._error(error) from error
            finally:
                self._depth = 0

    def newer_schema(self) -> bool:
        """Whether a newer raccord made this database."""
        return getattr(self, "newer", False)

    def rows(self, sql: str, values: Sequence[Json] = ()) -> list[tuple[Json, ...]]:
        """The rows that a query gives.

        Raises:
            StoreError: the database can't be read.
        """
        with self._mutex:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._error(error) from error

    def cache_get(self, space: str, key: str) -> Json:
        """The cached value, or None."""
        found = self.rows("select value from cache where space = ? and key = ?", (space, key))
        return json.loads(found[0][0]) if found else None

    def cache_put(self, space: str, key: str, value: Json, at: float | None = None) -> None:
        """Keeps a value under a key; the last one wins."""
        with self.transaction() as db:
            db.execute(
                "insert or replace into cache values (?, ?, ?, ?)",
                (space, key, dumps(value), time.time() if at is None else at),
            )

    def close(self) -> None:
        """Closes the database; the write-ahead log is folded in when nobody else has it open."""
        with self._mutex:
            self._db.close()
