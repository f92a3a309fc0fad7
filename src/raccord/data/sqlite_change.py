"""Changes the tables of a set in SQLite, within one transaction: constraints on, nothing cascaded.

Rows are put before others go: what refers to a row that goes has its new value by then. Where a second unique
key stands in the way of that, the rows go first; where that isn't enough either, rows that nothing refers to
make way for their new state, and unique values of the others are null for a moment; at last all unique values
that change are, before anything else happens. Each of these is tried from the same state. Foreign keys wait
for the commit, so that circles need no opening.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from raccord.data.job import Changed, Referred
from raccord.data.plan import refers
from raccord.data.spec import INSERT, Spec
from raccord.data.sqlite_session import Session
from raccord.data.sqlite_sql import differs, listed, matched, meets, relation
from raccord.data.sqlite_stage import Stage
from raccord.database import sqlite
from raccord.database.tables import Column, Name, Reference, Table, identifier, label
from raccord.database.tables_sqlite import affinity
from raccord.errors import HeldBack
from raccord.model.text import several, shown

# What a foreign key may write by itself into rows that refer.
SETS = frozenset({"set null", "set default"})
# And, of a value that changes, the new one.
FOLLOWS = SETS | {"cascade"}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the tables.

    Attributes:
        meant: how many times a row was to be written.
        touched: how many times SQLite wrote one, whatever made it do so.
    """

    changed: Mapping[Name, Changed]
    meant: int
    touched: int


@contextlib.contextmanager
def quiet(two: Session, spec: Spec, tables: Sequence[Table]) -> Iterator[None]:
    """Takes triggers away for the block, where the set asks for that, and makes them again as they were.

    SQLite has no switch for them. Both happen within the transaction: nobody else ever sees it.
    """
    names = {table.name.lower() for table in tables if table.triggers} if spec.triggers == "skip" else set()
    rows = two.ask("select name, sql, tbl_name from sqlite_schema where type = 'trigger' order by rowid")
    taken = [(name, sql) for name, sql, of in rows.fetchall() if of.lower() in names]
    for name, _ in taken:
        two.run(f"drop trigger {identifier('main', name)}")
    yield
    for _, sql in taken:
        two.run(sql)


def carry_out(two: Session, stages: Sequence[Stage], mode: str) -> Done:
    """Puts the rows that are to be put, and removes those that go.

    Args:
        stages: what is referred to first.

    Raises:
        Referred: others refer to what would go.
        HeldBack: rows would refer to nothing.
        sqlite3.Error: a constraint stands against it.
    """
    first: Exception | None = None
    tries: Sequence[Callable[[_Work], None]] = (
        (_puts_first,) if mode == INSERT else (_puts_first, _goes_first, _makes_way, _clears_first)
    )
    for way in tries:
        work = _Work(two, stages, mode)
        try:
            with _attempt(two):
                way(work)
                for stage in stages:
                    for one in stage.pair.target.refers:
                        _refuse_orphans(work, stage, one)
        except (Referred, sqlite.IntegrityError) as error:
            first = first or error
        else:
            return Done(work.changed, work.meant, work.touched)
    assert first is not None
    raise first


@contextlib.contextmanager
def _attempt(two: Session) -> Iterator[None]:
    two.run("savepoint raccord_try")
    try:
        yield
    except BaseException:
        if two.db.in_transaction:  # some errors end it
            two.run("rollback to raccord_try")
        raise
    finally:
        if two.db.in_transaction:
            two.run("release raccord_try")


@dataclass(slots=True)
class _Work:
    two: Session
    stages: Sequence[Stage]
    mode: str
    changed: dict[Name, Changed] = field(init=False)
    meant: int = 0
    touched: int = 0

    def __post_init__(self) -> None:
        self.changed = {stage.pair.id: Changed() for stage in self.stages}

    def write(self, statement: str, meant: int | None = None) -> int:
        """Changes the target; returns how many rows the statement itself changed.

        Args:
            meant: how many it is to change, where it may find some changed already.
        """
        before = self.two.db.total_changes
        count = self.two.run(statement)
        self.meant += count if meant is None else meant
        self.touched += self.two.db.total_changes - before
        return count

    def stage(self, name: Name) -> Stage | None:
        return next((one for one in self.stages if one.pair.id == name), None)


def _puts_first(work: _Work) -> None:
    for stage in work.stages:
        if work.mode == INSERT:
            _leave_out(work, stage)
        _update(work, stage)
        _insert(work, stage)
    for stage in reversed(work.stages):
        _delete(work, stage)


def _goes_first(work: _Work) -> None:
    for stage in reversed(work.stages):
        _delete(work, stage)
    for stage in work.stages:
        _update(work, stage)
        _insert(work, stage)


