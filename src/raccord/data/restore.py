"""Puts the rows that a push kept back into PostgreSQL, over whatever others made of them since.

What `back` takes back only where it is as the push left it is compared with the table as it is now instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from raccord.data import back, observe, places
from raccord.data.compare import KEPT_KEYS, digest
from raccord.data.difference import Difference, Key
from raccord.data.job import Job, alone, archived, names_of, refuse
from raccord.data.kept import Kept, decide, differs, hinted, neither, refuse_other
from raccord.data.obstacles import obstacles
from raccord.data.order import ordered
from raccord.data.pairs import Pair
from raccord.data.plan import ANEW, SWAP, Counts, Decision
from raccord.data.scope import hashed, keys, relation, scope
from raccord.data.seen import Seen
from raccord.data.stage import Stage, one_row, run
from raccord.data.transaction import transaction, trying
from raccord.database import postgres, pump
from raccord.database.tables import Name, Table
from raccord.database.url import Target
from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that comes back.

    Attributes:
        stage: what comes and what goes; None where it goes back whole and that was only looked at.
        refused: why it can't.
    """

    pair: Pair
    said: Mapping[str, Any]
    counts: Counts
    stage: Stage | None = None
    refused: Finding | None = None


def kept(job: Job, target: Target, archive: str, also: Collection[Name]) -> Kept:
    """What would come back of what a push kept. Nothing is left behind.

    Args:
        also: other tables whose rows come back before.

    Raises:
        RestoreFailed: the archive can't be read.
        WorldMoved: a table is gone, or has other columns by now.
    """
    spec, document = job.spec, job.shelf.needed(archive)
    with trying(target, spec) as db:
        if hindered := places.hindered(db, spec):
            return Kept(refused=tuple(hindered))
        tables = observe.named_tables(db, names_of(document))
        order = ordered(list(tables.values()))
        refused, notes = [*order.refused], []
        whole = back.straight_back(job, db, tables, document)
        found: list[Difference] = []
        decisions: list[Decision] = []
        for one in _tables(job, db, archive, document, tables, whole, look=True):
            if one.refused is not None:
                refused.append(one.refused)
                continue
            found.append(differs(one.pair, one.counts, _gone(db, one)))
            way = "" if one.pair.id not in whole else SWAP if whole[one.pair.id] else ANEW
            decisions.append(decide(found[-1], one.said, way))
            if any(one.counts):
                against, told = obstacles(spec, one.pair)
                refused += against
                notes += told
        seen = Seen(tuple(each.pair for each in found), order)
        going = [replace(each, pair=_without(each.pair, also)) for each in found]
        referring = hinted(spec, observe.referred(db, spec, seen, going))
        return Kept(tuple(found), tuple(decisions), referring, tuple(refused), tuple(notes))


def _without(pair: Pair, also: Collection[Name]) -> Pair:
    """The same, as far as it is not about other tables that come back."""
    referred = tuple(one for one in pair.target.referred if one.table not in also)
    return replace(pair, target=replace(pair.target, referred=referred))


def _gone(db: postgres.Connection, one: _Table) -> list[Key] | None:
    """Keys of the rows that would go, where they are few enough."""
    if one.stage is None or not one.pair.key or one.counts[2] > KEPT_KEYS:
        return None
    return db.execute(f"select {', '.join(keys(one.pair, 'g'))} from {one.stage.gone} g".encode()).fetchall()


def put_back(job: Job, target: Target, archive: str) -> None:
    """Puts them back; afterwards an archive of its own says what that overwrote, and the server whether.

    Raises:
        WorldMoved: what differs is not what was planned; nothing was changed.
        RestoreFailed: the archive can't be read.
        HeldBack: something stands against it; nothing was changed.
        DatabaseBusy: others kept the tables.
    """
    spec, document = job.spec, job.shelf.needed(archive)
    names = names_of(document)
    with alone(job, target) as held, transaction(target, spec, names, job.cancelled) as db:
        refuse(places.hindered(db, spec))
        tables = observe.named_tables(db, names)
        whole = back.straight_back(job, db, tables, document)
        found = list(_tables(job, db, archive, document, tables, whole, look=False))
        refuse([one.refused for one in found if one.refused is not None])
        refuse_other(spec, job.expected, {one.pair.id: one.counts for one in found})
        stages = {one.pair.id: one.stage for one in found if one.stage is not None and any(one.counts)}
        back.carry(job, db, target, stages, document, held)


