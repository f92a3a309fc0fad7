"""What each of alembic's operations makes and takes away (alembic/operations/base.py of 1.20)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from raccord.migrations.effects import Thing
from raccord.migrations.effects_names import Names, chain
from raccord.migrations.effects_notes import Notes
from raccord.migrations.literals import Unclear, literal

# The leading parameters of each operation; a batch has the table already.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "add_column": ("table_name", "column"),
    "alter_column": ("table_name", "column_name"),
    "create_check_constraint": ("constraint_name", "table_name"),
    "create_exclude_constraint": ("constraint_name", "table_name"),
    "create_foreign_key": ("constraint_name", "source_table"),
    "create_index": ("index_name", "table_name"),
    "create_primary_key": ("constraint_name", "table_name"),
    "create_table": ("table_name",),
    "create_unique_constraint": ("constraint_name", "table_name"),
    "drop_column": ("table_name", "column_name"),
    "drop_constraint": ("constraint_name", "table_name"),
    "drop_index": ("index_name", "table_name"),
    "drop_table": ("table_name",),
    "rename_table": ("old_table_name", "new_table_name"),
}
_TABLES = ("table_name", "source_table")
_IDLE = frozenset(
    {"bulk_insert", "create_table_comment", "drop_table_comment", "f", "get_bind", "get_context"}
)
_CONSTRAINTS = frozenset(
    {
        "CheckConstraint",
        "ExcludeConstraint",
        "ForeignKeyConstraint",
        "PrimaryKeyConstraint",
        "UniqueConstraint",
    }
)
# Arguments that make something else of a table or a column.
_ODD = frozenset({"keep_existing", "listeners", "prefixes", "system"})
# Arguments of an enum that say where its type is made, or whether.
_ENUM_ODD = frozenset({"create_type", "inherit_schema", "metadata", "native_enum", "values_callable"})

Given = Mapping[str, ast.expr]


class Unknown(Exception):
    """Something can't be read as data; it says what, as the end of a sentence."""

    @classmethod
    def at(cls, node: ast.AST, what: str) -> Unknown:
        """With the line."""
        return cls(f"line {getattr(node, 'lineno', 0)}: {what}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation works.

    Attributes:
        table: in lower case.
        foreign: whether a schema is named.
        certain: whether it surely runs.
    """

    table: str
    foreign: bool = False
    certain: bool = True


def given(call: ast.Call, names: Sequence[str]) -> Given:
    """The arguments of a call by their names.

    Raises:
        Unknown: some are unpacked.
    """
    if any(isinstance(one, ast.Starred) for one in call.args[: len(names)]):
        raise Unknown.at(call, "computes its arguments")
    found = dict(zip(names, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            raise Unknown.at(call, "computes its arguments")
        found[keyword.arg] = keyword.value
    return found


class Operations:
    """Notes what operations do."""

    def __init__(self, names: Names, notes: Notes) -> None:
        self.names, self.notes = names, notes
        self._known: Mapping[str, Callable[[ast.Call, Given, Place], None]] = {
            "add_column": self._add_column,
            "alter_column": self._alter_column,
            "create_check_constraint": self._create_constraint,
            "create_exclude_constraint": self._create_constraint,
            "create_foreign_key": self._create_constraint,
            "create_index": self._create_index,
            "create_primary_key": self._create_constraint,
            "create_table": self._create_table,
            "create_unique_constraint": self._create_constraint,
            "drop_column": self._drop_column,
            "drop_constraint": self._drop_constraint,
            "drop_index": self._drop_index,
            "drop_table": self._drop_table,
            "rename_table": self._rename_table,
        }

    def run(self, name: str, call: ast.Call, batch: Place | None, certain: bool) -> None:
        """One operation.

        Args:
            batch: where it is called on a batch.

        Raises:
            Unknown: nobody knows what it does.
        """
        if name in _IDLE:
            return
        if name not in self._known:
            raise Unknown.at(call, f"calls {ast.unparse(call.func)[:60]}")
        wanted = PARAMETERS[name]
        if batch is not None:
            told = given(call, [one for one in wanted if one not in _TABLES])
            place = replace(batch, certain=certain)
        else:
            told = given(call, wanted)
            if name != "drop_index" and {*_TABLES} & {*wanted} - told.keys():
                raise Unknown.at(call, "names no table")
            place = replace(self.place(told, call), certain=certain)
        self._known[name](call, told, place)

    def place(self, told: Given, call: ast.Call) -> Place:
        """The table and the schema that arguments name."""
        schema = told.get("schema")
        foreign = schema is not None and not (isinstance(schema, ast.Constant) and schema.value is None)
        table = next((told[one] for one in _TABLES if one in told), None)
        return Place("" if table is None else self._text(table, call), foreign)

    def _create_table(self, call: ast.Call, told: Given, place: Place) -> None:
        if told.keys() & _ODD:
            raise Unknown.at(call, "makes a table in another way")
        self._put("table", "", place.table, place)
        # Where the table was there before, it may have other columns.
        place = replace(place, certain=place.certain and "if_not_exists" not in told)
        for part in call.args[1:]:
            if isinstance(part, ast.Call) and self.names.from_alchemy(part.func, {"Column"}):
                self._column(part, place)
            elif isinstance(part, ast.Call) and self.names.from_alchemy(part.func, _CONSTRAINTS):
                self._named("constraint", given(part, ()).get("name"), part, place)
            elif isinstance(part, ast.Call) and self.names.from_alchemy(part.func, {"Index"}):
                self._named("index", given(part, ("name",)).get("name"), part, place)
            else:
                raise Unknown.at(part, "computes a part of a table")

    def _drop_table(self, call: ast.Call, told: Given, place: Place) -> None:
        self.notes.lose(place.table)
        self._put("table", "", place.table, place, there=False)

    def _rename_table(self, call: ast.Call, told: Given, place: Place) -> None:
        for parameter, there in (("old_table_name", False), ("new_table_name", True)):
            table = self._text(told.get(parameter), call)
            self.notes.lose(table)
            self._put("table", "", table, place, there=there)

    def _add_column(self, call: ast.Call, told: Given, place: Place) -> None:
        column = told.get("column")
        if not isinstance(column, ast.Call) or not self.names.from_alchemy(column.func, {"Column"}):
            raise Unknown.at(call, "computes a column")
        # Not every release makes an enum's type here.
        self._column(column, place, enums=False)

    def _drop_column(self, call: ast.Call, told: Given, place: Place) -> None:
        self.notes.loosen(place.table)
        name = self._text(told.get("column_name"), call)
        self._put("column", place.table, name, place, there=False)

    def _alter_column(self, call: ast.Call, told: Given, place: Place) -> None:
        self.notes.loosen(place.table)
        name = self._text(told.get("column_name"), call)
        new = told.get("new_column_name")
        if new is not None and not (isinstance(new, ast.Constant) and new.value is None):
            self._put("column", place.table, name, place, there=False)
            self._put("column", place.table, self._text(new, call), place)

    def _create_index(self, call: ast.Call, told: Given, place: Place) -> None:
        self._named("index", told.get("index_name"), call, place)

    def _drop_index(self, call: ast.Call, told: Given, place: Place) -> None:
        self._named("index", told.get("index_name"), call, place, there=False)

    def _create_constraint(self, call: ast.Call, told: Given, place: Place) -> None:
        self._named("constraint", told.get("constraint_name"), call, place)

    def _drop_constraint(self, call: ast.Call, told: Given, place: Place) -> None:
        # An index goes with some of them.
        self.notes.loosen(place.table)
        self._named("constraint", told.get("constraint_name"), call, place, there=False)

    def _column(self, call: ast.Call, place: Place, *, enums: bool = True) -> None:
        told = given(call, ("name",))
        if told.keys() & _ODD or any(isinstance(one, ast.Starred) for one in call.args):
            raise Unknown.at(call, "computes a column")
        self._put("column", place.table, self._text(told.get("name"), call), place)
        for part in ast.walk(call):
            if isinstance(part, ast.Call | ast.Name) and (enum := self.names.enum(part)) is not None:
                self._enum(enum, replace(place, certain=place.certain and enums))

    def _named(
        self, kind: str, name: ast.expr | None, call: ast.Call, place: Place, *, there: bool = True
    ) -> None:
        """An index or a constraint; one without a name can't be told from others."""
        if name is not None and not (isinstance(name, ast.Constant) and name.value is None):
            table = "" if kind == "index" else place.table
            self._put(kind, table, self._text(name, call), place, there=there)

    def _put(self, kind: str, table: str, name: str, place: Place, *, there: bool = True) -> None:
        home = place.table if kind == "index" else ""
        self.notes.put(
            Thing(kind, table, name), there, certain=place.certain, foreign=place.foreign, home=home
        )

    # Enums

    def enum_call(self, func: ast.Attribute, call: ast.Call, certain: bool) -> bool:
        """Whether a call is `Enum(…).create(bind)` or `.drop(bind)`; it is noted then."""
        enum = self.names.enum(func.value)
        if enum is None or func.attr not in ("create", "drop") or not call.args:
            return False
        if not self.names.is_bind(call.args[0]):
            return False
        if func.attr == "create":
            self._enum(enum, Place("", certain=certain), made=True)
        elif (name := self._enum_name(enum)) is not None:
            self.notes.unlabel(name)
            self._put("enum", "", name, Place("", certain=certain), there=False)
        return True

    def _enum_name(self, enum: ast.Call) -> str | None:
        name = given(enum, ()).get("name")
        return None if name is None else self._text(name, enum)

    def _enum(self, enum: ast.Call, place: Place, *, made: bool = False) -> None:
        """The type of an enum, and its values."""
        told = given(enum, ())
        if (name := self._enum_name(enum)) is None:
            return
        odd = _ENUM_ODD - {"create_type"} if made else _ENUM_ODD
        place = replace(place, certain=place.certain and not told.keys() & odd)
        self._put("enum", "", name, place)
        labels = [self.literal(one) for one in enum.args]
        known = bool(labels) and all(isinstance(one, str) for one in labels)
        # One without a name stands for any.
        for label in labels if known else [""]:
            self.notes.put(Thing("label", name, str(label)), True, certain=place.certain and known)

    # Values

    def _text(self, value: ast.expr | None, at: ast.AST) -> str:
        found = None if value is None else self.literal(value)
        if not isinstance(found, str) or not found:
            raise Unknown.at(at, "computes a name")
        return found.lower()

    def literal(self, value: ast.expr) -> object:
        """A literal, also within `op.f(…)`; None where it is none."""
        if isinstance(value, ast.Call) and len(value.args) == 1 and chain(value.func)[1:] == ("f",):
            value = value.args[0]
        found = literal(value, self.names.bound)
        return None if isinstance(found, Unclear) else found
