"""Which columns of which tables travel, and what speaks against it: drift, rights, triggers. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from raccord.data.masking import Masking, listed, masking
from raccord.data.masks import Salt
from raccord.data.personal import is_secret, personal
from raccord.data.spec import CHANGES, INSERT, REMOVES, UPSERT, Spec
from raccord.database.tables import Column, Name, Table, Unique, label
from raccord.model.plan import Finding
from raccord.model.text import shown

# Tables that no pattern means: what one database says of itself, and messages that others act on.
NOT_MEANT = ("alembic_version", "*outbox*")


@dataclass(frozen=True, slots=True)
class Pair:
    """A table on both sides.

    Attributes:
        columns: names of those that travel, in the target's order.
        kept: columns of the target that it keeps as they are.
        key: the columns that tell its rows apart; () where only the whole row does.
        where: the SQL condition of the rows that belong to the set; "" for all.
        closure: name of the temporary table, on either side, with the keys of other rows that travel because
            some refer to them; "" for none.
        masks: SQL that is sent in the place of a column; it holds the salt of the masks.
        masked: for those columns how, in words.
        binary: whether rows travel in PostgreSQL's binary form.
        secret: columns whose values nobody is shown.
        brought: whether the source holds the rows of the set alone, as they are sent.
        copied: whether its rows can be copied just as the source holds them.
    """

    source: Table
    target: Table
    columns: tuple[str, ...]
    kept: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    where: str = ""
    closure: str = ""
    masks: Mapping[str, str] = field(default_factory=dict, repr=False)
    binary: bool = True
    secret: frozenset[str] = frozenset()
    brought: bool = False
    copied: bool = True
    masked: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> Name:
        """Schema and name."""
        return self.target.id

    @property
    def shown(self) -> str:
        """Its name for a person."""
        return self.target.shown

    def sided(self, source: bool) -> Pair:
        """The same as one side spells it: types and their functions may lie in another schema there."""
        return replace(self, target=self.source) if source and not self.brought else self

    def column(self, name: str) -> Column:
        """A column, as the target has it."""
        found = self.target.column(name)
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """The set, once both sides were looked at.

    Attributes:
        tables: what can be compared.
        refused: what speaks against comparing, each by name.
        notes: what a person should know.
    """

    tables: tuple[Pair, ...] = ()
    refused: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()


def hidden(pair: Pair, name: str) -> bool:
    """Whether nobody is shown a column's values where rows are named: secrets, and personal data."""
    column = pair.column(name)
    return name in pair.secret or is_secret(pair.target, column) or bool(personal(pair.target, column))


def meant(name: str) -> bool:
    """Whether a pattern may stand for a table of this name."""
    return not any(fnmatch.fnmatchcase(name.lower(), one) for one in NOT_MEANT)


def pairs(spec: Spec, source: Mapping[Name, Table], target: Mapping[Name, Table], salt: Salt) -> Pairs:
    """Joins the tables of both sides."""
    found: list[Pair] = []
    masked = masking(spec, source, target, salt)
    refused: list[Finding] = [*masked.refused]
    notes: list[Finding] = [*masked.notes]
    for name, one in source.items():
        other = target.get(name)
        if other is None:
            refused.append(drift(f"{spec.goal} has no table {label(name)}", "raccord migrations upgrade"))
            continue
        if bad := [table for table in (one, other) if table.kind not in ("table", "partitioned")]:
            refused.append(
                _refusal("kind", f"{label(name)} is a {bad[0].kind}, which takes no rows of its own")
            )
            continue
        pair, wrong, said = _pair(spec, one, other, masked)
        refused += wrong
        notes += said
        if pair is not None:
            found.append(pair)
    refused += _unused(spec, source.values())
    return Pairs(tuple(found), tuple(hinted(spec, refused)), tuple(notes))


def hinted(spec: Spec, refused: Iterable[Finding]) -> list[Finding]:
    """The same; what nothing but another set helps says so."""
    return [
        one if one.hint else replace(one, hint=f"leave it out of, or correct, [data.{spec.name}]")
        for one in refused
    ]


def drift(said: str, hint: str = "") -> Finding:
    """A difference of the schemas, which no row may cross."""
    return Finding("data.drift", "fail", said, hint or "raccord migrations status")


def _refusal(what: str, said: str, hint: str = "") -> Finding:
    return Finding(f"data.{what}", "fail", said, hint)


