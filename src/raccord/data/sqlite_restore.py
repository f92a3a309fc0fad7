"""Puts the rows that a push kept back into SQLite, over whatever others made of them since. See `restore`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from raccord.data import sqlite_kept
from raccord.data.job import Job, alone, names_of, refuse
from raccord.data.kept import Kept, decide, differs, hinted, neither, refuse_other
from raccord.data.obstacles import obstacles
from raccord.data.order import ordered
from raccord.data.plan import Counts
from raccord.data.spec import REPLACE
from raccord.data.sqlite_kept import Loaded
from raccord.data.sqlite_look import locked, named_tables, referring
from raccord.data.sqlite_push import carry
from raccord.data.sqlite_session import Session, opened, transaction
from raccord.data.sqlite_sql import differs as other
from raccord.data.sqlite_sql import relation
from raccord.database.tables import Name, identifier
from raccord.database.url import Target
from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that comes back.

    Attributes:
        refused: why it can't.
    """

    loaded: Loaded
    counts: Counts
    refused: Finding | None = None


def kept(job: Job, target: Target, archive: str, also: Collection[Name]) -> Kept:
    """See `kinds.Kind`."""
    spec, document = job.spec, job.shelf.needed(archive)
    refused, notes, referred = locked(target, spec), [], []
    found, decisions = [], []
    with sqlite_kept.opened(job, target, archive, document) as (two, tables):
        every = list(_tables(job, two, archive, tables))
        inside = {one.loaded.stage.pair.id for one in every} | {*also}
        refused += ordered([one.loaded.stage.pair.target for one in every]).refused
        for one in every:
            stage = one.loaded.stage
            if one.refused is not None:
                refused.append(one.refused)
                continue
            found.append(differs(stage.pair, one.counts))
            decisions.append(decide(found[-1], one.loaded.said))
            if any(one.counts):
                against, told = obstacles(spec, stage.pair)
                refused += against
                notes += told
                referred += referring(two, stage, inside)
    return Kept(
        tuple(found), tuple(decisions), hinted(spec, referred), tuple(refused), tuple(notes),
    )  # fmt: skip


def put_back(job: Job, target: Target, archive: str) -> None:
    """See `kinds.Kind`."""
    spec, document = job.spec, job.shelf.needed(archive)
    with alone(job, target), opened(target, spec, job.cancelled) as two, transaction(two, target, spec):
        tables = named_tables(two.db, names_of(document))
        every = list(_tables(job, two, archive, sqlite_kept.loaded(job, two, archive, document, tables)))
        refuse([one.refused for one in every if one.refused is not None])
        refuse_other(spec, job.expected, {one.loaded.stage.pair.id: one.counts for one in every})
        stages = {one.loaded.stage.pair.id: one.loaded.stage for one in every if any(one.counts)}
        order = ordered([stage.pair.target for stage in stages.values()])
        for stage in stages.values():
            refuse(obstacles(spec, stage.pair)[0])
        carry(job, two, target, [stages[name] for name in order.tables], REPLACE)


def _tables(job: Job, two: Session, archive: str, loaded: Iterator[Loaded]) -> Iterator[_Table]:
    """The tables of an archive; in their stages what differs from what they are now."""
    for one in loaded:
        stage, pair = one.stage, one.stage.pair
        if not pair.key:
            before, after = sqlite_kept.stands(two, job.shelf, archive, one)
            if not (before or after):
                yield _Table(one, (0, 0, 0), neither(job.spec, pair))
                continue
            if before:
                two.run(f"delete from {stage.put}")
            else:
                sqlite_kept.goes(two, one)
        else:
            sqlite_kept.goes(two, one)
            there = f"exists (select 1 from {relation(pair)} t where {stage.goes()})"
            two.run(f"delete from {stage.gone} as g where not {there}")
            same = f"{stage.match} and not {other(pair.columns, 't', 'p')}"
            two.run(
                f"delete from {stage.put} as p where exists (select 1 from {relation(pair)} t where {same})"
            )
        new = identifier(stage.new)
        total, added = two.ask(f"select count(*), total({new}) from {stage.put}").fetchone()
        removed = two.number(f"select count(*) from {stage.gone}")
        yield _Table(one, (int(added), total - int(added), removed))
