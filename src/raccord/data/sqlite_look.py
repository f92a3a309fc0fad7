"""Looks at both SQLite files of a set: their tables, and how the rows of each differ. Writes into neither."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from raccord.data import without
from raccord.data.difference import Cells, Difference, Key, cell, told_key
from raccord.data.masks import Salt
from raccord.data.pairs import condition
from raccord.data.plan import Decision, decide, refers
from raccord.data.seen import WILD, Seen, chosen, joined
from raccord.data.spec import REMOVES, Spec
from raccord.data.sqlite_session import Ends, Session, ends
from raccord.data.sqlite_sql import differs, listed, matched, meets, relation, shown_value
from raccord.data.sqlite_stage import Stage, compare, make, origin
from raccord.data.without import Without
from raccord.database import sqlite, tables_sqlite
from raccord.database.tables import Listed, Name, Table, identifier, matching
from raccord.database.url import Target
from raccord.model.language import sentence
from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class Look:
    """See `kinds.Look`."""

    ends: Ends
    spec: Spec
    seen: Seen
    _stages: dict[Name, Stage] = field(default_factory=dict)

    def differences(self, samples: int = 0) -> list[Difference]:
        """How the rows of each table differ."""
        return [self._difference(at, samples) for at, _ in enumerate(self.seen.tables)]

    def _difference(self, at: int, samples: int) -> Difference:
        pair = self.seen.tables[at]
        stage = self._stages[pair.id] = make(self.ends.two, pair, at, pair.key)
        found = compare(self.ends.two, self.spec, stage, origin(self.ends, pair, at))
        if not (pair.key and samples):
            return found
        query = f"select {listed(pair.key)} from {stage.put} where not {identifier(stage.new)} limit ?"
        rows = self.ends.two.ask(query, [samples]).fetchall()
        return replace(found, differing=tuple(tuple(map(shown_value, row)) for row in rows))

    def differing(self, each: Difference) -> Iterator[tuple[Key, Cells]]:
        """The values that differ, of some changed rows."""
        pair = each.pair
        if not each.differing:
            return
        stage = self._stages[pair.id]
        rows, _ = origin(self.ends, pair, stage.number)
        differ = ", ".join(differs([name], "s", "t") for name in pair.columns)
        query = (
            f"select {listed(pair.columns, 's')}, {listed(pair.columns, 't')}, {differ} from {stage.put} p"
            f" join {rows} s on {matched(pair.key, 's', 'p')} join {relation(pair)} t on {stage.match}"
            f" where not p.{identifier(stage.new)} limit ?"
        )
        width = len(pair.columns)
        found = self.ends.two.ask(query, [len(each.differing)]).fetchall()
        for row in found:
            mine = dict(zip(pair.columns, row, strict=False))
            yield (
                told_key(pair, tuple(shown_value(mine[name]) for name in pair.key)),
                tuple(
                    cell(name, _text(row[at]), _text(row[width + at]), secret=name in pair.secret)
                    for at, name in enumerate(pair.columns)
                    if row[2 * width + at]
                ),
            )

    def decided(self) -> tuple[list[Difference], list[Decision]]:
        """How they differ, and what a push does with each."""
        found = self.differences()
        return found, [decide(self.spec, one) for one in found]

    def referred(self, differs: Iterable[Difference]) -> list[Finding]:
        """Rows outside the set that refer to rows that would go."""
        return referred(self.ends.two, self.spec, self.seen, self._stages, differs)


def referred(
    two: Session, spec: Spec, seen: Seen, stages: Mapping[Name, Stage], differs: Iterable[Difference]
) -> list[Finding]:
    """Rows outside a set that refer to rows that would go.

    Args:
        stages: what the comparison found of each table.
    """
    inside = {pair.id for pair in seen.tables}
    going = [each for each in differs if each.removed and spec.mode in REMOVES]
    return [finding for each in going for finding in referring(two, stages[each.pair.id], inside)]


def referring(two: Session, stage: Stage, inside: Collection[Name]) -> list[Finding]:
    """Rows of other tables that refer to rows that would go.

    Args:
        inside: tables whose rows are compared as well.
    """
    pair, found = stage.pair, []
    for one in pair.target.referred:
        if one.table in inside:
            continue
        count = two.number(
            f"select count(*) from {stage.gone} g join {relation(pair)} t on {stage.goes()}"
            f" join {identifier(*one.table)} c on {meets(one, 'c', 't')}"
        )
        if count:
            found.append(refers(one, pair, count))
    return found


def _text(value: Any) -> str | None:
    return None if value is None else shown_value(value)


@contextlib.contextmanager
def looked(source: Target, target: Target, spec: Spec, salt: Salt) -> Iterator[Look]:
    """See `kinds.Kind`."""
    with ends(source, target, spec, write=False) as both:
        found = seen(both, spec, salt)
        both.attach(found.tables)
        yield Look(both, spec, replace(found, hindered=(*locked(target, spec), *found.hindered)))


def locked(target: Target, spec: Spec) -> list[Finding]:
    """Why a file can't be written, as far as its rights say."""
    path = sqlite.existing(target)
    for place in (path, os.path.dirname(path)):
        if not os.access(place, os.W_OK):
            said = sentence(
                "{path}, which {place} needs for a push, may not be written", path=place, place=spec.goal
            )
            return [Finding("data.rights", "fail", said, f"ls -ld {place}")]
    return []


