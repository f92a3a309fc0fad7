"""What a push into SQLite kept: written and read as lines of JSON (`sqlite_rows`, without long values), and
compared with what a table holds now.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raccord.data.job import NAMED, Job, Moved, archived, key_of, names_of, whole
from raccord.data.keeping import Shelf
from raccord.data.pairs import wide
from raccord.data.spec import conditioned
from raccord.data.sqlite_look import named_tables
from raccord.data.sqlite_rows import Row, decoded, encoded
from raccord.data.sqlite_session import Session, batches, reading
from raccord.data.sqlite_sql import differs, listed, matched, numbered, relation, scope, shown_value, spelled
from raccord.data.sqlite_stage import Stage, make, table
from raccord.database.tables import Name, Table, identifier
from raccord.database.url import Target
from raccord.model.plan import Json


def keep(job: Job, two: Session, at: int, stage: Stage) -> dict[str, Json]:
    """Keeps the rows that will change or go, as they are, and reads them back.

    Returns:
        What an archive says of a table.
    """
    pair, columns = stage.pair, whole(stage.pair.target)
    query = f"select {listed(columns, 't')} from {stage.gone} g join {relation(pair)} t on {stage.goes()}"
    if pair.key:
        query += (
            f" union all select {listed(columns, 't')} from {stage.put} p join {relation(pair)} t"
            f" on {stage.match} where not p.{identifier(stage.new)}"
        )
    return {
        "table": list(pair.id),
        "columns": list(columns),
        "sets": list(pair.columns),
        "types": [pair.column(name).type for name in columns],
        "key": list(pair.key),
        "where": conditioned(pair.where),
        "rows": two.number(f"select count(*) from {relation(pair)}"),
        "binary": False,
        "old": write(job, f"{at}.old", two.ask(query)),
        "many": None if pair.key else _many(job, two, at, stage),
        "wide": wide(pair),
    }


def left(job: Job, two: Session, at: int, stage: Stage) -> dict[str, Json]:
    """Keeps what was put, to know later what became of it; whole rows, where columns stay behind."""
    pair = stage.pair
    query = f"select {listed(pair.columns)} from {stage.put}"
    if wide(pair):
        columns = listed((*pair.columns, *pair.kept), "t")
        query = f"select {columns} from {stage.put} p join {relation(pair)} t on {stage.match}"
    return write(job, f"{at}.new", two.ask(query))


def _many(job: Job, two: Session, at: int, stage: Stage) -> dict[str, Json]:
    """Of a table without a key: each row that comes or goes, how many of it there are and will be."""
    pair = stage.pair
    now = f"select {spelled(pair.columns, 't')} as w, 0 as d from {scope(pair)} t"
    place = f"t.{identifier(pair.target.place)}"
    gone = (
        f"select {spelled(pair.columns, 't')} as w, -1 as d from {scope(pair)} t"
        f" where {place} in (select place from {stage.gone})"
    )
    new = f"select {spelled(pair.columns, 'p')} as w, 1 as d from {stage.put} p"
    query = (
        f"with touched as materialized (select w, sum(d) as d from ({gone} union all {new}) group by w)"
        f" select x.w, count(n.w), count(n.w) + x.d from touched x left join ({now}) n on n.w = x.w"
        " group by x.w, x.d"
    )
    return write(job, f"{at}.many", two.ask(query))


def write(job: Job, name: str, rows: Iterable[Row]) -> dict[str, Json]:
    """Writes a part of an archive, and reads it back."""
    with job.shelf.part(job.id, name) as part:
        for some in batches(rows):
            part.write(encoded(some))
            part.rows += len(some)
    return part.document()


def read(shelf: Shelf, id_: str, part: Mapping[str, Json]) -> Iterator[Row]:
    """The rows of a part.

    Raises:
        RestoreFailed: they are not those that were written.
    """
    line: list[bytes] = []
    for data in shelf.read(id_, part):
        first, *more = data.split(b"\n")
        line.append(first)
        for next_ in more:
            yield from decoded(b"".join(line))
            line = [next_]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A table of an archive, in temporary tables: in the stage, what taking it back puts; and what it left.

    Attributes:
        left: the table of what was put.
    """

    stage: Stage
    left: str
    said: Mapping[str, Any]


def loaded(
    job: Job, two: Session, archive: str, document: Mapping[str, Any], tables: Mapping[Name, Table]
) -> Iterator[Loaded]:
    """The tables of an archive.

    Raises:
        WorldMoved: a table has other columns by now.
        RestoreFailed: it can't be read.
    """
    for at, said in enumerate(document["tables"]):
        pair = archived(tables, said, job.conditions)
        stage = make(two, pair, at, said["columns"])
        left = f"temp.raccord_left_{at}"
        every = (*pair.columns, *pair.kept) if said.get("wide") else pair.columns
        table(two, left, pair, every)
        for goal, columns, part in ((stage.put, stage.columns, "old"), (left, every, "new")):
            two.put(goal, listed(columns), len(columns), read(job.shelf, archive, said[part]))
        new = identifier(stage.new)
        if pair.key:
            for name, of in ((stage.put, "put"), (left, "left")):
                index = f"temp.raccord_{of}_{at}_key"
                two.run(f"create index {index} on {name.removeprefix('temp.')} ({listed(pair.key)})")
            there = f"exists (select 1 from {relation(pair)} t where {stage.match})"
            two.run(f"update {stage.put} as p set {new} = not {there}")
        else:
            two.run(f"update {stage.put} set {new} = 1")
        yield Loaded(stage, left, said)


