"""Which columns of which tables travel, and what speaks against it: drift, keys, the configuration. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from raccord.data.masking import Masking, listed, masking
from raccord.data.masks import Salt
from raccord.data.personal import is_secret, personal
from raccord.data.spec import INSERT, UPSERT, Spec
from raccord.database.tables import Column, Name, Table, Unique, label
from raccord.model.language import Sentence, sentence
from raccord.model.plan import Finding
from raccord.model.text import shown

# Tables that no pattern means: what one database says of itself, and messages that others act on.
NOT_MEANT = ("alembic_version", "*outbox*")
# In what a column may differ.
TYPE, NULLS = sentence("type"), sentence("nullability")
VALUES, GENERATION = sentence("values"), sentence("generation")


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


def wide(pair: Pair) -> bool:
    """Whether an archive says of rows too what is in the columns that stay behind: a push adds whole rows."""
    return bool(pair.key and pair.kept)


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
            said = sentence("{where} has no table {table}", where=spec.goal, table=label(name))
            refused.append(drift(said, "raccord migrations upgrade"))
            continue
        if bad := [table for table in (one, other) if table.kind not in ("table", "partitioned")]:
            said = sentence(
                "{table} is a {kind}, which takes no rows of its own", table=label(name), kind=bad[0].kind
            )
            refused.append(refusal("kind", said))
            continue
        pair, wrong, told = _pair(spec, one, other, masked)
        refused += wrong
        notes += told
        if pair is not None:
            found.append(pair)
    refused += _unused(spec, source.values())
    return Pairs(tuple(found), tuple(hinted(spec, refused)), tuple(notes))


def hinted(spec: Spec, refused: Iterable[Finding]) -> list[Finding]:
    """The same; what nothing but another set helps says so."""
    hint = sentence("leave it out of, or correct, [data.{set}]", set=spec.name)
    return [one if one.hint else replace(one, hint=hint) for one in refused]


def drift(said: Sentence, hint: str = "") -> Finding:
    """A difference of the schemas, which no row may cross."""
    return Finding("data.drift", "fail", said, hint or "raccord migrations status")


def refusal(what: str, said: Sentence, hint: str = "") -> Finding:
    """What speaks against it, by the last part of its name."""
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
        said = sentence(
            "{table}: {columns} may hold secrets, so the target keeps its own",
            table=name,
            columns=words(held),
        )
        hint = "" if spec.verb == "pull" else sentence('secrets = "include" sends them')
        notes.append(Finding("data.secrets", "note", said, hint))
    elif open_:
        said = sentence(
            "{table}: {columns} may hold secrets, and the set sends them", table=name, columns=words(open_)
        )
        notes.append(Finding("data.secrets", "note", said))
    generated = {c.name for c in other.columns if c.generated}
    left = (excluded | held) - generated
    columns = tuple(c.name for c in other.columns if c.name not in left | generated and one.column(c.name))
    soft = {column for column in masks if (other.id, column) not in masked.solid}
    key, why = _key(spec, one, other, columns, soft)
    if why is not None:
        refused.append(refusal("key", why))
    if not columns:
        refused.append(refusal("column", sentence("{table} has no column that travels", table=name)))
    if refused:
        return None, refused, notes
    if not key:
        said = sentence("{table} has no key: its rows are told apart by all that is in them", table=name)
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
        drift(missing(name, column.name, spec.goal), upgrade)
        for column in one.columns
        if other.column(column.name) is None and not listed(spec.exclude, one, column.name)
    ]
    for column in other.columns:
        mine = one.column(column.name)
        if listed(spec.exclude, other, column.name):
            continue
        if mine is None:
            if not column.generated:
                found.append(drift(missing(name, column.name, spec.origin), upgrade))
            continue
        for what, before, after in (
            (TYPE, _type(mine), _type(column)),
            (
                NULLS,
                "null" if mine.nullable else "not null",
                "null" if column.nullable else "not null",
            ),
            (VALUES, mine.detail, column.detail),
            (GENERATION, str(mine.generated), str(column.generated)),
        ):
            if before != after:
                said = sentence(
                    "{column}: {what} is {before} in {origin}, {after} in {goal}",
                    column=shown(f"{name}.{column.name}"),
                    what=what,
                    origin=spec.origin,
                    goal=spec.goal,
                    before=shown(before) or sentence("plain"),
                    after=shown(after) or sentence("plain"),
                )
                found.append(drift(said))
    return found


def missing(table: str, column: str, where: str) -> Sentence:
    """Says that an environment lacks a column."""
    return sentence("{column} is missing in {where}", column=f"{table}.{column}", where=where)


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
) -> tuple[tuple[str, ...], Sentence | None]:
    """The key that tells rows apart on both sides, or what is wrong where there has to be one."""
    name = other.shown
    theirs = {frozenset(unique.columns) for unique in one.uniques}
    whole = _keys(other)
    for mine, others, here, there in (
        (whole, theirs, spec.goal, spec.origin),
        (_keys(one), {frozenset(unique.columns) for unique in other.uniques}, spec.origin, spec.goal),
    ):
        if mine and not any(frozenset(unique.columns) in others for unique in mine):
            return (), sentence(
                "{table} has the key {key} in {here}, and not in {there}",
                table=name,
                key=[*mine[0].columns],
                here=here,
                there=there,
            )
    for unique in whole:
        if frozenset(unique.columns) not in theirs:
            continue
        bad = [n for n in unique.columns if n not in columns or n in masks]
        if bad and unique.primary:
            return (), sentence(
                "{column} is part of the key, so it can neither stay behind nor be masked",
                column=f"{name}.{bad[0]}",
            )
        inexact = [n for n in unique.columns if (c := other.column(n)) is not None and not c.key]
        if inexact and unique.primary:
            column = other.column(inexact[0])
            kind = column.type if column else ""
            return (), sentence(
                "the key of {table} has {column}: equal values of type {type} have several spellings",
                table=name,
                column=inexact[0],
                type=kind,
            )
        if not bad and not inexact:
            return unique.columns, None
    if spec.mode in (INSERT, UPSERT):
        return (), sentence("{table} has no key, which mode {mode} needs", table=name, mode=spec.mode)
    return (), None


def _unused(spec: Spec, tables: Iterable[Table]) -> list[Finding]:
    """Names in the configuration that mean nothing: a condition that holds nowhere is no condition."""
    known = list(tables)
    found = [
        refusal(
            "config",
            sentence("where names {table}, which is no table of the set {set}", table=text, set=spec.name),
        )
        for text in spec.where
        if not any(text in (table.name, ".".join(table.id)) for table in known)
    ]
    for what, texts in (("exclude", spec.exclude), ("mask", spec.mask)):
        for text in texts:
            if not any(listed([text], table, column.name) for table in known for column in table.columns):
                said = sentence(
                    "{key} names {column}, which is no column of the set {set}",
                    key=what,
                    column=text,
                    set=spec.name,
                )
                found.append(refusal("config", said))
    return found


def words(names: Iterable[str]) -> str:
    """Names, in order."""
    return ", ".join(shown(one) for one in sorted(names))