def _tables(
    job: Job, db: postgres.Connection, archive: str, document: Mapping[str, Any],
    tables: Mapping[Name, Table], whole: Mapping[Name, str], *, look: bool,
) -> Iterator[_Table]:  # fmt: skip
    """The tables of an archive.

    Args:
        whole: those that go back as they came.
        look: whether these are only counted.
    """
    some = [
        said for said in document["tables"] if not (look and (said["table"][0], said["table"][1]) in whole)
    ]
    loaded = back.loaded(job, db, archive, {"tables": some}, tables, {} if look else whole)
    stages = {stage.pair.id: stage for _, stage in loaded}
    for said in document["tables"]:
        pair = archived(tables, said, job.conditions)
        stage = stages.get(pair.id)
        if pair.id in whole:
            added, changed, removed = said["counts"]
            yield _Table(pair, said, (removed, changed, added), stage)
        elif stage is not None and pair.key:
            yield _Table(pair, said, _settled(db, stage), stage)
        elif stage is not None:
            yield _keyless(job, db, archive, said, stage)


def _settled(db: postgres.Connection, stage: Stage) -> Counts:
    """Leaves in the stage what differs from the table as it is now, and counts that."""
    pair, of = stage.pair, relation(stage.pair)
    run(
        db,
        f"delete from {stage.put} p using {of} t"
        f" where {stage.match} and {hashed(pair, 't')} = {hashed(pair, 'p')}",
    )
    run(db, f"delete from {stage.gone} g where not exists (select from {of} t where {stage.goes})")
    run(db, f"analyze {stage.put}")
    there = f"exists (select from {of} t where {stage.match})"
    found = one_row(
        db,
        f"select count(*), count(*) filter (where {there}), (select count(*) from {stage.gone})"
        f" from {stage.put} p",
    )
    total, changed, removed = (int(str(number)) for number in found)
    return total - changed, changed, removed


def _keyless(
    job: Job, db: postgres.Connection, archive: str, said: Mapping[str, Any], stage: Stage
) -> _Table:
    """A table without a key comes back where it is as it was left, and is let be where it is as it was."""
    pair = stage.pair
    before, after = _stands(job, db, archive, said, pair)
    if before:
        return _Table(pair, said, (0, 0, 0))
    if not after:
        return _Table(pair, said, (0, 0, 0), refused=neither(job.spec, pair))
    found = one_row(db, f"select (select count(*) from {stage.put}), (select count(*) from {stage.gone})")
    return _Table(pair, said, (int(str(found[0])), 0, int(str(found[1]))), stage)


def _stands(
    job: Job, db: postgres.Connection, archive: str, said: Mapping[str, Any], pair: Pair
) -> tuple[bool, bool]:
    """Whether the rows are as before the push, and whether they are as after it."""
    if "ends" in said:
        now = str(digest(db, pair))
        return now == said["ends"][0], now == said["ends"][1]
    place = "raccord_many"
    run(db, f"drop table if exists pg_temp.{place}")
    run(db, f"create temp table {place} (h int8, before int8, after int8) on commit drop")
    pump.into(db, f"pg_temp.{place}", True, job.shelf.read(archive, said["many"]))
    found = one_row(
        db,
        "select coalesce(bool_and(now = before), true), coalesce(bool_and(now = after), true) from"
        f" (select m.h, m.before, m.after, count(n.h) as now from pg_temp.{place} m"
        f" left join (select {hashed(pair, 't')} as h from {scope(pair)} t) n on n.h = m.h"
        " group by m.h, m.before, m.after) x",
    )
    return bool(found[0]), bool(found[1])
