"""Decides what is sent in which columns' place: what the set says, and in a pull what their names say. Pure.

| the set's `mask` says | in a pull that masks, its name says | then |
|---|---|---|
| SQL | | that SQL |
| `mask:NAME` | | that mask; where the column can't take it the push is refused |
| `mask:none` | | the value itself |
| nothing | secret, and new rows need no value of it | it stays behind, where the set leaves secrets out |
| nothing | secret | a hash; null, or an empty value, where the column takes none; else refused |
| nothing | personal | the mask for it, a hash, null, or an empty value; else refused |
| nothing | refers to, or is referred to by, what is masked | the same mask |

Columns that a foreign key joins get one mask, which keeps equal values equal and others apart, or the push is
refused.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from raccord.data.masks import Salt, Unfit, fitting, limit, sql
from raccord.data.personal import is_secret, personal
from raccord.data.spec import Spec
from raccord.database.tables import Column, Name, Reference, Table, label
from raccord.model.language import Sentence, sentence
from raccord.model.masks import FIXED, HASH, JOINS, NONE, NULL, Mask, parse
from raccord.model.plan import Finding

# What takes an empty value where it takes neither null nor a hash.
_EMPTY = Mask(FIXED, "{}")
At = tuple[Name, str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is sent in a column's place.

    Attributes:
        mask: None for SQL.
        text: the SQL that the set gives.
        why: in words; "" where the set says so.
    """

    mask: Mask | None = None
    text: str = field(default="", repr=False)
    why: str = ""

    @property
    def shown(self) -> str:
        """For a person: SQL may hold secrets."""
        return self.mask.shown if self.mask else sentence("SQL of the set")

    @property
    def joins(self) -> bool:
        """Whether equal values become equal ones, and others others."""
        return self.mask is not None and self.mask.name in JOINS

    @property
    def empties(self) -> bool:
        """Whether it sends null."""
        return self.mask.name == NULL if self.mask else self.text.strip().lower() == "null"


@dataclass(frozen=True, slots=True)
class Masking:
    """What is masked of a set.

    Attributes:
        sql: for each table the SQL by column; nothing of those that are sent as they are.
        chosen: how, for those that tell a person.
        solid: columns that still tell rows apart.
        refused: what can't be, each by name.
        notes: each column and how.
    """

    sql: Mapping[Name, Mapping[str, str]] = field(default_factory=dict, repr=False)
    chosen: Mapping[At, Chosen] = field(default_factory=dict)
    solid: frozenset[At] = frozenset()
    refused: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()

    def of(self, table: Name) -> set[str]:
        """The columns of a table of which something is said."""
        return {column for name, column in self.chosen if name == table}


def listed(patterns: Iterable[str], table: Table, column: str) -> bool:
    """Whether one of some patterns means a column."""
    names = (f"{table.name}.{column}", f"{table.schema}.{table.name}.{column}")
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)


def masking(spec: Spec, source: Mapping[Name, Table], target: Mapping[Name, Table], salt: Salt) -> Masking:
    """What is sent in the place of which columns of the tables that both sides have."""
    tables = {name: target[name] for name in source if name in target}
    exact, strict = _exact(tables.values())
    chosen: dict[At, Chosen] = {}
    refused: list[Finding] = []
    for table in tables.values():
        for column in table.columns:
            if column.generated or listed(spec.exclude, table, column.name):
                continue
            at = (table.id, column.name)
            one = _said(spec, table, column.name) or _by_name(spec, table, column, salt, at in strict)
            if isinstance(one, Finding):
                refused.append(one)
            elif one is not None:
                chosen[at] = one
    _join(tables, chosen)
    found: dict[Name, dict[str, str]] = {}
    for at, one in chosen.items():
        table, column = tables[at[0]], _column(tables, at)
        if one.mask is not None and one.mask.name == NONE:
            continue
        try:
            found.setdefault(at[0], {})[at[1]] = (
                sql(one.mask, column, salt, exact=at in exact) if one.mask else one.text
            )
        except Unfit as unfit:
            said = sentence(
                "{column} can't be masked with {mask}: {why}",
                column=f"{table.shown}.{at[1]}",
                mask=one.shown,
                why=unfit.why,
            )
            refused.append(_refusal(said, spec, at))
    refused += _apart(spec, tables, chosen)
    solid = frozenset(at for at, one in chosen.items() if one.joins or _as_it_is(one))
    return Masking(found, chosen, solid, tuple(refused), tuple(_notes(spec, tables, chosen)))


