"""Rows that come from a file into PostgreSQL: compared with a target, and brought into it as a push is.

They are loaded into temporary tables of the session that compares or writes; these vanish with its
transaction. A table that is equal, or that is filled straight, is not loaded at all. See `loads`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from raccord.data import observe, outline, places, push
from raccord.data.blocks import summed
from raccord.data.closure import astray, received
from raccord.data.compare import difference, digest
from raccord.data.container import ANOTHER
from raccord.data.difference import Difference
from raccord.data.job import Job, alone
from raccord.data.loads import UNUSED, Load, Loads, Source, Take, There
from raccord.data.loads import seen as met
from raccord.data.origin import Origin
from raccord.data.outline import Outline
from raccord.data.pace import Pace
from raccord.data.pairs import Pair
from raccord.data.plan import Decision
from raccord.data.rows_told import telling_rows
from raccord.data.scope import relation, scope
from raccord.data.sealing import Damaged
from raccord.data.seen import Seen
from raccord.data.spec import Spec
from raccord.data.stage import run
from raccord.data.transaction import transaction, trying
from raccord.database import postgres, pump, tables_postgres
from raccord.database.tables import Name, identifier
from raccord.database.url import Target
from raccord.model.plan import Finding


def there(db: postgres.Connection) -> There:
    """What a database is asked for."""
    return There(lambda: tables_postgres.listed(db), lambda names: observe.named_tables(db, names))


def seen(db: postgres.Connection, loads: Loads, spec: Spec) -> Seen:
    """What both the files and the target have of a set; the keys of rows that came by closure are loaded."""
    log = places.written(db)
    found = met(
        there(db), loads, spec,
        lambda as_, ours, theirs, refused: observe.met(db, as_, ours, theirs, UNUSED, refused),
    )  # fmt: skip
    for pair in found.tables:
        load = loads[pair.id]
        came = None if found.refused else load.came
        if came is not None and received(db, pair, load.form, came.feed) != came.rows:
            raise _other(pair)
    return replace(found, log=log)


@dataclass(slots=True)
class Landing:
    """Where rows of files are loaded, as far as it takes."""

    db: postgres.Connection
    loads: Loads
    say: Callable[[str], object]
    _landed: set[Name] = field(default_factory=set)

    def compare(self, pair: Pair, estimate: bool) -> Difference:
        """How a table differs; what the file says of its rows is enough where they are equal, or one side has
        none."""
        load = self.loads[pair.id]
        if load.digest is not None and _as_told(load, pair):
            ours = load.digest
            told = self._told(load, pair) if estimate else None
            sums = None if told is None else summed(self.db, pair, told.blocks, source=False)
            theirs = digest(self.db, pair) if sums is None else sums.digest
            if theirs == ours:
                return Difference(pair, theirs, theirs)
            gone = Difference(pair, ours, theirs, ours.rows, 0, theirs.rows, None, None)
            if not theirs.rows or not ours.rows:
                return gone
            if told is not None and sums is not None:
                share = outline.share(self.db, pair, told, sums)
                if share is not None:
                    return replace(gone, share=share)
        self.ready(pair)
        return difference(self.db, self.db, pair, estimate=estimate)

    def _told(self, load: Load, pair: Pair) -> Outline | None:
        """What is told of its blocks, where it can be relied on for a plan."""
        told = load.outline()
        if told is None or told.sums.digest != load.digest or not outline.fits(self.db, pair, told):
            return None
        return told

    def ready(self, pair: Pair) -> None:
        """Loads the rows of a table, once.

        Raises:
            Damaged: they are not those that the file says.
        """
        if pair.id in self._landed:
            return
        load = self.loads[pair.id]
        listed, place = ", ".join(map(identifier, load.columns)), identifier(*pair.source.id)
        run(
            self.db,
            f"create temp table {identifier(pair.source.name)} on commit drop as"
            f" select {listed} from {relation(pair)} with no data",
        )
        self._fed(load, pair, f"{place} ({listed})")
        if pair.key:
            with telling_rows(pair, load.file, keys=True):
                # A file may hold what no table with this key would.
                filled = ", ".join(f"alter {identifier(name)} set not null" for name in pair.key)
                run(self.db, f"alter table {place} {filled}")
                run(self.db, f"create unique index on {place} ({', '.join(map(identifier, pair.key))})")
        run(self.db, f"analyze {place}")
        sums = load.digest if _as_told(load, pair) else None
        if sums is not None and digest(self.db, pair, source=True) != sums:
            raise _other(pair)
        if pair.closure and astray(self.db, pair, place):
            raise _other(pair)
        self._landed.add(pair.id)

    def pour(self, pair: Pair, goal: str, new: bool) -> int:
        """Copies all rows straight to where SQL says; returns how many.

        Args:
            new: whether that is a table that was made just now; then the rows are `pair.copied`.
        """
        load = self.loads[pair.id]
        if pair.copied:
            return self._fed(load, pair, goal, frozen=new)
        self.ready(pair)
        listed = ", ".join(f"r.{identifier(name)}" for name in pair.columns)
        query = f"select {listed} from {scope(pair, source=True)} r"
        return pump.across(self.db, query, self.db, goal, binary=pair.binary)

    def _fed(self, load: Load, pair: Pair, goal: str, *, frozen: bool = False) -> int:
        pace = Pace(self.say, f"loading {pair.shown}", load.rows, load.size)

        def feed(take: Take) -> None:
            def counted(block: bytes) -> None:
                take(block)
                pace.add(len(block))

            load.feed(counted)

        with telling_rows(pair, load.file):
            count = pump.fed(self.db, goal, load.form, feed, frozen=frozen)
        if load.rows >= 0 and count != load.rows:
            raise _other(pair)
        return count


def _as_told(load: Load, pair: Pair) -> bool:
    """Whether what the file says that its rows come to is said of what travels."""
    return pair.columns == load.columns and load.keyed == bool(pair.key)


def _other(pair: Pair) -> Damaged:
    return Damaged(
        f"the rows of {pair.shown} are not those that the archive says; nothing was changed",
        hint=ANOTHER,
    )


@dataclass(frozen=True, slots=True)
class Arriving:
    """See `kinds.Arriving`."""

    db: postgres.Connection
    spec: Spec
    seen: Seen
    landing: Landing

    def decided(self) -> tuple[list[Difference], list[Decision]]:
        """How the tables differ, and what an import does with each."""
        return observe.compared(self.db, self.spec, self.seen, self.landing.compare)

    def referred(self, differs: Iterable[Difference]) -> list[Finding]:
        """Rows outside the set that refer to rows that would go."""
        return observe.referred(self.db, self.spec, self.seen, differs)


@contextlib.contextmanager
def arriving(target: Target, spec: Spec, source: Source, say: Callable[[str], object]) -> Iterator[Arriving]:
    """See `kinds.Kind`."""
    with trying(target, spec) as db:
        loads = source.loads(there(db), spec)
        yield Arriving(db, spec, seen(db, loads, spec), Landing(db, loads, say))


def bring(job: Job, source: Source, target: Target) -> None:
    """Brings rows of files into a set; afterwards the archive of what was overwritten says what was done, and
    the server whether. See `push.push`.

    Raises:
        WorldMoved, HeldBack, DatabaseBusy: see there.
        Damaged: the files are not what they were; nothing was changed.
    """
    with (
        alone(job, target) as held,
        transaction(target, job.spec, job.expected, job.cancelled) as db,
    ):
        loads = source.loads(there(db), job.spec)
        landing = Landing(db, loads, job.say)
        origin = Origin(db, landing.pour, landing.ready)
        push.carry(job, origin, db, target, seen(db, loads, job.spec), held)
