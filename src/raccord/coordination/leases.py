"""Leases of one machine, in the state database: for clones that have no hub."""

from __future__ import annotations

import json
import time

from raccord.errors import Leased, LeaseLost
from raccord.kernel.store import Connection, Store, dumps
from raccord.model.leases import Claim, Lease, in_the_way, lost, mine, refusal

_ALL = "select pattern, owner, machine, place, token, ends from leases where ends > ? order by token"


class LocalLeases:
    """See `raccord.model.leases.Leases`; the clock is this machine's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, claim: Claim, seconds: float) -> Lease:
        """Grants a claim for a while; one that is held already goes on, with its token."""
        with self._store.transaction() as db:
            now = time.time()
            db.execute("delete from leases where ends <= ?", (now,))
            held = _held(db, now)
            if others := in_the_way(claim, held):
                raise Leased(refusal(claim, others), hint="raccord lease list")
            own = mine(claim, held)
            if own is None:
                said = [*map(dumps, (claim.pattern, claim.owner)), claim.machine, dumps(claim.place)]
                token = db.execute(
                    "insert into leases (pattern, owner, machine, place, ends) values (?, ?, ?, ?, ?)"
                    " returning token",
                    (*said, now + seconds),
                ).fetchone()[0]
                return Lease(claim, token, seconds)
            db.execute("update leases set ends = ? where token = ?", (now + seconds, own.token))
            return Lease(claim, own.token, seconds)

    def renew(self, claim: Claim, token: int, seconds: float) -> Lease:
        """Prolongs a lease."""
        with self._store.transaction() as db:
            now = time.time()
            held = _held(db, now)
            if Lease(claim, token, 0.0) not in [Lease(one.claim, one.token, 0.0) for one in held]:
                raise LeaseLost(lost(token, held), hint="raccord lease list")
            db.execute("update leases set ends = ? where token = ?", (now + seconds, token))
            return Lease(claim, token, seconds)

    def release(self, claim: Claim) -> bool:
        """Ends a lease; whether there was one."""
        with self._store.transaction() as db:
            own = mine(claim, _held(db, time.time()))
            if own is not None:
                db.execute("delete from leases where token = ?", (own.token,))
            return own is not None

    def leases(self) -> list[Lease]:
        """All that hold, the oldest first."""
        now = time.time()
        return [_lease(row, now) for row in self._store.rows(_ALL, (now,))]


def _held(db: Connection, now: float) -> list[Lease]:
    return [_lease(row, now) for row in db.execute(_ALL, (now,)).fetchall()]


def _lease(row: tuple[str, str, str, str, int, float], now: float) -> Lease:
    pattern, owner, machine, place, token, ends = row
    return Lease(Claim(json.loads(pattern), json.loads(owner), machine, json.loads(place)), token, ends - now)
