"""Finds on the source which rows the chosen ones refer to, so that part of a table can travel with its keys.

Round by round, and along every foreign key of the target: the rows that the last round's rows refer to and
that do not travel anyway. Their keys lie in temporary tables of the two transactions, and nowhere else.

| rows of the source | of a table with `where` | of one without | of a table outside the set |
|---|---|---|---|
| that `where` names | travel | | |
| that travelling ones refer to | travel, by closure | travel anyway | travel by closure, if it is "all" |
| others | don't | travel | don't |

| a row that came by closure is, in the target | replace, mirror, upsert | insert |
|---|---|---|
| not there | added | added |
| another | changed | stays |
| the same | stays | stays |

What the target alone has is removed only where its `where` names it, as without a closure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from raccord.data.pairs import Pair, Pairs
from raccord.data.scope import meets, relation, scope
from raccord.data.stage import one_row, run
from raccord.database import postgres, pump
from raccord.database.tables import Name, Reference, Table, identifier, label
from raccord.model.language import Sentence, counted, sentence
from raccord.model.plan import Finding
from raccord.model.text import shown

Feed = Callable[[Callable[[bytes], object]], object]
NONE = "false"  # the condition of a table that the set doesn't name: no row of it travels for its own sake


@dataclass(frozen=True, slots=True)
class Edge:
    """A foreign key along which rows come.

    Attributes:
        number: of the edge, which its rows are noted with.
        child: the table that refers.
        parent: the one whose rows come.
    """

    number: int
    key: Reference
    child: Pair
    parent: Pair


def parents(tables: Mapping[Name, Table]) -> set[Name]:
    """Tables that some refer to and that are not among them."""
    return {one.target for table in tables.values() for one in table.refers} - tables.keys()


def closed(
    one: postgres.Connection, two: postgres.Connection | None, found: Pairs, outside: Collection[Name]
) -> Pairs:
    """The same tables, with the rows that come by closure, and with what to say of it.

    Args:
        one, two: connections to source and target, each in a transaction that can make temporary tables; None
            where the rows go into files.
        outside: tables that the set doesn't name; those stay of which a row comes.
    """
    pairs = [replace(pair, where=NONE) if pair.id in outside else pair for pair in found.tables]
    named = {pair.id: pair for pair in pairs}
    partial = [pair for pair in pairs if pair.where and any(_leads(named, pair))]
    if bad := [pair for pair in partial if not pair.key]:
        said = sentence("{table} has no key, by which a closure could name its rows", table=bad[0].shown)
        hint = sentence("give it a key, or leave closure out")
        against = Finding("data.closure", "fail", said, hint)
        return replace(found, refused=(*found.refused, against))
    made = {pair.id: replace(pair, closure=f"raccord_closure_{at}") for at, pair in enumerate(partial)}
    edges = list(_edges([made.get(pair.id, pair) for pair in pairs], made))
    for pair in made.values():
        _make(one, pair, source=True)
        if two is not None:
            _make(two, pair, source=False)
    _find(one, edges)
    notes: list[Finding] = []
    empty = {*outside}
    for pair in made.values():
        if two is not None:
            _send(one, two, pair)
        if note := _note(one, pair, [edge for edge in edges if edge.parent.id == pair.id]):
            notes.append(note)
            empty.discard(pair.id)
    tables = tuple(made.get(pair.id, pair) for pair in pairs if pair.id not in empty)
    return replace(found, tables=tables, notes=(*found.notes, *notes))


def _leads(named: Mapping[Name, Pair], pair: Pair) -> Iterator[Reference]:
    """Foreign keys of the set that travel and lead to a table."""
    for child in named.values():
        for key in child.target.refers:
            if key.target == pair.id and set(key.columns) <= set(child.columns):
                yield key


def _edges(pairs: Sequence[Pair], made: Mapping[Name, Pair]) -> Iterator[Edge]:
    named = {pair.id: pair for pair in pairs}
    number = 0
    for name in sorted(made):
        for key in sorted(_leads(named, made[name]), key=lambda key: (key.table, key.name)):
            yield Edge(number, key, named[key.table], made[name])
            number += 1


def _make(db: postgres.Connection, pair: Pair, *, source: bool) -> None:
    keys = ", ".join(f"{identifier(name)} as k{at}" for at, name in enumerate(pair.key))
    of = relation(pair, source=source)
    run(
        db,
        f"create temp table {pair.closure} on commit drop as"
        f" select {keys}, 0 as round, 0 as edge from {of} with no data",
    )
    listed = ", ".join(f"k{at}" for at in range(len(pair.key)))
    run(db, f"create unique index on pg_temp.{pair.closure} ({listed})")


def _find(db: postgres.Connection, edges: Sequence[Edge]) -> None:
    """Notes the rows that come, until a round brings none."""
    number, reached = 1, {edge.child.id for edge in edges}
    while reached:
        new: set[Name] = set()
        for edge in edges:
            if edge.child.id in reached and run(db, _step(edge, number)):
                new.add(edge.parent.id)
        for parent in {edge.parent.closure for edge in edges if edge.parent.id in new}:
            run(db, f"analyze pg_temp.{parent}")
        # What came along one edge may lead further along any other.
        reached = {edge.child.id for edge in edges if edge.child.id in new}
        number += 1


def _step(edge: Edge, number: int) -> str:
    """Notes the rows that last round's rows refer to along one key."""
    parent, child, key = edge.parent, edge.child, edge.key
    columns = ", ".join(map(identifier, dict.fromkeys((*parent.key, *key.refs))))
    others = f"(select {columns} from {relation(parent, source=True)} where ({parent.where}\n) is not true) p"
    mine = ", ".join(map(identifier, dict.fromkeys((*child.key, *key.columns))))
    if number == 1:
        where = f" where ({child.where}\n)" if child.where else ""
        chosen = f"(select {mine} from {relation(child, source=True)}{where}) c where {meets(key, 'c', 'p')}"
    else:
        same = " and ".join(f"c.{identifier(name)} = k.k{at}" for at, name in enumerate(child.key))
        chosen = (
            f"pg_temp.{child.closure} k join {relation(child, source=True)} c on {same}"
            f" where k.round = {number - 1} and {meets(key, 'c', 'p')}"
        )
    keys = ", ".join(f"p.{identifier(name)}" for name in parent.key)
    return (
        f"insert into pg_temp.{parent.closure} select {keys}, {number}, {edge.number} from {others}"
        f" where exists (select from {chosen}) on conflict do nothing"
    )


