"""The rules about locks of PostgreSQL: what would keep others from a table that has rows. Pure.

Facts: https://www.postgresql.org/docs/current/sql-altertable.html and sql-createindex.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from raccord.migrations.lint.column_types import rewrites
from raccord.migrations.lint.operations import Column, Operation, Script
from raccord.migrations.lint.relations import created
from raccord.migrations.lint.remarks import Rule, Said
from raccord.model.language import Message, message

UNKNOWN = "?"


def _old(script: Script) -> Iterator[Operation]:
    """What is done to tables that were there before and still have rows, on PostgreSQL."""
    operations = script.upgrade.operations
    own = created(operations)
    emptied: set[str] = set()
    for one in operations:
        if one.whole:
            emptied.add(one.table)
        known = one.table and one.table not in own and one.table not in emptied
        if one.postgres and (known or not (one.table or own)):
            yield one


def _columns(script: Script, kind: str) -> Iterator[tuple[Operation, Column]]:
    for one in _old(script):
        if one.kind == kind:
            yield from ((one, column) for column in one.columns)


def index(script: Script) -> Iterator[Said]:
    """Indexes are built concurrently."""
    for one in _old(script):
        indexed = one.kind == "add_column" and any(column.indexed for column in one.columns)
        if indexed or (one.kind == "create_index" and not one.gentle):
            said = message("nobody can write to {table} while its index is built", table=one.table or UNKNOWN)
            yield Said(one, said)


def not_null(script: Script) -> Iterator[Said]:
    """Columns that need a value get one, and are checked gently."""
    for one, column in _columns(script, "add_column"):
        if column.required and not column.filled:
            said = message(
                "the new column {column} of {table} is NOT NULL and has no server_default: it fails where "
                "there are rows",
                table=one.table or UNKNOWN,
                column=column.name or UNKNOWN,
            )
            yield Said(one, said)
    for one, column in _columns(script, "alter_column"):
        if column.required:
            said = message(
                "the column {column} of {table} becomes NOT NULL: nobody can use the table while its rows "
                "are read",
                table=one.table or UNKNOWN,
                column=column.name or UNKNOWN,
            )
            yield Said(one, said)


def column_type(script: Script) -> Iterator[Said]:
    """Types are not changed where all rows would be written anew."""
    for one, column in _columns(script, "alter_column"):
        known = column.type is not None or one.raw
        if one.word == "type" and known and (column.type is None or rewrites(column.was, column.type)):
            said = message(
                "the column {column} of {table} becomes {type}: nobody can use the table while it is "
                "written anew",
                table=one.table or UNKNOWN,
                column=column.name or UNKNOWN,
                type=column.type.said if column.type else UNKNOWN,
            )
            yield Said(one, said)


def constraint(script: Script) -> Iterator[Said]:
    """Constraints are added without a look at all rows."""
    for one in _old(script):
        table = one.table or UNKNOWN
        if one.kind == "add_column":
            if one.others:
                yield Said(one, _checked("foreign key", table))
            if any(column.unique for column in one.columns):
                yield Said(one, _checked("unique", table))
        elif one.kind == "create_constraint" and not one.gentle:
            yield Said(one, _checked(one.word, table))


def _checked(what: str, table: str) -> Message:
    if what == "foreign key":
        return message(
            "nobody can write to {table} while its rows are checked for the new foreign key", table=table
        )
    if what == "check":
        return message(
            "nobody can use {table} while its rows are checked for the new constraint", table=table
        )
    if what == "primary key":
        return message("nobody can use {table} while the index of its new primary key is built", table=table)
    return message("nobody can use {table} while the index of its new constraint is built", table=table)


RULES = (
    Rule(
        "lock-constraint",
        constraint,
        message(
            "add it with postgresql_not_valid=True, and VALIDATE CONSTRAINT in a later revision; for a "
            "unique one, build the index concurrently first"
        ),
        postgres=True,
    ),
    Rule(
        "lock-index",
        index,
        message("postgresql_concurrently=True, within op.get_context().autocommit_block()"),
        postgres=True,
    ),
    Rule(
        "lock-not-null",
        not_null,
        message(
            "give a server_default to a new column; for an old one, add CHECK (… IS NOT NULL) NOT VALID, "
            "validate it in a later revision, then set NOT NULL"
        ),
        postgres=True,
    ),
    Rule(
        "lock-type",
        column_type,
        message("add a column of the new type, fill it in parts, and drop the old one in a later revision"),
        postgres=True,
    ),
)
