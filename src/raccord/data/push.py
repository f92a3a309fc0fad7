"""Carries a push out: one transaction, what it overwrites kept before, proved before it commits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.data import change, observe
from raccord.data.compare import Difference, difference, digest
from raccord.data.keeping import Shelf
from raccord.data.order import Order
from raccord.data.plan import Counts, relevant
from raccord.data.scope import hashed, relation, scope
from raccord.data.spec import CHANGES, REMOVES, Spec
from raccord.data.stage import Stage, fetch, kept_out, known, make, one_row, remove, run, settle, whole
from raccord.data.transaction import Number, number, quiet, transaction
from raccord.database import postgres, pump
from raccord.database.lock import lock
from raccord.database.tables import Name, identifier, label
from raccord.database.url import Target
from raccord.errors import HeldBack, WorldMoved
from raccord.model.plan import Json
from raccord.model.text import shown

LOCK = "raccord data"  # of the advisory lock on the target
LOCKS = "databases"  # below raccord's own folder: SQLite's lock files


@dataclass(frozen=True, slots=True)
class Job:
    """What is carried out.

    Attributes:
        state: raccord's own folder.
        id: of the archive that keeps what is overwritten.
        expected: for each table, how many rows are added, changed and removed.
        wait: seconds to wait for another push.
    """

    spec: Spec
    state: Path
    id: str
    expected: Mapping[Name, Counts]
    wait: float = 60.0
    say: Callable[[str], None] = field(default=lambda text: None)

    @property
    def shelf(self) -> Shelf:
        """Where archives are."""
        return Shelf.below(self.state)


@contextlib.contextmanager
def alone(job: Job, target: Target) -> Iterator[None]:
    """Excludes other pushes into a database, as long as the connection that holds the lock lives."""
    folder = job.state / LOCKS
    with lock(target, folder, version_table=LOCK, schema="", wait=job.wait, waiting=_waiting(job)) as held:
        yield
        held.check()


def _waiting(job: Job) -> Callable[[str], None]:
    return lambda holder: job.say(f"waiting for {holder}")


def push(job: Job, source: Target, target: Target) -> None:
    """Pushes a set; afterwards the archive says what was done, and the server whether.

    Raises:
        WorldMoved: what differs is not what was planned; nothing was changed.
        HeldBack: something stands against it; nothing was changed.
        DatabaseBusy: others kept the tables.
    """
    spec = job.spec
    with (
        alone(job, target),
        postgres.connected(source, name="raccord data") as one,
        postgres.looking(one),
        transaction(target, spec, job.expected) as two,
    ):
        seen = observe.seen(one, two, spec)
        _refuse(seen, job)
        stages: dict[Name, Stage] = {}
        found: list[Difference] = []
        for at, pair in enumerate(seen.tables):
            job.say(f"comparing {pair.shown}")
            differs = difference(one, two, pair)
            found.append(differs)
            _refuse_moved(job, differs)
            if any(relevant(spec, differs)):
                stages[pair.id] = staged(one, two, spec, differs, at)
        _carry(job, two, target, seen.order, stages, found)


def _refuse(seen: observe.Seen, job: Job) -> None:
    against = (*seen.refused, *seen.hindered)
    if against:
        raise HeldBack(against[0].message, hint=against[0].hint, finding=against[0].name)
    names = {pair.id for pair in seen.tables}
    if names != set(job.expected):
        other = ", ".join(label(name) for name in sorted(names ^ set(job.expected)))
        raise WorldMoved(f"the tables of the set are others by now: {other}", hint="raccord data diff")


def _refuse_moved(job: Job, one: Difference) -> None:
    planned, now = job.expected[one.pair.id], relevant(job.spec, one)
    if planned != now:
        raise WorldMoved(
            f"{one.pair.shown} was planned with {_said(planned)}, and by now it is {_said(now)}",
            hint=f"raccord data push {job.spec.name} --to {job.spec.goal}",
        )


def _said(counts: Counts) -> str:
    return f"{counts[0]} rows to add, {counts[1]} to change, {counts[2]} to remove"


def staged(
    one: postgres.Connection, two: postgres.Connection, spec: Spec, differs: Difference, at: int
) -> Stage:
    """Brings what a table gets into the transaction."""
    pair = differs.pair
    stage = make(two, pair, at, pair.columns)
    puts, gone = differs.puts, differs.gone
    if puts is None or gone is None:
        fetch(one, two, stage, None)
        settle(two, stage, removes=spec.mode in REMOVES)
    else:
        fetch(one, two, stage, puts)
        if spec.mode in REMOVES:
            remove(two, stage, gone)
    if spec.mode not in CHANGES:
        run(
            two,
            f"delete from {stage.put} p where exists (select from {relation(pair)} t where {stage.match})",
        )
    elif count := kept_out(two, stage):
        raise HeldBack(
            f"{count} rows of {pair.shown} have keys of rows that where leaves out in {spec.goal}",
            hint=f"widen where in [data.{spec.name}]",
            finding="data.outside",
        )
    return stage


def _carry(
    job: Job, db: postgres.Connection, target: Target, order: Order, stages: Mapping[Name, Stage],
    found: Sequence[Difference],
) -> None:  # fmt: skip
    job.shelf.begin(job.id)
    parts = [keep(job, db, at, stage) for at, stage in enumerate(stages.values())]
    with quiet(db, job.spec, [stage.pair.target for stage in stages.values()]):
        job.say("changing " + ", ".join(stage.pair.shown for stage in stages.values()))
        done = change.carry_out(db, stages, order, job.spec.mode)
    change.advance(db, list(stages.values()))
    for one in found:
        if one.pair.id in stages:
            _demand(job, db, one, stages[one.pair.id], done[one.pair.id])
    for at, (stage, said) in enumerate(zip(stages.values(), parts, strict=True)):
        said["new"] = left(job, db, at, stage)
        said["counts"] = _counts(done[stage.pair.id])
        said["skipped"] = done[stage.pair.id].skipped
    conclude(job, target, number(db), parts)


def _counts(done: change.Changed) -> list[Json]:
    return [done.added, done.changed, done.removed]


def keep(job: Job, db: postgres.Connection, at: int, stage: Stage) -> dict[str, Json]:
    """Keeps the rows that will change or go, as they are, and reads them back.

    Returns:
        What an archive says of a table.
    """
    pair, columns = stage.pair, whole(stage.pair)
    binary = all(pair.column(name).binary for name in columns)
    listed = ", ".join(f"t.{identifier(name)}" for name in columns)
    query = f"select {listed} from {stage.gone} g join {relation(pair)} t on {stage.goes}"
    if pair.key:
        query += f" union all select {listed} from {stage.put} p join {relation(pair)} t on {stage.match}"
    with job.shelf.part(job.id, f"{at}.old") as part:
        part.rows = pump.out(db, query, binary, part.write)
    return {
        "table": list(pair.id),
        "columns": list(columns),
        "sets": list(pair.columns),
        "types": [pair.column(name).type for name in columns],
        "key": list(pair.key),
        "where": pair.where,
        "rows": pair.target.rows,
        "binary": binary,
        "old": part.document(),
    }


def left(job: Job, db: postgres.Connection, at: int, stage: Stage) -> dict[str, Json]:
    """Keeps what tells whether somebody changes later what the push left: keys and hashes."""
    pair = stage.pair
    if pair.key:
        query = f"select {known(pair, 't')} from {stage.put} p join {relation(pair)} t on {stage.match}"
    else:
        query = f"select {known(pair, 'p')} from {stage.put} p"
    with job.shelf.part(job.id, f"{at}.new") as part:
        part.rows = pump.out(db, query, True, part.write)
    return part.document()


def _demand(job: Job, db: postgres.Connection, one: Difference, stage: Stage, done: change.Changed) -> None:
    """Proves, before the commit, that the target is what it shall be.

    Raises:
        HeldBack: it isn't; nothing was changed.
    """
    spec, pair = job.spec, one.pair
    if spec.triggers == "fire" and pair.target.triggers:
        return  # what they do to the rows is theirs
    wanted = one.source
    if spec.mode in REMOVES:
        now = digest(db, pair)
        if now == wanted:
            return
        said = f"{pair.shown} would hold {now.rows} rows that are not the {wanted.rows} of {spec.origin}"
    else:
        count = one_row(
            db,
            f"select count(*) from {stage.put} p where not exists (select from {scope(pair)} t"
            f" where {stage.match} and {hashed(pair, 't')} = {hashed(pair, 'p')})",
        )[0]
        missing = int(str(count)) - sum(
            number for said, number in done.skipped.items() if said.startswith("one of ")
        )
        if missing <= 0:
            return
        said = f"{missing} rows of {pair.shown} are not what was sent"
    raise HeldBack(
        f"{said}: something in {spec.goal} changes what is written; nothing was changed",
        hint=f"raccord data diff {shown(spec.name)} --to {spec.goal}",
        finding="data.verify",
    )


def conclude(job: Job, target: Target, numbered: Number, parts: Sequence[Mapping[str, Json]]) -> None:
    """Writes the archive's document; what comes next is the commit."""
    job.shelf.finish(
        job.id,
        {
            "database": target.key,
            "environment": job.spec.goal,
            "set": job.spec.name,
            "xid": numbered.xid,
            "server": numbered.server,
            "tables": [dict(one) for one in parts],
        },
    )
