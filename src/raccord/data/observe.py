"""Looks at both ends of a set: their tables, and how the rows of each differ. Writes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from raccord.data import places, without
from raccord.data.closure import closed, parents
from raccord.data.compare import both, difference
from raccord.data.difference import Difference
from raccord.data.exchangeable import exchanged
from raccord.data.masks import Salt
from raccord.data.pairs import Pair, Pairs, condition
from raccord.data.plan import ANEW, SWAP, Decision, decide, decisions, may_anew, refers
from raccord.data.scope import is_named, meets, named, relation, relation_of
from raccord.data.seen import Seen, chosen, joined
from raccord.data.spec import ALL, REMOVES, Spec
from raccord.data.stage import BATCH, one_row
from raccord.data.transaction import looking
from raccord.data.without import Without
from raccord.database import postgres, tables_postgres
from raccord.database.tables import Listed, Name, Reference, Table, identifier, label, matching
from raccord.database.url import Target
from raccord.model.plan import Finding


@contextlib.contextmanager
def ends(
    source: Target, target: Target, spec: Spec
) -> Iterator[tuple[postgres.Connection, postgres.Connection]]:
    """Connections to both, each in a transaction that sees one state and can't write.

    Raises:
        CannotRun: one of them can't be reached, or both lead to one and the same database.
    """
    with (
        connected(source, target) as (one, two),
        looking(one, source, spec),
        looking(two, target, spec),
    ):
        if places.same(one, two):
            raise places.one_and_the_same(target)
        yield one, two


@contextlib.contextmanager
def connected(source: Target, target: Target) -> Iterator[tuple[postgres.Connection, postgres.Connection]]:
    """Connections to both, made at the same time where nobody may be asked for a password on the way.

    Raises:
        CannotRun: one of them can't be reached.
    """
    with contextlib.ExitStack() as stack:

        def reach(end: Target) -> postgres.Connection:
            return stack.enter_context(postgres.connected(end, name=postgres.ROWS))

        if source.route is None and target.route is None:
            yield both(lambda: reach(source), lambda: reach(target))
        else:
            yield reach(source), reach(target)


def seen(one: postgres.Connection, two: postgres.Connection, spec: Spec, salt: Salt) -> Seen:
    """What both ends have; their transactions then spell values alike."""
    # Before the catalogs are read: that may tidy them up, and nothing hurries such a record to the disk.
    log = places.written(two)
    ours, theirs = both(lambda: _listed(one), lambda: _listed(two), (one, two))
    oids, unmatched = chosen(spec, spec.origin, ours)
    known = {*oids}
    wanted = {name for oid, name, *_ in ours if oid in known}
    source, target = both(
        lambda: _read(one, oids, fixed=False),
        lambda: _read(two, [oid for oid, name, *_ in theirs if name in wanted]),
        (one, two),
    )
    outside: set[Name] = set()
    while spec.closure == ALL and (more := parents(target) - outside - source.keys()):
        outside |= more
        source |= named_tables(one, more)
        target |= named_tables(two, source.keys() & more)

    def close(found: Pairs) -> Pairs:
        return closed(one, two, found, outside) if spec.closure else found

    return replace(met(two, spec, source, target, salt, unmatched, close), log=log)


def met(
    db: postgres.Connection,
    spec: Spec,
    source: Mapping[Name, Table],
    target: Mapping[Name, Table],
    salt: Salt,
    unmatched: Sequence[Finding] = (),
    close: Callable[[Pairs], Pairs] = lambda found: found,
) -> Seen:
    """What both ends have of a set, once their tables are known.

    Args:
        db: leads to the target.
        unmatched: what speaks against it already.
        close: adds what comes by closure, where nothing speaks against it.
    """
    found = joined(spec, source, target, unmatched, salt, close)
    return replace(
        found,
        hindered=(*places.hindered(db, spec), *found.hindered),
        notes=(*found.notes, *places.told(db, spec)),
    )


def sources(db: postgres.Connection, spec: Spec) -> tuple[dict[Name, Table], list[Finding]]:
    """The tables that a set means where its rows come from, and of which of its words there is none."""
    oids, refused = chosen(spec, spec.origin, _listed(db))
    return _read(db, oids), refused


def named_tables(db: postgres.Connection, names: Iterable[Name], *, fixed: bool = True) -> dict[Name, Table]:
    """The tables of these names, as far as they are there.

    Args:
        fixed: see `tables_postgres.tables`.
    """
    wanted = set(names)
    return _read(db, [oid for oid, name, *_ in _listed(db) if name in wanted], fixed=fixed)


def _listed(db: postgres.Connection) -> list[Listed]:
    db.execute("set local search_path to default")
    return tables_postgres.listed(db)


def _read(db: postgres.Connection, oids: Iterable[int], *, fixed: bool = True) -> dict[Name, Table]:
    db.execute("set local search_path to pg_catalog")
    found = tables_postgres.tables(db, oids, fixed=fixed)
    db.execute("set local search_path to default")
    postgres.spell(db)
    return found


def decided(
    one: postgres.Connection, two: postgres.Connection, spec: Spec, found: Seen
) -> tuple[list[Difference], list[Decision]]:
    """How the rows of each table differ, as well as a push needs to know it, and what it does with each."""
    return compared(two, spec, found, lambda pair, estimate: difference(one, two, pair, estimate=estimate))


def compared(
    two: postgres.Connection, spec: Spec, found: Seen, compare: Callable[[Pair, bool], Difference]
) -> tuple[list[Difference], list[Decision]]:
    """The same, by whatever compares.

    Args:
        two: leads to the target.
        compare: says how a table differs, if it will do about how much.
    """
    differs = [compare(pair, may_anew(spec, found.order, pair)) for pair in found.tables]
    made = exchanged(spec, found.order, differs, decisions(spec, found.order, differs))
    for at, (each, decision) in enumerate(zip(differs, made, strict=True)):
        if each.share is not None and decision.way not in (ANEW, SWAP):
            differs[at] = compare(each.pair, False)
            made[at] = decide(spec, differs[at])
    # By now the server has put on the disk what was seen, if it ever does.
    state = places.state(two, found.log) if found.log else ""
    return [replace(each, state=state) for each in differs], made


def referred(
    db: postgres.Connection, spec: Spec, found: Seen, differs: Iterable[Difference]
) -> list[Finding]:
    """Rows outside the set that refer to rows that would go, as far as those are known one by one."""
    inside = {pair.id for pair in found.tables}
    if spec.mode not in REMOVES:
        return []
    return [
        finding
        for each in differs
        for one in each.pair.target.referred
        if each.removed and one.table not in inside
        for finding in _referring(db, one, each)
    ]


def _referring(db: postgres.Connection, one: Reference, each: Difference) -> list[Finding]:
    pair = each.pair
    if each.gone is None:
        said = f"{label(one.table)} refers to {pair.shown}: whether to rows that go is found before they do"
        return [Finding("data.referring", "note", said)]
    count = 0
    try:
        with db.transaction():
            for start in range(0, len(each.gone), BATCH):
                some = named(pair, each.gone[start : start + BATCH], "k")
                query = (
                    f"select count(*) from {identifier(*one.table)} c join {relation(pair)} t"
                    f" on {meets(one, 'c', 't')} join {some} on {is_named(pair, 'k', 't')}"
                )
                count += int(str(one_row(db, query)[0]))
    except postgres.driver().errors.InsufficientPrivilege:
        said = f"the role may not see all rows of {label(one.table)}, which refers to {pair.shown}"
        return [Finding("data.rights", "fail", said, f"grant select on {label(one.table)} to it")]
    return [refers(one, pair, count)] if count else []


def differences(
    one: postgres.Connection, two: postgres.Connection, tables: Iterable[Pair], *, samples: int = 0
) -> list[Difference]:
    """How the rows of each table differ."""
    return [difference(one, two, pair, samples=samples) for pair in tables]


def counted(target: Target, spec: Spec) -> dict[str, int]:
    """How many rows of a set an environment has, by table."""
    with postgres.connected(target, name=postgres.ROWS) as db, looking(db, target, spec):
        tables, _ = sources(db, spec)
        found = {}
        for table in tables.values():
            where = condition(spec, table)
            query = f"select count(*) from {relation_of(table)}" + (f" where ({where}\n)" if where else "")
            found[table.shown] = int(db.execute(query.encode()).fetchall()[0][0])
        return found


def unreferred(target: Target, spec: Spec, wanted: Mapping[str, str]) -> list[Without]:
    """How many rows of some tables no row of another refers to. See `without.counted`.

    Raises:
        DatabaseError: it can't be read.
    """
    with postgres.connected(target, name=postgres.ROWS) as db, postgres.looking(db):
        db.execute("set local search_path to default")
        found = matching(tables_postgres.listed(db), without.patterns(wanted))
        known = _read(db, dict.fromkeys(oid for hits in found.values() for oid, *_ in hits))
        named_ = {word: [known[name] for _, name, _ in hits if name in known] for word, hits in found.items()}
        ask = without.Ask(relation_of, meets, lambda query: int(str(one_row(db, query)[0])))
        return without.counted(ask, spec, wanted, named_)
