"""What the functions of a revision do, as far as their text tells: nothing at all, or which operations.

Never runs anything; what it can't judge counts as doing something.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator

from raccord.migrations.literals import parse

_WAYS = ("upgrade", "downgrade")
LONGEST = 60  # letters of an argument that are told


def changes_nothing(source: bytes, template: str = "") -> bool:
    """Whether no function of a revision changes anything.

    Args:
        template: the project's script.py.mako: what stands in it of itself is no change.
    """
    tree = _tree(source)
    if tree is None:
        return False
    own = {" ".join(line.split()) for line in template.splitlines()}
    functions = [one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    ways = [one for one in functions if one.name.startswith(_WAYS)]
    try:
        return bool(ways) and all(_idle(one, own) for function in ways for one in function.body)
    except RecursionError:
        return False


def operations(source: bytes) -> tuple[str, ...]:
    """What the upgrade calls, such as `create_table users`, in the order of the text."""
    tree = _tree(source)
    if tree is None:
        return ()
    found: list[str] = []
    for function in tree.body:
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith(
            _WAYS[0]
        ):
            with contextlib.suppress(RecursionError):
                found += _calls(function)
    return tuple(found)


def _tree(source: bytes) -> ast.Module | None:
    try:
        return parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _idle(statement: ast.stmt, own: set[str]) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return True
    said = ast.unparse(statement)
    # With several databases `upgrade` only calls the function of one.
    if said.startswith("globals()["):
        return True
    return "\n" not in said and bool({said, said.replace("'", '"')} & own)


def _calls(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The calls of `op` and of what `op.batch_alter_table` gave."""
    tables: dict[str, str] = {"op": ""}
    for node in _in_order(function):
        if isinstance(node, ast.withitem):
            call = node.context_expr
            named = call.args[0] if isinstance(call, ast.Call) and call.args else None
            if isinstance(node.optional_vars, ast.Name) and named is not None:
                tables[node.optional_vars.id] = f" of {_name(named)}"
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in tables
            and node.func.attr not in ("f", "batch_alter_table")
        ):
            # A table's columns would be a long list.
            telling = node.args[: 1 if node.func.attr == "create_table" else 2]
            names = [name[:LONGEST] for name in map(_name, telling) if name]
            yield " ".join([node.func.attr, *names]) + tables[node.func.value.id]


def _name(node: ast.expr) -> str:
    """The text of an argument, or the one that `op.f("…")` or `sa.Column("…")` has first."""
    if isinstance(node, ast.Call) and node.args:
        node = node.args[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)
