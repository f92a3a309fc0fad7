"""Rows by PostgreSQL's COPY, from connection to connection or file, block by block: no more is in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from raccord.database import postgres

BINARY = " (format binary)"
BLOCK = 1 << 17  # bytes that are passed on at once: PostgreSQL itself gives row by row


def out(db: postgres.Connection, query: str, binary: bool, take: Callable[[bytes], object]) -> int:
    """Gives the rows of a query to whoever takes them; returns how many there were."""
    with db.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout{BINARY if binary else ''}".encode()):
        while True:
            block, result = db.wait(_block(db.pgconn))
            if block:
                take(block)
            if result is not None:
                return result.command_tuples or 0


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


def _from(goal: str, binary: bool, frozen: bool) -> bytes:
    options = ", ".join(["format binary"] * binary + ["freeze"] * frozen)
    return f"copy {goal} from stdin{f' ({options})' if options else ''}".encode()


def into(
    db: postgres.Connection, goal: str, binary: bool, blocks: Iterable[bytes], *, frozen: bool = False
) -> int:
    """Puts rows into a table; returns how many there were.

    Args:
        goal: the table and its columns, as SQL.
        frozen: whether older snapshots see them too, once they are committed: of a table that was made in
            this subtransaction, which those would take for empty otherwise.
    """
    with db.cursor() as cursor:
        with cursor.copy(_from(goal, binary, frozen)) as rows:
            for block in blocks:
                rows.write(block)
        return cursor.rowcount


def across(
    one: postgres.Connection, query: str, two: postgres.Connection, goal: str, *, binary: bool,
    frozen: bool = False,
) -> int:  # fmt: skip
    """Puts the rows of a query on one server into a table of another; returns how many there were.

    Args:
        frozen: see `into`.
    """
    with two.cursor() as cursor:
        with cursor.copy(_from(goal, binary, frozen)) as rows:
            out(one, query, binary, rows.write)
        return cursor.rowcount
