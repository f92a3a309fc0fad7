"""Changes the tables of a set within one transaction: constraints on, nothing cascaded, each row once.

Rows are put before others go: what refers to a row that goes has its new value by then. Where a second unique
key stands in the way of that, the rows go first; where that isn't enough either, rows that nothing refers to
make way for their new state, or unique values are null meanwhile. Each of these is tried from the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from raccord.data.clearing import clear
from raccord.data.job import Changed, Referred
from raccord.data.left_out import leave_out
from raccord.data.order import Order
from raccord.data.plan import CARRIES, refers
from raccord.data.scope import hashed, matched, meets, relation
from raccord.data.spec import INSERT
from raccord.data.stage import Stage, one_row, run
from raccord.database import postgres
from raccord.database.tables import Name, Reference, identifier, label
from raccord.errors import HeldBack
from raccord.model.text import several, shown


class Numbered(HeldBack):
    """Rows would change a number that the server alone gives."""


def carry_out(
    db: postgres.Connection, stages: Mapping[Name, Stage], order: Order, mode: str
) -> dict[Name, Changed]:
    """Puts the rows that are to be put, and removes those that go.

    Raises:
        Referred: others refer to what would go.
        Numbered: rows that can't make way would get another number.
        psycopg.Error: a constraint stands against it.
    """
    errors = postgres.driver().errors
    listed = [stages[name] for name in order.tables if name in stages]
    again = (
        errors.UniqueViolation,
        errors.ExclusionViolation,
        errors.ForeignKeyViolation,
        errors.RestrictViolation,
    )
    first: Exception | None = None
    tries: Sequence[Callable[[_Work], None]] = (
        (_puts_first,)
        if mode == INSERT or all(stage.pour for stage in listed)
        else (_puts_first, _goes_first, _makes_way, _clears_first)
    )
    followed = {} if mode == INSERT else _followed(db, listed, order)
    for way in tries:
        work = _Work(db, listed, order, mode)
        try:
            with db.transaction():
                run(db, "set constraints all deferred")
                _empty(work)
                way(work)
                # What waits for the commit is to fail here, where it can still be told.
                run(db, "set constraints all immediate")
        except (Referred, Numbered, *again) as error:
            first = first or error
        except errors.CheckViolation:
            # Of rows as they are only in between, where another way was tried before.
            if first is None:
                raise
        else:
            for name, count in followed.items():
                work.changed[name].changed = count
            return work.changed
    assert first is not None
    raise first


def _followed(db: postgres.Connection, stages: Iterable[Stage], order: Order) -> dict[Name, int]:
    """How many rows change of tables in which the server may change some before it is told to, as they follow
    what they refer to."""
    return {
        stage.pair.id: _met(db, stage)
        for stage in stages
        if stage.pair.key
        and not stage.pour
        and any(one.on_update in CARRIES and one.target in order.tables for one in stage.pair.target.refers)
    }


def _met(db: postgres.Connection, stage: Stage) -> int:
    """How many of the rows that are put are there already."""
    query = f"select count(*) from {stage.put} p join {relation(stage.pair)} t on {stage.match}"
    return int(str(one_row(db, query)[0]))


@dataclass(slots=True)
class _Work:
    db: postgres.Connection
    stages: list[Stage]
    order: Order
    mode: str
    changed: dict[Name, Changed] = field(init=False)

    def __post_init__(self) -> None:
        self.changed = {stage.pair.id: Changed() for stage in self.stages}

    def carried(self, stage: Stage) -> bool:
        """Whether rows may go as others of the set do."""
        return any(
            one.on_delete == "cascade" and one.target in self.order.tables for one in stage.pair.target.refers
        )

    def late(self, stage: Stage) -> frozenset[str]:
        if stage.pour:
            return frozenset()
        return self.order.late.get(stage.pair.id, frozenset()) & frozenset(stage.columns)


def _empty(work: _Work) -> None:
    """All rows go from tables that are filled anew; what refers to them goes first."""
    for stage in reversed(work.stages):
        if stage.empties and not stage.aside:
            work.changed[stage.pair.id].removed = run(work.db, f"delete from {relation(stage.pair)}")


def _puts_first(work: _Work) -> None:
    if work.mode == INSERT:
        leave_out(work.db, work.stages, work.order, work.changed)
    for stage in work.stages:
        _insert(work, stage)
        _update(work, stage)
    _fill_late(work)
    _open_circles(work)
    for stage in reversed(work.stages):
        _delete(work, stage)


def _goes_first(work: _Work) -> None:
    _open_circles(work)
    for stage in reversed(work.stages):
        _delete(work, stage)
    for stage in work.stages:
        _update(work, stage)
        _insert(work, stage)
    _fill_late(work)


def _makes_way(work: _Work) -> None:
    _open_circles(work)
    free = [
        stage
        for stage in work.stages
        if not (stage.pour or stage.pair.kept or stage.pair.target.referred or work.late(stage))
        and stage.pair.key
    ]
    changed = {}
    for stage in reversed(work.stages):
        _delete(work, stage)
        if stage in free:
            changed[stage.pair.id] = run(
                work.db, f"delete from {relation(stage.pair)} t using {stage.put} p where {stage.match}"
            )
    for stage in work.stages:
        _update(work, stage)
        _insert(work, stage)
        if stage in free:
            count = work.changed[stage.pair.id]
            count.changed, count.added = changed[stage.pair.id], count.added - changed[stage.pair.id]
    _fill_late(work)


def _clears_first(work: _Work) -> None:
    _open_circles(work)
    lone = [stage for stage in work.stages if not stage.pair.target.referred]
    for stage in reversed(lone):
        _delete(work, stage)
    changed = {}
    for stage in work.stages:
        if not (stage.pour or not stage.pair.key):
            changed[stage.pair.id] = _met(work.db, stage)
        clear(work.db, stage)
    for stage in work.stages:
        _insert(work, stage)
        _update(work, stage)
    _fill_late(work)
    for name, count in changed.items():
        work.changed[name].changed = count
    for stage in reversed(work.stages):
        if stage not in lone:
            _delete(work, stage)


def _insert(work: _Work, stage: Stage) -> None:
    if stage.pour:
        work.changed[stage.pair.id].added = stage.pour()
        return
    late = work.late(stage)
    # A circle's columns come at the end.
    said = ", ".join(
        f"null as {identifier(name)}" if name in late else f"p.{identifier(name)}" for name in stage.columns
    )
    new = (
        f" where not exists (select from {relation(stage.pair)} t where {stage.match})"
        if stage.pair.key
        else ""
    )
    taken = " on conflict do nothing" if work.mode == INSERT and stage.pair.target.others else ""
    count = work.changed[stage.pair.id]
    count.added = run(
        work.db,
        f"insert into {identifier(*stage.pair.id)} ({stage.listed}) overriding system value"
        f" select {said} from {stage.put} p{new}{taken}",
    )
    if taken:
        left = int(str(one_row(work.db, f"select count(*) from {stage.put}")[0])) - count.added
        if left:
            count.skipped[f"one of {', '.join(map(shown, stage.pair.target.others))} has it"] = left


def _update(work: _Work, stage: Stage) -> None:
    sets = [name for name in stage.sets if name not in work.late(stage)]
    if stage.pour or not stage.pair.key or work.mode == INSERT:
        return
    _refuse_numbered(work, stage)
    if not sets:
        return
    _refuse_carried(work, stage)
    said = ", ".join(f"{identifier(name)} = p.{identifier(name)}" for name in sets)
    # Rows that were just added have it all; without this they would be written twice.
    done = run(
        work.db,
        f"update {relation(stage.pair)} t set {said} from {stage.put} p"
        f" where {stage.match} and {hashed(stage.pair, 't')} <> {hashed(stage.pair, 'p')}",
    )
    if not work.late(stage):
        work.changed[stage.pair.id].changed = done


def _fill_late(work: _Work) -> None:
    for stage in work.stages:
        late = sorted(work.late(stage))
        if late and stage.pair.key:
            said = ", ".join(f"{identifier(name)} = p.{identifier(name)}" for name in late)
            done = run(
                work.db, f"update {relation(stage.pair)} t set {said} from {stage.put} p where {stage.match}"
            )
            work.changed[stage.pair.id].changed = done - work.changed[stage.pair.id].added


def _open_circles(work: _Work) -> None:
    """Rows that go no longer refer to each other."""
    for stage in work.stages:
        late = sorted(work.late(stage))
        if late and stage.pair.key:
            said = ", ".join(f"{identifier(name)} = null" for name in late)
            run(work.db, f"update {relation(stage.pair)} t set {said} from {stage.gone} g where {stage.goes}")


def _delete(work: _Work, stage: Stage) -> None:
    if stage.pour or not one_row(work.db, f"select exists (select from {stage.gone})")[0]:
        return
    referred = stage.pair.target.referred
    if any(one.on_delete in CARRIES and one.table not in work.order.tables for one in referred):
        _hold(work, stage, f"exists (select from {stage.gone} g where {stage.goes})")
    for one in referred:
        _refuse_referred(work, stage, one)
    # In a circle a key's own action may have removed some of them already, together with what they refer to.
    there = int(str(one_row(work.db, f"select count(*) from {stage.gone}")[0])) if work.carried(stage) else 0
    done = run(work.db, f"delete from {relation(stage.pair)} t using {stage.gone} g where {stage.goes}")
    work.changed[stage.pair.id].removed = max(there, done)


def _refuse_referred(work: _Work, stage: Stage, one: Reference) -> None:
    """No row goes that others refer to: the server would refuse, or worse, remove or change those too.

    Raises:
        Referred: some do.
    """
    meeting = meets(one, "c", "t")
    # Rows that go as well are in nobody's way, unless their table is filled anew and empty by now.
    child = next((other for other in work.stages if other.pair.id == one.table and not other.pour), None)
    own = f" and not exists (select from {child.gone} g where {child.goes_as('c')})" if child else ""
    count = one_row(
        work.db,
        f"select count(*) from {identifier(*one.table)} c where exists (select from {relation(stage.pair)} t"
        f" join {stage.gone} g on {stage.goes} where {meeting}){own}",
    )[0]
    if count:
        found = refers(one, stage.pair, int(str(count)))
        raise Referred(found.message, hint=found.hint, finding=found.name)


def _refuse_carried(work: _Work, stage: Stage) -> None:
    """No value changes that the server would carry on into rows that are left alone: nobody keeps them.

    Raises:
        Referred: it would.
    """
    for one in stage.pair.target.referred:
        moving = [name for name in one.refs if name in stage.sets]
        child = next((other for other in work.stages if other.pair.id == one.table), None)
        if not moving or one.on_update not in CARRIES or (child is not None and child.pour):
            continue
        differ = _differ(moving)
        _hold(work, stage, f"exists (select from {stage.put} p where {stage.match} and ({differ}))")
        count = one_row(
            work.db,
            f"select count(*) from {identifier(*one.table)} c"
            f" where exists (select from {relation(stage.pair)} t join {stage.put} p on {stage.match}"
            f" where ({differ}) and {meets(one, 'c', 't')}){_spared(child)}",
        )[0]
        if count:
            name = label(one.table)
            raise Referred(
                f"{several(int(str(count)), 'row', name, ('follows', 'follow'))} by {shown(one.name)}"
                f" what changes in {stage.pair.shown}" + (child is not None) * ", and would stay otherwise",
                hint=f"add {name} to the set"
                if child is None
                else "have them pushed too, or change them first",
                finding="data.referred",
            )


def _spared(child: Stage | None) -> str:
    """SQL for the rows `c` of a table that are neither put nor go."""
    if child is None:
        return ""
    put = f" and not exists (select from {child.put} p where {matched(child.pair, 'c', 'p')})"
    gone = f" and not exists (select from {child.gone} g where {child.goes_as('c')})"
    return (put if child.pair.key else "") + gone


def _hold(work: _Work, stage: Stage, which: str) -> None:
    """Locks rows, so that none is referred to between a count of those that refer and what is done then."""
    one_row(
        work.db,
        f"select count(*) from (select from {relation(stage.pair)} t where {which} for update of t) x",
    )


def _differ(names: Iterable[str]) -> str:
    return " or ".join(f"t.{identifier(name)} is distinct from p.{identifier(name)}" for name in names)


def _refuse_numbered(work: _Work, stage: Stage) -> None:
    """No row gets another number in a column that only the server numbers: no UPDATE can do that.

    Raises:
        Numbered: some would.
    """
    pair = stage.pair
    fixed = [
        name
        for name in stage.columns
        if name in pair.columns and name not in pair.key and pair.column(name).identity == "always"
    ]
    if not fixed:
        return
    count = one_row(
        work.db,
        f"select count(*) from {stage.put} p join {relation(pair)} t on {stage.match} where {_differ(fixed)}",
    )[0]
    if count:
        raise Numbered(
            f"{several(int(str(count)), 'row', pair.shown)} would get another {', '.join(map(shown, fixed))},"
            " which is always"
            " generated, and can't go and come again: other rows refer to the table, or columns stay behind",
            hint=f"alter table {pair.shown} alter {fixed[0]} set generated by default",
            finding="data.numbered",
        )
