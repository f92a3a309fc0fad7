"""Carries a push out: one transaction, what it overwrites kept before, proved before it commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raccord.data import change, exchangeable, observe, places, salts, sequences
from raccord.data.blocks import touched
from raccord.data.compare import again, difference, digest
from raccord.data.difference import Difference, Digest
from raccord.data.exchange import aside, exchange, gather, ready
from raccord.data.job import (
    Changed,
    Job,
    alone,
    conclude,
    moved_on,
    refuse,
    refuse_moved,
    refuse_others,
    whole,
)
from raccord.data.order import Order
from raccord.data.origin import Origin, pour
from raccord.data.pairs import Pair, wide
from raccord.data.plan import ANEW, SKIP, STRAIGHT, SWAP, Expected, changed_ways, fires, relevant
from raccord.data.scope import hashed, relation, scope
from raccord.data.seen import Seen
from raccord.data.spec import CHANGES, REMOVES, Spec, conditioned
from raccord.data.stage import (
    Stage,
    elsewhere,
    fetch,
    kept_out,
    known,
    make,
    remove,
    run,
    settle,
    straight,
    unlike,
    written,
)
from raccord.data.transaction import interruptible, looking, number, quiet, transaction
from raccord.database import postgres, pump
from raccord.database.lock import Held
from raccord.database.tables import Name, identifier, label
from raccord.database.url import Target
from raccord.errors import HeldBack, WorldMoved
from raccord.model.plan import Json
from raccord.model.text import grouped, several, shown


def push(job: Job, source: Target, target: Target) -> None:
    """Pushes a set; afterwards the archive says what was done, and the server whether.

    Raises:
        WorldMoved: what differs is not what was planned; nothing was changed.
        HeldBack: something stands against it; nothing was changed.
        DatabaseBusy: others kept the tables.
    """
    spec = job.spec
    with (
        alone(job, target) as held,
        postgres.connected(source, name=postgres.ROWS) as one,
        looking(one, source, spec),
        interruptible(job.cancelled, one),
        transaction(target, spec, job.expected, job.cancelled) as two,
    ):
        seen = observe.seen(one, two, spec, salts.read(job.state))
        origin = Origin(one, lambda pair, goal, new: pour(one, two, pair, goal, new=new))
        carry(job, origin, two, target, seen, held)


def carry(job: Job, origin: Origin, two: postgres.Connection, target: Target, seen: Seen, held: Held) -> None:
    """Does it, within the transaction, wherever the rows come from. See `push`.

    Args:
        two: the transaction.
        held: what excludes other pushes.
    """
    _refuse(seen, job)
    # Before this transaction writes anything: that would make it another one.
    state = places.state(two)
    stages: dict[Name, Stage] = {}
    for at, pair in enumerate(seen.tables):
        stage = _stage(job, origin, two, pair, at, state)
        if stage is not None:
            stages[pair.id] = stage
    equal = [pair for pair in seen.tables if pair.id not in stages]
    _carry(job, origin, two, target, seen.order, stages, equal, held, state)


def _stage(
    job: Job, origin: Origin, two: postgres.Connection, pair: Pair, at: int, state: str
) -> Stage | None:
    """What a table gets, once it is found to be as planned.

    Where the plan knows what all rows come to, only those places are compared again where something differed:
    that nothing moved elsewhere shows in the end, when the table must come to what the source came to.
    """
    spec, expected = job.spec, job.expected[pair.id]
    job.say(f"comparing {pair.shown}")
    if expected.target is not None and expected.way in (SKIP, *STRAIGHT):
        # Where nobody committed anything there since, its rows are those that the plan saw: its own server's.
        seen = state and state == expected.state and written(two, pair) is not None
        if not seen and digest(two, pair) != expected.target:
            raise moved_on(job, pair)
        if expected.way == SKIP:
            return None
        if expected.way == SWAP:
            return aside(
                two, pair, pair.columns, name=meanwhile(job, at),
                pour=lambda goal: origin.pour(pair, goal, True),
            )  # fmt: skip
        return straight(
            pair,
            pair.columns,
            empties=expected.way == ANEW,
            pour=lambda goal: origin.pour(pair, goal, False),
        )
    origin.ready(pair)
    one = origin.db
    if expected.blocks is not None:
        differs = again(one, two, pair, expected.blocks, expected.numbers)
    else:
        differs = difference(one, two, pair)
    refuse_moved(job, differs)
    return staged(one, two, spec, differs, at) if any(relevant(spec, differs)) else None


def meanwhile(job: Job, at: int) -> str:
    """A name for a table until it takes another's place."""
    return f"raccord_{job.id.rpartition('-')[2]}_{at}"


