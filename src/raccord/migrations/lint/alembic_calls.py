"""Alembic's own calls as operations: `op.add_column(…)`, and the same in a batch, which knows the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from raccord.migrations.lint.operations import Column, Operation
from raccord.migrations.lint.values import (
    REST,
    UNKNOWN,
    Value,
    column_of,
    name_of,
    referred,
    table_of,
    type_of,
)

# The places of each call's arguments, the table's among them; in a batch that one is left out.
TABLE = "table_name"
PLACES: dict[str, tuple[str, ...]] = {
    "add_column": (TABLE, "column"),
    "alter_column": (TABLE, "column_name"),
    "create_check_constraint": ("constraint_name", TABLE, "condition"),
    "create_exclude_constraint": ("constraint_name", TABLE),
    "create_foreign_key": ("constraint_name", TABLE, "referent_table"),
    "create_index": ("index_name", TABLE, "columns"),
    "create_primary_key": ("constraint_name", TABLE, "columns"),
    "create_table": (TABLE,),
    "create_table_comment": (TABLE,),
    "create_unique_constraint": ("constraint_name", TABLE, "columns"),
    "drop_column": (TABLE, "column_name"),
    "drop_constraint": ("constraint_name", TABLE, "type_"),
    "drop_index": ("index_name", TABLE),
    "drop_table": (TABLE,),
    "drop_table_comment": (TABLE,),
    "rename_table": (TABLE, "new_table_name"),
}
# Other words for an argument.
SPELT = {
    TABLE: ("source_table", "old_table_name", "source"),
    "referent_table": ("referent",),
    "column_name": ("name",),
}
CONSTRAINTS = {
    "create_check_constraint": "check",
    "create_exclude_constraint": "exclude",
    "create_foreign_key": "foreign key",
    "create_primary_key": "primary key",
    "create_unique_constraint": "unique",
}


@dataclass(frozen=True)
class Call:
    """A call of alembic's with its arguments.

    Attributes:
        table: of the batch that it is made in; None where it isn't in one.
        at: an operation with the place, to begin from.
    """

    name: str
    given: Sequence[Value]
    named: Mapping[str, Value]
    table: str | None
    at: Operation

    def argument(self, name: str) -> Value:
        """What an argument is; None where it is left out."""
        places = [one for one in PLACES[self.name] if one != TABLE or self.table is None]
        if name in places and places.index(name) < len(self.given):
            return self.given[places.index(name)]
        return next((self.named[one] for one in (name, *SPELT.get(name, ())) if one in self.named), None)

    def operations(self) -> Iterator[Operation]:
        """What it does."""
        table = self.table if self.table is not None else table_of(self.argument(TABLE))
        made = replace(self.at, kind=self.name, table=table)
        if self.name in CONSTRAINTS:
            gentle = self._may("postgresql_not_valid") or self._may("postgresql_using_index")
            others = (table_of(self.argument("referent_table")),) if self.name == "create_foreign_key" else ()
            word = CONSTRAINTS[self.name]
            yield replace(made, kind="create_constraint", word=word, gentle=gentle, others=others)
        elif self.name == "add_column":
            column = self.argument("column")
            yield replace(made, columns=(column_of(column),), others=referred(column))
        elif self.name == "alter_column":
            yield replace(made, columns=(self._altered(),), word="type" if self._typed else "")
        elif self.name == "create_index":
            gentle = self._may("postgresql_concurrently")
            yield replace(made, word=name_of(self.argument("index_name")), gentle=gentle)
        elif self.name == "create_table":
            parts = self.given[0 if self.table is not None else 1 :]
            columns = tuple(column_of(one) for one in parts)
            yield replace(
                made,
                columns=tuple(one for one in columns if one.name),
                others=tuple(dict.fromkeys(table for one in parts for table in referred(one))),
            )
        elif self.name == "drop_column":
            yield replace(made, columns=(Column(name_of(self.argument("column_name"))),))
        elif self.name == "drop_index":
            yield replace(made, word=name_of(self.argument("index_name")))
        elif self.name == "rename_table":
            yield replace(made, others=(table_of(self.argument("new_table_name")),))
        elif self.name.endswith("_comment"):
            yield replace(made, kind="other")
        else:
            yield made

    def _may(self, name: str) -> bool:
        """Whether an option may be set."""
        return self.named.get(name, UNKNOWN if REST in self.named else None) not in (None, False)

    @property
    def _typed(self) -> bool:
        """Whether the type changes: MySQL has to be told it where only something else does."""
        others = {"new_column_name", "nullable", "server_default"} & self.named.keys()
        return self.named.get("type_") is not None and ("existing_type" in self.named or not others)

    def _altered(self) -> Column:
        nullable, old = self.named.get("nullable"), self.named.get("existing_nullable")
        # As much has MySQL to be told where a column is only renamed.
        known = nullable is False and old is not False and (old or "new_column_name" not in self.named)
        return Column(
            name_of(self.argument("column_name")),
            type_of(self.named.get("type_")),
            type_of(self.named.get("existing_type")),
            required=True if known else None,
        )