def _refusal(said: Sentence, spec: Spec, at: At) -> Finding:
    hint = sentence(
        "{example} in [data.{set}] says how, mask:none not at all",
        example=f'mask = {{ "{at[0][1]}.{at[1]}" = "mask:…" }}',
        set=spec.name,
    )
    return Finding("data.mask", "fail", said, hint)


def _column(tables: Mapping[Name, Table], at: At) -> Column:
    found = tables[at[0]].column(at[1])
    assert found is not None
    return found


def _exact(tables: Iterable[Table]) -> tuple[set[At], set[At]]:
    """Columns of which other values have better become others, and those of which they must."""
    some: set[At] = set()
    must: set[At] = set()
    for table in tables:
        for unique in table.uniques:
            own = {(table.id, name) for name in unique.columns}
            some |= own
            must |= own if unique.primary or len(own) == 1 else set()
        for one in table.refers:
            must |= {(one.table, name) for name in one.columns} | {(one.target, name) for name in one.refs}
    return some | must, must


def _said(spec: Spec, table: Table, column: str) -> Chosen | None:
    """What the set itself says."""
    said = [text for pattern, text in spec.mask.items() if listed([pattern], table, column)]
    if not said:
        return None
    mask = parse(said[-1])
    return Chosen(mask, "" if mask else said[-1])


def _by_name(spec: Spec, table: Table, column: Column, salt: Salt, exact: bool) -> Chosen | Finding | None:
    """What a column's name says, in a pull that masks."""
    if not spec.masking:
        return None
    secret = is_secret(table, column)
    left = column.nullable or (column.default and not exact)
    if secret and spec.secrets == "exclude" and left:
        return None
    kind = HASH if secret else personal(table, column)
    if not kind:
        return None
    wanted = [Mask(kind), Mask(HASH), Mask(NULL)]
    if "json" in column.binary or column.type.endswith("[]"):
        wanted.append(_EMPTY)
    mask = fitting(wanted, column, salt, exact=exact)
    what = sentence("a secret") if secret else sentence("personal data")
    if mask is None:
        said = sentence(
            "{column} may hold {what}, and no mask fits its type {type}",
            column=f"{table.shown}.{column.name}",
            what=what,
            type=column.type,
        )
        return _refusal(said, spec, (table.id, column.name))
    return Chosen(mask, why=sentence("it may hold {what}", what=what))


def _joints(tables: Mapping[Name, Table]) -> list[tuple[Reference, At, At]]:
    """Each column that refers, and the one that it refers to, within the set."""
    return [
        (one, (one.table, mine), (one.target, theirs))
        for table in tables.values()
        for one in table.refers
        if one.target in tables
        for mine, theirs in zip(one.columns, one.refs, strict=True)
    ]


def _join(tables: Mapping[Name, Table], chosen: dict[At, Chosen]) -> None:
    """What is joined to a masked column gets its mask, on to wherever that leads."""
    joints = [
        (one, other)
        for _, child, parent in _joints(tables)
        for one, other in ((parent, child), (child, parent))
    ]
    said = {at for at, one in chosen.items() if not one.why}
    # What the set says goes on first: it has more weight than names.
    for begun in (said, {*chosen}):
        todo = [at for at in begun if chosen[at].joins]
        while todo:
            one = todo.pop()
            for other in [there for here, there in joints if here == one and there not in begun]:
                begun.add(other)
                why = sentence("a foreign key joins it to {column}", column=f"{label(one[0])}.{one[1]}")
                chosen[other] = Chosen(chosen[one].mask, why=why)
                todo.append(other)


