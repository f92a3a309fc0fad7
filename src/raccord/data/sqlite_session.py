"""Connections to both SQLite files of a set, and the one transaction in the target."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from raccord.data.pairs import Pair
from raccord.data.spec import Spec
from raccord.data.sqlite_rows import BATCH, BATCH_SIZE, Row
from raccord.data.sqlite_sql import SOURCE
from raccord.database import sqlite
from raccord.database.url import Target
from raccord.errors import CannotRun, DatabaseBusy, DatabaseError, HeldBack, RaccordError
from raccord.model.text import shown

CACHE_KIB = 32 * 1024  # of pages that are changed and not written yet: with more, readers would wait longer
STEPS = 100_000  # of SQLite's machine, between two looks at the clock


@dataclass(slots=True)
class Session:
    """A connection whose statements may take so long and no longer.

    Attributes:
        seconds: for one statement; 0 for as long as it likes.
        cancelled: whether a person interrupted; then it ends at once.
    """

    db: sqlite.Connection
    seconds: int = 0
    cancelled: Callable[[], bool] = field(default=lambda: False, repr=False)
    _until: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        self.db.set_progress_handler(self._over, STEPS)

    def _over(self) -> bool:
        return self.cancelled() or (bool(self.seconds) and time.monotonic() > self._until)

    def run(self, statement: str, values: Row = ()) -> int:
        """Runs a statement; returns how many rows it changed."""
        return int(self.ask(statement, values).rowcount)

    def ask(self, query: str, values: Row = ()) -> Any:
        """Asks for rows."""
        self._until = time.monotonic() + self.seconds
        return self.db.execute(query, values)

    def rows(self, query: str) -> Iterator[Row]:
        """The rows of an answer; whoever takes them may take as long as it likes."""
        for row in self.ask(query):
            yield row
            self._until = time.monotonic() + self.seconds

    def number(self, query: str) -> int:
        """The one number of an answer."""
        return int(self.ask(query).fetchone()[0] or 0)

    def put(self, goal: str, names: str, width: int, rows: Iterable[Row]) -> int:
        """Puts rows into a table; returns how many.

        Args:
            names: its columns, as SQL.
            width: how many these are.
        """
        count = 0
        plain = f"insert into {goal} ({names}) values ({', '.join('?' * width)})"
        for some in batches(rows):
            if self.cancelled():
                raise KeyboardInterrupt
            self._until = time.monotonic() + self.seconds
            self.db.execute("savepoint raccord_rows")
            try:
                self.db.executemany(plain, some)
            except UnicodeEncodeError:
                self.db.execute("rollback to raccord_rows")
                self._put_odd(goal, names, some)
            self.db.execute("release raccord_rows")
            count += len(some)
        return count

    def _put_odd(self, goal: str, names: str, rows: Iterable[Row]) -> None:
        """Text whose bytes are no UTF-8 goes as these bytes."""
        if self.db.execute("pragma encoding").fetchone()[0] != "UTF-8":
            raise HeldBack("text that is no Unicode can't go into a database of UTF-16", finding="data.text")
        for row in rows:
            values = [_odd(value) for value in row]
            marks = ", ".join("cast(? as text)" if odd else "?" for odd, _ in values)
            self.db.execute(f"insert into {goal} ({names}) values ({marks})", [value for _, value in values])


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows in lists that memory holds, however long their values are."""
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += sum([len(value) for value in row if isinstance(value, str | bytes)])
        if len(some) >= BATCH or size >= BATCH_SIZE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _odd(value: Any) -> tuple[bool, Any]:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return True, value.encode("utf-8", "surrogateescape")
    return False, value


@dataclass(slots=True)
class Ends:
    """Both databases of a set.

    Attributes:
        one: the source, in a transaction that sees one state.
        two: the target. Where the source is not attached to it, rows come over by way of Python.
        origin: the URI of the source.
        attached: whether it is.
    """

    one: Session
    two: Session
    origin: str
    attached: bool = False

    def attach(self, pairs: Sequence[Pair]) -> None:
        """Attaches the source to the target's connection, where raccord's own SQL alone reads it.

        A condition or a mask is SQL in which names mean the source's own tables: a connection that has the
        source alone runs it. The same where the files don't spell text alike.
        """
        spelled = [one.ask("pragma encoding").fetchone() for one in (self.one, self.two)]
        if spelled[0] == spelled[1] and not any(pair.where or pair.masks for pair in pairs):
            self.two.run(f"attach ? as {SOURCE}", [self.origin])
            self.attached = True


