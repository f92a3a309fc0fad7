"""Makes a table aside of another, alike in all but its rows, and puts it in the place of the other.

All within one transaction of the caller's: nobody sees the new table before that commits, and nothing is left
of it where it doesn't. Names are exchanged at the very end, behind a lock for which readers wait a moment:
it is asked for shortly, given up and asked for again. What the catalogs say afterwards must be what they said
before, or nothing is changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from raccord.database import patience, postgres
from raccord.database.held_postgres import held
from raccord.database.shape_postgres import Grant, Index, Numbers, Shape, facts, number
from raccord.database.tables import Name, identifier, label
from raccord.errors import HeldBack, WorldMoved

ASK_SECONDS = 0.1  # for which readers wait behind us, at most, each time that the lock is asked for
PAUSE_SECONDS = 0.15  # for which they don't
MEMORY = 1 << 30  # bytes for building an index, at most
_STATES = {"D": "disable", "R": "enable replica", "A": "enable always"}


@dataclass(frozen=True, slots=True)
class Aside:
    """A table, and the one that is to take its place.

    Attributes:
        shape: of the table.
        name: of the other; what belongs to that has this name too, and a number.
    """

    shape: Shape
    name: Name

    @property
    def place(self) -> str:
        """It as SQL."""
        return identifier(*self.name)

    def of(self, number: int) -> str:
        """A name for what belongs to it, until the exchange."""
        return f"{self.name[1]}_{number}"


def text(value: str | None) -> str:
    """A text as SQL."""
    if value is None:
        return "null"
    doubled = value.replace("'", "''").replace("\\", "\\\\")
    return f"E'{doubled}'"


@contextlib.contextmanager
def spelled(db: postgres.Connection) -> Iterator[None]:
    """A block in which names mean what the catalogs say, whatever schemas there are."""
    db.execute("set local search_path to pg_catalog")
    yield
    db.execute("set local search_path to default")


def make(db: postgres.Connection, one: Aside) -> None:
    """Makes it, without rows, indexes and foreign keys: the rows come next, in the same subtransaction."""
    of = one.shape
    options = [_option(each) for each in of.options] + [f"toast.{_option(each)}" for each in of.toast]
    kind = "unlogged table" if of.unlogged else "table"
    said = f" with ({', '.join(options)})" if options else ""
    with spelled(db):
        _space(db, of.space)
        _run(
            db,
            f"create {kind} {one.place} (like {identifier(*of.id)} including defaults including generated"
            " including storage including compression including constraints)"
            f" using {identifier(of.method)}{said}",
        )
        _space(db, "")


def _option(said: str) -> str:
    name, _, value = said.partition("=")
    return f"{identifier(name)} = {text(value)}"


def _space(db: postgres.Connection, name: str) -> None:
    db.execute("select set_config('default_tablespace', %s, true)", [name])


def index(db: postgres.Connection, one: Aside) -> None:
    """Builds its indexes, once its rows are there."""
    with spelled(db), _memory(db):
        for at, each in enumerate(one.shape.indexes):
            _space(db, each.space)
            _built(db, _index(one, each, one.of(at)))
            _space(db, "")
            if each.kind in ("p", "u") and not each.periods:
                kind = "primary key" if each.kind == "p" else "unique"
                waits = " deferrable initially deferred" if each.deferred else " deferrable"
                _run(
                    db,
                    f"alter table {one.place} add constraint {identifier(one.of(at))} {kind} using index"
                    f" {identifier(one.of(at))}{waits if each.deferrable else ''}",
                )
            for target in each.targets:
                column, _, count = target.partition("=")
                _run(
                    db,
                    f"alter index {identifier(one.name[0], one.of(at))} alter column {column}"
                    f" set statistics {count}",
                )
            if each.clustered:
                _run(db, f"alter table {one.place} cluster on {identifier(one.of(at))}")
            if each.replica:
                _run(db, f"alter table {one.place} replica identity using index {identifier(one.of(at))}")


def _index(one: Aside, each: Index, name: str) -> str:
    if each.kind == "x" or each.periods:
        return f"alter table {one.place} add constraint {identifier(name)} {each.rule}"
    head = f"{each.head}{each.quoted} ON {one.shape.place} "
    return f"{each.head}{identifier(name)} ON {one.place} {_rest(each.definition, head)}"


def _rest(definition: str, head: str) -> str:
    """What follows in a definition as the server spells it.

    Raises:
        HeldBack: it begins in another way than is known here.
    """
    if not definition.startswith(head):
        raise HeldBack(
            f"a definition is spelled in a way that is not known: {definition}", finding="data.swap"
        )
    return definition[len(head) :]


@contextlib.contextmanager
def _memory(db: postgres.Connection) -> Iterator[None]:
    """More memory for indexes, where the server has that for tables too: one over vectors that doesn't fit in
    takes a multiple of the time."""
    row = db.execute(
        "select s, pg_size_bytes(s), pg_size_bytes(current_setting('shared_buffers'))"
        " from current_setting('maintenance_work_mem') s"
    ).fetchone()
    assert row is not None
    wanted = min(row[2], MEMORY)
    if wanted > row[1]:
        db.execute("select set_config('maintenance_work_mem', %s, true)", [f"{wanted >> 10}kB"])
    yield
    db.execute("select set_config('maintenance_work_mem', %s, true)", [row[0]])


def _built(db: postgres.Connection, statement: str) -> None:
    try:
        with db.transaction():
            _run(db, statement)
    except postgres.driver().errors.DiskFull:
        # A container's shared memory has no room for several processes and much memory at once.
        with db.transaction():
            db.execute("set local max_parallel_maintenance_workers to 0")
            _run(db, statement)


def dress(db: postgres.Connection, one: Aside) -> None:
    """Gives it what the other has: owner, rights, comments, statistics, identities."""
    of = one.shape
    with spelled(db):
        for each in of.columns:
            column = f"alter table {one.place} alter column {identifier(each.name)}"
            if each.target >= 0:
                _run(db, f"{column} set statistics {each.target}")
            if each.options:
                _run(db, f"{column} set ({', '.join(map(_option, each.options))})")
            _comment(db, f"column {one.place}.{identifier(each.name)}", each.comment)
        for at, inner in enumerate(of.sequences):
            if inner.inner:
                _identity(db, one, inner, len(of.indexes) + at)
        # Owned sequences stay, and with them the defaults that draw from them.
        _run(db, f"alter table {one.place} owner to {identifier(of.owner)}")
        if of.replica in ("f", "n"):
            _run(db, f"alter table {one.place} replica identity {'full' if of.replica == 'f' else 'nothing'}")
        _comment(db, f"table {one.place}", of.comment)
        for name, comment in of.remarks:
            _comment(db, f"constraint {identifier(name)} on {one.place}", comment)
        for at, each_ in enumerate(of.indexes):
            _comment(db, f"index {identifier(one.name[0], one.of(at))}", each_.comment)
            if each_.kind:
                _comment(db, f"constraint {identifier(one.of(at))} on {one.place}", each_.rule_comment)
        _grant(db, one.name, one.place, "table", of.grants, of.owner)
        for at, inner in enumerate(of.sequences):
            if inner.inner:
                new = (inner.schema, one.of(len(of.indexes) + at))
                _grant(db, new, identifier(*new), "sequence", inner.grants, of.owner)
        for at, kept in enumerate(of.statistics):
            # Gathered from now on; the name follows once it is free.
            new = (kept.schema, one.of(len(of.indexes) + len(of.sequences) + at))
            rest = _rest(kept.definition, kept.head)
            end = f" FROM {of.place}"
            if not rest.endswith(end):
                raise HeldBack(f"statistics are spelled in a way that is not known: {kept.definition}")
            _run(db, f"create statistics {identifier(*new)}{rest[: -len(end)]} FROM {one.place}")
            if kept.target >= 0:
                _run(db, f"alter statistics {identifier(*new)} set statistics {kept.target}")
            _comment(db, f"statistics {identifier(*new)}", kept.comment)
            _run(db, f"alter statistics {identifier(*new)} owner to {identifier(kept.owner)}")


def _identity(db: postgres.Connection, one: Aside, each: Numbers, at: int) -> None:
    name = (each.schema, one.of(at))
    how = "always" if each.identity == "a" else "by default"
    _run(
        db,
        f"alter table {one.place} alter column {identifier(each.column)} add generated {how} as identity"
        f" (sequence name {identifier(*name)} start {each.start} increment {each.step} minvalue {each.least}"
        f" maxvalue {each.most} cache {each.cache} {'cycle' if each.cycle else 'no cycle'})",
    )
    _comment(db, f"sequence {identifier(*name)}", each.comment)


def _comment(db: postgres.Connection, what: str, said: str | None) -> None:
    if said is not None:
        _run(db, f"comment on {what} is {text(said)}")


_GRANTED = """
select case e.grantee when 0 then null else pg_get_userbyid(e.grantee) end, e.privilege_type, e.is_grantable
from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(coalesce(c.relacl,
  acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))) e
