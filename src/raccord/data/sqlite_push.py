"""Carries a push out in SQLite, and takes it back: one transaction, what it overwrites kept before.

Both come down to a stage for each table, filled by a comparison or from an archive; what follows is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raccord.data import salts, sqlite_kept
from raccord.data.job import Job, alone, conclude, names_of, refuse, refuse_moved, refuse_others
from raccord.data.obstacles import obstacles
from raccord.data.order import ordered
from raccord.data.pairs import Pair
from raccord.data.plan import fires, relevant
from raccord.data.spec import REPLACE
from raccord.data.sqlite_change import Done, carry_out, quiet
from raccord.data.sqlite_look import named_tables, seen
from raccord.data.sqlite_session import Session, ends, opened, transaction
from raccord.data.sqlite_sql import differs, relation
from raccord.data.sqlite_stage import Stage, compare, make, origin, settle
from raccord.database.tables import Name
from raccord.database.url import Target
from raccord.errors import HeldBack, WorldMoved


def push(job: Job, source: Target, target: Target) -> None:
    """See `kinds.Kind.carry_out`."""
    spec = job.spec
    with alone(job, target), ends(source, target, spec, write=True, cancelled=job.cancelled) as both:
        found = seen(both, spec, salts.read(job.state))
        refuse((*found.refused, *found.hindered))
        refuse_others(found, job)
        both.attach(found.tables)
        stages = staged(job, both.two, found.tables, lambda pair, at: origin(both, pair, at))
        carry(job, both.two, target, stages, spec.mode)


def staged(
    job: Job, two: Session, tables: Sequence[Pair], rows: Callable[[Pair, int], tuple[str, str]]
) -> list[Stage]:
    """What tables get, as far as it is as planned, within the transaction.

    Args:
        rows: leads to the rows of the source, by the number of the table; see `sqlite_stage.origin`.
    """
    stages = []
    for at, pair in enumerate(tables):
        job.say(f"comparing {pair.shown}")
        stage = make(two, pair, at, pair.columns)
        found = compare(two, job.spec, stage, rows(pair, at))
        refuse_moved(job, found)
        settle(two, job.spec, stage)
        if any(relevant(job.spec, found)):
            stages.append(stage)
    return stages


def take_back(job: Job, target: Target, archive: str) -> None:
    """See `kinds.Kind.take_back`."""
    spec, document = job.spec, job.shelf.needed(archive)
    with alone(job, target), opened(target, spec, job.cancelled) as two, transaction(two, target, spec):
        tables = named_tables(two.db, names_of(document))
        stages: dict[Name, Stage] = {}
        for one in sqlite_kept.loaded(job, two, archive, document, tables):
            if (found := sqlite_kept.otherwise(two, one)).rows:
                raise WorldMoved(
                    f"{found.said} are not as the push left them",
                    hint=f"raccord data diff {spec.name} --to {spec.goal}",
                )
            sqlite_kept.goes(two, one)
            stages[one.stage.pair.id] = one.stage
        order = ordered([stage.pair.target for stage in stages.values()])
        for stage in stages.values():
            refuse(obstacles(spec, stage.pair)[0])
        carry(job, two, target, [stages[name] for name in order.tables], REPLACE)


def carry(job: Job, two: Session, target: Target, stages: Sequence[Stage], mode: str) -> None:
    """Does it, within the transaction, wherever the stages were filled from.

    Args:
        stages: what is referred to first.
    """
    job.shelf.begin(job.id)
    parts = [sqlite_kept.keep(job, two, at, stage) for at, stage in enumerate(stages)]
    with quiet(two, job.spec, [stage.pair.target for stage in stages]):
        job.say("changing " + ", ".join(stage.pair.shown for stage in stages))
        done = carry_out(two, stages, mode)
    if not any(fires(job.spec, stage.pair) for stage in stages):
        _demand(job, two, stages, done)
    for at, (stage, said) in enumerate(zip(stages, parts, strict=True)):
        made = done.changed[stage.pair.id]
        said["counts"] = [made.added, made.changed, made.removed]
        said["skipped"] = made.skipped
        said["new"] = sqlite_kept.left(job, two, at, stage)
    conclude(job, target, parts)


def _demand(job: Job, two: Session, stages: Sequence[Stage], done: Done) -> None:
    """Proves, before the commit, that the target is what it shall be.

    What the push didn't touch was compared under the same lock. That nothing else was touched, by the action
    of a foreign key, is told by the number of all rows that SQLite changed.

    Raises:
        HeldBack: it isn't; nothing was changed.
    """
    bad = abs(done.touched - done.meant)
    for stage in stages:
        pair = stage.pair
        if pair.key:
            same = f"{stage.match} and not {differs(pair.columns, 't', 'p')}"
            there = f"exists (select 1 from {relation(pair)} t where {same})"
            bad += two.number(f"select count(*) from {stage.put} p where not {there}")
            bad += two.number(
                f"select count(*) from {stage.gone} g join {relation(pair)} t on {stage.goes()}"
            )
    if bad:
        raise HeldBack(
            f"{bad} rows would not be what was sent: something in {job.spec.goal} changes what is written;"
            " nothing was changed",
            hint=f"raccord data diff {job.spec.name} --to {job.spec.goal}",
            finding="data.verify",
        )
