"""Which tables of a revision have to do with each other, so that a change of them is one change. Pure."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence

from raccord.migrations.lint.operations import COLUMNS, CONSTRAINTS, INDEXES, SCHEMA, Operation

# Revisions that only do one of these do it for one reason: missing indexes, wider columns.
_ALIKE = (INDEXES, CONSTRAINTS, {"alter_column"}, {"drop_table"}, {"rename_table"})
# Words that tell nothing: of kinds of constraints, and of columns that every table may have.
_COMMON = frozenset(
    {
        "active",
        "check",
        "count",
        "created",
        "data",
        "date",
        "default",
        "description",
        "enabled",
        "foreign",
        "index",
    }
    | {
        "key",
        "name",
        "new",
        "old",
        "primary",
        "status",
        "table",
        "time",
        "type",
        "unique",
        "updated",
        "uuid",
        "value",
    }
)
_SHORTEST = 3  # letters of a word that tables have in common


def groups(operations: Sequence[Operation]) -> list[list[str]]:
    """The tables whose schema changes, those together that belong together.

    They do where one refers to the other, where one line changes both, where both get the same column, or one
    gets what the other loses, where the types of both change alike, and where their names share a word.
    """
    changed = [one for one in operations if one.table and one.kind in SCHEMA - {"other"}]
    tables = list(dict.fromkeys(one.table for one in changed))
    if len(tables) < 2 or any({one.kind for one in changed} <= kinds for kinds in _ALIKE):
        return [tables]
    home = {table: table for table in tables}

    def root(table: str) -> str:
        while home[table] != table:
            home[table] = home[home[table]]
            table = home[table]
        return table

    known: dict[Hashable, str] = {}
    for one in operations:
        near = [other for other in (one.table, *one.others) if other in home]
        for other in near[1:]:
            home[root(other)] = root(near[0])
    for one in changed:
        for tie in _ties(one):
            home[root(one.table)] = root(known.setdefault(tie, one.table))
    found: dict[str, list[str]] = {}
    for table in tables:
        found.setdefault(root(table), []).append(table)
    return list(found.values())


def _ties(operation: Operation) -> Iterable[Hashable]:
    """What an operation shares with those that belong to it."""
    yield ("line", operation.line)
    if operation.kind in COLUMNS:
        for column in operation.columns:
            if column.name:
                yield ("column", column.name)
            if operation.kind == "alter_column":
                yield ("alter", column.type, column.required)
    if operation.kind == "drop_table":
        yield "drop_table"
    # A column or an index is often called after the table that it is there for.
    for name in (operation.table, operation.word, *(column.name for column in operation.columns)):
        for word in re.split(r"[^a-z0-9]+", name):
            if len(word) >= _SHORTEST and word not in _COMMON:
                yield ("word", _stem(word))


def _stem(word: str) -> str:
    """What forms of a word have in common: "query" and "queries", "worker" and "work"."""
    for ending in ("ies", "er", "s", "y"):
        if len(word) - len(ending) >= _SHORTEST:
            word = word.removesuffix(ending)
    return word


def created(operations: Iterable[Operation]) -> frozenset[str]:
    """The tables that a revision makes itself, under every name that they get."""
    found: set[str] = set()
    for one in operations:
        if one.kind == "create_table":
            found.add(one.table)
        elif one.kind == "rename_table" and one.table in found:
            found.update(one.others)
    return frozenset(found)
