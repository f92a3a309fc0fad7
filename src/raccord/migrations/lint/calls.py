"""What calls in a revision would do, and what they give: alembic's, SQLAlchemy's, its own functions'."""

from __future__ import annotations

import ast
import builtins
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from raccord.migrations.lint import folding
from raccord.migrations.lint.alembic_calls import PLACES
from raccord.migrations.lint.alembic_calls import Call as AlembicCall
from raccord.migrations.lint.recorder import Recorder
from raccord.migrations.lint.sql_text import HOLE
from raccord.migrations.lint.values import (
    REACHING,
    UNKNOWN,
    Batch,
    Built,
    Foreign,
    Function,
    Handle,
    Pairs,
    Query,
    Rows,
    Scope,
    Value,
    table_of,
)

# Roots of names whose calls change no database.
_HARMLESS = frozenset({"sqlalchemy", "sqlmodel", "click", "tqdm", *sys.stdlib_module_names})
# Methods that change no database, whatever they are called on.
_IDLE = frozenset({
    "add", "append", "begin", "begin_nested", "clear", "close", "critical", "debug", "discard", "error",
    "exception", "expire_all", "expunge", "expunge_all", "extend", "info", "insert", "log", "pop",
    "print", "remove", "rollback", "setdefault", "sort", "update", "warn", "warning", "write"
})  # fmt: skip
_RUNS = frozenset({"exec", "exec_driver_sql", "execute", "executemany", "executescript", "scalar", "scalars"})
_ADDS = frozenset({"add", "add_all", "bulk_insert_mappings", "bulk_save_objects", "merge"})
_CHANGES = frozenset(
    {"add", "append", "clear", "extend", "insert", "pop", "popitem", "remove", "setdefault", "sort", "update"}
)
_TEXTS = frozenset({"DDL", "dedent", "literal_column", "text"})
_TABLES = frozenset({"Table", "table"})
_STATEMENTS = frozenset({"delete", "insert", "select", "update"})
_FILTERS = frozenset({"filter", "filter_by", "having", "limit", "where"})
_CHAINED = frozenset({
    "alias", "correlate", "cte", "distinct", "from_select", "group_by", "join", "offset", "options",
    "order_by", "outerjoin", "returning", "select_from", "subquery", "union", "values", "with_entities",
    "yield_per"
})  # fmt: skip
_SEQUENCES = frozenset({"frozenset", "list", "reversed", "set", "sorted", "tuple"})


@dataclass(frozen=True)
class Call:
    """A call, with what it is given."""

    node: ast.Call
    given: tuple[Value, ...]
    named: dict[str, Value]
    scope: Scope
    alone: bool

    @property
    def reaches(self) -> bool:
        """Whether it is given something through which rows can be changed."""
        return any(isinstance(one, Handle) and one in REACHING for one in (*self.given, *self.named.values()))

    @property
    def first(self) -> Value:
        """What it is given first."""
        return self.given[0] if self.given else next(iter(self.named.values()), UNKNOWN)


