"""Sets of rows in SQLite files, as `kinds.Kind` asks for them. Only joins what the other modules do.

SQLite knows transactions by no number. Whether a push took place is told by the rows that it touched: all as
the archive says they were left, or all as it says they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raccord.data import sqlite_arrival, sqlite_kept, sqlite_leaving, sqlite_look, sqlite_push, sqlite_restore
from raccord.data.job import Job, Moved
from raccord.database.tables import Name
from raccord.database.url import Target
from raccord.errors import WorldMoved
from raccord.model.handler import Position
from raccord.model.plan import Json

looked = sqlite_look.looked
counted = sqlite_look.counted
unreferred = sqlite_look.unreferred
carry_out = sqlite_push.push
take_back = sqlite_push.take_back
leaving = sqlite_leaving.leaving
arriving = sqlite_arrival.arriving
bring = sqlite_arrival.bring
kept = sqlite_restore.kept
put_back = sqlite_restore.put_back


def moved(job: Job, target: Target, archive: str) -> list[Moved]:
    """What others changed since."""
    with sqlite_kept.opened(job, target, archive, job.shelf.needed(archive)) as (two, tables):
        found = [sqlite_kept.otherwise(two, one) for one in tables]
    return [one for one in found if one.rows]


def position(job: Job, target: Target, document: Mapping[str, Json]) -> Position:
    """Compares the rows that the push touched with what the archive says of them."""
    try:
        with sqlite_kept.opened(job, target, job.id, document) as (two, tables):
            found = [sqlite_kept.stands(two, job.shelf, job.id, one) for one in tables]
    except WorldMoved:
        return Position.NEITHER  # other columns
    if all(after for _, after in found):
        return Position.AFTER
    return Position.BEFORE if all(before for before, _ in found) else Position.NEITHER


def analyze(target: Target, names: Iterable[Name]) -> None:
    """Nothing: SQLite's statistics are gathered where its user asks for them, by PRAGMA optimize."""