def _pair(
    spec: Spec, one: Table, other: Table, masked: Masking
) -> tuple[Pair | None, list[Finding], list[Finding]]:
    name = other.shown
    refused = _drifted(spec, one, other)
    notes: list[Finding] = []
    excluded = frozenset(c.name for c in other.columns if listed(spec.exclude, other, c.name))
    masks = masked.sql.get(other.id, {})
    secret = frozenset(c.name for c in other.columns if is_secret(other, c))
    open_ = secret - excluded - masked.of(other.id)
    held = open_ if spec.secrets == "exclude" else frozenset()
    if held:
        said = f"{name}: {_words(held)} may hold secrets, so the target keeps its own"
        hint = "" if spec.verb == "pull" else 'secrets = "include" sends them'
        notes.append(Finding("data.secrets", "note", said, hint))
    elif open_:
        said = f"{name}: {_words(open_)} may hold secrets, and the set sends them"
        notes.append(Finding("data.secrets", "note", said))
    generated = {c.name for c in other.columns if c.generated}
    left = (excluded | held) - generated
    columns = tuple(c.name for c in other.columns if c.name not in left | generated and one.column(c.name))
    soft = {column for column in masks if (other.id, column) not in masked.solid}
    key, why = _key(spec, one, other, columns, soft)
    if why:
        refused.append(_refusal("key", why))
    if not columns:
        refused.append(_refusal("column", f"{name} has no column that travels"))
    if refused:
        return None, refused, notes
    if not key:
        said = f"{name} has no key: its rows are told apart by all that is in them"
        notes.append(Finding("data.keyless", "note", said))
    where = condition(spec, other)
    binary = all(_binary(one, other, c) for c in columns)
    kept = tuple(c.name for c in other.columns if c.name in left)
    return (
        Pair(
            one, other, columns, kept, key, where, "", masks, binary, secret | frozenset(masks),
            masked={column: masked.chosen[other.id, column].shown for column in masks},
        ),
        [],
        notes,
    )  # fmt: skip


def condition(spec: Spec, table: Table) -> str:
    """The SQL condition of a table's rows, "" for all."""
    return next((sql for text, sql in spec.where.items() if text in (table.name, ".".join(table.id))), "")


def _binary(one: Table, other: Table, column: str) -> bool:
    mine, theirs = one.column(column), other.column(column)
    return mine is not None and theirs is not None and bool(mine.binary) and mine.binary == theirs.binary


def _drifted(spec: Spec, one: Table, other: Table) -> list[Finding]:
    name = other.shown
    upgrade = "raccord migrations upgrade"
    found = [
        drift(f"{name}.{column.name} is missing in {spec.goal}", upgrade)
        for column in one.columns
        if other.column(column.name) is None and not listed(spec.exclude, one, column.name)
    ]
    for column in other.columns:
        mine = one.column(column.name)
        if listed(spec.exclude, other, column.name):
            continue
        if mine is None:
            if not column.generated:
                found.append(drift(f"{name}.{column.name} is missing in {spec.origin}", upgrade))
            continue
        for what, before, after in (
            ("type", _type(mine), _type(column)),
            (
                "nullability",
                "null" if mine.nullable else "not null",
                "null" if column.nullable else "not null",
            ),
            ("values", mine.detail, column.detail),
            ("generation", str(mine.generated), str(column.generated)),
        ):
            if before != after:
                said = f"{name}.{column.name}: {what} is {before or 'plain'} in {spec.origin}"
                found.append(drift(shown(f"{said}, {after or 'plain'} in {spec.goal}")))
    return found


def _type(column: Column) -> str:
    # An extension may be in one schema here and in another there.
    return re.sub(r'^(?:[^".(]+|"(?:[^"]|"")*")\.(?=\S)', "", column.type)


def _keys(table: Table) -> list[Unique]:
    """The unique indexes that could tell every row apart."""
    columns = {column.name: column for column in table.columns}
    return [
        unique
        for unique in table.uniques
        if all(not columns[name].nullable and not columns[name].generated for name in unique.columns)
    ]


def _key(
    spec: Spec, one: Table, other: Table, columns: Sequence[str], masks: Collection[str]
) -> tuple[tuple[str, ...], str]:
    """The key that tells rows apart on both sides, or why there is none."""
    name = other.shown
    theirs = {frozenset(unique.columns) for unique in one.uniques}
    whole = _keys(other)
    for mine, others, here, there in (
        (whole, theirs, spec.goal, spec.origin),
        (_keys(one), {frozenset(unique.columns) for unique in other.uniques}, spec.origin, spec.goal),
    ):
        if mine and not any(frozenset(unique.columns) in others for unique in mine):
            return (), f"{name} has the key {', '.join(mine[0].columns)} in {here}, and not in {there}"
    for unique in whole:
        if frozenset(unique.columns) not in theirs:
            continue
        bad = [n for n in unique.columns if n not in columns or n in masks]
        if bad and unique.primary:
            return (), f"{name}.{bad[0]} is part of the key, so it can neither stay behind nor be masked"
        inexact = [n for n in unique.columns if (c := other.column(n)) is not None and not c.key]
        if inexact and unique.primary:
            column = other.column(inexact[0])
            kind = column.type if column else ""
            return (
                (),
                f"the key of {name} has {inexact[0]}: equal values of type {kind} have several spellings",
            )
        if not bad and not inexact:
            return unique.columns, ""
    if spec.mode in (INSERT, UPSERT):
        return (), f"{name} has no key, which mode {spec.mode} needs"
    return (), ""


