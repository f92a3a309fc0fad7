"""`raccord lease`: claims on paths, kept by the hub where one is configured, else by this clone alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from raccord.coordination.exchange import Exchange
from raccord.coordination.leases import LocalLeases
from raccord.errors import UsageError
from raccord.model.coordination import UNKNOWN
from raccord.model.leases import Claim, Lease, Leases, spelled
from raccord.model.report_coordination import LeaseReport
from raccord.model.text import shown
from raccord.verbs.hub import introduced
from raccord.verbs.room import Room


@dataclass(frozen=True)
class LeaseVerbs:
    """What can be claimed, by whom, and until when."""

    _room: Room

    def claim(self, pattern: str, owner: str, minutes: float, token: int = 0) -> LeaseReport:
        """Claims paths for a while, or goes on with what this worktree holds already.

        Args:
            token: goes on only with the lease that has this one; 0 for any.

        Raises:
            Leased: another's lease is in the way.
            LeaseLost: the lease with the token ended.
            DatabaseError: the hub can't be asked, so nothing is granted.
        """
        with self._kept() as (leases, machine, names):
            asked, seconds = self._claim(pattern, owner, machine), minutes * 60
            lease = leases.renew(asked, token, seconds) if token else leases.claim(asked, seconds)
            return _report(lease, self._room.asked, names)

    def release(self, pattern: str, owner: str) -> None:
        """Gives paths free.

        Raises:
            UsageError: this worktree holds no such lease.
        """
        with self._kept() as (leases, machine, _):
            if not leases.release(self._claim(pattern, owner, machine)):
                raise UsageError(
                    f"{shown(owner)} holds no lease on {shown(pattern)} in this worktree",
                    hint="raccord lease list",
                )

    def listing(self) -> tuple[LeaseReport, ...]:
        """Every lease that holds now, the oldest first."""
        with self._kept() as (leases, _, names):
            return tuple(_report(one, self._room.asked, names) for one in leases.leases())

    def _claim(self, pattern: str, owner: str, machine: str) -> Claim:
        top = self._room.repo.top
        # Else a path of the whole machine would be taken for one below the top.
        inside = os.path.relpath(pattern, top) if top is not None and os.path.isabs(pattern) else pattern
        made = "" if os.path.isabs(inside) else spelled(inside)
        if not made:
            raise UsageError(
                f"{shown(pattern[:80]) or 'an empty pattern'} names no paths of this project",
                hint="raccord lease claim 'src/api/**'",
            )
        return Claim(made, shown(owner) or UNKNOWN, machine, shown(str(top or "")))

    @contextlib.contextmanager
    def _kept(self) -> Iterator[tuple[Leases, str, dict[str, str]]]:
        """What keeps the leases, the id of this machine there, and the names of all machines."""
        this = introduced(self._room)
        if this is None:
            yield LocalLeases(self._room.store), "", {}
            return
        machine = this.machine(Exchange(self._room.store).join(this.project))
        with this.open() as hub:
            names = {one.id: one.name for one in hub.greet(machine)}
            yield hub.leases, machine.id, names | {machine.id: ""}


def _report(one: Lease, now: float, names: dict[str, str]) -> LeaseReport:
    claim = one.claim
    machine = names.get(claim.machine, claim.machine)
    return LeaseReport(claim.pattern, claim.owner, machine, claim.place, one.token, now + one.left)
