"""Rows by PostgreSQL's COPY, from connection to connection or file, block by block: no more is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raccord.database import postgres

BINARY = " (format binary)"


def out(db: postgres.Connection, query: str, binary: bool, take: Callable[[bytes], object]) -> int:
    """Gives the rows of a query to whoever takes them; returns how many there were."""
    with db.cursor() as cursor:
        with cursor.copy(f"copy ({query}) to stdout{BINARY if binary else ''}".encode()) as rows:
            for block in rows:
                take(bytes(block))
        return cursor.rowcount


def into(db: postgres.Connection, goal: str, binary: bool, blocks: Iterable[bytes]) -> int:
    """Puts rows into a table; returns how many there were.

    Args:
        goal: the table and its columns, as SQL.
    """
    with db.cursor() as cursor:
        with cursor.copy(f"copy {goal} from stdin{BINARY if binary else ''}".encode()) as rows:
            for block in blocks:
                rows.write(block)
        return cursor.rowcount


def across(one: postgres.Connection, query: str, two: postgres.Connection, goal: str, *, binary: bool) -> int:
    """Puts the rows of a query on one server into a table of another; returns how many there were."""
    with two.cursor() as cursor:
        with cursor.copy(f"copy {goal} from stdin{BINARY if binary else ''}".encode()) as rows:
            out(one, query, binary, rows.write)
        return cursor.rowcount