def _send(one: postgres.Connection, two: postgres.Connection, pair: Pair) -> None:
    """Tells the target the keys, as they will be there."""
    pump.across(one, keyed(pair), two, _goal(pair), binary=pair.binary)
    run(two, f"analyze pg_temp.{pair.closure}")


def _goal(pair: Pair) -> str:
    listed = ", ".join(f"k{at}" for at in range(len(pair.key)))
    return f"pg_temp.{pair.closure} ({listed})"


def keyed(pair: Pair) -> str:
    """Asks the source for the keys of the rows that come by closure, as they are sent."""
    of = scope(by_closure(pair), source=True)
    return f"select {', '.join(f'r.{identifier(name)}' for name in pair.key)} from {of} r"


def by_closure(pair: Pair) -> Pair:
    """A table as far as it comes by closure, and of that the keys."""
    return replace(pair, where=NONE, columns=pair.key)


def received(db: postgres.Connection, pair: Pair, form: str, feed: Feed) -> int:
    """Tells the target the keys from a file; returns how many there are.

    Args:
        form: options of COPY for them.
        feed: gives them.
    """
    _make(db, pair, source=False)
    count = pump.fed(db, _goal(pair), form, feed)
    run(db, f"analyze pg_temp.{pair.closure}")
    return count


def astray(db: postgres.Connection, pair: Pair, rows: str) -> bool:
    """Whether keys are there of rows that are not: by them rows of the target would go.

    Args:
        rows: the source's, as SQL.
    """
    same = " and ".join(f"r.{identifier(name)} = k.k{at}" for at, name in enumerate(pair.key))
    there = f"exists (select from {rows} r where {same})"
    query = f"select exists (select from pg_temp.{pair.closure} k where not {there})"
    return bool(one_row(db, query)[0])


def _note(db: postgres.Connection, pair: Pair, edges: Sequence[Edge]) -> Finding | None:
    """How many rows come, and from where."""
    query = f"select edge, count(*) from pg_temp.{pair.closure} group by edge"
    counts = {int(edge): int(count) for edge, count in db.execute(query.encode()).fetchall()}
    total = sum(counts.values())
    if not total:
        return None
    parts = [
        Sentence(
            counted(
                "{number} that {table} refers to by {key}",
                "{number} that {table} refers to by {key}",
                number=counts[edge.number],
                table=label(edge.child.id),
                key=shown(edge.key.name),
            )
        )
        for edge in edges
        if edge.number in counts
    ]
    data = {
        "table": pair.shown,
        "rows": total,
        "by": [
            {"table": label(edge.child.id), "key": edge.key.name, "rows": counts[edge.number]}
            for edge in edges
            if edge.number in counts
        ],
    }
    said = Sentence(
        counted(
            "{table}: {number} rows come by closure: {parts}",
            "{table}: {number} rows come by closure: {parts}",
            table=pair.shown,
            number=total,
            parts=parts,
        )
    )
    return Finding("data.closure", "note", said, data=data)
