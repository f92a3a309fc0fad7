"""Rows by PostgreSQL's COPY, from connection to connection or file, block by block: no more is in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from raccord.database import postgres

BINARY = "format binary"
BLOCK = 1 << 17  # bytes that are passed on at once: PostgreSQL itself gives row by row


def given(
    db: postgres.Connection, query: str, form: str, counted: Callable[[int], object] = int
) -> Iterator[bytes]:
    """The rows of a query, gathered into blocks.

    Args:
        form: options of COPY, such as `BINARY`; "" for its text.
        counted: is told how many rows there were, in the end.
    """
    with db.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout{_options(form)}".encode()):
        while True:
            block, result = db.wait(_block(db.pgconn))
            if block:
                yield block
            if result is not None:
                counted(result.command_tuples or 0)
                return


def out(db: postgres.Connection, query: str, binary: bool, take: Callable[[bytes], object]) -> int:
    """Gives the rows of a query to whoever takes them; returns how many there were."""
    count: list[int] = []
    for block in given(db, query, BINARY if binary else "", count.append):
        take(block)
    return count[0]


def _block(raw: Any) -> Generator[Any, Any, tuple[bytes, Any]]:
    """Rows of a COPY, gathered; at its end with what it came to.

    psycopg gives row by row, each of which costs more than many rows gathered here.
    """
    from psycopg import errors, pq
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
            break
    else:
        return b"".join(parts), None
    last = None
    while True:
        while raw.is_busy():
            while not (yield Wait.R):
                pass
            raw.consume_input()
        result = raw.get_result()
        if result is None:
            break
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)
        last = result
    return b"".join(parts), last


def fed(
    db: postgres.Connection,
    goal: str,
    form: str,
    feed: Callable[[Callable[[bytes], object]], object],
    *,
    frozen: bool = False,
) -> int:
    """Puts rows into a table; returns how many there were.

    Args:
        goal: the table and its columns, as SQL.
        form: options of COPY, such as `BINARY`; "" for its text.
        feed: gives the rows, block by block.
        frozen: whether older snapshots see them too, once they are committed: of a table that was made in
            this subtransaction, which those would take for empty otherwise.
    """
    with db.cursor() as cursor:
        with cursor.copy(f"copy {goal} from stdin{_options(form, 'freeze' * frozen)}".encode()) as rows:
            feed(rows.write)
        return cursor.rowcount


def _options(*words: str) -> str:
    said = ", ".join(filter(None, words))
    return f" ({said})" if said else ""


def into(
    db: postgres.Connection, goal: str, binary: bool, blocks: Iterable[bytes], *, frozen: bool = False
) -> int:
    """Puts rows into a table; returns how many there were. See `fed`."""

    def feed(take: Callable[[bytes], object]) -> None:
        for block in blocks:
            take(block)

    return fed(db, goal, BINARY if binary else "", feed, frozen=frozen)


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
    return fed(two, goal, form, lambda take: out(one, query, binary, take), frozen=frozen)
