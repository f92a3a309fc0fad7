"""What expressions of a revision stand for, as far as its text tells: texts, tables, columns, handles.

Nothing is executed. What only running the revision would tell is `UNKNOWN`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from raccord.migrations.lint.column_types import WHOLE, Type, known
from raccord.migrations.lint.operations import Column
from raccord.migrations.lint.sql_text import HOLE

Value = object
Scope = dict[str, Value]


class Handle(Enum):
    """Things that a revision gets from alembic and SQLAlchemy."""

    UNKNOWN = 0
    OPERATIONS = 1  # `op`
    CONTEXT = 2
    CONNECTION = 3
    SESSION = 4
    DIALECT = 5
    DIALECT_NAME = 6
    GLOBALS = 7


UNKNOWN = Handle.UNKNOWN
REST = "**"  # stands among named arguments where there are more that aren't known
REACHING = frozenset({Handle.OPERATIONS, Handle.CONTEXT, Handle.CONNECTION, Handle.SESSION})


@dataclass(frozen=True, slots=True)
class Batch:
    """`op.batch_alter_table(…)`."""

    table: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A table or model through which rows are changed, or a column of it."""

    table: str


@dataclass(frozen=True, slots=True)
class Query:
    """A statement of SQLAlchemy's that was not executed yet.

    Attributes:
        kind: "select", "insert", "update" or "delete".
        filtered: whether it has a condition.
        others: tables that rows are read from.
    """

    kind: str
    table: str
    filtered: bool = False
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something imported, by its dotted name."""

    path: str

    @property
    def name(self) -> str:
        """The last part of it."""
        return self.path.rpartition(".")[2]

    @property
    def root(self) -> str:
        """The first part of it."""
        return self.path.partition(".")[0]


@dataclass(frozen=True)
class Built:
    """What calling something imported gave, with the arguments."""

    of: Foreign
    given: tuple[Value, ...]
    named: Mapping[str, Value]


@dataclass(frozen=True)
class Function:
    """A function of the revision, and the names that it sees."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope


@dataclass(frozen=True, slots=True)
class Pairs:
    """A dictionary."""

    items: tuple[tuple[Value, Value], ...]


@dataclass(frozen=True, slots=True)
class Test:
    """A question about the dialect: whether PostgreSQL gets to where it holds, and to where it doesn't."""

    yes: bool
    no: bool


def table_of(value: Value) -> str:
    """The table that a value names, as operations name it; "" where it isn't known."""
    if isinstance(value, Rows | Batch):
        return value.table
    if isinstance(value, Built) and value.of.name == "quoted_name":
        return table_of(value.given[0] if value.given else UNKNOWN)
    if not isinstance(value, str):
        return ""
    name = value.rpartition(".")[2].strip('"`[]').lower()
    return "" if HOLE in name else name


def name_of(value: Value) -> str:
    """A name of a column, an index or a constraint; "" where it isn't known."""
    return value.strip('"').lower() if isinstance(value, str) and HOLE not in value else ""


def column_of(value: Value) -> Column:
    """What `sa.Column(…)` says."""
    if not isinstance(value, Built) or value.of.name != "Column":
        return Column()
    given = [*value.given]
    name = name_of(given.pop(0)) if given and isinstance(given[0], str) else name_of(value.named.get("name"))
    types = [type_of(one) for one in (*given[:1], value.named.get("type_"))]
    key = value.named.get("primary_key") is True
    nullable = value.named.get("nullable", UNKNOWN if REST in value.named else not key)
    made = any(isinstance(one, Built) and one.of.name in ("Identity", "Computed") for one in given)
    default = value.named.get("server_default")
    return Column(
        name,
        next((one for one in types if one), None),
        required=None if not isinstance(nullable, bool) else not nullable,
        filled=made or key or default is not None,
        unique=value.named.get("unique") is True,
        indexed=value.named.get("index") is True,
    )


def referred(value: Value) -> tuple[str, ...]:
    """The tables that foreign keys of a column or a constraint lead to; "" for one that isn't known."""
    if not isinstance(value, Built):
        return ()
    if value.of.name == "ForeignKey":
        return (_owner(value.given[0] if value.given else value.named.get("column")),)
    if value.of.name == "ForeignKeyConstraint":
        columns = value.given[1] if len(value.given) > 1 else value.named.get("refcolumns")
        return tuple({_owner(one) for one in columns}) if isinstance(columns, tuple) else ("",)
    if value.of.name == "Column":
        return tuple(table for one in value.given for table in referred(one))
    return ()


def _owner(column: Value) -> str:
    """The table of "schema.table.column"."""
    return table_of(column.rpartition(".")[0]) if isinstance(column, str) else table_of(column)


def type_of(value: Value) -> Type | None:
    """The type of a column, None where raccord knows none of that name."""
    if isinstance(value, Foreign):
        return known(value.name) if value.root in ("sqlalchemy", "sqlmodel") else None
    if not isinstance(value, Built) or value.of.root not in ("sqlalchemy", "sqlmodel"):
        return None
    if value.of.name in ("Enum", "ENUM"):
        choices = frozenset(one for one in value.given if isinstance(one, str))
        return known("enum", choices=choices if len(choices) == len(value.given) else frozenset())
    given = [*value.given, *(value.named.get(name) for name in ("length", "precision", "scale", "timezone"))]
    if not all(isinstance(one, int | str | None) for one in given):
        return None
    numbers = [one for one in given if isinstance(one, int) and not isinstance(one, bool)]
    found = known(value.of.name, numbers, zone=True in given)
    return found if found is None or found.kind != WHOLE else known(value.of.name)
