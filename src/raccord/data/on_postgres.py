"""Sets of rows in PostgreSQL, as `kinds.Kind` asks for them. Only joins what the other modules do."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from raccord.data import arrival, back, leaving_postgres, observe, push, restore, samples, transaction
from raccord.data.difference import Cells, Difference, Key
from raccord.data.fit import unfit
from raccord.data.job import Job, Moved
from raccord.data.kept import KEYLESS, Kept
from raccord.data.loads import Source
from raccord.data.masks import Salt
from raccord.data.plan import Decision
from raccord.data.seen import Seen
from raccord.data.spec import Spec
from raccord.data.transaction import Number
from raccord.data.without import Without
from raccord.database import postgres
from raccord.database.tables import Name
from raccord.database.url import Target
from raccord.errors import WorldMoved
from raccord.model.handler import Position
from raccord.model.plan import Finding, Json

_POSITIONS = {transaction.COMMITTED: Position.AFTER, transaction.ABORTED: Position.BEFORE}


@dataclass(frozen=True, slots=True)
class _Look:
    one: postgres.Connection
    two: postgres.Connection
    spec: Spec
    seen: Seen

    def differences(self, samples: int = 0) -> list[Difference]:
        return observe.differences(self.one, self.two, self.seen.tables, samples=samples)

    def differing(self, each: Difference) -> Iterator[tuple[Key, Cells]]:
        return samples.differing(self.one, self.two, each.pair, each.differing)

    def decided(self) -> tuple[list[Difference], list[Decision]]:
        return observe.decided(self.one, self.two, self.spec, self.seen)

    def referred(self, differs: Iterable[Difference]) -> list[Finding]:
        return observe.referred(self.two, self.spec, self.seen, differs)


@contextlib.contextmanager
def looked(source: Target, target: Target, spec: Spec, salt: Salt) -> Iterator[_Look]:
    """See `Kind`, here and below."""
    with observe.ends(source, target, spec) as (one, two):
        seen = observe.seen(one, two, spec, salt)
        against = () if seen.refused else unfit(one, two, seen.tables)
        yield _Look(one, two, spec, replace(seen, refused=(*seen.refused, *against)))


def counted(target: Target, spec: Spec) -> dict[str, int]:
    """How many rows an environment has."""
    return observe.counted(target, spec)


def unreferred(target: Target, spec: Spec, wanted: Mapping[str, str]) -> list[Without]:
    """Counts rows that nothing refers to."""
    return observe.unreferred(target, spec, wanted)


def carry_out(job: Job, source: Target, target: Target) -> None:
    """Pushes."""
    push.push(job, source, target)


leaving = leaving_postgres.leaving
arriving = arrival.arriving


def bring(job: Job, source: Source, target: Target) -> None:
    """Imports."""
    arrival.bring(job, source, target)


def take_back(job: Job, target: Target, archive: str) -> None:
    """Takes a push back."""
    back.take_back(job, target, archive)


def kept(job: Job, target: Target, archive: str, also: Collection[Name]) -> Kept:
    """What would come back."""
    return restore.kept(job, target, archive, also)


def put_back(job: Job, target: Target, archive: str) -> None:
    """Puts it back."""
    restore.put_back(job, target, archive)


def moved(job: Job, target: Target, archive: str) -> list[Moved]:
    """What others changed since."""
    return back.moved(target, job, archive)


def position(job: Job, target: Target, document: Mapping[str, Json]) -> Position:
    """Asks the server about the transaction that the archive names; where it can't know, asks the rows."""
    found = transaction.status(target, Number.parse(document))
    if found == transaction.NEVER:
        return _stands(job, target)
    return _POSITIONS.get(found, Position.UNKNOWN)


def _stands(job: Job, target: Target) -> Position:
    """What the rows say that a push touched: all as it left them, or all as they were."""
    try:
        if not back.moved(target, job, job.id):
            return Position.AFTER
        found = restore.kept(job, target, job.id, ())
    except WorldMoved:
        return Position.NEITHER  # other columns
    if not all(one.equal for one in found.found) or any(one.name == KEYLESS for one in found.refused):
        return Position.NEITHER
    return Position.UNKNOWN if found.refused else Position.BEFORE


def analyze(target: Target, names: Iterable[Name]) -> None:
    """Has statistics gathered."""
    transaction.analyze(target, names)
