"""Rows by PostgreSQL's COPY, from connection to connection or file, block by block: no more is in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import Any

from raccord.database import frames, postgres

BINARY = "format binary"
BLOCK = 1 << 17  # bytes that are passed on at once: libpq gives row by row
Take = Callable[[bytes], object]
Waits = Generator[Any, Any, Any]  # how psycopg is told what is waited for


def given(
    db: postgres.Connection, query: str, form: str, counted: Callable[[int], object] = int
) -> Generator[bytes, None, None]:
    """The rows of a query, gathered into blocks.

    Args:
        form: options of COPY, such as `BINARY`; "" for its text.
        counted: is told how many rows there were, in the end.
    """
    with contextlib.closing(_parts(db, query, form, counted)) as parts:
        for whole, part in parts:
            if whole:
                yield frames.bare(whole)
            if part:
                yield bytes(part)


def out(db: postgres.Connection, query: str, binary: bool, take: Take) -> int:
    """Gives the rows of a query to whoever takes them; returns how many there were."""
    count: list[int] = []
    with contextlib.closing(given(db, query, BINARY if binary else "", count.append)) as blocks:
        for block in blocks:
            take(block)
    return count[0]


def _parts(
    db: postgres.Connection, query: str, form: str, counted: Callable[[int], object]
) -> Generator[tuple[memoryview, bytes | memoryview], None, None]:
    """The same, until the next: whole messages of rows, where they can be seen, and bytes that follow."""
    from psycopg import pq

    raw = db.pgconn
    with frames.wire(raw) as line:
        rows: _Rows | frames.Frames = _Rows(db)
        raw.send_query(f"copy ({query}) to stdout{_options(form)}".encode())
        try:
            db.wait(_flushed(raw))
            if line is not None and frames.begun(line):
                rows = frames.Frames(line)
            while (some := rows.next()) is not None:
                yield some
            counted(db.wait(_ended(raw)))
        except BaseException:
            if raw.transaction_status == pq.TransactionStatus.ACTIVE:
                with contextlib.suppress(Exception):
                    postgres.cancel(db)
                    while rows.next() is not None:
                        pass
                    db.wait(_ended(raw))
            raise


class _Rows:
    """What libpq gives of a COPY, row by row."""

    def __init__(self, db: postgres.Connection) -> None:
        self._db = db
        self._begun = self._over = False

    def next(self) -> tuple[memoryview, bytes] | None:
        """Rows, gathered; None at the end."""
        if not self._begun:
            self._begun = True
            self._over = not self._db.wait(_begins(self._db.pgconn))
        if self._over:
            return None
        block, self._over = self._db.wait(_block(self._db.pgconn))
        return memoryview(b""), block


def _flushed(raw: Any) -> Waits:
    """Sends what libpq holds back; reads meanwhile, for a server that waits to be heard reads nothing."""
    from psycopg.waiting import Ready, Wait

    while raw.flush():
        if (yield Wait.RW) & Ready.R:
            raw.consume_input()


def _put(raw: Any, data: bytes) -> Waits:
    """Gives rows to a server that copies in."""
    for start in range(0, len(data), BLOCK):
        while raw.put_copy_data(data[start : start + BLOCK]) == 0:
            yield from _flushed(raw)
        yield from _flushed(raw)


def _begins(raw: Any, copy: str = "COPY_OUT") -> Generator[Any, Any, bool]:
    """Waits until rows can be read, or written; whether they can.

    Raises:
        psycopg.Error: the server refuses.
    """
    from psycopg import pq

    yield from _answered(raw)
    result = raw.get_result()
    if result is not None and result.status == pq.ExecStatus[copy]:
        return True
    yield from _ended(raw, result)
    return False


def _block(raw: Any) -> Generator[Any, Any, tuple[bytes, bool]]:
    """Rows of a COPY, gathered, and whether these were the last.

    libpq gives row by row, each of which costs more than many rows gathered here.
    """
    from psycopg.waiting import Wait

    parts: list[memoryview] = []
    size = 0
    while size < BLOCK:
        count, data = raw.get_copy_data(1)
        if count > 0:
            parts.append(data)
            size += count
        elif count == 0:
            while not (yield Wait.R):
                pass
            raw.consume_input()
        else:
            return b"".join(parts), True
    return b"".join(parts), False


def _ended(raw: Any, first: Any = None) -> Generator[Any, Any, int]:
    """How many rows a COPY came to, once it is over.

    Args:
        first: what was answered before.

    Raises:
        psycopg.Error: it failed.
    """
    from psycopg import errors, pq

    rows, bad = 0, None
    result = first
    while True:
        if result is not None:
            rows = result.command_tuples or rows
            if result.status != pq.ExecStatus.COMMAND_OK:
                bad = bad or result
        yield from _answered(raw)
        result = raw.get_result()
        if result is None:
            break
    if bad is not None:
        raise errors.error_from_result(bad)
    return rows


def _answered(raw: Any) -> Waits:
    from psycopg.waiting import Wait

    while raw.is_busy():
        while not (yield Wait.R):
            pass
        raw.consume_input()


def fed(
    db: postgres.Connection, goal: str, form: str, feed: Callable[[Take], object], *, frozen: bool = False
) -> int:
    """Puts rows into a table; returns how many there were.

    Args:
        goal: the table and its columns, as SQL.
        form: options of COPY, such as `BINARY`; "" for its text.
        feed: gives the rows, block by block.
        frozen: whether older snapshots see them too, once they are committed: of a table that was made in
            this subtransaction, which those would take for empty otherwise.
    """
    raw = db.pgconn
    raw.send_query(f"copy {goal} from stdin{_options(form, 'freeze' * frozen)}".encode())
    db.wait(_flushed(raw))
    db.wait(_begins(raw, "COPY_IN"))
    try:
        feed(lambda block: db.wait(_put(raw, block)))
    except BaseException:
        with contextlib.suppress(Exception):
            db.wait(_over(raw, b"not all rows came"))
        raise
    rows: int = db.wait(_over(raw))
    return rows


def _over(raw: Any, why: bytes | None = None) -> Generator[Any, Any, int]:
    while raw.put_copy_end(why) == 0:
        yield from _flushed(raw)
    yield from _flushed(raw)
    return (yield from _ended(raw))


def _options(*words: str) -> str:
    said = ", ".join(filter(None, words))
    return f" ({said})" if said else ""


def into(
    db: postgres.Connection, goal: str, binary: bool, blocks: Iterable[bytes], *, frozen: bool = False
) -> int:
    """Puts rows into a table; returns how many there were. See `fed`."""

    def feed(take: Take) -> None:
        for block in blocks:
            take(block)

    return fed(db, goal, BINARY if binary else "", feed, frozen=frozen)


_CLEAR = """
select not coalesce((select s.encrypted from pg_catalog.pg_stat_gssapi s
  where s.pid = pg_catalog.pg_backend_pid()), true)