def _refuse(seen: Seen, job: Job) -> None:
    refuse((*seen.refused, *seen.hindered))
    refuse_others(seen, job)
    if bad := [
        *changed_ways(job.spec, seen.order, seen.tables, job.expected),
        *exchangeable.changed(job.spec, seen.tables, job.expected),
    ]:
        raise WorldMoved(
            f"{', '.join(label(name) for name in bad)} can no longer be filled in the way that was planned",
            hint=job.spec.again,
        )


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
            f"{several(count, 'row', pair.shown, ('has the key', 'have keys'))} of rows that where leaves out"
            f" in {spec.goal}",
            hint=f"widen where in [data.{spec.name}]",
            finding="data.outside",
        )
    return stage


def _carry(
    job: Job, origin: Origin, db: postgres.Connection, target: Target, order: Order,
    stages: Mapping[Name, Stage], equal: Sequence[Pair], held: Held, state: str,
) -> None:  # fmt: skip
    job.shelf.begin(job.id)
    parts = [keep(job, db, at, stage) for at, stage in enumerate(stages.values())]
    # A table aside has no triggers yet.
    with quiet(db, job.spec, [stage.pair.target for stage in stages.values() if not stage.aside]):
        job.say("changing " + ", ".join(stage.pair.shown for stage in stages.values()))
        done = change.carry_out(db, stages, order, job.spec.mode)
    ready(db, stages)
    gather(db, stages)
    for at, (stage, said) in enumerate(zip(stages.values(), parts, strict=True)):
        said["told"] = []
        if not _kept_to(job, db, stage, done[stage.pair.id], state):
            said["told"] = _demand(job, origin, db, stage, done[stage.pair.id])
        said["new"] = left(job, db, at, stage)
        expected = job.expected[stage.pair.id]
        if stage.pour:
            # Rows that went and came again as they were did not change.
            said["counts"] = list(expected.counts)
            said["ends"] = [str(expected.target), str(expected.source)]
        else:
            said["counts"] = _counts(done[stage.pair.id])
        said["skipped"] = done[stage.pair.id].skipped
        said["exchanged"] = stage.aside is not None
    for pair in equal:
        _untouched(job, db, pair)
    moves = sequences.moves(db, list(stages.values()))
    known = {*(pair.id for pair in equal), *stages, *(stage.now.id for stage in stages.values())}
    besides = elsewhere(db, known)
    own = number(db, target)
    exchange(db, stages, job.spec)
    held.check()
    for statement in moves:
        run(db, statement)
    conclude(job, target, parts, besides=besides, **own.document())


def _counts(done: Changed) -> list[Json]:
    return [done.added, done.changed, done.removed]


def keep(job: Job, db: postgres.Connection, at: int, stage: Stage) -> dict[str, Json]:
    """Keeps the rows that will change or go, as they are, and reads them back.

    Returns:
        What an archive says of a table.
    """
    pair, columns = stage.pair, whole(stage.pair.target)
    binary = all(pair.column(name).binary for name in columns)
    listed = ", ".join(f"t.{identifier(name)}" for name in columns)
    if stage.pour:
        query = f"select {listed} from {relation(pair)} t" + ("" if stage.empties else " where false")
    else:
        query = f"select {listed} from {stage.gone} g join {relation(pair)} t on {stage.goes}"
    if pair.key and not stage.pour:
        query += f" union all select {listed} from {stage.put} p join {relation(pair)} t on {stage.match}"
    with job.shelf.part(job.id, f"{at}.old") as part:
        part.rows = pump.out(db, query, binary, part.write)
    return {
        "table": list(pair.id),
        "columns": list(columns),
        "sets": list(pair.columns),
        "types": [pair.column(name).type for name in columns],
        "key": list(pair.key),
        # What came by closure is known by its keys alone, once the push is over.
        "where": "" if pair.closure else conditioned(pair.where),
        "rows": pair.target.rows,
        "binary": binary,
        "old": part.document(),
        "many": None if pair.key or stage.pour else _many(job, db, at, stage),
        "wide": wide(pair),
    }


def _many(job: Job, db: postgres.Connection, at: int, stage: Stage) -> dict[str, Json]:
    """Of a table without a key: for each row that comes or goes, how many such there are and will be."""
    pair = stage.pair
    gone = f"from {stage.gone} g join {relation(pair)} t on {stage.goes}"
    query = (
        "with touched as materialized (select h, sum(d) as d from"
        f" (select {hashed(pair, 't')} as h, -1 as d {gone} union all"
        f" select {hashed(pair, 'p')}, 1 from {stage.put} p) x group by h)"
        f" select x.h, count(n.h), count(n.h) + x.d::int8 from touched x"
        f" left join (select {hashed(pair, 't')} as h from {scope(pair)} t) n on n.h = x.h group by x.h, x.d"
    )
    with job.shelf.part(job.id, f"{at}.many") as part:
        part.rows = pump.out(db, query, True, part.write)
    return part.document()