where n.nspname = %s and c.relname = %s
"""


def _grant(
    db: postgres.Connection, name: Name, place: str, kind: str, wanted: Sequence[Grant], owner: str
) -> None:
    """The rights of the other, in their order; default privileges may have given others."""
    now = [(row[0], row[1], row[2]) for row in db.execute(_GRANTED, list(name))]
    whole = [each for each in wanted if each.column is None]
    if {*now} != {(each.role, each.right, each.passing) for each in whole}:
        for role in dict.fromkeys((owner, *(role for role, _, _ in now))):
            _run(db, f"revoke all on {kind} {place} from {_role(role)} cascade")
        for each in whole:
            passing = " with grant option" if each.passing and each.role != owner else ""
            _run(db, f"grant {each.right} on {kind} {place} to {_role(each.role)}{passing}")
    for each in wanted:
        if each.column is not None:
            passing = " with grant option" if each.passing else ""
            what = f"{each.right} ({identifier(each.column)})"
            _run(db, f"grant {what} on {place} to {_role(each.role)}{passing}")


def _role(name: str | None) -> str:
    return "public" if name is None else identifier(name)


def refer(db: postgres.Connection, asides: Mapping[Name, Aside]) -> None:
    """Gives each its foreign keys, proved: to the others that are exchanged too, as they will be."""
    with spelled(db):
        for one in asides.values():
            for each in one.shape.keys:
                rest = _rest(each.definition, f"{each.head}{each.place}")
                place = asides[each.target].place if each.target in asides else each.place
                rule = f"{identifier(each.name)} {each.head}{place}{rest}"
                _run(db, f"alter table {one.place} add constraint {rule}")
                _comment(db, f"constraint {identifier(each.name)} on {one.place}", each.comment)


def exchange(db: postgres.Connection, asides: Mapping[Name, Aside], *, seconds: float) -> None:
    """Puts each in the place of its table, which goes.

    Args:
        seconds: to wait for others who use the tables.

    Raises:
        HeldBack: it would not be what the table was.
        psycopg.errors.LockNotAvailable: others kept a table for all that time.
    """
    listed = list(asides.values())
    with spelled(db):
        hold(db, listed, seconds)
        _unaltered(db, listed)
        for one in listed:
            _sequences(db, one)
        _run(db, f"drop table {', '.join(identifier(*one.shape.id) for one in listed)}")
        for one in listed:
            _named(db, one)
        for one in listed:
            _triggers(db, one)
    with spelled(db):
        for one in listed:
            if said := _altered(db, one):
                raise HeldBack(
                    f"{label(one.shape.id)} would not be what it was: {said}; nothing was changed",
                    hint="set swap = false for this set",
                    finding="data.swap",
                )


def _altered(db: postgres.Connection, one: Aside) -> str:
    """In what the table of that name differs from the one that was looked at."""
    other = one.shape.facts ^ facts(db, number(db, one.shape.id))
    return ", ".join(sorted({" ".join(filter(None, fact[:2])) for fact in other}))


def _unaltered(db: postgres.Connection, listed: Sequence[Aside]) -> None:
    """Not every statement that gives a table something waits for who holds it.

    Raises:
        WorldMoved: one did not.
    """
    found = {number(db, one.shape.id): one for one in listed}
    kept = held(db, found, [number(db, one.name) for one in listed])
    for oid, one in found.items():
        if said := _altered(db, one) or ", ".join(kept.get(oid, ())):
            raise WorldMoved(f"{label(one.shape.id)} was altered meanwhile: {said}; nothing was changed")


def hold(db: postgres.Connection, listed: Sequence[Aside], seconds: float) -> None:
    """Takes the tables, what they refer to and their sequences for ourselves.

    Raises:
        psycopg.errors.LockNotAvailable: others kept one for all that time.
    """
    names = {one.shape.id for one in listed} | {key.target for one in listed for key in one.shape.keys}
    places = ", ".join(identifier(*name) for name in sorted(names))
    # The others change nothing, and nobody draws a number meanwhile.
    statements = [f"lock table {places} in access exclusive mode"] + [
        f"alter sequence {identifier(each.schema, each.name)} cache {each.cache}"
        for one in listed
        for each in one.shape.sequences
    ]
    patience.take(db, statements, seconds=seconds, ask=ASK_SECONDS, pause=PAUSE_SECONDS)


def _sequences(db: postgres.Connection, one: Aside) -> None:
    of = one.shape
    for at, each in enumerate(of.sequences):
        place = identifier(each.schema, each.name)
        if each.inner:
            new = identifier(each.schema, one.of(len(of.indexes) + at))
            drawn = f"{text(new)}::regclass, s.last_value, s.is_called"
            _run(db, f"select setval({drawn}) from {place} s")  # noqa: S608
        else:
            _run(db, f"alter sequence {place} owned by {one.place}.{identifier(each.column)}")


def _named(db: postgres.Connection, one: Aside) -> None:
    """The names of the table that is gone, in the order in which nothing stands in the way."""
    of = one.shape
    _run(db, f"alter table {one.place} rename to {identifier(of.id[1])}")
    place = identifier(*of.id)
    for at, each in enumerate(of.indexes):
        if each.kind:
            _run(
                db,
                f"alter table {place} rename constraint {identifier(one.of(at))} to {identifier(each.name)}",
            )
        else:
            _run(db, f"alter index {identifier(of.id[0], one.of(at))} rename to {identifier(each.name)}")
    for at, inner in enumerate(of.sequences, len(of.indexes)):
        if inner.inner:
            _run(
                db,
                f"alter sequence {identifier(inner.schema, one.of(at))} rename to {identifier(inner.name)}",
            )
    for at, kept in enumerate(of.statistics, len(of.indexes) + len(of.sequences)):
        _run(db, f"alter statistics {identifier(kept.schema, one.of(at))} rename to {identifier(kept.name)}")


def _triggers(db: postgres.Connection, one: Aside) -> None:
    place = identifier(*one.shape.id)
    for name, definition, state, comment in one.shape.triggers:
        _run(db, definition)
        if state in _STATES:
            _run(db, f"alter table {place} {_STATES[state]} trigger {identifier(name)}")
        _comment(db, f"trigger {identifier(name)} on {place}", comment)


def _run(db: postgres.Connection, statement: str) -> None:
    db.execute(statement.encode())
