"""Reads what an alembic env.py says of its version table and its connection, from its syntax tree.

Never executes it. What it says only when run is named as unclear.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from raccord.migrations.literals import Unclear, literal, parse

_ASYNC = frozenset({"async_engine_from_config", "create_async_engine", "AsyncEngine", "run_sync"})
_FROM_CONFIG = frozenset({"async_engine_from_config", "engine_from_config"})
_ENGINES = frozenset({"create_async_engine", "create_engine"})
_GETTERS = frozenset({"get_main_option", "get_section_option", "get_alembic_option"})
_SETTERS = frozenset({"set_main_option", "set_section_option"})
_LOADERS = frozenset({"load_dotenv", "read_dotenv", "read_env"})
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


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that env.py takes from an environment variable.

    Attributes:
        name: the variable.
        default: what it is where the variable isn't set; None for nothing.
        filled: whether it goes through the `%` of alembic's configuration.
        doubled: whether its `%` is doubled before.
    """

    name: str
    default: str | Option | None = None
    filled: bool = False
    doubled: bool = False


@dataclass(frozen=True, slots=True)
class EnvFiles:
    """Which env files env.py puts into its environment.

    Attributes:
        names: as written; ".env" where none is.
        override: whether they count more than the environment.
    """

    names: tuple[str, ...] = ()
    override: bool = False


Told = str | Option | Variable | Unclear | None


@dataclass(frozen=True, slots=True)
class Env:
    """What an env.py says.

    Attributes:
        version_table: its `version_table`; None where it says nothing and alembic's default holds.
        version_schema: its `version_table_schema`, likewise.
        url: the URL: an option where it comes from the configuration, a variable where it comes from the
            environment, a text where env.py has it.
        is_async: whether it connects through an asynchronous engine.
        variables: the environment variables that it reads by name.
        files: the env files that it loads.
    """

    version_table: Told = None
    version_schema: Told = None
    url: Told = Option(_URL)
    is_async: bool = False
    variables: tuple[str, ...] = ()
    files: EnvFiles = EnvFiles()


# Worktrees mostly have the same one.
@functools.lru_cache(maxsize=32)
def read_env(source: bytes) -> Env:
    """What the source of an env.py says; all unclear where it is no Python."""
    try:
        file = _File(parse(source))
    except SyntaxError as error:
        broken = Unclear(error.lineno or 0, f"is set by env.py, which has a syntax error: {error.msg}")
        return Env(broken, broken, broken)
    except (ValueError, RecursionError, MemoryError) as error:
        said = str(error) or "nested too deeply"
        broken = Unclear(0, f"is set by env.py, which is not readable as Python: {said}")
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
        files=_files(file.calls),
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
        self._functions = {
            node.name: node.body[-1].value
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Return)
            if sum(isinstance(one, ast.Return) for one in ast.walk(node)) == 1
        }

    def told(self, value: ast.expr, known: frozenset[str] = frozenset()) -> Told:
        """What an expression is: a text, an option of the configuration, a variable, None, or unclear."""
        if isinstance(value, ast.Name) and value.id in self._values and value.id not in known:
            return _same([self.told(one, known | {value.id}) for one in self._values[value.id]])
        if isinstance(value, ast.Call) and _name(value.func) in _GETTERS:
            return _option(value)
        if (name := _variable(value)) is not None:
            rest = value.args[1:] if isinstance(value, ast.Call) else []
            return self._or(Variable(name), rest[0] if rest else None, known)
        if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or) and len(value.values) == 2:
            first = self.told(value.values[0], known)
            if isinstance(first, Variable) and first.default is None:
                return self._or(first, value.values[1], known)
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and not value.keywords:
            given = self._functions.get(value.func.id)
            if given is not None and not value.args and f"{value.func.id}()" not in known:
                return self.told(given, known | {f"{value.func.id}()"})
        if isinstance(value, ast.Call) and _name(value.func) == "replace" and len(value.args) == 2:
            # What is set as an option doubles its `%` first.
            of = value.func.value if isinstance(value.func, ast.Attribute) else value
            if [_text(one) for one in value.args] == ["%", "%%"]:
                told = self.told(of, known)
                return replace(told, doubled=True) if isinstance(told, Variable) else told
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
                    value = self._asked(call, value)
                # What is set goes through the same `%` as what stands in the file.
                if isinstance(value, Variable):
                    value = replace(value, filled=not value.doubled, doubled=False)
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

    def _or(self, variable: Variable, default: ast.expr | None, known: frozenset[str]) -> Told:
        """A variable with what stands in for it."""
        told = self.told(default, known) if default is not None else None
        if told is None or isinstance(told, str | Option):
            return replace(variable, default=told)
        return Unclear(getattr(default, "lineno", 0), f"is {variable.name} or something else")

    def _asked(self, call: ast.Call, value: Told) -> Told:
        """What is set under a condition: a variable, where the condition is that it is set."""
        for one in self.tree.body:
            if isinstance(one, ast.If) and not one.orelse and isinstance(value, Variable):
                inside = {part for step in one.body if isinstance(step, ast.Expr) for part in ast.walk(step)}
                test = one.test
                if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot):
                    test = test.left
                told = self.told(test)
                if call in inside and isinstance(told, Variable) and told.name == value.name:
                    return replace(value, default=Option(_URL))
        return Unclear(call.lineno, "is set under a condition, or by a function")

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
    yield from filter(None, map(_variable, nodes))


def _variable(node: ast.AST) -> str | None:
    """The environment variable that an expression reads."""
    if isinstance(node, ast.Call) and node.args:
        of = _name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if _name(node.func) == "getenv" or (of == "environ" and _name(node.func) in ("get", "pop")):
            return _text(node.args[0])
    elif isinstance(node, ast.Subscript) and _name(node.value) == "environ":
        return _text(node.slice)
    return None


def _files(calls: list[ast.Call]) -> EnvFiles:
    loading = [call for call in calls if _name(call.func) in _LOADERS]
    names: list[str] = []
    for call in loading:
        texts = [_text(node) for node in ast.walk(call) if isinstance(node, ast.expr)]
        named = [text for text in texts if text and "env" in text.rpartition("/")[2]]
        names += named or [".env"]
    override = [
        keyword.value
        for call in loading
        for keyword in call.keywords
        if keyword.arg in ("override", "overwrite")
    ]
    return EnvFiles(
        tuple(dict.fromkeys(names)), any(getattr(one, "value", False) is True for one in override)
    )


def _name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