def seen(both: Ends, spec: Spec, salt: Salt) -> Seen:
    """What both files have."""
    source, findings = sources(both.one.db, spec)
    refused = [*findings.refused, *unclosed(spec, spec.goal)]
    found = joined(spec, source, named_tables(both.two.db, source), refused, salt)
    return replace(found, notes=(*found.notes, *findings.notes))


def unclosed(spec: Spec, place: str) -> list[Finding]:
    """What speaks against a closure: nobody looks for one in a file.

    Args:
        place: the environment that is one.
    """
    if not spec.closure:
        return []
    said = sentence("closure is for PostgreSQL databases, and {place} is a SQLite file", place=place)
    hint = sentence(
        "take closure out of [data.{set}], or choose the rows that are referred to by where", set=spec.name
    )
    return [Finding("data.closure", "fail", said, hint)]


@dataclass(frozen=True, slots=True)
class Findings:
    """What is found of a set while its tables are chosen."""

    refused: list[Finding]
    notes: list[Finding]


def sources(db: sqlite.Connection, spec: Spec) -> tuple[dict[Name, Table], Findings]:
    """The tables that a set means, and what is to be said of it."""
    listed_ = tables_sqlite.listed(db)
    numbers, refused = chosen(spec, spec.origin, listed_)
    names = {at: name for at, name, *_ in listed_}
    found = tables_sqlite.tables(db, [names[number][1] for number in numbers])
    return found, Findings(refused, _virtual(spec, listed_, found))


def _virtual(spec: Spec, listed_: Iterable[Listed], found: Mapping[Name, Table]) -> list[Finding]:
    """Virtual tables that a pattern would mean if they were tables."""
    as_tables = [(at, name, "table", part, near) for at, name, kind, part, near in listed_ if kind == VIRTUAL]
    wild = replace(spec, tables=tuple(one for one in spec.tables if WILD & {*one}))
    numbers, _ = chosen(wild, spec.origin, as_tables)
    return [
        Finding(
            "data.virtual",
            "note",
            sentence("{table} is a virtual table, and stays as it is", table=name[1]),
        )
        for at, name, *_ in as_tables
        if at in numbers and name not in found
    ]


VIRTUAL = "virtual table"


def named_tables(db: sqlite.Connection, names: Iterable[Name]) -> dict[Name, Table]:
    """The tables of these names, as far as they are there."""
    wanted = set(names)
    return tables_sqlite.tables(db, [name[1] for _, name, *_ in tables_sqlite.listed(db) if name in wanted])


def counted(target: Target, spec: Spec) -> dict[str, int]:
    """How many rows of a set a file has, by table."""

    def ask(db: sqlite.Connection) -> dict[str, int]:
        tables, _ = sources(db, spec)
        found = {}
        for table in tables.values():
            where = condition(spec, table)
            query = f"select count(*) from {identifier(*table.id)}" + (f" where ({where}\n)" if where else "")
            found[table.shown] = int(db.execute(query).fetchone()[0])
        return found

    return sqlite.read(target, ask)


def unreferred(target: Target, spec: Spec, wanted: Mapping[str, str]) -> list[Without]:
    """How many rows of some tables no row of another refers to. See `without.counted`."""

    def ask(db: sqlite.Connection) -> list[Without]:
        found = matching(tables_sqlite.listed(db), without.patterns(wanted))
        known = named_tables(db, [name for hits in found.values() for _, name, _ in hits])
        named = {word: [known[name] for _, name, _ in hits if name in known] for word, hits in found.items()}
        way = without.Ask(
            lambda table: identifier(*table.id), meets, lambda query: int(db.execute(query).fetchone()[0])
        )
        return without.counted(way, spec, wanted, named)

    return sqlite.read(target, ask)