"""


def across(
    one: postgres.Connection, query: str, two: postgres.Connection, goal: str, *, binary: bool,
    frozen: bool = False,
) -> int:  # fmt: skip
    """Puts the rows of a query into a table of another server, or of the same session; returns how many.

    Args:
        frozen: see `fed`; not within one session.
    """
    if one is two:
        return one.execute(f"insert into {goal} overriding system value {query}".encode()).rowcount
    form = BINARY if binary else ""
    clear = two.execute(_CLEAR).fetchone() == (True,)
    with frames.wire(two.pgconn) as line:

        def feed(take: Take) -> None:
            with contextlib.closing(_parts(one, query, form, int)) as parts:
                for whole, part in parts:
                    if whole and line is not None and clear:
                        _forward(two, line, whole)
                    elif whole:
                        take(frames.bare(whole))
                    if part:
                        take(bytes(part))

        return fed(two, goal, form, feed, frozen=frozen)


def _forward(db: postgres.Connection, line: Any, whole: memoryview) -> None:
    """Sends messages of rows as they are.

    Raises:
        psycopg.OperationalError: the connection is lost.
    """
    db.wait(_flushed(db.pgconn))
    try:
        frames.send(line, db.pgconn, whole)
    except OSError as error:
        db.close()  # within a message nothing else can be said
        raise postgres.driver().OperationalError(f"sending rows failed: {error.strerror}") from None