def _unused(spec: Spec, tables: Iterable[Table]) -> list[Finding]:
    """Names in the configuration that mean nothing: a condition that holds nowhere is no condition."""
    known = list(tables)
    found = [
        _refusal("config", f"where names {text}, which is no table of the set {spec.name}")
        for text in spec.where
        if not any(text in (table.name, ".".join(table.id)) for table in known)
    ]
    for what, texts in (("exclude", spec.exclude), ("mask", spec.mask)):
        for text in texts:
            if not any(listed([text], table, column.name) for table in known for column in table.columns):
                said = f"{what} names {text}, which is no column of the set {spec.name}"
                found.append(_refusal("config", said))
    return found


def obstacles(spec: Spec, pair: Pair) -> tuple[list[Finding], list[Finding]]:
    """What speaks against a push into a table, and what a person should know of it."""
    table, name = pair.target, pair.shown
    refused, notes = [], []
    events = {"insert"} | ({"update"} if spec.mode in CHANGES else set())
    events |= {"delete"} if spec.mode in REMOVES else set()
    firing = [one.name for one in table.triggers if events & {*one.events}]
    if firing and spec.triggers == "refuse":
        said = f"{name} has triggers that would fire in {spec.goal}: {_words(firing)}"
        refused.append(_refusal("triggers", said, f'triggers = "fire" or "skip" in [data.{spec.name}]'))
    elif firing:
        how = "fire" if spec.triggers == "fire" else "are switched off meanwhile"
        notes.append(Finding("data.triggers", "note", f"{name}: triggers {how}: {_words(firing)}"))
    if table.triggers and spec.triggers == "skip" and not table.owned:
        said = f"only the owner of {name} may switch its triggers off in {spec.goal}"
        refused.append(_refusal("rights", said, f"connect as the owner of {name}"))
    wrong, told = _sequences(pair)
    refused += wrong
    notes += told
    if spec.mode == INSERT and table.others and table.deferred:
        said = f"mode insert can't leave out what {_words(table.others)} of {name} refuses"
        refused.append(_refusal("unique", f"{said}: {_words(table.deferred)} waits for the commit"))
    if table.rules:
        refused.append(
            _refusal("rules", f"{name} has rules that change what is written: {_words(table.rules)}")
        )
    if table.policies or pair.source.policies:
        where = spec.goal if table.policies else spec.origin
        said = f"row security hides rows of {name} from the role that {where}'s URL names"
        refused.append(
            _refusal("policies", said, f"alter role … bypassrls, or connect as the owner of {name}")
        )
    lacks = [one for one in table.lacks if one in events | {"select"}]
    if not lacks and {"update", "delete"} <= {*table.lacks}:
        lacks = ["update"]  # or nobody else could be kept from writing meanwhile
    if lacks:
        said = f"the role may not {' or '.join(lacks)} in {name} of {spec.goal}"
        refused.append(_refusal("rights", said, f"grant {', '.join(lacks)} on {name} to it"))
    if "select" in pair.source.lacks:
        refused.append(_refusal("rights", f"the role may not select from {name} of {spec.origin}"))
    if table.unidentified and events - {"insert"}:
        said = f"{name} is published by {_words(table.published)} and has no replica identity"
        refused.append(_refusal("published", said, f"alter table {name} replica identity full"))
    elif table.published:
        notes.append(
            Finding("data.published", "note", f"{name} is published: {_words(table.published)} sends it on")
        )
    if table.views:
        notes.append(
            Finding(
                "data.views", "note", f"materialized views of {name} stay as they are: {_words(table.views)}"
            )
        )
    if table.unlogged:
        notes.append(
            Finding("data.unlogged", "note", f"{name} is unlogged: a crash of {spec.goal} empties it")
        )
    return hinted(spec, refused), notes


def _sequences(pair: Pair) -> tuple[list[Finding], list[Finding]]:
    """What speaks against moving a table's sequences on, and which stay where they are."""
    refused, notes = [], []
    for column in map(pair.column, pair.columns):
        if column.sequence is None:
            continue
        said = f"the sequence {label(column.sequence)} of {pair.shown}.{column.name}"
        if not column.counted:
            notes.append(Finding("data.sequence", "note", f"{said} stays: its numbers are only a part of it"))
        elif not column.settable:
            hint = f"grant select, update on sequence {label(column.sequence)} to it"
            refused.append(_refusal("rights", f"the role may not set {said}", hint))
    return refused, notes


def _words(names: Iterable[str]) -> str:
    return ", ".join(shown(one) for one in sorted(names))
