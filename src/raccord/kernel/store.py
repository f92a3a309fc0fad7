"""The state database: one SQLite file, always local, write-ahead logged and flushed at every commit.

Everything durable that raccord knows goes through here. Times are Unix seconds (float, UTC). A schema
made by a newer raccord is only read. Text that may hold undecodable bytes is kept as JSON (`dumps`):
SQLite takes no surrogates.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shlex
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from raccord.errors import StoreError
from raccord.kernel import schema
from raccord.model.plan import Json
from raccord.model.text import shown

Connection = sqlite3.Connection

BUSY_SECONDS = 30.0

# What a person can look at, by the beginning of SQLite's name for the error.
HINTS = (
    ("SQLITE_BUSY", "raccord status"),
    ("SQLITE_CANTOPEN", "ls -ld {folder} {file}"),
    ("SQLITE_CORRUPT", "mkdir {folder}/broken && mv {file}* {folder}/broken"),
    ("SQLITE_FULL", "df -h {folder}"),
    ("SQLITE_IOERR", "df -h {folder}"),
    ("SQLITE_NOTADB", "mkdir {folder}/broken && mv {file}* {folder}/broken"),
    ("SQLITE_PERM", "ls -ld {folder} {file}"),
    ("SQLITE_READONLY", "ls -ld {folder} {file}"),
)
BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
UNWRITABLE = ("SQLITE_CANTOPEN", "SQLITE_READONLY")

# SQLite remembers per process what it has open and locked. A forked child inherits the memory, and none of
# the locks: to use the parent's connection, or to open the same file beside it, damages the file.
_stores: weakref.WeakValueDictionary[int, Store] = weakref.WeakValueDictionary()

_serials = itertools.count(1)

_encoder = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


def dumps(value: Json) -> str:
    """JSON text in ASCII: escaped surrogates keep undecodable path bytes through SQLite."""
    return _encoder.encode(value)


class Store:
    """The open state database. Safe to share between threads, not with a forked child.

    Args:
        path: the database file; its directory exists.
        readonly: open for looking only; nothing is created.
        first: fills a database that did not exist, before anybody else sees it.

    Attributes:
        folder: the directory that it is in.
        newer: whether a newer raccord made it; it is then only read.

    Raises:
        StoreError: it can't be opened, or is no state database.
    """

    def __init__(
        self, path: Path, *, readonly: bool = False, first: Callable[[Store], object] = lambda store: None
    ) -> None:
        self.path, self.folder = path, path.parent
        self._pid = os.getpid()
        self._mutex = threading.RLock()
        self._inside = False
        self._serial = next(_serials)
        self._readonly = readonly
        self.newer = False
        for ref in _stores.valuerefs():
            other = ref()
            if other is not None and other.path.absolute() == path.absolute():
                other._refuse_forked()
        with self._errors():
            if readonly:
                self._db = self._looking()
            else:
                self._db = self._connect("mode=rwc")
                try:
                    self._prepare(first)
                except BaseException:
                    self._db.close()
                    raise
            self.newer = self._version(self._db) > len(schema.MIGRATIONS)
        _stores[id(self)] = self

    def _connect(self, how: str, busy: float | None = None) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{how}",
            uri=True,
            timeout=BUSY_SECONDS if busy is None else busy,
            isolation_level=None,
            check_same_thread=False,
        )

    def _prepare(self, first: Callable[[Store], object]) -> None:
        # A concurrent first opener may hold the lock that the switch to WAL needs; sqlite does not wait
        # for that one by itself.
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._db.execute("pragma journal_mode = wal")
                break
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > until:
                    raise
                time.sleep(0.02)
        self._db.execute("pragma synchronous = full")
        self._db.execute("pragma foreign_keys = on")
        if self._version(self._db) < len(schema.MIGRATIONS):
            with self.transaction() as db:
                found = self._version(db)
                _migrate(db, found)
                if found == 0:
                    first(self)

    def _looking(self) -> sqlite3.Connection:
        db = self._connect("mode=ro")
        try:
            return db if self._version(db) >= len(schema.MIGRATIONS) else self._copied(db)
        except sqlite3.OperationalError as error:
            db.close()
            # Where nothing can be written, the log's index can't be made. Without a log it is not needed:
            # the database alone is whole.
            if not error.sqlite_errorname.startswith(UNWRITABLE) or self._logged():
                raise
            return self._copied(self._connect("mode=ro&immutable=1"))
        except sqlite3.Error:
            db.close()
            raise

    def _logged(self) -> bool:
        try:
            return os.stat(f"{self.path}-wal").st_size > 0
        except FileNotFoundError:
            return False

    @classmethod
    def _copied(cls, db: sqlite3.Connection) -> sqlite3.Connection:
        """A copy in memory, of this release's schema."""
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with contextlib.closing(db):
            db.backup(copy)
        _migrate(copy, cls._version(copy))
        copy.execute("pragma query_only = on")
        return copy

    @staticmethod
    def _version(db: sqlite3.Connection) -> int:
        return int(db.execute("pragma user_version").fetchone()[0])

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _error(self, error: sqlite3.Error) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        hint = next((hint for start, hint in HINTS if name.startswith(start)), "")
        where = {"folder": shlex.quote(str(self.folder)), "file": shlex.quote(str(self.path))}
        then = "; moved away, its runs are rebuilt from refs/raccord" if name.startswith(BROKEN) else ""
        return StoreError(
            f"the state database {shown(str(self.path))} can't be used: {error}{then}",
            hint=shown(hint.format(**where)),
            sqlite=name,
        )

    def _refuse_forked(self) -> None:
        if os.getpid() != self._pid:
            raise StoreError(
                f"process {self._pid} has {shown(str(self.path))} open, and this one was forked from it",
                hint="close it before the fork, or start the process anew (multiprocessing: spawn)",
            )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction; nested ones join the outer one.

        Raises:
            StoreError: the database can't be written, or was made by a newer raccord.
        """
        self._refuse_forked()
        with self._mutex:
            if self._inside:
                yield self._db
                return
            if self.newer:
                raise StoreError(
                    f"{shown(str(self.path))} was written by a newer raccord; this one only reads it",
                    hint="install the newest raccord",
                )
            with self._errors():
                try:
                    self._db.execute("begin immediate")
                    self._inside = True
                    yield self._db
                    self._db.execute("commit")
                except BaseException:
                    # A full disk makes SQLite roll back by itself.
                    if self._db.in_transaction:
                        self._db.execute("rollback")
                    raise
                finally:
                    self._inside = False

    def rows(self, sql: str, values: Sequence[Json] = ()) -> list[tuple[Json, ...]]:
        """The rows that a query gives.

        Raises:
            StoreError: the database can't be read.
        """
        self._refuse_forked()
        with self._mutex, self._errors():
            return self._db.execute(sql, values).fetchall()

    def generation(self) -> tuple[int, ...]:
        """The same for as long as nobody wrote to the database, in this process or another.

        Raises:
            StoreError: the database can't be read.
        """
        with self._mutex:
            # SQLite tells of what others committed, and not of one's own (sqlite.org/pragma.html).
            return self._serial, self._db.total_changes, int(self.rows("pragma data_version")[0][0])

    def cache_get(self, space: str, key: str) -> Json:
        """The cached value, or None."""
        found = self.rows("select value from cache where space = ? and key = ?", (space, dumps(key)))
        return json.loads(found[0][0]) if found else None

    def cache_put(self, space: str, key: str, value: Json, at: float | None = None) -> None:
        """Keeps a value under a key; the last one wins."""
        with self.transaction() as db:
            db.execute(
                "insert or replace into cache values (?, ?, ?, ?)",
                (space, dumps(key), dumps(value), time.time() if at is None else at),
            )

    def cache_fill(self, rows: Sequence[tuple[str, str, str, float]]) -> None:
        """Keeps many values: space, key and value as JSON text, and when it was read in Unix seconds.

        Also where this was opened for looking only; what was read by a look is lost where somebody else
        writes just then, or the file has another release's schema.

        Raises:
            StoreError: the database can't be written.
        """
        keep = "insert or replace into cache values (?, ?, ?, ?)"
        if not self._readonly:
            with self.transaction() as db:
                db.executemany(keep, rows)
            return
        self._refuse_forked()
        # One that is gone by now is not made anew: it would lack what `first` puts into it.
        with self._mutex, self._errors(), contextlib.closing(self._connect("mode=rw", busy=0)) as db:
            if self._version(db) == len(schema.MIGRATIONS):
                # Nothing waits for the disk: nobody misses this after a power cut.
                db.execute("pragma synchronous = normal")
                db.execute("begin immediate")
                db.executemany(keep, rows)
                db.execute("commit")

    def close(self) -> None:
        """Closes the database; the write-ahead log is folded in when nobody else has it open."""
        self._refuse_forked()
        with self._mutex:
            self._db.close()
        _stores.pop(id(self), None)


def _migrate(db: sqlite3.Connection, found: int) -> None:
    for script in schema.MIGRATIONS[found:]:
        for statement in script.split(";\n"):
            if statement.strip():
                db.execute(statement)
    db.execute(f"pragma user_version = {max(found, len(schema.MIGRATIONS))}")
