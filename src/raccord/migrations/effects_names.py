"""What the names in a revision file stand for: alembic's operations, SQLAlchemy's parts, connections, enums.

Says also which expressions change nothing. Executes nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from raccord.migrations.literals import Value, bindings, bound_within

# Of these it is known that a call changes nothing outside of Python.
_PURE = frozenset({"collections", "datetime", "decimal", "enum", "json", "re", "time", "typing", "uuid"})
_BUILTINS = frozenset(
    {
        "any", "bool", "dict", "enumerate", "frozenset", "int", "isinstance", "len", "list", "max", "min",
        "print", "range", "set", "sorted", "str", "tuple", "zip",
    }
)  # fmt: skip
# Methods that only read, or only build a statement, whatever they are called on.
_READS = frozenset(
    {
        "as_string", "asc", "desc", "format", "get", "get_check_constraints", "get_columns", "get_enums",
        "get_foreign_keys", "get_indexes", "get_table_names", "get_unique_constraints", "has_table", "in_",
        "is_", "is_not", "isnot", "items", "join", "keys", "label", "lower", "notin_", "now", "replace",
        "split", "strip", "upper", "values", "where", "with_variant",
    }
)  # fmt: skip
_ROWS = frozenset({"delete", "insert", "update"})
_ALCHEMY_DOES = frozenset({"DDL", "connect", "create_all", "create_engine", "drop_all", "event"})
_SUBMODULES = frozenset({"dialects", "mysql", "postgresql", "sql", "sqlite", "types"})


@dataclass
class Names:
    """The names of one file.

    Attributes:
        bound: constants of the module that `upgrade()` does not set itself.
        op: the names of alembic's operations.
        alchemy: names that came from SQLAlchemy, with what they are called there; "" for a module.
        pure: names that came from modules whose calls change nothing.
        other: names that came from anywhere else.
        binds: names of the migration's connection.
        enums: names of enums.
        upgrade: the function; None where it is unclear.
        unclear: why the file can't be read as data, "" where it can.
    """

    bound: dict[str, Value] = field(default_factory=dict)
    op: set[str] = field(default_factory=set)
    alchemy: dict[str, str] = field(default_factory=dict)
    pure: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    enums: dict[str, ast.Call] = field(default_factory=dict)
    upgrade: ast.FunctionDef | None = None
    unclear: str = ""

    @classmethod
    def of(cls, tree: ast.Module, source: bytes) -> Names:
        """Reads a module."""
        made = cls(bindings(tree, source, ()))
        made.unclear = made._read(tree)
        return made

    def _read(self, tree: ast.Module) -> str:
        rest: list[ast.stmt] = []
        for one in tree.body:
            if isinstance(one, ast.Import | ast.ImportFrom):
                if any(alias.name == "*" for alias in one.names):
                    return f"line {one.lineno} imports names that it doesn't tell"
                self._import(one)
            elif isinstance(one, ast.FunctionDef) and one.name == "upgrade":
                if self.upgrade is not None or one.decorator_list or any(_arguments(one)):
                    return "its upgrade() is not a plain function"
                self.upgrade = one
            else:
                rest.append(one)
        if self.upgrade is None:
            return "it has no upgrade()"
        known = {"upgrade", *self.op, *self.alchemy, *self.pure}
        if known & self.other:
            return "it imports a name twice"
        inside = {name for one in self.upgrade.body for name in bound_within(one)}
        if known & ({name for one in rest for name in bound_within(one)} | inside):
            return "it uses a name for several things"
        for name in inside:
            self.bound.pop(name, None)
        for one in rest:
            if not self._idle(one):
                return f"line {one.lineno} has to be run"
        self._note([*tree.body, *ast.walk(self.upgrade)])
        return ""

    def _import(self, one: ast.Import | ast.ImportFrom) -> None:
        for alias in one.names:
            path = alias.name if isinstance(one, ast.Import) else f"{one.module or ''}.{alias.name}"
            name = alias.asname or (path.split(".")[0] if isinstance(one, ast.Import) else alias.name)
            root = path.split(".")[0] if not getattr(one, "level", 0) else ""
            last = path.split(".")[-1]
            if name in {*self.op, *self.alchemy, *self.pure, *self.other}:
                self.other.add(name)  # nobody sorts out which of them it is
            if path == "alembic.op":
                self.op.add(name)
            elif root == "sqlalchemy":
                module = isinstance(one, ast.Import) or last in _SUBMODULES
                self.alchemy[name] = "" if module else last
            elif root in _PURE:
                self.pure.add(name)
            else:
                self.other.add(name)

    def _idle(self, one: ast.stmt) -> bool:
        """Whether a statement of the module changes nothing when it is imported."""
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Pass):
            return True
        if isinstance(one, ast.Expr):
            return isinstance(one.value, ast.Constant)
        if isinstance(one, ast.If):
            return isinstance(one.test, ast.Name) and one.test.id == "TYPE_CHECKING"
        if isinstance(one, ast.Assign | ast.AnnAssign):
            targets = one.targets if isinstance(one, ast.Assign) else [one.target]
            plain = all(isinstance(target, ast.Name) for target in targets)
            return plain and (one.value is None or self.doubtful(one.value) is None)
        return False

    def _note(self, nodes: list[ast.AST]) -> None:
        """Takes in names that are set once, to the connection or to an enum."""
        set_once: dict[str, ast.expr | None] = {}
        for node in nodes:
            if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.ClassDef):
                value = node.value if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
                plain = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
                for name in {*_bound_here(node)}:
                    set_once[name] = value if plain and name not in set_once else None
        for name, value in set_once.items():
            if isinstance(value, ast.Call) and self.is_bind(value):
                self.binds.add(name)
            elif isinstance(value, ast.Call) and self.from_alchemy(value.func, {"ENUM", "Enum"}):
                self.enums[name] = value

    def from_alchemy(self, func: ast.expr, wanted: Set[str]) -> bool:
        """Whether a name is SQLAlchemy's, and one of these."""
        words = chain(func)
        if not words or words[0] not in self.alchemy:
            return False
        return (words[-1] if len(words) > 1 else self.alchemy[words[0]]) in wanted

    def is_bind(self, value: ast.expr) -> bool:
        """Whether an expression is the migration's connection."""
        if isinstance(value, ast.Name):
            return value.id in self.binds
        words = chain(value.func) if isinstance(value, ast.Call) else ()
        return len(words) == 2 and words[0] in self.op and words[1] == "get_bind"

    def enum(self, value: ast.expr) -> ast.Call | None:
        """The `Enum(…)` that an expression is."""
        if isinstance(value, ast.Name):
            return self.enums.get(value.id)
        made = isinstance(value, ast.Call) and self.from_alchemy(value.func, {"ENUM", "Enum"})
        return value if made and isinstance(value, ast.Call) else None

    def is_rows(self, value: ast.expr) -> bool:
        """Whether an expression builds a statement that changes rows alone."""
        return isinstance(value, ast.Call) and not _ROWS.isdisjoint(chain(value.func))

    def doubtful(self, value: ast.expr) -> ast.expr | None:
        """The first part of an expression that may change something; None where there is none."""
        for part in ast.walk(value):
            if isinstance(part, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
                return part
            if isinstance(part, ast.Call) and not self._harmless(part.func):
                return part
        return None

    def _harmless(self, func: ast.expr) -> bool:
        words = chain(func)
        if isinstance(func, ast.Attribute) and func.attr in _READS | _ROWS:
            return not words or words[0] not in self.other
        if not words or "()" in words:
            return False
        if words[0] in self.alchemy:
            return _ALCHEMY_DOES.isdisjoint([*words, self.alchemy[words[0]]])
        if words[0] in self.op:
            return words[1:] in (("f",), ("get_bind",), ("get_context",), ("inline_literal",))
        return words[0] in self.pure or (len(words) == 1 and words[0] in _BUILTINS - self.bound.keys())


def chain(value: ast.expr) -> tuple[str, ...]:
    """The words of `a.b().c`, with "()" for each call on the way; none where it begins with no name."""
    words: list[str] = []
    while not isinstance(value, ast.Name):
        if isinstance(value, ast.Attribute):
            words.append(value.attr)
            value = value.value
        elif isinstance(value, ast.Call):
            words.append("()")
            value = value.func
        else:
            return ()
    return (value.id, *reversed(words))


def _arguments(function: ast.FunctionDef) -> Iterator[ast.arg]:
    given = function.args
    yield from (*given.posonlyargs, *given.args, *given.kwonlyargs)
    yield from (one for one in (given.vararg, given.kwarg) if one)


def _bound_here(node: ast.stmt) -> Iterator[str]:
    """The names that a statement binds itself, and no statement inside it."""
    for field_ in ("targets", "target", "items", "names"):
        part = getattr(node, field_, None)
        for one in part if isinstance(part, list) else [part] if isinstance(part, ast.AST) else []:
            yield from bound_within(one)
