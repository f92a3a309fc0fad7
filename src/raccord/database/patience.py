"""Asks PostgreSQL for several locks in short attempts, each of which is given up whole.

Who waits for one of them while we wait for another does so for less time than the server takes to call that a
deadlock, for which it would end somebody's transaction: perhaps an application's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from raccord.database import postgres


def take(
    db: postgres.Connection,
    statements: Sequence[str],
    *,
    seconds: float,
    ask: float,
    pause: float,
    patient: bool = False,
) -> None:
    """Takes locks, within a transaction.

    Args:
        statements: each takes some.
        seconds: to go on asking.
        ask: seconds that an attempt may wait, in all.
        pause: seconds between two attempts, in which none of them is held.
        patient: whether the first lock of an attempt may be waited for as long as it takes, while none is
            held; then it is the one that the last attempt didn't get.

    Raises:
        psycopg.errors.LockNotAvailable: others kept one for all that time.
    """
    errors = postgres.driver().errors
    row = db.execute("select current_setting('lock_timeout')").fetchone()
    assert row is not None
    until, left, at = time.monotonic() + seconds, list(statements), 0
    while True:
        try:
            with db.transaction():
                end = until if patient else time.monotonic() + ask
                for at, statement in enumerate(left):
                    if patient and at == 1:
                        end = time.monotonic() + ask
                    # 0 would be no limit; without others to wait for none applies.
                    wait = max(1, int((end - time.monotonic()) * 1000))
                    db.execute(f"set local lock_timeout to {wait}; {statement}".encode())
                db.execute("select set_config('lock_timeout', %s, true)", [row[0]])
            return
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if time.monotonic() >= until:
                raise
        left.insert(0, left.pop(at))
        time.sleep(pause)
