"""Locks by resource, kept in the store: all of a set at once, with a live owner and a fencing token.

A set is taken whole in one transaction or not at all, so two takers can't deadlock. A lock whose owner
is dead is taken over under a higher token; whoever held it before fails its next `check`.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from raccord.errors import LockTimeout, WorldMoved
from raccord.kernel.owner import Owner, me
from raccord.kernel.store import Connection, Store, dumps
from raccord.model.text import shown

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Blocked:
    resource: str
    run: str
    owner: Owner


class Locks:
    """The locks that one run holds. Safe to share between threads.

    Args:
        store: where they are kept.
        run: the holder's name, shown to those who wait.
    """

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._owner = me(store.folder)
        self._mutex = threading.Lock()
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
        wanted = sorted(set(resources))
        until = time.monotonic() + wait
        waited = False
        while True:
            blocked, taken = self._try(wanted)
            if blocked is None:
                # Each taking adds one to a token; one more than ours means that somebody was there.
                return waited or any(
                    token != seen.get(name, 0) + 1 for name, token in taken.items() if seen is not None
                )
            if not waited:
                waited = True
                waiting(blocked.resource, blocked.run)
            if time.monotonic() >= until:
                raise _timeout(blocked, wait)
            time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads the takers

    def _try(self, wanted: Sequence[str]) -> tuple[_Blocked | None, dict[str, int]]:
        with self._mutex:
            missing = [name for name in wanted if name not in self._tokens]
            if not missing:
                return None, {}
            with self._store.transaction() as db:
                for resource in missing:
                    blocked = self._blocked(db, resource)
                    if blocked is not None:
                        return blocked, {}
                taken = {resource: self._put(db, resource) for resource in missing}
            self._tokens.update(taken)
            return None, taken

    def _blocked(self, db: Connection, resource: str) -> _Blocked | None:
        row = db.execute("select run, owner from locks where resource = ?", (dumps(resource),)).fetchone()
        if row is None:
            return None
        # This process lives too: what it holds under no token of ours, another run of it holds.
        owner = Owner.parse(row[1], self._store.folder)
        return _Blocked(resource, row[0], owner) if owner.alive() else None

    def _put(self, db: Connection, resource: str) -> int:
        name = dumps(resource)
        token: int = db.execute(
            "insert into tokens values (?, 1) on conflict do update set token = token + 1 returning token",
            (name,),
        ).fetchone()[0]
        db.execute(
            "insert or replace into locks values (?, ?, ?, ?, ?)",
            (name, self._run, str(self._owner), token, time.time()),
        )
        return token

    @property
    def held(self) -> frozenset[str]:
        """The resources that this run holds."""
        with self._mutex:
            return frozenset(self._tokens)

    def check(self, resources: Iterable[str]) -> None:
        """Makes sure that this run still holds them.

        Raises:
            WorldMoved: one was taken over.
        """
        for resource in resources:
            row = self._store.rows("select token from locks where resource = ?", (dumps(resource),))
            if not row or row[0][0] != self._tokens.get(resource):
                raise WorldMoved(f"the lock on {shown(resource)} was taken over by another run")

    def release(self, resources: Iterable[str] | None = None) -> None:
        """Gives back these locks, or all that are held, and nobody else's."""
        with self._mutex:
            names = list(self._tokens) if resources is None else [n for n in resources if n in self._tokens]
            if names:
                with self._store.transaction() as db:
                    db.executemany(
                        "delete from locks where resource = ? and token = ?",
                        [(dumps(name), self._tokens[name]) for name in names],
                    )
                for name in names:
                    del self._tokens[name]


def _timeout(blocked: _Blocked, wait: float) -> LockTimeout:
    where = " of another container" if blocked.owner.elsewhere else ""
    return LockTimeout(
        f"{shown(blocked.resource)} has been locked for over {wait:g} s by {blocked.run},"
        f" process {blocked.owner.pid}{where}",
        hint=f"raccord show {blocked.run}; the lock is free once that process has ended",
        resource=blocked.resource,
        run=blocked.run,
        pid=blocked.owner.pid,
    )


def tokens(store: Store) -> dict[str, int]:
    """How often each resource has been locked so far; -1 for one that is locked now."""
    both = "select resource, tokens.token, locks.token from tokens left join locks using (resource)"
    return {json.loads(name): count if held is None else -1 for name, count, held in store.rows(both)}


def living(store: Store) -> list[tuple[str, str]]:
    """The locks whose owners live: resource and run."""
    return [
        (json.loads(resource), run)
        for resource, run, owner in store.rows("select resource, run, owner from locks order by resource")
        if Owner.parse(owner, store.folder).alive()
    ]
