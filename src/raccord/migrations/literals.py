"""What the names of a Python module are bound to, as far as literals tell, read from its syntax tree.

Never executes anything. A name that only running the module could tell is `Unclear`, with the reason.
"""

from __future__ import annotations

import ast
import re
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Scalar = str | bytes | bool | int | float | complex | None


@dataclass(frozen=True, slots=True)
class Unclear:
    """What a name is bound to where that is not a literal.

    Attributes:
        line: 1-based.
        reason: continues a sentence that began with the name.
    """

    line: int
    reason: str


Value = Scalar | tuple[Scalar, ...] | Unclear

# `warnings.catch_warnings` changes the whole process.
_parsing = threading.Lock()
# Ways to set a name of the module that its statements do not show.
_HIDDEN_WAYS = re.compile(rb":=|\b(?:global|globals|locals|vars|exec)\b")
_HINTS = (b":=", b"exec", b"global", b"locals", b"vars")
_WRITERS = frozenset({"globals", "locals", "vars", "exec"})
# `import *` from these brings no name that alembic looks for.
_HARMLESS = frozenset({"alembic", "sqlalchemy", *sys.stdlib_module_names})
_RUN = "is set by a statement that has to be run"


def parse(source: bytes) -> ast.Module:
    """The syntax tree of a module, in whatever encoding its first lines or its BOM declare.

    Raises:
        SyntaxError: it is no Python.
        ValueError, RecursionError, MemoryError: a NUL byte; nested too deeply.
    """
    # A "\d" in somebody's file is no news here, and no error where warnings are errors.
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def bindings(tree: ast.Module, source: bytes, watched: Iterable[str]) -> dict[str, Value]:
    """What each name of a module is bound to once its statements have run, in their order.

    Args:
        tree: the syntax tree of `source`.
        watched: the names that matter. Only of these it is found out whether a function, an expression or
            the module's own dictionary may set them.
    """
    bound: dict[str, Value] = {}
    lists: set[str] = set()  # names of what can still change
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                _assign(bound, lists, target, statement.value)
        elif isinstance(statement, ast.AnnAssign):
            if statement.value is not None:
                _assign(bound, lists, statement.target, statement.value)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound[statement.name] = Unclear(statement.lineno, "is a function or a class")
        elif isinstance(statement, ast.Import | ast.ImportFrom) and statement.names[0].name != "*":
            imported = Unclear(statement.lineno, "is imported")
            for alias in statement.names:
                bound[alias.asname or alias.name.split(".")[0]] = imported
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            names = set(bound_within(statement))
            if "*" in names:
                _star(bound, statement)
            bound |= dict.fromkeys(names, Unclear(statement.lineno, _RUN))
            _may_change(bound, lists, statement)
    # Looking for a text is faster than looking for a pattern.
    if any(way in source for way in _HINTS) and _HIDDEN_WAYS.search(source):
        bound |= _hidden(tree, frozenset(watched))
    return bound


def literal(node: ast.expr, bound: dict[str, Value]) -> Value:
    """The value of an expression: a constant, a name bound to one, a tuple or list of such."""
    if isinstance(node, ast.Constant):
        return node.value if node.value is not Ellipsis else Unclear(node.lineno, "is an ellipsis")
    if isinstance(node, ast.Name):
        if node.id not in bound:
            return Unclear(node.lineno, f"is {node.id}, which this file does not set")
        value = bound[node.id]
        if isinstance(value, Unclear):
            return Unclear(node.lineno, f"is {node.id}, which {value.reason}")
        return value
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        values: list[Scalar] = []
        for element in node.elts:
            value = literal(element, bound)
            if isinstance(value, Unclear):
                return value
            if isinstance(value, tuple):
                return Unclear(element.lineno, "is nested")
            values.append(value)
        return tuple(values)
    kind = "an f-string" if isinstance(node, ast.JoinedStr) else "computed"
    return Unclear(node.lineno, f"is {kind}, not a literal")


def bound_within(node: ast.AST) -> Iterator[str]:
    """The names that a node may bind in its own scope, wherever inside it; "*" for `import *`."""
    todo = [node]
    while todo:
        one = todo.pop()
        if isinstance(one, ast.Name):
            if not isinstance(one.ctx, ast.Load):
                yield one.id
        elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one.name
            continue
        elif isinstance(one, ast.alias):
            yield one.asname or one.name.split(".")[0]
        elif isinstance(one, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and one.name:
            yield one.name
        elif isinstance(one, ast.MatchMapping) and one.rest:
            yield one.rest
        todo.extend(ast.iter_child_nodes(one))


def _assign(bound: dict[str, Value], lists: set[str], target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Name):
        bound[target.id] = literal(value, bound)
        if isinstance(value, ast.List | ast.Set) or (isinstance(value, ast.Name) and value.id in lists):
            lists.add(target.id)
        else:
            lists.discard(target.id)
    elif (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(value, ast.Tuple | ast.List)
        and len(target.elts) == len(value.elts)
        and all(isinstance(one, ast.Name) for one in target.elts)
        and not any(isinstance(one, ast.Starred) for one in value.elts)
    ):
        values = [literal(one, bound) for one in value.elts]
        bound |= zip((one.id for one in target.elts if isinstance(one, ast.Name)), values, strict=True)
    else:
        bound |= dict.fromkeys(bound_within(target), Unclear(target.lineno, _RUN))
        _may_change(bound, lists, target)


def _star(bound: dict[str, Value], statement: ast.stmt) -> None:
    """Marks what an `import *` may have set anew; what is set later stands."""
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            module = "." * node.level + (node.module or "")
            if module.split(".")[0] not in _HARMLESS:
                bound |= dict.fromkeys(bound, Unclear(node.lineno, f"may be set by `from {module} import *`"))


def _may_change(bound: dict[str, Value], lists: set[str], node: ast.stmt | ast.expr) -> None:
    """Marks the lists that a statement mentions, and may therefore change: `down_revision.append(…)`."""
    if lists and any(isinstance(one, ast.Name) and one.id in lists for one in ast.walk(node)):
        bound |= dict.fromkeys(lists, Unclear(node.lineno, "is a list that a later statement may change"))


def _hidden(tree: ast.Module, watched: frozenset[str]) -> dict[str, Value]:
    """Those of the watched names that an expression, a function or the module's own dictionary may set."""
    found: dict[str, Value] = {}
    todo: list[tuple[ast.AST, bool]] = [(tree, False)]  # and whether it is within a function
    while todo:
        node, inside = todo.pop()
        names: Iterable[str] = ()
        how = ""
        if isinstance(node, ast.Global):
            names, how = watched.intersection(node.names), "may be set by a function"
        elif isinstance(node, ast.NamedExpr) and not inside:
            names, how = watched & {node.target.id}, "is set within an expression"
        elif isinstance(node, ast.Name) and node.id in _WRITERS and not inside:
            names, how = watched, f"may be set through {node.id}()"
        found |= {name: Unclear(getattr(node, "lineno", 0), how) for name in names}
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        todo.extend((child, inside) for child in ast.iter_child_nodes(node))
    return found
