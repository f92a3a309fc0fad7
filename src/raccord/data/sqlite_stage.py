"""What a push changes in SQLite, in temporary tables of its connection: rows to put, and what goes.

They are filled by a comparison with the source, or from an archive, and vanish with the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raccord.data.difference import Difference, Digest
from raccord.data.pairs import Pair
from raccord.data.spec import INSERT, REMOVES, Spec
from raccord.data.sqlite_session import Ends, Session
from raccord.data.sqlite_sql import (
    SOURCE,
    differs,
    listed,
    matched,
    numbered,
    relation,
    scope,
    sent,
    told_apart,
)
from raccord.database.tables import identifier
from raccord.database.tables_sqlite import affinity
from raccord.errors import HeldBack
from raccord.model.text import several, shown


@dataclass(frozen=True, slots=True)
class Stage:
    """The two temporary tables of one table.

    Attributes:
        number: that its names end with.
        columns: of the rows that are put.
        sets: those that a row which is there already gets.
        new: the column that says of a row that is put whether the target has none of its key.
    """

    pair: Pair
    number: int
    columns: tuple[str, ...]
    sets: tuple[str, ...]
    new: str

    @property
    def put(self) -> str:
        """The one that holds rows."""
        return f"temp.raccord_put_{self.number}"

    @property
    def gone(self) -> str:
        """The one that holds the keys of rows that go; their places, of a table without a key."""
        return f"temp.raccord_gone_{self.number}"

    @property
    def match(self) -> str:
        """SQL for the row `t` that a put row `p` is meant for."""
        return matched(self.pair.key, "t", "p")

    def goes(self, row: str = "t") -> str:
        """SQL for a row that `g` says goes."""
        if self.pair.key:
            return matched(self.pair.key, row, "g")
        return f"{row}.{identifier(self.pair.target.place)} = g.place"

    @property
    def lost(self) -> str:
        """SQL for the target's rows that go."""
        if self.pair.key:
            keys = listed(self.pair.key)
            return f"({keys}) in (select {keys} from {self.gone})"
        return f"{identifier(self.pair.target.place)} in (select place from {self.gone})"


def make(two: Session, pair: Pair, number: int, columns: Sequence[str]) -> Stage:
    """Makes the temporary tables.

    Raises:
        HeldBack: the rows of a table can't be told apart.
    """
    if not (pair.key or pair.target.place):
        raise HeldBack(f"{pair.shown} has neither a key nor a rowid that no column hides", finding="data.key")
    new = free("raccord_new", pair)
    sets = tuple(name for name in pair.columns if name in columns and name in told_apart(pair))
    stage = Stage(pair, number, tuple(columns), sets, new)
    table(two, stage.put, pair, columns, f"{identifier(new)} integer")
    table(two, stage.gone, pair, pair.key, *([] if pair.key else ["place integer"]))
    return stage


def free(name: str, pair: Pair) -> str:
    """A name that is no column's."""
    taken = {column.name.lower() for column in (*pair.source.columns, *pair.target.columns)}
    while name in taken:
        name += "_"
    return name


def table(two: Session, name: str, pair: Pair, columns: Sequence[str], *also: str) -> None:
    """A temporary table that makes the same of values as the target does, and compares them alike."""
    two.run(f"drop table if exists {name}")
    said = [f"{identifier(one)} {_declared(pair, one)}" for one in columns]
    two.run(f"create temp table {name.removeprefix('temp.')} ({', '.join([*said, *also])})")


def _declared(pair: Pair, name: str) -> str:
    column = pair.column(name)
    words = column.detail.split()
    collation = f" collate {words[words.index('collate') + 1]}" if "collate" in words else ""
    return affinity(column.type, strict="strict" in words[-1:]) + collation


def origin(ends: Ends, pair: Pair, number: int) -> tuple[str, str]:
    """The rows of the source, as a table to select from, and the name of their place."""
    if ends.attached:
        return f"{SOURCE}.{identifier(pair.source.name)}", pair.source.place
    return gathered(
        ends.two, pair, number,
        lambda goal: ends.two.put(goal, listed(pair.columns), len(pair.columns), ends.one.ask(sent(pair))),
    )  # fmt: skip