def left(job: Job, db: postgres.Connection, at: int, stage: Stage) -> dict[str, Json]:
    """Keeps what tells whether somebody changes later what the push left: keys and hashes."""
    pair = stage.pair
    if pair.key and not stage.pour:
        query = f"select {known(pair, 't')} from {stage.put} p join {relation(pair)} t on {stage.match}"
    else:
        query = f"select {known(pair, 'p')} from {stage.put} p"
    with job.shelf.part(job.id, f"{at}.new") as part:
        part.rows = pump.out(db, query, True, part.write)
    return part.document()


def _kept_to(job: Job, db: postgres.Connection, stage: Stage, done: Changed, state: str) -> bool:
    """Whether the target is proved to be what it shall be by the blocks that differed alone.

    Nobody committed anything there since it was compared with the source, nobody else can write by now, and
    this transaction wrote no rows but those that it was to write: the other blocks are as they were then,
    equal. In these the rows must come to what the source's came to.
    """
    expected = job.expected[stage.pair.id]
    if not state or state != expected.state or expected.touched is None or expected.blocks is None:
        return False
    counts = done.added, done.changed, done.removed
    # Triggers of other tables may have written into this one.
    if not counts == expected.counts == written(db, stage.pair):
        return False
    return touched(db, stage.now, expected.blocks, expected.numbers) == expected.touched


def _demand(
    job: Job, origin: Origin, db: postgres.Connection, stage: Stage, done: Changed
) -> tuple[str, ...]:
    """Proves, before the commit, that the target is what it shall be.

    Returns:
        What the table's own triggers made other, where the set has them fire.

    Raises:
        HeldBack: it isn't; nothing was changed.
        WorldMoved: it isn't, since it or the source is no longer what was planned with; nothing was changed.
    """
    spec, pair = job.spec, stage.pair
    expected = job.expected[pair.id]
    wanted = expected.source
    if fires(spec, pair):
        if stage.pour and wanted is not None and done.added != wanted.rows:
            raise moved_on(job, pair)
        return _made_other(origin, db, stage, done, wanted)
    if stage.pour or spec.mode in REMOVES:
        now = digest(db, stage.now)
        wanted = wanted if wanted is not None else origin.digest(pair)
        if now == wanted:
            return ()
        if origin.digest(pair) != wanted or _elsewhere(expected, origin.db, db, pair):
            raise moved_on(job, pair)
        said = f"{pair.shown} would hold {several(now.rows, 'row')} that are not the"
        said += f" {grouped(wanted.rows)} of {spec.origin}"
    else:
        missing = _missing(db, stage, done)
        if missing <= 0:
            return ()
        said = (
            f"{several(missing, 'row')} of {pair.shown} {'is' if missing == 1 else 'are'} not what was sent"
        )
    raise _disturbed(spec, said)


def _missing(db: postgres.Connection, stage: Stage, done: Changed) -> int:
    """How many rows are not there as they were sent, but for those that an insert left out."""
    left_out = sum(number for said, number in done.skipped.items() if said.startswith("one of "))
    return unlike(db, stage) - left_out


def _made_other(
    origin: Origin, db: postgres.Connection, stage: Stage, done: Changed, wanted: Digest | None
) -> tuple[str, ...]:
    """What triggers that fire did to the rows is theirs, and is told."""
    pair = stage.pair
    if pair.key and not stage.pour and (count := _missing(db, stage, done)) > 0:
        return (f"{count} rows of {pair.shown} are not what was sent: its triggers fired",)
    if stage.pour or not pair.key:
        now, wanted = digest(db, stage.now), wanted if wanted is not None else origin.digest(pair)
        if now != wanted:
            return (f"rows of {pair.shown} are not what was sent: its triggers fired",)
    return ()


def _untouched(job: Job, db: postgres.Connection, pair: Pair) -> None:
    """Proves that a table of which nothing was to change is as it was: triggers may have written there.

    Raises:
        HeldBack: it isn't; nothing was changed.
    """
    was = job.expected[pair.id].target
    if was is None or written(db, pair) == (0, 0, 0) or digest(db, pair) == was:
        return
    raise _disturbed(job.spec, f"rows of {pair.shown} would change, which were to stay")


def _disturbed(spec: Spec, said: str) -> HeldBack:
    hint = f"raccord data diff {shown(spec.name)} --to {spec.goal}"
    if spec.triggers == "fire":
        hint = f'triggers = "skip" in [data.{shown(spec.name)}], if it is a trigger that does it'
    return HeldBack(
        f"{said}: something in {spec.goal} changes what is written; nothing was changed",
        hint=hint,
        finding="data.verify",
    )


def _elsewhere(expected: Expected, one: postgres.Connection, db: postgres.Connection, pair: Pair) -> bool:
    """Whether what differs now lies where nothing differed when it was planned."""
    if expected.blocks is None:
        return False
    found = again(one, db, pair, expected.blocks, expected.numbers)
    return not (found.added or found.changed or found.removed)