def check_two(source: Target, target: Target) -> None:
    """Makes sure that these are two files.

    Raises:
        CannotRun: they are one, by way of a link.
        DatabaseError: one isn't there.
    """
    if os.path.samefile(sqlite.existing(source), sqlite.existing(target)):
        raise CannotRun(
            f"source and target are the same file: {target.shown}",
            hint="correct one of the two environments in raccord.toml",
        )


@contextlib.contextmanager
def reading(
    target: Target, spec: Spec, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[tuple[Session, str]]:
    """A connection that sees one state of a database and changes nothing in it; and its URI.

    Args:
        cancelled: whether a person interrupted.
    """
    with (
        sqlite.looking(target) as uri,
        sqlite.failures(sqlite.existing(target)),
        contextlib.closing(sqlite.connected(uri, spec.lock_seconds)) as db,
    ):
        found = Session(db, spec.statement_seconds, cancelled)
        found.run("begin")
        found.ask("select count(*) from sqlite_schema").fetchone()  # from here on it sees one state
        yield found, uri


@contextlib.contextmanager
def ends(
    source: Target, target: Target, spec: Spec, *, write: bool, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[Ends]:
    """Connections to both.

    Args:
        write: whether the target is changed, in one transaction that is committed after the block.
        cancelled: whether a person interrupted.
    """
    check_two(source, target)
    with contextlib.ExitStack() as stack:
        one, origin = stack.enter_context(reading(source, spec, cancelled))
        if write:
            two = stack.enter_context(opened(target, spec, cancelled))
            stack.enter_context(transaction(two, target, spec))
        else:
            two, _ = stack.enter_context(reading(target, spec))
        yield Ends(one, two, origin)


@contextlib.contextmanager
def opened(target: Target, spec: Spec, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Session]:
    """A connection that may write, with foreign keys on; no transaction is open yet."""
    path = sqlite.existing(target)
    sqlite.read(target, lambda db: db.execute("select count(*) from sqlite_schema").fetchone())
    with sqlite.writing(path, wait=spec.lock_seconds) as db:
        for pragma in (
            "foreign_keys = on", "synchronous = full", f"cache_size = -{CACHE_KIB}", "temp_store = file",
        ):  # fmt: skip
            db.execute(f"pragma {pragma}")
        yield Session(db, spec.statement_seconds, cancelled)


@contextlib.contextmanager
def transaction(two: Session, target: Target, spec: Spec) -> Iterator[None]:
    """The transaction in the target: nobody else writes, everybody reads; foreign keys wait for its end.

    Raises:
        KeyboardInterrupt: a person interrupted; nothing was changed.
        DatabaseBusy: others kept the database for longer than the set allows; nothing was changed.
        HeldBack: SQLite refused a statement; nothing was changed.
        DatabaseError: it failed.
    """
    try:
        two.run("begin immediate")
        try:
            two.run("pragma defer_foreign_keys = on")
            yield
            if two.cancelled():
                raise KeyboardInterrupt
            two.run("commit")
        finally:
            if two.db.in_transaction:
                two.db.set_progress_handler(None, 0)
                two.db.execute("rollback")
    except sqlite.Error as error:
        if two.cancelled():
            raise KeyboardInterrupt from None
        raise told(error, target, spec) from None


def told(error: sqlite.Error, target: Target, spec: Spec) -> RaccordError:
    """An error of SQLite; none of them repeats a value, but for what a trigger says."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT")):
        return DatabaseBusy(
            f"others kept {target.shown} busy for longer than {spec.lock_seconds} s, or a statement"
            f" took longer than {spec.statement_seconds} s",
            hint=f"run it again, or set lock_seconds or statement_seconds in [data.{spec.name}]",
        )
    if name.startswith("SQLITE_CONSTRAINT") or name in ("SQLITE_ERROR", "SQLITE_MISMATCH", ""):
        said = "a trigger raised an error" if name == "SQLITE_CONSTRAINT_TRIGGER" else shown(str(error))
        return HeldBack(
            f"{target.shown} refused: {said} ({name}); nothing was changed",
            hint="raccord data diff",
            finding="data.refused",
            sqlite=name,
        )
    try:
        with sqlite.failures(sqlite.existing(target)):
            raise error
    except DatabaseError as translated:
        return translated
