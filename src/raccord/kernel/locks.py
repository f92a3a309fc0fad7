"""Locks by resource, kept in the store: all of a set at once, with a live owner and a fencing token.

A set is taken whole in one transaction or not at all, so two takers can't deadlock. A lock whose owner
is dead is taken over under a higher token; whoever held it before fails its next `check`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping

from raccord.errors import LockTimeout, WorldMoved
from raccord.kernel.owner import Owner, me
from raccord.kernel.store import Store

POLL_SECONDS = 0.05


class Locks:
    """The locks that one run holds.

    Args:
        store: where they are kept.
        run: the holder's name, shown to those who wait.
    """

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._owner = me()
        self._tokens: dict[str, int] = {}

    def take(
        self,
        resources: Iterable[str],
        *,
        wait: float,
        waiting: Callable[[str, str], None] = lambda resource, holder: None,
        seen: Mapping[str, int] | None = None,
    ) -> bool:
        """Locks all of them, in sorted order, in one transaction.

        Args:
            resources: their names; those already held by this run are kept.
            wait: seconds to wait for live owners.
            waiting: called once for a lock that has to be waited for, with the holder's run.
            seen: what `tokens` said before the world was observed.

        Returns:
            Whether somebody else held one of them since then, or while it waited: the world may be another
            than the one planned on.

        Raises:
            LockTimeout: a live owner kept one of them for longer than `wait`.
        """
        wanted = sorted(set(resources) - self._tokens.keys())
        until = time.monotonic() + wait
        waited = False
        while True:
            blocked = self._try(wanted)
            if blocked is None:
                # Each taking adds one to a token; one more than ours means that somebody was there.
                return waited or any(
                    self._tokens[name] != seen.get(name, 0) + 1 for name in wanted if seen is not None
                )
            if not waited:
                waited = True
                waiting(*blocked)
            if time.monotonic() > until:
                resource, holder = blocked
                raise LockTimeout(
                    f"{resource} has been locked by run {holder} for over {wait:g} s",
                    hint=f"raccord show {holder}",
                    resource=resource,
                    run=holder,
                )
            time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))

    def _try(self, wanted: list[str]) -> tuple[str, str] | None:
        taken = {}
        with self._store.transaction() as db:
            for resource in wanted:
                row = db.execute("select run, owner from locks where resource = ?", (resource,)).fetchone()
                if row and row[1] != str(self._owner) and Owner.parse(row[1]).alive():
                    return resource, row[0]
                if row and row[1] == str(self._owner) and row[0] != self._run:
                    return resource, row[0]
            for resource in wanted:
                db.execute(
                    "insert into tokens values (?, 1) on conflict do update set token = token + 1",
                    (resource,),
                )
                token = db.execute("select token from tokens where resource = ?", (resource,)).fetchone()[0]
                db.execute(
                    "insert or replace into locks values (?, ?, ?, ?, ?)",
                    (resource, self._run, str(self._owner), token, time.time()),
                )
                taken[resource] = token
        self._tokens.update(taken)
        return None

    def check(self, resources: Iterable[str]) -> None:
        """Makes sure that this run still holds them.

        Raises:
            WorldMoved: one was taken over.
        """
        for resource in resources:
            row = self._store.rows("select token from locks where resource = ?", (resource,))
            if resource not in self._tokens or not row or row[0][0] != self._tokens[resource]:
                raise WorldMoved(f"the lock on {resource} was taken over by another run")

    def release(self, resources: Iterable[str] | None = None) -> None:
        """Gives back some of the locks held, or all."""
        names = list(self._tokens if resources is None else self._tokens.keys() & set(resources))
        if not names:
            return
        with self._store.transaction() as db:
            db.executemany(
                "delete from locks where resource = ? and token = ?",
                [(name, self._tokens[name]) for name in names],
            )
        for name in names:
            del self._tokens[name]


def tokens(store: Store) -> dict[str, int]:
    """How often each resource has been locked so far."""
    return {resource: token for resource, token in store.rows("select resource, token from tokens")}


def living(store: Store) -> list[tuple[str, str]]:
    """The locks whose owners live: resource and run."""
    return [
        (resource, run)
        for resource, run, owner in store.rows("select resource, run, owner from locks order by resource")
        if Owner.parse(owner).alive()
    ]
