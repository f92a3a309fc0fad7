"""Leases of all machines of a project, in a hub: granted one after the other, by the hub's clock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from raccord.database import postgres
from raccord.errors import Leased, LeaseLost
from raccord.model.leases import Claim, Lease, in_the_way, lost, mine, refusal

_ALL = """
select pattern, owner, machine, place, token, extract(epoch from ends - clock_timestamp())::float8
from raccord.leases where project = %s and ends > clock_timestamp() order by token
"""
_PROLONG = """
update raccord.leases set ends = clock_timestamp() + make_interval(secs => %s)
where token = %s and project = %s and pattern = %s and owner = %s and machine = %s and place = %s
and ends > clock_timestamp() returning token
"""
_GRANT = """
insert into raccord.leases (project, pattern, owner, machine, place, ends)
values (%s, %s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s)) returning token
"""
_RELEASE = """
delete from raccord.leases where project = %s and pattern = %s and owner = %s and machine = %s and place = %s
and ends > clock_timestamp()
"""


@dataclass(frozen=True)
class HubLeases:
    """See `raccord.model.leases.Leases`; the clock is the hub's."""

    _db: postgres.Connection
    _project: str

    def claim(self, claim: Claim, seconds: float) -> Lease:
        """Grants a claim for a while; one that is held already goes on, with its token."""
        with self._alone():
            self._db.execute(
                "delete from raccord.leases where project = %s and ends <= clock_timestamp()", [self._project]
            )
            held = self.leases()
            if others := in_the_way(claim, held):
                raise Leased(refusal(claim, others), hint="raccord lease list")
            own = mine(claim, held)
            if own is not None and self._prolonged(claim, own.token, seconds):
                return Lease(claim, own.token, seconds)
            row = self._db.execute(_GRANT, [*self._said(claim), seconds]).fetchone()
            assert row is not None
            return Lease(claim, row[0], seconds)

    def renew(self, claim: Claim, token: int, seconds: float) -> Lease:
        """Prolongs a lease."""
        if not self._prolonged(claim, token, seconds):
            raise LeaseLost(lost(token, self.leases()), hint="raccord lease list")
        return Lease(claim, token, seconds)

    def release(self, claim: Claim) -> bool:
        """Ends a lease; whether there was one."""
        return self._db.execute(_RELEASE, self._said(claim)).rowcount > 0

    def leases(self) -> list[Lease]:
        """All that hold, the oldest first."""
        rows = self._db.execute(_ALL, [self._project]).fetchall()
        return [
            Lease(Claim(pattern, owner, machine, place), token, left)
            for pattern, owner, machine, place, token, left in rows
        ]

    def _prolonged(self, claim: Claim, token: int, seconds: float) -> bool:
        return self._db.execute(_PROLONG, [seconds, token, *self._said(claim)]).rowcount > 0

    def _said(self, claim: Claim) -> list[str]:
        return [self._project, claim.pattern, claim.owner, claim.machine, claim.place]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """A transaction that grants alone. Who vanishes in the middle of one is not waited for long."""
        with self._db.transaction():
            self._db.execute("set local idle_in_transaction_session_timeout = '5s'")
            self._db.execute(
                "select pg_advisory_xact_lock(hashtextextended('raccord lease ' || %s, 0))", [self._project]
            )
            yield
