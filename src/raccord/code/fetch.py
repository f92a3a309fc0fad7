"""Fetches a remote once for everybody: one that is younger than a few seconds is reused by all.

A fetch is an observation: it writes only remote-tracking refs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from raccord.git.remote import fetch
from raccord.git.repo import Repository
from raccord.kernel.locks import Locks
from raccord.kernel.store import Store

SPACE = "fetch"


def forget(store: Store, remote: str) -> None:
    """Makes the next sync fetch again: what is known of the remote is not what it has."""
    store.cache_put(SPACE, remote, None)


def fetch_once(
    repo: Repository,
    store: Store,
    remote: str,
    *,
    asked: float,
    reuse_seconds: float,
    lock_wait: float,
    waiting: Callable[[str, str], None],
) -> bool:
    """Fetches and prunes a remote, unless somebody just did.

    Args:
        asked: when the person asked, in seconds since the epoch: a fetch that began later is as good.
        reuse_seconds: how old a fetch may be.

    Returns:
        Whether it fetched.

    Raises:
        LockTimeout: another process has been fetching for too long.
        CannotRun: the remote can't be reached.
    """
    locks = Locks(store, f"fetch {remote}")
    locks.take([f"fetch:{remote}"], wait=lock_wait, waiting=waiting)
    try:
        last = store.cache_get(SPACE, remote) or {"began": 0.0, "ended": 0.0}
        now = time.time()
        # A clock that went backwards makes a record from the future; it proves nothing.
        fresh = last["began"] >= asked or now - last["ended"] < reuse_seconds
        if fresh and last["ended"] <= now:
            return False
        began = time.time()
        fetch(repo, remote)
        store.cache_put(SPACE, remote, {"began": began, "ended": time.time()})
        return True
    finally:
        locks.release()
