"""Rows that wait in files, whatever they come into: which tables there are, and what speaks against it.

Nothing that a file says becomes SQL: its names meet the target's own, and its conditions have to be those of
the configuration. Reads no database itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from raccord.data.closure import NONE as NONE_BUT_THESE
from raccord.data.closure import parents
from raccord.data.container import ANOTHER
from raccord.data.difference import Digest
from raccord.data.masks import Salt
from raccord.data.outline import Outline
from raccord.data.pairs import Pair, condition, drift, missing
from raccord.data.seen import Seen, chosen
from raccord.data.spec import ALL, Spec, conditioned
from raccord.database import pump
from raccord.database.tables import Listed, Name, Table, label
from raccord.model.language import sentence
from raccord.model.masks import NONE, Mask
from raccord.model.plan import Finding
from raccord.model.text import shown

Take = Callable[[bytes], object]
UNUSED = Salt("", "")  # what is in files was masked before


@dataclass(frozen=True, slots=True)
class Came:
    """The keys of rows that came by closure.

    Attributes:
        key: their columns.
        rows: how many.
        feed: gives them, in the form of the rows.
    """

    key: tuple[str, ...]
    rows: int
    feed: Callable[[Take], object]


@dataclass(frozen=True, slots=True)
class Load:
    """The rows of one table.

    Attributes:
        table: as the compare sees its columns and keys.
        columns: those that the rows have, in order.
        kept: those that stayed behind where the rows come from.
        form: options of COPY for the rows.
        feed: gives them.
        rows: how many, -1 where nobody knows.
        size: in bytes, 0 where nobody knows.
        digest: what they come to; None where nobody knows.
        keyed: whether a key told them apart.
        where: what tells the condition that they were chosen by, "" where they are all; None where nobody
            knows.
        masked: columns whose values were sent in place of others.
        outline: gives what is told of its blocks, if anything is.
        file: the text file that the rows are in, "" where they are in none.
        came: those that came by closure; None where the table has none.
        exact: of CSV, whether it is as raccord writes rows of SQLite, with nothing but text in quotes.
    """

    table: Table
    columns: tuple[str, ...]
    form: str
    feed: Callable[[Take], object]
    kept: tuple[str, ...] = ()
    rows: int = -1
    size: int = 0
    digest: Digest | None = None
    keyed: bool = True
    where: str | None = None
    masked: tuple[str, ...] = ()
    outline: Callable[[], Outline | None] = lambda: None
    file: str = ""
    came: Came | None = None
    exact: bool = False


Loads = Mapping[Name, Load]


@dataclass(frozen=True, slots=True)
class There:
    """What a target is asked for.

    Attributes:
        listed: all its tables.
        named: those of some names, read.
    """

    listed: Callable[[], Sequence[Listed]]
    named: Callable[[Iterable[Name]], dict[Name, Table]]


class Source(Protocol):
    """Rows that wait in files."""

    def loads(self, there: There, spec: Spec) -> Loads:
        """What there is, for a target.

        Raises:
            RaccordError: it can't be used.
        """


# Joins the tables of both sides: what a spec says of them, and what speaks against it already.
Join = Callable[[Spec, Mapping[Name, Table], Mapping[Name, Table], Sequence[Finding]], Seen]


def seen(there: There, loads: Loads, spec: Spec, join: Join) -> Seen:
    """What both the files and the target have of a set."""
    near = {name: found for _, name, _, _, found in there.listed()}
    listed = [
        (at, name, load.table.kind, False, near.get(name, name[0] == "public"))
        for at, (name, load) in enumerate(loads.items())
    ]
    numbers, refused = chosen(spec, spec.origin, listed)
    known = [listed[at][1] for at in numbers]
    outside = _outside(there, loads, spec, known)
    known += outside
    for name in loads.keys() - {*known}:
        said = f"{spec.origin} holds {label(name)}, which the set {spec.name} doesn't name"
        refused.append(Finding("data.archive", "fail", said, f"correct tables in [data.{spec.name}]"))
    left = [_literally(*name, column) for name, load in loads.items() for column in load.kept]
    # What was masked is no secret any more.
    open_ = {_literally(*name, column): Mask(NONE).shown for name in known for column in loads[name].masked}
    found = join(
        replace(spec, exclude=(*spec.exclude, *left), mask=open_),
        {name: loads[name].table for name in known},
        there.named(known),
        refused,
    )
    against = [_drift_of_files(spec, one) for one in found.refused]
    notes = [one for one in found.notes if one.name != "data.mask"]
    came = []
    for at, pair in enumerate(found.tables):
        load = loads[pair.id]
        against += _drifted(
            spec, load, pair, NONE_BUT_THESE if pair.id in outside else condition(spec, pair.target)
        )
        if pair.id in outside:
            pair = replace(pair, where=NONE_BUT_THESE)
        if load.came is not None:
            against += _unclosed(spec, load.came, pair)
            said = f"{pair.shown}: {load.came.rows} rows came by closure"
            notes.append(
                Finding("data.closure", "note", said, data={"table": pair.shown, "rows": load.came.rows})
            )
        came.append(_brought(load, pair, at))
        if load.masked:
            said = f"{pair.shown}: {', '.join(map(shown, load.masked))} were masked where the rows come from"
            notes.append(Finding("data.masked", "note", said))
    return replace(found, tables=tuple(came), refused=tuple(against), notes=tuple(notes))


def _outside(there: There, loads: Loads, spec: Spec, known: Sequence[Name]) -> list[Name]:
    """Tables that the set doesn't name, and that its closure may lead to: along the target's own keys."""
    found: list[Name] = []
    tables = there.named(known) if spec.closure == ALL else {}
    while more := sorted(name for name in parents(tables) & loads.keys() if loads[name].came is not None):
        read = there.named(more)
        tables |= read
        found += [*read]
        if not read:
            break
    return found


def _unclosed(spec: Spec, came: Came, pair: Pair) -> list[Finding]:
    """What speaks against the keys of rows that came by closure."""
    if not spec.closure:
        said = f"{spec.origin} holds rows of {pair.shown} that came by closure, and the set has none"
        return [
            Finding("data.closure", "fail", said, f"set closure in [data.{spec.name}] to what it was there")
        ]
    if came.key != pair.key:
        said = sentence(
            "{table} has the key {key} in {here}, and not in {there}",
            table=pair.shown, key=[*came.key], here=spec.origin, there=spec.goal,
        )  # fmt: skip
        return [drift(said)]
    if not pair.where:
        given = f"{spec.origin} says that rows of {pair.shown} came by closure, and no condition chose others"
        return [Finding("data.archive", "fail", given, ANOTHER)]
    return []


def _drift_of_files(spec: Spec, one: Finding) -> Finding:
    """The same; migrations help the environment alone, and files stay as they were written."""
    if one.name != "data.drift":
        return one
    rest = f"where they are older than {spec.goal}, export the rows again"
    return replace(one, hint=f"raccord migrations upgrade, where {spec.goal} is older than the files; {rest}")


def _literally(*names: str) -> str:
    """A pattern that means one column alone."""
    return ".".join("".join(f"[{one}]" if one in "*?[" else one for one in name) for name in names)


def _drifted(spec: Spec, load: Load, pair: Pair, where: str) -> list[Finding]:
    found = [
        _drift_of_files(spec, drift(missing(pair.shown, name, spec.origin)))
        for name in pair.columns
        if name not in load.columns
    ]
    if load.where is not None and load.where != conditioned(where):
        chose = "another condition chose" if load.where else "no condition chose"
        said = f"{spec.origin} holds rows of {pair.shown} that {chose}"
        hint = f"set where in [data.{spec.name}] to what it was there"
        found.append(Finding("data.where", "fail", said, hint))
    for name in load.columns if load.form == pump.BINARY else ():
        mine, theirs = load.table.column(name), pair.target.column(name)
        if mine is None or theirs is None or mine.binary != theirs.binary:
            said = sentence(
                "{column} has another binary form in {place}",
                column=f"{pair.shown}.{name}",
                place=spec.origin,
            )
            found.append(drift(said))
    return found


def _brought(load: Load, pair: Pair, at: int) -> Pair:
    # In the order of the file: what rows come to depends on it.
    columns = tuple(name for name in load.columns if name in pair.columns)
    return replace(
        pair,
        columns=columns,
        closure=f"raccord_closure_{at}" if load.came is not None else "",
        copied=columns == load.columns,
        source=Table("pg_temp", f"raccord_in_{at}", "table", rows=load.rows),
        masks={},
        binary=all(pair.column(name).binary for name in pair.columns),
        brought=True,
    )
