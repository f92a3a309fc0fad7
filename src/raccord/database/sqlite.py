"""The projects' SQLite files: looked at without leaving a trace, or written; errors as raccord's own.

The only module besides the state database's that may import sqlite3. No file is created unless that is asked
for.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from typing import TypeVar

from raccord.database.url import SQLITE, Target
from raccord.errors import CannotRun, DatabaseBusy, DatabaseError, DatabaseMissing
from raccord.model.text import shown

Connection = sqlite3.Connection
Error = sqlite3.Error
IntegrityError = sqlite3.IntegrityError
T = TypeVar("T")

BUSY_SECONDS = 5.0
# A clock tick of the file system: a file that was written within it may be written again without a new time.
TICK_NS = 50_000_000
LOGS = ("-wal", "-journal")
# What only who may write can take back or read again.
CUT_OFF = ("SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_ROLLBACK")
BESIDE = ("-journal", "-shm", "-wal")

_HINTS = (
    ("SQLITE_BUSY", DatabaseBusy, "run it again once the others are done: fuser {file}"),
    ("SQLITE_LOCKED", DatabaseBusy, "run it again once the others are done: fuser {file}"),
    (
        "SQLITE_READONLY_ROLLBACK",
        DatabaseError,
        "sqlite3 {file} 'pragma schema_version' takes the transaction back",
    ),
    ("SQLITE_READONLY_RECOVERY", DatabaseError, "sqlite3 {file} 'pragma schema_version' reads its log again"),
    ("SQLITE_CANTOPEN", DatabaseError, "ls -ld {folder} {file}*"),
    ("SQLITE_CORRUPT", DatabaseError, "sqlite3 {file} 'pragma integrity_check'"),
    ("SQLITE_FULL", DatabaseError, "df -h {folder}"),
    ("SQLITE_IOERR", DatabaseError, "df -h {folder}"),
    ("SQLITE_NOTADB", DatabaseError, "file {file}; it is encrypted, or no database"),
    ("SQLITE_PERM", DatabaseError, "ls -ld {folder} {file}"),
    ("SQLITE_READONLY", DatabaseError, "ls -ld {folder} {file}*"),
)


def existing(target: Target) -> str:
    """The resolved path of a target's file.

    Raises:
        DatabaseMissing: it isn't there.
        DatabaseError: it is no file, or a database in memory.
    """
    if target.kind != SQLITE:
        raise DatabaseError(f"{target.shown} is no SQLite database")
    if target.route is not None:
        raise DatabaseError(
            f"{target.shown} is a file of another host, {target.route.shown}",
            hint="only files of this host are read; PostgreSQL is reached through ssh",
        )
    if not target.path:
        raise DatabaseError(
            f"{target.shown} is in the memory of another process", hint="name a file: sqlite:///FILE"
        )
    # The log lies beside the file that a link leads to.
    try:
        path = os.path.realpath(target.path)
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise DatabaseMissing(
            f"the database file {shown(target.path)} is not there",
            hint="raccord migrations upgrade, or correct the path in its configuration",
            path=target.path,
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatabaseError(
            f"the database file {shown(target.path)} can't be looked at: {reason}",
            hint=f"ls -ld {shown(quote(target.path))}",
        ) from error
    if not stat.S_ISREG(mode):
        raise DatabaseError(f"{shown(target.path)} is no file", hint=f"ls -ld {shown(quote(target.path))}")
    return path


def read(target: Target, question: Callable[[Connection], T]) -> T:
    """Asks a database that others may be writing; the answer is of one state of it.

    A log that isn't there would be made by looking, and left behind. So a file at rest is read as one that
    nobody changes, and again, in the ordinary way, if somebody did meanwhile. What a killed program left of a
    transaction is taken back first, as whoever opens the file next does.

    Args:
        question: asked within one transaction, possibly twice.

    Raises:
        DatabaseError: it can't be read.
    """
    path = existing(target)
    with failures(path):
        at_rest = _at_rest(path)
        if at_rest is not None:
            with contextlib.closing(opened(path, "mode=ro&immutable=1")) as db:
                try:
                    answer = question(db)
                except sqlite3.DatabaseError:
                    if _at_rest(path) == at_rest:
                        raise
                else:
                    if _at_rest(path) == at_rest:
                        return answer
        try:
            with contextlib.closing(opened(path, "mode=ro")) as db:
                _begin(db)
                return question(db)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") not in CUT_OFF:
                raise
        with contextlib.closing(opened(path, "mode=rw")) as db:
            _begin(db)
            return question(db)


def _begin(db: Connection) -> None:
    db.execute("begin")
    _first(db)  # begins only with what it first reads


def _first(db: Connection) -> None:
    db.execute("select count(*) from sqlite_schema").fetchone()


def _at_rest(path: str) -> tuple[int, ...] | None:
    """What tells whether the file was written; None where it may be at this moment."""
    if any(os.path.lexists(path + log) for log in LOGS):
        return None
    found = os.stat(path)
    age = time.time_ns() - found.st_mtime_ns
    if 0 <= age < TICK_NS:
        time.sleep(TICK_NS / 1e9)
    return None if age < 0 else (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@contextlib.contextmanager
def looking(target: Target) -> Iterator[str]:
    """How a database is opened, or attached, to be read for a while; others may write to it meanwhile.

    The log that this makes of a file at rest is cleared away again, as its last user does, and so is one that
    a killed reader left. Where none can be made, in a folder that nobody may write to, the file is read as
    one that nobody changes.

    Returns:
        Its URI.

    Raises:
        DatabaseError: it can't be read.
    """
    path = existing(target)
    with failures(path):
        read(target, _first)  # takes back what a killed program left
        at_rest = not any(os.path.lexists(path + log) for log in BESIDE)
        uri = f"{Path(path).as_uri()}?mode=ro"
        try:
            with contextlib.closing(connected(uri)) as db:
                _begin(db)
        except sqlite3.OperationalError:
            if not at_rest:
                raise
            uri += "&immutable=1"
    try:
        yield uri
    finally:
        with contextlib.suppress(sqlite3.Error, FileNotFoundError):
            if at_rest or not os.stat(path + "-wal").st_size:
                with contextlib.closing(opened(path, "mode=rw")) as db:
                    _first(db)


def demand(version: tuple[int, int, int]) -> None:
    """Makes sure that this Python's SQLite is new enough.

    Raises:
        CannotRun: it isn't.
    """
    if sqlite3.sqlite_version_info < version:
        wanted = ".".join(map(str, version))
        raise CannotRun(
            f"this needs SQLite {wanted} or newer, and Python has {sqlite3.sqlite_version}",
            hint="run raccord with a newer Python",
        )


@contextlib.contextmanager
def writing(path: str, *, create: bool = False, wait: float = BUSY_SECONDS) -> Iterator[Connection]:
    """A connection that may write, in autocommit mode, closed afterwards.

    Args:
        create: whether a file that isn't there is made.
        wait: seconds to wait for others' locks.

    Raises:
        DatabaseError: it can't be opened or written.
    """
    with failures(path), contextlib.closing(opened(path, "mode=rwc" if create else "mode=rw", wait)) as db:
        yield db


def opened(path: str, how: str = "mode=ro", wait: float = BUSY_SECONDS) -> Connection:
    """A connection in autocommit mode, by default one that only looks; the caller closes it."""
    return connected(f"{Path(path).absolute().as_uri()}?{how}", wait)


def connected(uri: str, wait: float = BUSY_SECONDS) -> Connection:
    """The same of a URI."""
    db = sqlite3.connect(
        uri,
        uri=True,
        timeout=wait,
        isolation_level=None,
        check_same_thread=False,
    )
    # Text may hold bytes that are no UTF-8.
    db.text_factory = _text
    return db


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def failures(path: str) -> Iterator[None]:
    """Turns sqlite3's errors into raccord's."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        kind, hint = next(
            ((kind, hint) for start, kind, hint in _HINTS if name.startswith(start)), (DatabaseError, "")
        )
        hint = hint.format(file=quote(path), folder=quote(os.path.dirname(path)))
        raise kind(
            f"the database {shown(path)} can't be used: {error}", hint=shown(hint), sqlite=name
        ) from error


def copy(source: Connection, goal: Connection, *, wait: float) -> None:
    """Makes one database the copy of another, in one transaction of `goal`.

    Args:
        wait: seconds to wait for others' locks on either.

    Raises:
        DatabaseBusy: they were kept for longer.
    """
    until = time.monotonic() + wait

    def bounded(status: int, *_left: int) -> None:
        # sqlite3 itself would try for ever.
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > until:
            raise DatabaseBusy(
                "another program keeps the database locked", hint="run it again once it is done"
            )

    source.backup(goal, pages=-1, progress=bounded, sleep=0.05)


def identifier(name: str) -> str:
    """A name as SQL."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
