"""What a revision does, as data: the operations that its functions would carry out, as far as text tells.

The names are alembic's; raw SQL and changes of rows have the same form. Pure data, nothing is executed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from raccord.migrations.lint.column_types import Type

# Changes of the schema, by alembic's names.
TABLES = frozenset({"create_table", "drop_table", "rename_table"})
COLUMNS = frozenset({"add_column", "alter_column", "drop_column"})
INDEXES = frozenset({"create_index", "drop_index"})
CONSTRAINTS = frozenset({"create_constraint", "drop_constraint"})
# And two that only SQL has: what has no table (a type, a view), and a whole schema or database that goes.
SCHEMA = TABLES | COLUMNS | INDEXES | CONSTRAINTS | {"other", "drop_schema"}
# Changes of rows. `change` is one that could be any of the others.
ROWS = frozenset({"insert", "update", "delete", "truncate", "change"})
UNCLEAR = "unclear"  # only running it would tell


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is added, or what an existing one becomes.

    Attributes:
        name: "" where it isn't known.
        type: None where it isn't known.
        was: its type before, None where it isn't known.
        required: whether it is NOT NULL; None where that isn't known, or stays as it is.
        filled: whether existing rows get a value from the database.
        unique: whether it brings a constraint of its own.
        indexed: whether it brings an index of its own.
    """

    name: str = ""
    type: Type | None = None
    was: Type | None = None
    required: bool | None = None
    filled: bool = False
    unique: bool = False
    indexed: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a revision does.

    Attributes:
        kind: of `SCHEMA` or `ROWS`, or `UNCLEAR`.
        line: 1-based, where it is written.
        end: the last line of it.
        table: without its schema, in small letters; "" where it isn't known.
        columns: of a table, or the one that is changed.
        others: tables that it refers to: foreign keys, and where rows are read from; "" for any.
        word: what it is for a person: of a constraint "foreign key", of an index its name.
        whole: of rows: whether all of a table's are meant; None where that isn't known.
        gentle: whether PostgreSQL lets others work meanwhile: CONCURRENTLY, NOT VALID.
        postgres: whether it can happen on PostgreSQL.
        raw: whether it is SQL in a text.
    """

    kind: str
    line: int
    end: int
    table: str = ""
    columns: tuple[Column, ...] = ()
    others: tuple[str, ...] = ()
    word: str = ""
    whole: bool | None = None
    gentle: bool = False
    postgres: bool = True
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """What one function of a revision does.

    Attributes:
        line: of its `def`; 0 where there is none.
        operations: in order; every branch of an `if` is taken.
        raises: whether it does nothing but raise.
    """

    line: int = 0
    operations: tuple[Operation, ...] = ()
    raises: bool = False

    @property
    def there(self) -> bool:
        """Whether there is such a function."""
        return bool(self.line)


@dataclass(frozen=True, slots=True)
class Script:
    """What a revision does.

    Attributes:
        upgrade, downgrade: its functions.
        first: whether it stands on no other revision.
    """

    upgrade: Body = field(default_factory=Body)
    downgrade: Body = field(default_factory=Body)
    first: bool = False