def _makes_way(work: _Work) -> None:
    free = [
        stage
        for stage in work.stages
        if stage.pair.key and not (stage.pair.kept or stage.pair.target.referred)
    ]
    for stage in reversed(work.stages):
        _delete(work, stage)
        if stage in free:
            keys = listed(stage.pair.key)
            work.changed[stage.pair.id].changed = work.write(
                f"delete from {relation(stage.pair)} where ({keys}) in"
                f" (select {keys} from {stage.put} where not {identifier(stage.new)})"
            )
    for stage in work.stages:
        if stage in free:
            count = work.changed[stage.pair.id]
            count.added = _insert_where(work, stage, "1") - count.changed
        else:
            _empty_uniques(work, stage)
            _update(work, stage)
            _insert(work, stage)


def _clears_first(work: _Work) -> None:
    for stage in work.stages:
        _empty_uniques(work, stage)
        if stage.pair.key:
            _empty_uniques(work, stage, goes=True)
        elif not stage.pair.target.referred:
            _delete(work, stage)
    for stage in work.stages:
        _update(work, stage)
        _insert(work, stage)
    for stage in reversed(work.stages):
        if stage.pair.key or stage.pair.target.referred:
            _delete(work, stage)


def _empty_uniques(work: _Work, stage: Stage, *, goes: bool = False) -> None:
    """Rows that exchange values of a unique column have none for a moment, or one that nobody has.

    Args:
        goes: whether those are meant that go, and not those that change.
    """
    pair = stage.pair
    used = {name for one in pair.target.referred for name in one.refs}
    names = sorted(
        {
            name
            for unique in pair.target.uniques
            for name in unique.columns
            if name in stage.sets and name not in (*pair.key, *used)
        }
    )
    if names and pair.key:
        said = ", ".join(f"{identifier(name)} = {_meanwhile(pair.column(name))}" for name in names)
        keys = listed(pair.key)
        changes = f"({keys}) in (select {keys} from {stage.put} where not {identifier(stage.new)})"
        work.write(f"update or abort {relation(pair)} set {said} where {stage.lost if goes else changes}")


def _meanwhile(column: Column) -> str:
    if column.nullable:
        return "null"
    if affinity(column.type) in ("integer", "real", "numeric"):
        return "-abs(random() / 2)"
    return "lower(hex(randomblob(16)))"


def _insert(work: _Work, stage: Stage) -> None:
    count = work.changed[stage.pair.id]
    taken = work.mode == INSERT and stage.pair.target.others
    wanted = work.two.number(f"select count(*) from {stage.put}") if taken else 0
    count.added = _insert_where(
        work, stage, identifier(stage.new), " on conflict do nothing" if taken else ""
    )
    if taken and wanted > count.added:
        count.skipped[f"one of {', '.join(map(shown, stage.pair.target.others))} has it"] = (
            wanted - count.added
        )
        there = f"exists (select 1 from {relation(stage.pair)} t where {stage.match})"
        work.two.run(f"delete from {stage.put} as p where not {there}")


def _insert_where(work: _Work, stage: Stage, which: str, also: str = "") -> int:
    # A table may say that a new row takes the place of those that it conflicts with: not here.
    return work.write(
        f"insert or abort into {relation(stage.pair)} ({listed(stage.columns)})"
        f" select {listed(stage.columns)} from {stage.put} where {which}{also}"
    )


def _update(work: _Work, stage: Stage) -> None:
    if not stage.pair.key or not stage.sets or work.mode == INSERT:
        return
    for one in stage.pair.target.referred:
        _refuse_carried(work, stage, one)
    said = ", ".join(f"{identifier(name)} = p.{identifier(name)}" for name in stage.sets)
    work.changed[stage.pair.id].changed = work.write(
        f"update or abort {relation(stage.pair)} as t set {said} from {stage.put} p"
        f" where {stage.match} and not p.{identifier(stage.new)}"
    )


def _delete(work: _Work, stage: Stage) -> None:
    count = work.two.number(f"select count(*) from {stage.gone}")
    if not count:
        return
    for one in stage.pair.target.referred:
        _refuse_referred(work, stage, one)
        _let_go(work, one)
    # What a row takes along that goes as well is counted once.
    work.write(f"delete from {relation(stage.pair)} where {stage.lost}", count)
    work.changed[stage.pair.id].removed = count


def _let_go(work: _Work, one: Reference) -> None:
    """Rows that go as well no longer refer to those that do: SQLite would write them once more, uncounted."""
    child = work.stage(one.table)
    if child is None or one.on_delete not in SETS:
        return
    names = [
        name
        for name in one.columns
        if name not in child.pair.key
        and (column := child.pair.target.column(name)) is not None
        and column.nullable
    ]
    if names:
        said = ", ".join(f"{identifier(name)} = null" for name in names)
        filled = " and ".join(f"{identifier(name)} is not null" for name in one.columns)
        work.write(f"update or abort {relation(child.pair)} set {said} where {filled} and {child.lost}")


