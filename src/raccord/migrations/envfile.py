"""Reads what an alembic env.py says of its version table and its connection, from its syntax tree.

Never executes it. What it says only when run is named as unclear.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from raccord.migrations.literals import Unclear, literal, parse

_ASYNC = frozenset({"async_engine_from_config", "create_async_engine", "AsyncEngine", "run_sync"})
_FROM_CONFIG = frozenset({"async_engine_from_config", "engine_from_config"})
_ENGINES = frozenset({"create_async_engine", "create_engine"})
_GETTERS = frozenset({"get_main_option", "get_section_option", "get_alembic_option"})
_SETTERS = frozenset({"set_main_option", "set_section_option"})
_URL = "sqlalchemy.url"


@dataclass(frozen=True, slots=True)
class Option:
    """A value that env.py takes from alembic's configuration.

    Attributes:
        name: the option.
        section: of the ini file; "" for the main one.
        default: what it is where the option isn't set.
    """

    name: str
    section: str = ""
    default: str | None = None


Told = str | Option | Unclear | None


@dataclass(frozen=True, slots=True)
class Env:
    """What an env.py says.

    Attributes:
        version_table: its `version_table`; None where it says nothing and alembic's default holds.
        version_schema: its `version_table_schema`, likewise.
        url: the URL: an option where it comes from the configuration, a text where env.py has it.
        is_async: whether it connects through an asynchronous engine.
        variables: the environment variables that it reads by name.
    """

    version_table: Told = None
    version_schema: Told = None
    url: Told = Option(_URL)
    is_async: bool = False
    variables: tuple[str, ...] = ()


# Worktrees mostly have the same one.
@functools.lru_cache(maxsize=32)
def read_env(source: bytes) -> Env:
    """What the source of an env.py says; all unclear where it is no Python."""
    try:
        file = _File(parse(source))
    except SyntaxError as error:
        broken = Unclear(error.lineno or 0, f"syntax error: {error.msg}")
        return Env(broken, broken, broken)
    except (ValueError, RecursionError, MemoryError) as error:
        broken = Unclear(0, f"not readable as Python: {str(error) or 'nested too deeply'}")
        return Env(broken, broken, broken)
    table, schema = file.setting("version_table"), file.setting("version_table_schema")
    if table is None and (outside := file.settings_from_elsewhere()):
        table, schema = outside, schema or outside
    return Env(
        version_table=table,
        version_schema=schema,
        url=file.url(),
        is_async=bool(file.called & _ASYNC),
        variables=tuple(dict.fromkeys(_variables(file.nodes))),
    )


class _File:
    """An env.py. Its functions are not told apart: a name that has one value wherever it is set has that."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.nodes = list(ast.walk(tree))
        self.calls = [node for node in self.nodes if isinstance(node, ast.Call)]
        self.called = {_name(call.func) for call in self.calls}
        self._values: dict[str, list[ast.expr]] = {}
        plain: set[ast.expr] = set()
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                pairs = [(node.target, node.value)]
            else:
                continue
            for target, value in pairs:
                if isinstance(target, ast.Name):
                    self._values.setdefault(target.id, []).append(value)
                    plain.add(target)
        for node in self.nodes:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node not in plain:
                self._values.pop(node.id, None)
            elif isinstance(node, ast.arg):
                self._values.pop(node.arg, None)
            elif isinstance(node, ast.alias):
                self._values.pop(node.asname or node.name, None)

    def told(self, value: ast.expr, known: frozenset[str] = frozenset()) -> Told:
        """What an expression is: a text, an option of the configuration, None, or unclear."""
        if isinstance(value, ast.Name) and value.id in self._values and value.id not in known:
            return _same([self.told(one, known | {value.id}) for one in self._values[value.id]])
        if isinstance(value, ast.Call) and _name(value.func) in _GETTERS:
            return _option(value)
        found = literal(value, {})
        if isinstance(found, Unclear | str) or found is None:
            return found
        return Unclear(value.lineno, f"is {found!r}, not text")

    def setting(self, name: str) -> Told:
        """A keyword of `context.configure`, given there, through a dictionary or through `dict(…)`."""
        return _same([self.told(value) for value in self._given(name)])

    def url(self) -> Told:
        """Where the connection comes from."""
        at_once = {part for one in self.tree.body if isinstance(one, ast.Expr) for part in ast.walk(one)}
        told = [self.told(value) for value in self._given(_URL)]
        for call in self.calls:
            what = _name(call.func)
            if what in _SETTERS and _URL in [_text(arg) for arg in call.args[:-1]]:
                value = self.told(call.args[-1])
                if call not in at_once:
                    value = Unclear(call.lineno, "is set under a condition, or by a function")
                # What is set goes through the same `%` as what stands in the file.
                told.append(value.replace("%%", "%") if isinstance(value, str) else value)
            elif what in _ENGINES and call.args:
                told.append(self.told(call.args[0]))
            if what in _ENGINES | _FROM_CONFIG:
                told += [self.told(keyword.value) for keyword in call.keywords if keyword.arg == "url"]
        if elsewhere := [one for one in told if one != Option(_URL)]:
            return _same(elsewhere)
        if told or self.called & _FROM_CONFIG:
            return Option(_URL)
        return Unclear(0, "comes from another module")

    def settings_from_elsewhere(self) -> Unclear | None:
        """Why `context.configure` may be given more than the file shows."""
        configured = [call for call in self.calls if _name(call.func) == "configure"]
        for call in configured:
            if any(keyword.arg is None for keyword in call.keywords):
                return Unclear(call.lineno, "may be among keywords that `configure` is given as a whole")
        if configured:
            return None
        return Unclear(0, "is set in another module: no `context.configure` is called here")

    def _given(self, name: str) -> Iterator[ast.expr]:
        for node in self.nodes:
            if isinstance(node, ast.Call):
                yield from (keyword.value for keyword in node.keywords if keyword.arg == name)
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if key is not None and _text(key) == name:
                        yield value
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Subscript) and _text(target.slice) == name:
                        yield node.value


def _same(told: list[Told]) -> Told:
    """The one thing that is told; unclear where it is several, None where it is nothing."""
    different = list(dict.fromkeys(told))
    if len(different) < 2:
        return different[0] if different else None
    return next((one for one in different if isinstance(one, Unclear)), Unclear(0, "is set in several ways"))


def _option(call: ast.Call) -> Told:
    texts = [_text(arg) for arg in call.args]
    default = next((_text(one.value) for one in call.keywords if one.arg == "default"), None)
    if _name(call.func) == "get_section_option":
        if len(texts) > 1 and texts[0] and texts[1]:
            return Option(texts[1], texts[0], default or (texts[2] if len(texts) > 2 else None))
    elif texts and texts[0]:
        return Option(texts[0], "", default or (texts[1] if len(texts) > 1 else None))
    return Unclear(call.lineno, "is computed, not a literal")


def _variables(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Call) and node.args:
            of = _name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            if _name(node.func) == "getenv" or (of == "environ" and _name(node.func) in ("get", "pop")):
                yield from filter(None, [_text(node.args[0])])
        elif isinstance(node, ast.Subscript) and _name(node.value) == "environ":
            yield from filter(None, [_text(node.slice)])


def _name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