class Calls(Recorder, ABC):
    """Calls, once their arguments are known."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = ""  # the function that is read

    @abstractmethod
    def follow(self, function: Function, given: Sequence[Value], named: Mapping[str, Value]) -> Value:
        """Reads a function of the revision as it is called; what it gives back."""

    def imported(self, path: str) -> Value:
        """What an imported name stands for."""
        return Handle.OPERATIONS if path == "alembic.op" else Foreign(path)

    def attribute(self, owner: Value, name: str) -> Value:
        """What an attribute of a value stands for."""
        if isinstance(owner, Foreign):
            return self.imported(f"{owner.path}.{name}")
        if isinstance(owner, Rows):
            return owner.table if name == "__tablename__" else owner
        if name == "dialect" and isinstance(owner, Handle):
            return Handle.DIALECT
        if name == "name" and owner in (Handle.DIALECT, Handle.CONNECTION):
            return Handle.DIALECT_NAME
        if (
            name in ("bind", "connection", "engine", "impl")
            and isinstance(owner, Handle)
            and owner in REACHING
        ):
            return Handle.CONNECTION
        return UNKNOWN

    def item(self, owner: Value, key: Value, scope: Scope) -> Value:
        """What `owner[key]` stands for."""
        if owner is Handle.GLOBALS:
            return scope.get(key, UNKNOWN) if isinstance(key, str) and HOLE not in key else Handle.GLOBALS
        if isinstance(owner, Pairs):
            return next(
                (one for name, one in owner.items if isinstance(key, str | int) and name == key), UNKNOWN
            )
        if isinstance(owner, tuple) and isinstance(key, int) and -len(owner) <= key < len(owner):
            return owner[key]
        return UNKNOWN

    def method(self, owner: Value, name: str, call: Call) -> Value:
        """What `owner.name(…)` gives."""
        if owner is Handle.OPERATIONS or isinstance(owner, Batch):
            return self._alembic(owner, name, call)
        if owner in (Handle.CONNECTION, Handle.SESSION, Handle.CONTEXT):
            return self._connected(owner, name, call)
        if isinstance(owner, Foreign):
            return self.called(self.attribute(owner, name), call)
        if isinstance(owner, Rows):
            return self._rows(owner, name, call)
        if isinstance(owner, Query):
            return self._query(owner, name, call)
        if isinstance(owner, str):
            return folding.text_method(owner, name, call.given)
        if owner is Handle.DIALECT_NAME:
            begins = name == "startswith" and isinstance(call.first, str)
            return folding.postgres("postgresql".startswith(str(call.first))) if begins else owner
        if isinstance(owner, tuple | Pairs) and name in _CHANGES:
            changed = call.node.func.value if isinstance(call.node.func, ast.Attribute) else None
            if isinstance(changed, ast.Name):
                one_more = isinstance(owner, tuple) and name in ("add", "append")
                call.scope[changed.id] = folding.added(owner, (call.first,)) if one_more else UNKNOWN
            return UNKNOWN
        if isinstance(owner, Pairs):
            keys, values = tuple(one for one, _ in owner.items), tuple(one for _, one in owner.items)
            found = {"items": owner.items, "keys": keys, "values": values}.get(name, UNKNOWN)
            return self.item(owner, call.first, call.scope) if name == "get" else found
        if isinstance(owner, Built) and name == "with_variant":
            return owner
        if isinstance(owner, Built) and name in ("create_all", "drop_all"):
            self.emit("create_table" if name == "create_all" else "drop_table", call.node)
        elif isinstance(owner, Built) and name in ("create", "drop"):
            self.emit("other", call.node)
        elif isinstance(owner, Built) and owner.of.root in _HARMLESS:
            pass  # a question, such as an inspector's
        elif name in _RUNS and isinstance(call.first, str | Query):
            self.run(call.first, call.node)
        elif call.alone and name not in _IDLE:
            self.unclear(call.node)
        return UNKNOWN

    def called(self, callee: Value, call: Call) -> Value:
        """What `callee(…)` gives."""
        if isinstance(callee, Function):
            return self.follow(callee, call.given, call.named)
        if callee is Handle.GLOBALS:  # the template for several databases: globals()["upgrade_%s" % name]()
            for name, one in call.scope.items():
                if name.startswith(f"{self.entry}_") and isinstance(one, Function):
                    self.follow(one, call.given, call.named)
            return UNKNOWN
        if isinstance(callee, Built) and callee.of.name in ("scoped_session", "sessionmaker"):
            return Handle.SESSION
        if isinstance(callee, Foreign):
            return self._foreign(callee, call)
        if call.alone:
            self.unclear(call.node)
        return UNKNOWN

    def _foreign(self, callee: Foreign, call: Call) -> Value:
        name = callee.name
        if callee.path.startswith("alembic.op."):
            return self._alembic(Handle.OPERATIONS, name, call)
        if callee.root == "builtins":
            return self._builtin(callee, call)
        if name in ("create_engine", "get_bind"):
            return Handle.CONNECTION
        if name == "get_context" and callee.root == "alembic":
            return Handle.CONTEXT
        if name == "Session":
            return Handle.SESSION
        if name in _TEXTS and callee.root in ("sqlalchemy", "textwrap"):
            return call.first
        if name in _TABLES and callee.root == "sqlalchemy":
            return Rows(table_of(call.first))
        if name in _STATEMENTS and callee.root in ("sqlalchemy", "sqlmodel"):
            if name == "select":
                return Query(name, "", others=_read(call.given))
            return Query(name, table_of(call.first))
        if name in ("create_all", "drop_all"):
            self.emit("create_table" if name == "create_all" else "drop_table", call.node)
        elif call.alone and callee.root not in _HARMLESS and name not in _IDLE:
            self.unclear(call.node, reached=call.reaches)
        return Built(callee, call.given, call.named)

    def _builtin(self, callee: Foreign, call: Call) -> Value:
        first = call.first
        if callee.name == "globals":
            return Handle.GLOBALS
        if callee.name in _SEQUENCES:
            return (first if isinstance(first, tuple) else UNKNOWN) if call.given else ()
        if callee.name == "isinstance" and first is Handle.DIALECT and isinstance(call.given[-1], Foreign):
            return folding.postgres(
                "postgresql" in call.given[-1].path or call.given[-1].name.startswith("PG")
            )
        if callee.name == "enumerate" and isinstance(first, tuple):
            return tuple(enumerate(first))
        if callee.name == "zip" and all(isinstance(one, tuple) for one in call.given):
            return tuple(zip(*(one for one in call.given if isinstance(one, tuple)), strict=False))
        if callee.name == "str":
            return folding.said(first)
        if (
            call.alone
            and not hasattr(builtins, callee.name.partition(".")[0])
            and callee.path.count(".") == 1
        ):
            self.unclear(call.node)  # a name that comes from nowhere in this file
        return UNKNOWN

    def _alembic(self, owner: Value, name: str, call: Call) -> Value:
        table = owner.table if isinstance(owner, Batch) else None
        if name in ("f", "inline_literal"):
            return call.first
        if name == "get_bind":
            return Handle.CONNECTION
        if name == "get_context":
            return Handle.CONTEXT
        if name == "batch_alter_table":
            return Batch(table_of(call.first if call.given else call.named.get("table_name")))
        if name == "execute":
            self.run(call.first if call.given else call.named.get("sqltext", UNKNOWN), call.node)
        elif name == "bulk_insert":
            self.emit("insert", call.node, table=table_of(call.first))
        elif name == "run_async" and isinstance(call.first, Function):
            self.follow(call.first, [Handle.CONNECTION, *call.given[1:]], {})
        elif name in PLACES:
            made = AlembicCall(name, call.given, call.named, table, self.at(call.node))
            operations = list(made.operations())
            for one in operations:
                self.record(one)
            return Rows(operations[0].table) if name == "create_table" else UNKNOWN
        elif call.alone:
            self.unclear(call.node)
        return UNKNOWN

    def _connected(self, owner: Value, name: str, call: Call) -> Value:
        """What is called on a connection, a session, or alembic's context."""
        if name in _RUNS:
            value = next(iter((*call.given, *call.named.values())), UNKNOWN)
            self.run(value, call.node, asks=not call.alone)
        elif owner is Handle.SESSION and name == "query":
            return Query("select", next((one.table for one in call.given if isinstance(one, Rows)), ""))
        elif owner is Handle.SESSION and name in _ADDS:
            self.emit("insert", call.node, others=("",))
        elif owner is Handle.SESSION and name == "delete":
            self.emit("delete", call.node, whole=False)
        elif owner is Handle.SESSION and name in ("commit", "flush"):
            self.emit("change", call.node, others=("",))  # of what its objects were given
        elif name in ("begin", "begin_nested", "connect", "cursor", "execution_options", "get_bind"):
            return owner
        return UNKNOWN

    def _rows(self, owner: Rows, name: str, call: Call) -> Value:
        if name in _STATEMENTS:
            return Query(name, owner.table)
        if name in ("create", "drop"):
            self.emit(f"{name}_table", call.node, table=owner.table)
        return owner if name == "alias" else UNKNOWN

    def _query(self, owner: Query, name: str, call: Call) -> Value:
        if name in _FILTERS:
            return replace(owner, filtered=True)
        if name in _CHAINED:
            return replace(owner, others=(*owner.others, *_read(call.given)))
        if name in ("delete", "update") and owner.kind == "select":
            self.run(replace(owner, kind=name), call.node)
        elif name == "execute":
            self.run(owner, call.node)
        return UNKNOWN


def _read(given: Sequence[Value]) -> tuple[str, ...]:
    """The tables that queries and tables among the values read."""
    tables = [one.table for one in given if isinstance(one, Query | Rows)]
    tables += [table for one in given if isinstance(one, Query) for table in one.others]
    return tuple(dict.fromkeys(filter(None, tables)))