def _refuse_referred(work: _Work, stage: Stage, one: Reference) -> None:
    """No row goes that others refer to: SQLite would refuse, or worse, remove or change those too.

    Raises:
        Referred: some do.
    """
    child = work.stage(one.table)
    # Those that go as well don't count.
    own = f" and not exists (select 1 from {child.gone} g where {child.goes('c')})" if child else ""
    count = work.two.number(
        f"select count(*) from {stage.gone} g join {relation(stage.pair)} t on {stage.goes()}"
        f" join {identifier(*one.table)} c on {meets(one, 'c', 't')} where 1{own}"
    )
    if count:
        found = refers(one, stage.pair, count)
        raise Referred(found.message, hint=found.hint, finding=found.name)


def _refuse_carried(work: _Work, stage: Stage, one: Reference) -> None:
    """No value changes that SQLite would carry on into rows that are left alone.

    Raises:
        Referred: it would.
    """
    moving, child = [name for name in one.refs if name in stage.sets], work.stage(one.table)
    if not moving or (child is not None and one.on_update not in FOLLOWS):
        return
    rows = (
        f"select count(*) from {stage.put} p join {relation(stage.pair)} t on {stage.match}"
        f" join {identifier(*one.table)} c on {meets(one, 'c', 't')} where {differs(moving, 't', 'p')}"
    )
    rest, hint = "", f"add {label(one.table)} to the set"
    if child is not None:
        # Those that are put, or go, are written once more by that, before it is their turn.
        work.meant += work.two.number(rows)
        rows += f" and not exists (select 1 from {child.gone} g where {child.goes('c')})"
        if child.pair.key:
            same = matched(child.pair.key, "c", "p")
            rows += f" and not exists (select 1 from {child.put} p where {same})"
        rest, hint = ", and would stay otherwise", "have them pushed too, or change them first"
    if count := work.two.number(rows):
        raise Referred(
            f"{several(count, 'row', label(one.table), ('refers', 'refer'))} by {shown(one.name)}"
            " to what changes in"
            f" {stage.pair.shown}{rest}",
            hint=hint,
            finding="data.referred",
        )


def _refuse_orphans(work: _Work, stage: Stage, one: Reference) -> None:
    """No row is put that refers to nothing: at the commit SQLite would only say that there is one.

    Raises:
        HeldBack: some would.
    """
    if not set(one.columns) <= set(stage.columns):
        return
    filled = " and ".join(f"p.{identifier(name)} is not null" for name in one.columns)
    count = work.two.number(
        f"select count(*) from {stage.put} p where {filled} and not exists"
        f" (select 1 from {identifier(*one.target)} t where {meets(one, 'p', 't')})"
    )
    if count:
        raise HeldBack(
            f"{several(count, 'row', stage.pair.shown, ('refers', 'refer'))} by {shown(one.name)}"
            f" to rows of {label(one.target)}"
            " that are not there",
            hint=f"add {label(one.target)} to the set",
            finding="data.orphan",
        )


def _leave_out(work: _Work, stage: Stage) -> None:
    """Takes out what an insert may not bring: rows that are there under another unique key, and rows whose
    parents were taken out for that reason."""
    pair, skipped = stage.pair, work.changed[stage.pair.id].skipped
    for unique in pair.target.uniques:
        if set(unique.columns) == set(pair.key) or not set(unique.columns) <= set(stage.columns):
            continue
        same = matched(unique.columns, "t", "p")
        count = work.two.run(
            f"delete from {stage.put} as p where exists (select 1 from {relation(pair)} t where {same})"
        )
        if count:
            skipped[f"{', '.join(unique.columns)} is taken"] = count
    done = work.stages[: work.stages.index(stage) + 1]
    for one in pair.target.refers:
        parent = work.stage(one.target)
        if parent is None or parent not in done or not set(one.columns) <= set(stage.columns):
            continue
        filled = " and ".join(f"p.{identifier(name)} is not null" for name in one.columns)
        there = f"exists (select 1 from {identifier(*one.target)} t where {meets(one, 'p', 't')})"
        if one.target == pair.id:
            there += f" or exists (select 1 from {stage.put} q where {meets(one, 'p', 'q')})"
        while count := work.two.run(f"delete from {stage.put} as p where {filled} and not ({there})"):
            said = f"the {label(one.target)} it refers to is not there"
            skipped[said] = skipped.get(said, 0) + count
            if one.target != pair.id:
                break
