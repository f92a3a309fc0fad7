"""Takes a push back from its archive: the rows that it touched, where they are as it left them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raccord.data import change, exchangeable, observe, places, plan
from raccord.data.compare import digest
from raccord.data.exchange import aside, exchange, gather, ready
from raccord.data.job import NAMED, Job, Moved, alone, archived, conclude, key_of, names_of, refuse
from raccord.data.keeping import Shelf
from raccord.data.obstacles import obstacles
from raccord.data.order import ordered
from raccord.data.pairs import Pair
from raccord.data.push import keep, left, meanwhile
from raccord.data.scope import hashed, keys, relation, scope
from raccord.data.spec import REPLACE
from raccord.data.stage import Stage, elsewhere, make, numbered, one_row, run, straight, unlike, whole
from raccord.data.transaction import number, quiet, transaction, trying
from raccord.database import postgres, pump
from raccord.database.lock import Held
from raccord.database.tables import Name, Table, identifier, label
from raccord.database.url import Target
from raccord.errors import HeldBack, WorldMoved


def moved(target: Target, job: Job, archive: str) -> list[Moved]:
    """What others changed since, of what a push touched. Nothing is left behind.

    Raises:
        RestoreFailed: the archive can't be read.
    """
    document = job.shelf.needed(archive)
    with trying(target, job.spec) as db:
        tables = observe.named_tables(db, names_of(document), fixed=False)
        others = [said for said in document["tables"] if not untouched(job, db, tables, said)]
        if not others:
            return []
        found = loaded(job, db, archive, {"tables": others}, tables, {})
        return [one for one, _ in found if one.rows]


def take_back(job: Job, target: Target, archive: str) -> None:
    """Puts back what a push overwrote or removed, and removes what it added.

    Raises:
        WorldMoved: others changed some of it since; nothing was changed.
        RestoreFailed: the archive can't be read.
        HeldBack: something stands against it; nothing was changed.
    """
    document = job.shelf.needed(archive)
    names = names_of(document)
    with alone(job, target) as held, transaction(target, job.spec, names, job.cancelled) as db:
        refuse(places.hindered(db, job.spec))
        tables = observe.named_tables(db, names)
        stages: dict[Name, Stage] = {}
        anew = straight_back(job, db, tables, document)
        for found, stage in loaded(job, db, archive, document, tables, anew):
            if found.rows:
                raise WorldMoved(
                    f"{found.said} are not as the push left them",
                    hint=f"raccord data diff {job.spec.name} --to {job.spec.goal}",
                )
            stages[stage.pair.id] = stage
        carry(job, db, target, stages, document, held)


def carry(
    job: Job,
    db: postgres.Connection,
    target: Target,
    stages: Mapping[Name, Stage],
    document: Mapping[str, Any],
    held: Held,
) -> None:
    """Does it, once it is known what goes and what comes, and has the archive say what was overwritten.

    Args:
        document: of the archive that the rows come from.
        held: what excludes other pushes.
    """
    kept = dict(zip(names_of(document), document["tables"], strict=True))
    tables = [stage.pair.target for stage in stages.values()]
    order = ordered(tables)
    against = [
        *order.refused,
        *(one for stage in stages.values() for one in obstacles(job.spec, stage.pair)[0]),
    ]
    refuse(against)
    job.shelf.begin(job.id)
    wanted = {name: _rows(db, stage) for name, stage in stages.items() if not stage.pour}
    parts = [keep(job, db, at, stage) for at, stage in enumerate(stages.values())]
    with quiet(db, job.spec, [stage.pair.target for stage in stages.values() if not stage.aside]):
        job.say("putting back " + ", ".join(label(name) for name in stages))
        done = change.carry_out(db, stages, order, REPLACE)
    ready(db, stages)
    gather(db, stages)
    for at, (name, said) in enumerate(zip(stages, parts, strict=True)):
        one, stage = done[name], stages[name]
        if stage.pour:
            before, after = kept[name]["ends"]
            if str(digest(db, stage.now)) != before:
                raise HeldBack(f"{label(name)} would not be what it was; nothing was changed")
            said["ends"] = [after, before]
            said["counts"] = kept[name]["counts"][::-1]
        else:
            if (one.added + one.changed, one.removed) != wanted[name] and job.spec.triggers != "fire":
                raise HeldBack(f"{label(name)} took other rows than were put back; nothing was changed")
            said["counts"] = [one.added, one.changed, one.removed]
        said["told"] = []
        if (
            plan.fires(job.spec, stage.pair)
            and not stage.pour
            and stage.pair.key
            and (count := unlike(db, stage))
        ):
            said["told"] = [f"{count} rows of {label(name)} are not what they were: its triggers fired"]
        said["new"] = left(job, db, at, stage)
        said["skipped"] = {}
        said["exchanged"] = stage.aside is not None
    besides = elsewhere(db, {*stages, *(stage.now.id for stage in stages.values())})
    own = number(db, target)
    exchange(db, stages, job.spec)
    held.check()
    conclude(job, target, parts, besides=besides, **own.document())


def _rows(db: postgres.Connection, stage: Stage) -> tuple[int, int]:
    found = one_row(db, f"select (select count(*) from {stage.put}), (select count(*) from {stage.gone})")
    return int(str(found[0])), int(str(found[1]))


def loaded(
    job: Job, db: postgres.Connection, archive: str, document: Mapping[str, Any],
    tables: Mapping[Name, Table], anew: Mapping[Name, str],
) -> list[tuple[Moved, Stage]]:  # fmt: skip
    """The tables of an archive: what comes and what goes, and which rows are not as they were left.

    Args:
        anew: those whose rows don't wait in temporary tables; see `straight_back`.
    """
    found, shelf = [], job.shelf
    for at, said in enumerate(document["tables"]):
        pair = archived(tables, said, job.conditions)
        if pair.id in anew:
            found.append((Moved(pair.shown, 0), _poured(db, shelf, archive, pair, said, anew[pair.id])))
            continue
        stage = make(db, pair, at, said["columns"])
        goal = f"{stage.put} ({stage.listed})"
        pump.into(db, goal, said["binary"], shelf.read(archive, said["old"]))
        known = f"raccord_left_{at}"
        texts = "".join(f"k{number} text, " for number in range(len(pair.key)))
        also = ", w int8" if said.get("wide") else ""
        run(db, f"create temp table {known} ({texts}h int8{also}) on commit drop")
        pump.into(db, f"pg_temp.{known}", True, shelf.read(archive, said["new"]))
        run(db, f"analyze {stage.put}")
        run(db, f"analyze pg_temp.{known}")
        other = _keyed(db, stage, known, wide=bool(also)) if pair.key else _keyless(db, stage, known)
        run(db, f"analyze {stage.gone}")
        found.append((other, stage))
    return found


def _poured(
    db: postgres.Connection, shelf: Shelf, archive: str, pair: Pair, said: Mapping[str, Any], name: str
) -> Stage:
    def pour(goal: str) -> int:
        return pump.into(db, goal, said["binary"], shelf.read(archive, said["old"]), frozen=bool(name))

    if name:
        return aside(db, pair, said["columns"], name=name, pour=pour)
    return straight(pair, said["columns"], empties=True, pour=pour)


def untouched(
    job: Job, db: postgres.Connection, tables: Mapping[Name, Table], said: Mapping[str, Any]
) -> bool:
    """Whether a table that was filled straight has exactly the rows that it was left with."""
    return (
        "ends" in said
        and not said.get("wide")
        and str(digest(db, archived(tables, said, job.conditions))) == said["ends"][1]
    )


def straight_back(
    job: Job, db: postgres.Connection, tables: Mapping[Name, Table], document: Mapping[str, Any]
) -> dict[Name, str]:
    """Tables that can go back as they came: nobody touched them, and nothing else refers to their rows.

    Returns:
        For each the name of the table that is filled in its place, "" where it is filled itself.
    """
    order = ordered(list(tables.values()))
    pairs = {
        (said["table"][0], said["table"][1]): archived(tables, said, job.conditions)
        for said in document["tables"]
        if job.spec.triggers != "fire" and untouched(job, db, tables, said)
    }
    found = {name for name in pairs if not order.late.get(name)}
    while blocked := [name for name in found if not plan.unreferred(order, pairs[name], found)]:
        found.difference_update(blocked)
    went = {
        name
        for name, said in zip(names_of(document), document["tables"], strict=True)
        if name in found and said.get("exchanged")
    }
    again = exchangeable.returning(job.spec, tables, {name: pairs[name] for name in went})
    return {
        name: meanwhile(job, at) if name in again else ""
        for at, name in enumerate(names_of(document))
        if name in found
    }


def _keyed(db: postgres.Connection, stage: Stage, known: str, *, wide: bool) -> Moved:
    """Finds what goes, and which rows are not as they were left.

    Args:
        wide: whether rows that go whole must be as they were left in the columns too that stayed behind.
    """
    pair = stage.pair
    keyed = [(identifier(name), f"l.k{at}::{pair.column(name).type}") for at, name in enumerate(pair.key)]
    meets = " and ".join(f"t.{name} = {key}" for name, key in keyed)
    also = " and ".join(f"p.{name} = {key}" for name, key in keyed)
    left_keys = ", ".join(f"l.k{at}" for at in range(len(pair.key)))
    stays = f"exists (select from {stage.put} p where {also})"
    every = whole(pair) if wide else pair
    alike = f" and ({hashed(every, 't')} = l.w or {stays})" if wide else ""
    other = (
        f"select {left_keys} from pg_temp.{known} l where not exists (select from {scope(every)} t"
        f" where {meets} and {hashed(pair, 't')} = l.h{alike})"
        f" union all select {', '.join(keys(pair, 'p'))} from {stage.put} p join {relation(pair)} t"
        f" on {stage.match} where not exists (select from pg_temp.{known} l where {also})"
    )
    rows = db.execute(f"select count(*) over (), x.* from ({other}) x order by 2 limit {NAMED}".encode())
    some = rows.fetchall()
    listed = ", ".join(key for _, key in keyed)
    run(
        db,
        f"insert into {stage.gone} select {listed} from pg_temp.{known} l where not {stays}",
    )
    return Moved(pair.shown, some[0][0] if some else 0, tuple(key_of(pair, row[1:]) for row in some))


def _keyless(db: postgres.Connection, stage: Stage, known: str) -> Moved:
    wanted = f"select h, row_number() over (partition by h) as n from pg_temp.{known}"
    run(
        db,
        f"insert into {stage.gone} select t.rel, t.tid from ({numbered(stage.pair)}) t"
        f" join ({wanted}) l on t.h = l.h and t.n = l.n",
    )
    found = one_row(
        db, f"select (select count(*) from pg_temp.{known}) - (select count(*) from {stage.gone})"
    )
    return Moved(stage.pair.shown, int(str(found[0])))
