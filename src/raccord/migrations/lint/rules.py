"""The rules of `raccord migrations lint`, and those that hold for every database. Pure.

What isn't known is never held against a revision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raccord.migrations.lint import lock_rules
from raccord.migrations.lint.column_types import narrows
from raccord.migrations.lint.operations import (
    COLUMNS,
    CONSTRAINTS,
    INDEXES,
    ROWS,
    TABLES,
    UNCLEAR,
    Operation,
    Script,
)
from raccord.migrations.lint.relations import created, groups
from raccord.migrations.lint.remarks import Remark, Rule, Said
from raccord.model.language import Message, message

UNKNOWN = "?"  # a name that only running the revision would tell
# Where what is lost may have been kept before: written by the same revision from the same table.
_KEEPS = frozenset({"create_table", "insert", "update", "change", UNCLEAR})
_VERSIONS = "alembic_version"
_TEMPORARY = "_alembic_tmp_"  # what a batch that failed left behind


def remarks(script: Script, *, postgres: bool) -> Iterator[Remark]:
    """What the rules say about a revision.

    Args:
        postgres: whether it may be meant for PostgreSQL.
    """
    for rule in RULES.values():
        if postgres or not rule.postgres:
            yield from rule.remarks(script)


def no_downgrade(script: Script) -> Iterator[Said]:
    """A revision that does something can be taken back."""
    if not script.upgrade.operations:
        return
    down = script.downgrade
    at = Operation("", down.line or script.upgrade.line, down.line or script.upgrade.line)
    if not down.there:
        yield Said(at, message("there is no downgrade()"))
    elif down.raises:
        yield Said(at, message("downgrade() raises an error"))
    elif not down.operations:
        yield Said(at, message("downgrade() does nothing, and upgrade() does"))


def destructive(script: Script) -> Iterator[Said]:
    """Nothing that rows hold is thrown away without a copy."""
    operations = script.upgrade.operations
    own = created(operations)
    for at, one in enumerate(operations):
        lost = _lost(one)
        if one.table.startswith(_TEMPORARY):
            continue
        if lost is not None and not (one.table and one.table in own) and not _kept(one, operations[:at]):
            yield Said(one, lost)


def _lost(one: Operation) -> Message | None:
    """What an operation throws away."""
    table = one.table or UNKNOWN
    column = one.columns[0] if one.columns else None
    name = (column.name if column else "") or UNKNOWN
    if one.kind == "drop_table":
        return message("the table {table} is dropped, and nothing keeps its rows", table=table)
    if one.kind == "drop_column":
        return message(
            "the column {column} of {table} is dropped, and nothing keeps its values",
            table=table,
            column=name,
        )
    if (
        one.kind == "alter_column"
        and column
        and column.type
        and column.was
        and narrows(column.was, column.type)
    ):
        return message(
            "the column {column} of {table} goes from {old} to {new}, which can't hold all that it held",
            table=table,
            column=name,
            old=column.was.said,
            new=column.type.said,
        )
    if one.kind == "truncate" or (one.kind == "delete" and one.whole):
        return message("all rows of {table} are deleted, and nothing keeps them", table=table)
    if one.kind == "drop_schema" and one.word == "schema":
        return message("the schema {name} is dropped with all that it holds", name=table)
    if one.kind == "drop_schema":
        return message("the database {name} is dropped with all that it holds", name=table)
    return None


def _kept(lost: Operation, before: Sequence[Operation]) -> bool:
    """Whether an earlier operation wrote what is lost elsewhere."""
    for one in before:
        if one.kind not in _KEEPS:
            continue
        if "" in one.others or (lost.table and lost.table in one.others):
            return True
        # The values of a column may go to another one of the same table.
        if lost.kind == "drop_column" and one.kind == "update" and one.table == lost.table:
            return True
    return False


def several_changes(script: Script) -> Iterator[Said]:
    """One revision for each change."""
    operations = script.upgrade.operations
    if script.first:
        return
    found = groups(operations)
    if len(found) > 1:
        first = next(one for one in operations if one.table == found[1][0])
        tables = " / ".join(", ".join(some[:3]) + (" …" if len(some) > 3 else "") for some in found[:5])
        said = message(
            "{count} changes that have nothing to do with each other: {tables}",
            count=len(found),
            tables=tables,
        )
        yield Said(first, said)


def data_and_schema(script: Script) -> Iterator[Said]:
    """Rows are moved by revisions of their own."""
    operations = script.upgrade.operations
    own = created(operations)
    if not any(one.kind in TABLES | COLUMNS | INDEXES | CONSTRAINTS for one in operations):
        return
    # What is written into a table that is new here locks and loses nothing.
    moved = [one for one in operations if one.kind in ROWS and one.table not in (*own, _VERSIONS)]
    moved = [one for one in moved if one.table or not own]
    if moved and moved[0].table:
        said = message("the schema is changed, and rows of {table} too", table=moved[0].table)
        yield Said(moved[0], said)
    elif moved:
        yield Said(moved[0], message("the schema is changed, and rows too"))


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "data-and-schema",
            data_and_schema,
            message("move the rows in a revision of their own, between those that change the schema"),
        ),
        Rule(
            "destructive",
            destructive,
            message(
                "copy what is lost into another table or column in the same revision, or rename instead of "
                "dropping"
            ),
        ),
        *lock_rules.RULES,
        Rule(
            "no-downgrade", no_downgrade, message("write a downgrade() that takes back what upgrade() does")
        ),
        Rule("several-changes", several_changes, message("write a revision for each change")),
    )
}
