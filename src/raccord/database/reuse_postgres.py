"""Connections that wait for their next use: a run that looks, pushes and looks again makes each only once.

Whatever uses one sets what it needs for a transaction alone, since behind a pooler the session is somebody
else's next; so one session is as good as another. One that holds a lock, or anything else, is never kept.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_guard = threading.Lock()
_runs = 0  # how many of them keep connections
_free: dict[tuple[tuple[str, str], ...], list[Connection]] = {}


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Within the block connections that were given back wait; afterwards they are closed."""
    global _runs
    with _guard:
        _runs += 1
    try:
        yield
    finally:
        with _guard:
            _runs -= 1
            left = [] if _runs else [db for found in _free.values() for db in found]
            if left:
                _free.clear()
        for db in left:
            db.close()


@contextlib.contextmanager
def lent(given: Mapping[str, str], connect: Callable[[], Connection], *, keeps: bool) -> Iterator[Connection]:
    """A connection: one that waits and still answers, or a new one.

    Args:
        given: the keywords that it is made with.
        connect: makes one.
        keeps: whether another use may have it afterwards, where nothing failed; else it is closed.
    """
    db = (_taken(given) if keeps else None) or connect()
    waits = False
    try:
        yield db
        waits = keeps and _given_back(given, db)
    finally:
        if not waits:
            db.close()


def _taken(given: Mapping[str, str]) -> Connection | None:
    from psycopg import Error

    while True:
        with _guard:
            found = _free.get(_key(given), [])
            if not found:
                return None
            db = found.pop()
        try:
            db.execute("select")
        except Error:
            db.close()  # nobody relied on it
        else:
            return db


def _given_back(given: Mapping[str, str], db: Connection) -> bool:
    from psycopg import pq

    if db.closed or db.info.transaction_status != pq.TransactionStatus.IDLE:
        return False
    db.isolation_level = db.read_only = None
    with _guard:
        if _runs:
            _free.setdefault(_key(given), []).append(db)
        return bool(_runs)


def _key(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(given.items()))
