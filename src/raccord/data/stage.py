"""What a push changes, in temporary tables of its own transaction: rows to put, and rows that go.

Whatever the source is, another server or an archive, it comes down to these two for each table. They vanish
with the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from raccord.data.difference import Key
from raccord.data.pairs import Pair, wide
from raccord.data.scope import hashed, is_named, keys, matched, named, relation, scope
from raccord.database import postgres, pump
from raccord.database.aside_postgres import Aside
from raccord.database.tables import Name, identifier, label

BATCH = 5_000  # keys that one statement names
_WRITTEN = """
select sum(pg_stat_get_xact_tuples_inserted(c.oid))::bigint,
  sum(pg_stat_get_xact_tuples_updated(c.oid))::bigint,
  sum(pg_stat_get_xact_tuples_deleted(c.oid))::bigint, bool_or(c.relkind = 'f')
from (select %(of)s::regclass::oid as oid union select relid from pg_partition_tree(%(of)s::regclass)) p
join pg_class c on c.oid = p.oid
"""
_ELSEWHERE = """
select s.schemaname, s.relname from pg_stat_xact_user_tables s
where s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0 and s.schemaname !~ '^pg_' and s.relid <> all (array(
  select p.relid from unnest(%(of)s::regclass[]) o cross join lateral (
    select o as relid union select relid from pg_partition_tree(o)) p))
order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """The two temporary tables of one table.

    Attributes:
        put: name of the one that holds rows.
        gone: name of the one that holds the keys of rows that go; places, of a table without a key.
        columns: of the rows that are put.
        sets: those that a row which is there already gets.
        pour: puts all rows straight into the table itself, and says how many; None where they wait in `put`.
            `put` is then the table.
        empties: whether all its rows go before that.
        twin: the pair with the table that is filled in the place of the target's.
        aside: that table, where there is one.
    """

    pair: Pair
    put: str
    gone: str
    columns: tuple[str, ...]
    sets: tuple[str, ...]
    pour: Callable[[], int] | None = None
    empties: bool = False
    twin: Pair | None = None
    aside: Aside | None = None

    @property
    def now(self) -> Pair:
        """The pair, with the table that has the new rows."""
        return self.twin or self.pair

    @property
    def listed(self) -> str:
        """The columns as SQL."""
        return ", ".join(map(identifier, self.columns))

    @property
    def match(self) -> str:
        """SQL for the row `t` that a put row `p` is meant for."""
        return matched(self.pair, "t", "p")

    @property
    def goes(self) -> str:
        """SQL for the row `t` that `g` says goes."""
        return self.goes_as("t")

    def goes_as(self, row: str) -> str:
        """The same for a row of another alias."""
        if self.pair.key:
            return matched(self.pair, row, "g")
        return f"{row}.tableoid = g.rel and {row}.ctid = g.tid"


def make(db: postgres.Connection, pair: Pair, number: int, columns: Sequence[str]) -> Stage:
    """Makes the temporary tables."""
    there, fixed = {*columns}, _fixed(pair)
    stage = Stage(
        pair, f"pg_temp.raccord_put_{number}", f"pg_temp.raccord_gone_{number}", tuple(columns),
        tuple(name for name in pair.columns if name in there and name not in fixed),
    )  # fmt: skip
    of = relation(pair)
    said = f"on commit drop as select {stage.listed} from {of} with no data"
    run(db, f"create temp table raccord_put_{number} {said}")
    what = ", ".join(map(identifier, pair.key)) or "tableoid as rel, ctid as tid"
    run(db, f"create temp table raccord_gone_{number} on commit drop as select {what} from {of} with no data")
    return stage


def straight(pair: Pair, columns: Sequence[str], *, empties: bool, pour: Callable[[str], int]) -> Stage:
    """Rows that don't wait anywhere.

    Args:
        pour: copies them into what is named in SQL.
    """
    goal = f"{identifier(*pair.id)} ({', '.join(map(identifier, columns))})"
    return Stage(pair, relation(pair), "", tuple(columns), (), lambda: pour(goal), empties)


def _fixed(pair: Pair) -> set[str]:
    # What tells a row apart stays, unless it is only spelled in another way; what is always generated must.
    return {name for name in pair.key if pair.column(name).plain} | {
        name for name in pair.columns if pair.column(name).identity == "always"
    }


def fetch(
    one: postgres.Connection, db: postgres.Connection, stage: Stage, puts: Sequence[Key] | None
) -> None:
    """Brings rows of the source: those of some keys, or all."""
    pair, goal = stage.pair, f"{stage.put} ({stage.listed})"
    listed = ", ".join(f"r.{identifier(name)}" for name in stage.columns)
    of, theirs = scope(pair, source=True), pair.sided(True)
    if puts is None:
        pump.across(one, f"select {listed} from {of} r", db, goal, binary=pair.binary)
    else:
        for start in range(0, len(puts), BATCH):
            some = named(theirs, puts[start : start + BATCH], "k")
            query = f"select {listed} from {some} join {of} r on {is_named(theirs, 'k', 'r')}"
            pump.across(one, query, db, goal, binary=pair.binary)
    run(db, f"analyze {stage.put}")


def remove(db: postgres.Connection, stage: Stage, gone: Iterable[Key]) -> None:
    """Names rows that go by their keys."""
    listed = list(gone)
    columns = ", ".join(f"k{at}" for at in range(len(stage.pair.key)))
    for start in range(0, len(listed), BATCH):
        some = named(stage.pair, listed[start : start + BATCH], "k")
        run(db, f"insert into {stage.gone} select {columns} from {some}")
    run(db, f"analyze {stage.gone}")