def gathered(two: Session, pair: Pair, number: int, put: Callable[[str], object]) -> tuple[str, str]:
    """Rows in a temporary table: that, and the name of their place.

    Args:
        put: puts them into a table that is named in SQL.
    """
    name = f"temp.raccord_from_{number}"
    table(two, name, pair, pair.columns)
    place = next(one for one in ("rowid", "oid", "_rowid_", "") if one not in pair.columns)
    put(name)
    if pair.key:
        two.run(f"create index temp.raccord_from_{number}_key on raccord_from_{number} ({listed(pair.key)})")
    return name, place


def compare(two: Session, spec: Spec, stage: Stage, source: tuple[str, str]) -> Difference:
    """How the rows of a table differ; what is to be put and what goes is in the stage afterwards.

    Args:
        source: the rows of the source, see `origin`.

    Raises:
        HeldBack: the source has two rows for one key.
    """
    pair, (rows, place) = stage.pair, source
    ours = two.number(f"select count(*) from {rows}")
    theirs = two.number(f"select count(*) from {scope(pair)} t")
    if pair.key:
        _by_key(two, stage, rows)
    else:
        _whole(two, stage, rows, place)
    added, changed = two.ask(
        f"select count(*), coalesce(sum(not {identifier(stage.new)}), 0) from {stage.put}"
    ).fetchone()
    removed = two.number(f"select count(*) from {stage.gone}")
    if pair.key and added - changed - removed != ours - theirs:
        raise HeldBack(
            f"{shown(pair.shown)} has rows in {spec.origin} whose keys are equal in {spec.goal}",
            finding="data.key",
        )
    return Difference(pair, Digest(ours), Digest(theirs), added - changed, changed, removed)


def _by_key(two: Session, stage: Stage, rows: str) -> None:
    pair, there = stage.pair, f"t.{identifier(stage.pair.key[0])}"
    matching = matched(pair.key, "t", "s")
    two.run(
        f"insert into {stage.put} ({listed([*stage.columns, stage.new])})"
        f" select {listed(stage.columns, 's')}, {there} is null"
        f" from {rows} s left join {scope(pair)} t on {matching}"
        f" where {there} is null or {differs(told_apart(pair), 't', 's')}"
    )
    two.run(
        f"insert into {stage.gone} select {listed(pair.key, 't')} from {scope(pair)} t"
        f" where not exists (select 1 from {rows} s where {matching})"
    )


def _whole(two: Session, stage: Stage, rows: str, place: str) -> None:
    """The same for a table without a key: the n-th of several equal rows belongs to the n-th."""
    pair, number = stage.pair, stage.number
    if not place:
        raise HeldBack(f"{pair.shown} has neither a key nor a rowid that no column hides", finding="data.key")
    for name, query in (
        ("ours", numbered(rows, place, pair.columns)),
        ("theirs", numbered(scope(pair), pair.target.place, pair.columns)),
    ):
        two.run(f"drop table if exists temp.raccord_{name}_{number}")
        two.run(f"create temp table raccord_{name}_{number} as {query}")
        two.run(f"create index temp.raccord_{name}_{number}_w on raccord_{name}_{number} (w, n)")
    ours, theirs = f"temp.raccord_ours_{number}", f"temp.raccord_theirs_{number}"
    two.run(
        f"insert into {stage.put} ({listed([*stage.columns, stage.new])})"
        f" select {', '.join([*map(identifier, stage.columns), '1'])} from {rows} s"
        f" where s.{identifier(place)} in (select o.place from {ours} o where not exists"
        f" (select 1 from {theirs} t where t.w = o.w and t.n = o.n))"
    )
    two.run(
        f"insert into {stage.gone} select t.place from {theirs} t where not exists"
        f" (select 1 from {ours} o where o.w = t.w and o.n = t.n)"
    )


def settle(two: Session, spec: Spec, stage: Stage) -> None:
    """Leaves in the stage what the mode changes.

    Raises:
        HeldBack: rows would be put in the place of others that the condition leaves out.
    """
    pair = stage.pair
    if spec.mode not in REMOVES:
        two.run(f"delete from {stage.gone}")
    outside = f"exists (select 1 from {relation(pair)} t where {stage.match})" if pair.key else "0"
    if spec.mode == INSERT:
        two.run(f"delete from {stage.put} as p where not {identifier(stage.new)} or {outside}")
    elif pair.where and pair.key:
        count = two.number(f"select count(*) from {stage.put} p where {identifier(stage.new)} and {outside}")
        if count:
            raise HeldBack(
                f"{several(count, 'row', pair.shown, ('has the key', 'have keys'))} of rows that where leaves"
                f" out in {spec.goal}",
                hint=f"widen where in [data.{spec.name}]",
                finding="data.outside",
            )
