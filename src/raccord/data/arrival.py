"""Rows that come from a file instead of a server: compared with a target, and brought into it as a push is.

They are loaded into temporary tables of the session that compares or writes; these vanish with its
transaction. A table that is equal, or that is filled straight, is not loaded at all. Nothing that a file says
becomes SQL: its names meet the target's own, and its conditions have to be those of the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from raccord.data import observe, outline, push
from raccord.data.blocks import summed
from raccord.data.compare import difference, digest
from raccord.data.container import ANOTHER
from raccord.data.difference import Difference, Digest
from raccord.data.job import Job, alone
from raccord.data.masks import Salt
from raccord.data.origin import Origin
from raccord.data.outline import Outline
from raccord.data.pace import Pace
from raccord.data.pairs import Pair, condition, drift, missing
from raccord.data.rows_told import telling_rows
from raccord.data.scope import relation, scope
from raccord.data.sealing import Damaged
from raccord.data.seen import Seen, chosen
from raccord.data.spec import Spec, conditioned
from raccord.data.stage import run
from raccord.data.transaction import transaction
from raccord.database import postgres, pump, tables_postgres
from raccord.database.tables import Name, Table, identifier, label
from raccord.database.url import Target
from raccord.model.language import sentence
from raccord.model.masks import NONE, Mask
from raccord.model.plan import Finding
from raccord.model.text import shown

Take = Callable[[bytes], object]
UNUSED = Salt("", "")  # what is in files was masked before


@dataclass(frozen=True, slots=True)
class Load:
    """The rows of one table.

    Attributes:
        table: as the compare sees its columns and keys.
        columns: those that the rows have, in order.
        kept: those that stayed behind where the rows come from.
        form: options of COPY for the rows.
        feed: gives them.
        rows: how many, -1 where nobody knows.
        size: in bytes, 0 where nobody knows.
        digest: what they come to; None where nobody knows.
        keyed: whether a key told them apart.
        where: what tells the condition that they were chosen by, "" where they are all; None where nobody
            knows.
        masked: columns whose values were sent in place of others.
        outline: gives what is told of its blocks, if anything is.
        file: the text file that the rows are in, "" where they are in none.
    """

    table: Table
    columns: tuple[str, ...]
    form: str
    feed: Callable[[Take], object]
    kept: tuple[str, ...] = ()
    rows: int = -1
    size: int = 0
    digest: Digest | None = None
    keyed: bool = True
    where: str | None = None
    masked: tuple[str, ...] = ()
    outline: Callable[[], Outline | None] = lambda: None
    file: str = ""


Loads = Mapping[Name, Load]


class Source(Protocol):
    """Rows that wait in files."""

    def loads(self, db: postgres.Connection, spec: Spec) -> Loads:
        """What there is, for the target that `db` leads to.

        Raises:
            RaccordError: it can't be used.
        """


def seen(db: postgres.Connection, loads: Loads, spec: Spec) -> Seen:
    """What both the files and the target have of a set."""
    there = {name: near for _, name, _, _, near in tables_postgres.listed(db)}
    listed = [
        (at, name, load.table.kind, False, there.get(name, name[0] == "public"))
        for at, (name, load) in enumerate(loads.items())
    ]
    numbers, refused = chosen(spec, spec.origin, listed)
    known = [listed[at][1] for at in numbers]
    for name in loads.keys() - {*known}:
        said = f"{spec.origin} holds {label(name)}, which the set {spec.name} doesn't name"
        refused.append(Finding("data.archive", "fail", said, f"correct tables in [data.{spec.name}]"))
    left = [_literally(*name, column) for name, load in loads.items() for column in load.kept]
    # What was masked is no secret any more.
    open_ = {_literally(*name, column): Mask(NONE).shown for name in known for column in loads[name].masked}
    found = observe.met(
        db,
        replace(spec, exclude=(*spec.exclude, *left), mask=open_),
        {name: loads[name].table for name in known},
        observe.named_tables(db, known),
        UNUSED,
        refused,
    )
    against = [_drift_of_files(spec, one) for one in found.refused]
    notes = [one for one in found.notes if one.name != "data.mask"]
    came = []
    for at, pair in enumerate(found.tables):
        load = loads[pair.id]
        against += _drifted(spec, load, pair)
        came.append(_brought(load, pair, at))
        if load.masked:
            said = f"{pair.shown}: {', '.join(map(shown, load.masked))} were masked where the rows come from"
            notes.append(Finding("data.masked", "note", said))
    return replace(found, tables=tuple(came), refused=tuple(against), notes=tuple(notes))


def _drift_of_files(spec: Spec, one: Finding) -> Finding:
    """The same; migrations help the environment alone, and files stay as they were written."""
    if one.name != "data.drift":
        return one
    rest = f"where they are older than {spec.goal}, export the rows again"
    return replace(one, hint=f"raccord migrations upgrade, where {spec.goal} is older than the files; {rest}")


def _literally(*names: str) -> str:
    """A pattern that means one column alone."""
    return ".".join("".join(f"[{one}]" if one in "*?[" else one for one in name) for name in names)


def _drifted(spec: Spec, load: Load, pair: Pair) -> list[Finding]:
    found = [
        _drift_of_files(spec, drift(missing(pair.shown, name, spec.origin)))
        for name in pair.columns
        if name not in load.columns
    ]
    if load.where is not None and load.where != conditioned(condition(spec, pair.target)):
        chose = "another condition chose" if load.where else "no condition chose"
        said = f"{spec.origin} holds rows of {pair.shown} that {chose}"
        hint = f"set where in [data.{spec.name}] to what it was there"
        found.append(Finding("data.where", "fail", said, hint))
    for name in load.columns if load.form == pump.BINARY else ():
        mine, theirs = load.table.column(name), pair.target.column(name)
        if mine is None or theirs is None or mine.binary != theirs.binary:
            said = sentence(
                "{column} has another binary form in {place}",
                column=f"{pair.shown}.{name}",
                place=spec.origin,
            )
            found.append(drift(said))
    return found


def _brought(load: Load, pair: Pair, at: int) -> Pair:
    # In the order of the file: what rows come to depends on it.
    columns = tuple(name for name in load.columns if name in pair.columns)
    return replace(
        pair,
        columns=columns,
        copied=columns == load.columns,
        source=Table("pg_temp", f"raccord_in_{at}", "table", rows=load.rows),
        masks={},
        binary=all(pair.column(name).binary for name in pair.columns),
        brought=True,
    )


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
        loads = source.loads(db, job.spec)
        landing = Landing(db, loads, job.say)
        origin = Origin(db, landing.pour, landing.ready)
        push.carry(job, origin, db, target, seen(db, loads, job.spec), held)