def settle(db: postgres.Connection, stage: Stage, *, removes: bool) -> None:
    """Compares all rows of the source, once they were put, with the target's.

    What is equal is no longer put, and what the target alone has goes.
    """
    pair = stage.pair
    if not pair.key:
        _settle_whole(db, stage, removes=removes)
        return
    keyed = ", ".join(map(identifier, pair.key))
    run(db, f"create index on {stage.put} ({keyed})")
    if removes:
        of = ", ".join(f"t.{identifier(name)}" for name in pair.key)
        run(
            db,
            f"insert into {stage.gone} select {of} from {scope(pair)} t"
            f" where not exists (select from {stage.put} p where {stage.match})",
        )
    run(
        db,
        f"delete from {stage.put} p using {scope(pair)} t"
        f" where {stage.match} and {hashed(pair, 't')} = {hashed(pair, 'p')}",
    )
    run(db, f"analyze {stage.put}")
    run(db, f"analyze {stage.gone}")


def numbered(pair: Pair) -> str:
    """SQL for the rows of a table without a key: its place, its hash, and the how manieth of that it is."""
    where = f" where ({pair.where}\n)" if pair.where else ""
    # Names that no column of the table takes away: a condition knows it by its own name alone.
    rows = f"select tableoid, ctid, * from {relation(pair)}{where}"
    return (
        "select rel, tid, h, row_number() over (partition by h order by rel, tid) as n"
        f" from (select r.tableoid as rel, r.ctid as tid, {hashed(pair, 'r')} as h from ({rows}) r) x"
    )


def _settle_whole(db: postgres.Connection, stage: Stage, *, removes: bool) -> None:
    """The same for a table without a key: the n-th of several equal rows belongs to the n-th."""
    theirs = numbered(stage.pair)
    ours = (
        "select tid, h, row_number() over (partition by h order by tid) as n"
        f" from (select r.ctid as tid, {hashed(stage.pair, 'r')} as h from {stage.put} r) x"
    )
    if removes:
        run(
            db,
            f"insert into {stage.gone} select t.rel, t.tid from ({theirs}) t"
            f" where not exists (select from ({ours}) p where p.h = t.h and p.n = t.n)",
        )
    run(
        db,
        f"delete from {stage.put} q using ({ours}) p, ({theirs}) t"
        " where q.ctid = p.tid and p.h = t.h and p.n = t.n",
    )


def kept_out(db: postgres.Connection, stage: Stage) -> int:
    """How many rows would be put in the place of rows that the set leaves out."""
    pair = stage.pair
    if not pair.where or not pair.key:
        return 0
    row = one_row(
        db,
        f"select count(*) from {stage.put} p where exists (select from {relation(pair)} as t"
        f" where {stage.match} and not exists (select from {scope(pair, columns=pair.key)} s"
        f" where {matched(pair, 's', 'p')}))",
    )
    return int(str(row[0]))


def known(pair: Pair, alias: str) -> str:
    """The key and the hash of rows, as an archive has them; where columns stay behind, also that of all."""
    said = [f"{sql} as k{at}" for at, sql in enumerate(keys(pair, alias)) if pair.key]
    said.append(f"{hashed(pair, alias)} as h")
    if wide(pair):
        said.append(f"{hashed(whole(pair), alias)} as w")
    return ", ".join(said)


def whole(pair: Pair) -> Pair:
    """The same, as if every column travelled."""
    return replace(pair, columns=(*pair.columns, *pair.kept), kept=())


def written(db: postgres.Connection, pair: Pair) -> tuple[int, int, int] | None:
    """How many rows of a table this transaction has added, changed and removed, whatever made it do so:
    triggers of other tables, foreign keys. What was tried and taken back counts too.

    Returns:
        None where some of the rows are another server's.
    """
    name = identifier(*pair.target.id)
    added, changed, removed, elsewhere = db.execute(_WRITTEN.encode(), {"of": name}).fetchall()[0]
    return None if elsewhere else (added, changed, removed)


def elsewhere(db: postgres.Connection, tables: Iterable[Name]) -> list[str]:
    """Into which tables this transaction has written besides some: what triggers do, and event triggers.

    Args:
        tables: those that it was to write into; their partitions are meant, too.
    """
    names = [identifier(*name) for name in tables]
    rows = db.execute(_ELSEWHERE.encode(), {"of": names}).fetchall()
    return [label((schema, name)) for schema, name in rows]


def unlike(db: postgres.Connection, stage: Stage) -> int:
    """How many of the rows that were put, of a table with a key, are not there as they were put."""
    pair = stage.pair
    row = one_row(
        db,
        f"select count(*) from {stage.put} p where not exists (select from {scope(pair)} t"
        f" where {stage.match} and {hashed(pair, 't')} = {hashed(pair, 'p')})",
    )
    return int(str(row[0]))


def run(db: postgres.Connection, statement: str) -> int:
    """Runs a statement; returns how many rows it was about."""
    return db.execute(statement.encode()).rowcount


def one_row(db: postgres.Connection, query: str) -> tuple[object, ...]:
    """The one row of an answer."""
    found = db.execute(query.encode()).fetchone()
    assert found is not None
    return found