@contextlib.contextmanager
def opened(
    job: Job, target: Target, id_: str, document: Mapping[str, Json]
) -> Iterator[tuple[Session, Iterator[Loaded]]]:
    """The tables of an archive in a connection that sees one state of the target and leaves nothing behind.

    Raises:
        WorldMoved: a table has other columns by now.
        RestoreFailed: it can't be read.
    """
    with reading(target, job.spec) as (two, _):
        tables = named_tables(two.db, names_of(document))
        yield two, loaded(job, two, id_, document, tables)


def otherwise(two: Session, one: Loaded) -> Moved:
    """Which rows are not as they were left."""
    pair, stage = one.stage.pair, one.stage
    if not pair.key:
        theirs = numbered(scope(pair), pair.target.place, pair.columns)
        ours = (
            f"select w, row_number() over (partition by w) as n from"
            f" (select {spelled(pair.columns, 'l')} as w from {one.left} l)"
        )
        count = two.number(
            f"select count(*) from ({ours}) l left join ({theirs}) t on t.w = l.w and t.n = l.n"
            " where t.w is null"
        )
        return Moved(pair.shown, count)
    same = f"{matched(pair.key, 't', 'l')} and not {differs(pair.columns, 't', 'l')}"
    if one.said.get("wide"):
        # A row that it added goes whole, so nobody may have filled in what stayed behind.
        stays = f"exists (select 1 from {stage.put} p where {matched(pair.key, 'p', 'l')})"
        same += f" and ({stays} or not {differs(pair.kept, 't', 'l')})"
    other = (
        f"select {listed(pair.key, 'l')} from {one.left} l where not exists"
        f" (select 1 from {scope(pair)} t where {same})"
        f" union all select {listed(pair.key, 'p')} from {stage.put} p join {relation(pair)} t"
        f" on {stage.match} where not exists (select 1 from {one.left} l where {matched(pair.key, 'p', 'l')})"
    )
    some = two.ask(f"select {listed(pair.key)} from ({other}) limit {NAMED}").fetchall()
    count = two.number(f"select count(*) from ({other})") if some else 0
    return Moved(pair.shown, count, tuple(key_of(pair, map(shown_value, row)) for row in some))


def goes(two: Session, one: Loaded) -> None:
    """Says in the stage which rows go when it is taken back: those that it added."""
    pair, stage = one.stage.pair, one.stage
    if pair.key:
        two.run(
            f"insert into {stage.gone} select {listed(pair.key)} from {one.left} l where not exists"
            f" (select 1 from {stage.put} p where {matched(pair.key, 'p', 'l')})"
        )
        return
    theirs = numbered(scope(pair), pair.target.place, pair.columns)
    ours = (
        f"select w, row_number() over (partition by w) as n from"
        f" (select {spelled(pair.columns, 'l')} as w from {one.left} l)"
    )
    two.run(
        f"insert into {stage.gone} select t.place from ({theirs}) t join ({ours}) l"
        " on l.w = t.w and l.n = t.n"
    )


def stands(two: Session, shelf: Shelf, archive: str, one: Loaded) -> tuple[bool, bool]:
    """Whether a table is as before, and whether it is as afterwards, as far as the push touched it."""
    pair, stage = one.stage.pair, one.stage
    if not pair.key:
        goal = f"temp.raccord_many_{stage.number}"
        two.run(f"drop table if exists {goal}")
        two.run(f"create temp table raccord_many_{stage.number} (w text, before integer, after integer)")
        two.put(goal, "w, before, after", 3, read(shelf, archive, one.said["many"]))
        now = f"select {spelled(pair.columns, 't')} as w from {scope(pair)} t"
        counts = (
            f"select m.before, m.after, count(n.w) as now from {goal} m left join ({now}) n on n.w = m.w"
            " group by m.rowid"
        )
        found = two.ask(f"select total(now <> before), total(now <> after) from ({counts})").fetchone()
        return not found[0], not found[1]
    same = f"{stage.match} and not {differs(stage.columns, 't', 'p')}"
    lacks = two.number(
        f"select count(*) from {stage.put} p where not exists (select 1 from {relation(pair)} t where {same})"
    )
    came = two.number(
        f"select count(*) from {one.left} l join {relation(pair)} t on {matched(pair.key, 't', 'l')}"
        f" where not exists (select 1 from {stage.put} p where {matched(pair.key, 'p', 'l')})"
    )
    return not (lacks or came), not otherwise(two, one).rows