def _apart(spec: Spec, tables: Mapping[Name, Table], chosen: Mapping[At, Chosen]) -> list[Finding]:
    """Columns that a foreign key joins and that would no longer fit."""
    found = []
    for one, child, parent in _joints(tables):
        mine, theirs = chosen.get(child), chosen.get(parent)
        if _as_it_is(mine) and _as_it_is(theirs):
            continue
        if mine is not None and mine.empties and _as_it_is(theirs):
            continue
        alike = mine is not None and theirs is not None and mine.joins and mine.mask == theirs.mask
        column, other = _column(tables, child), _column(tables, parent)
        if alike and (column.binary, limit(column)) == (other.binary, limit(other)):
            continue
        said = sentence(
            "{column} ({how}) would no longer meet {other} ({its}), to which {key} refers",
            column=f"{label(child[0])}.{child[1]}",
            how=_how(mine),
            other=f"{label(parent[0])}.{parent[1]}",
            its=_how(theirs),
            key=one.name,
        )
        found.append(_refusal(said, spec, child))
    for table in tables.values():
        for one in table.refers:
            for name in one.columns if one.target not in tables else ():
                mine = chosen.get((table.id, name))
                if not _as_it_is(mine) and not (mine is not None and mine.empties):
                    goal = label(one.target)
                    said = sentence(
                        "{column} ({how}) would refer to no row of {other}, which is not in the set",
                        column=f"{table.shown}.{name}",
                        how=_how(mine),
                        other=goal,
                    )
                    hint = sentence("add {table} to the set", table=goal)
                    found.append(Finding("data.mask", "fail", said, hint))
    return found


def _as_it_is(one: Chosen | None) -> bool:
    return one is None or (one.mask is not None and one.mask.name == NONE)


def _how(one: Chosen | None) -> str:
    return sentence("as it is") if one is None or _as_it_is(one) else one.shown


def _notes(spec: Spec, tables: Mapping[Name, Table], chosen: Mapping[At, Chosen]) -> list[Finding]:
    """Each column that is masked, and how; and those that only look as if they should be."""
    found = []
    for (name, column), one in sorted(chosen.items()):
        where = f"{label(name)}.{column}"
        said = (
            sentence("{column}: {mask}, as {why}", column=where, mask=one.shown, why=one.why)
            if one.why
            else sentence("{column}: {mask}", column=where, mask=one.shown)
        )
        data = {"table": label(name), "column": column, "mask": one.shown, "why": one.why}
        found.append(Finding("data.mask", "note", said, data=data))
    if spec.verb != "pull":
        return found
    for table in tables.values():
        if not spec.masking:
            bare = [c.name for c in table.columns if personal(table, c) and (table.id, c.name) not in chosen]
            if bare := [one for one in bare if not listed(spec.exclude, table, one)]:
                said = sentence(
                    "{table}: {columns} may hold personal data, and come as they are",
                    table=table.shown,
                    columns=sorted(bare),
                )
                found.append(Finding("data.unmasked", "note", said))
            continue
        open_ = [c.name for c in _unread(table) if (table.id, c.name) not in chosen]
        if open_ := [one for one in open_ if not listed(spec.exclude, table, one)]:
            said = sentence(
                "{table}: nobody looks for personal data in {columns}", table=table.shown, columns=open_
            )
            found.append(Finding("data.unread", "note", said))
    return found


def _unread(table: Table) -> Sequence[Column]:
    """Columns in which anything may stand under names of its own."""
    return [
        c for c in table.columns if "json" in c.binary or c.binary in ("hstore", "xml") or c.type == "xml"
    ]
