"""Reads what a revision does from its syntax tree: follows its functions, branches and loops over literals.

Never executes anything. Both branches of an `if` count, unless it asks for the database's dialect. What only
running it would tell is an operation of the kind `UNCLEAR`.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from raccord.migrations.lint import folding
from raccord.migrations.lint.expressions import Expressions
from raccord.migrations.lint.operations import Body, Operation, Script
from raccord.migrations.lint.values import UNKNOWN, Batch, Foreign, Function, Pairs, Rows, Scope, Test, Value

LONGEST_LOOP = 200  # turns that are followed


def script(tree: ast.Module, *, first: bool = False) -> Script:
    """What a revision's functions do.

    Args:
        first: whether it stands on no other revision.
    """
    reader = Reader()
    scope: Scope = {}
    with contextlib.suppress(RecursionError):
        reader.block(tree.body, scope)
    return Script(reader.body(scope, "upgrade"), reader.body(scope, "downgrade"), first)


class Reader(Expressions):
    """Walks the statements of a revision."""

    DEEPEST = 8  # functions within functions

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[ast.AST] = []
        self.returned: list[Value] = []

    def body(self, scope: Scope, name: str) -> Body:
        """What one of its functions does."""
        value = scope.get(name)
        if value is None:
            return Body()
        if not isinstance(value, Function):
            return Body(1, (Operation("unclear", 1, 1),))
        self.found, self.postgres, self.budget, self.entry = [], True, self.BUDGET, name
        try:
            self.follow(value, [], {})
        except RecursionError:
            self.unclear(value.node)
            self.inside.clear()
        raises = any(isinstance(one, ast.Raise) for one in getattr(value.node, "body", ()))
        operations = tuple(dict.fromkeys(self.found))
        return Body(value.node.lineno, operations, raises and not operations)

    def block(self, statements: Sequence[ast.stmt], scope: Scope) -> bool:
        """Walks statements; whether what comes behind them is never reached."""
        for one in statements:  # noqa: SIM110 (a generator takes a third longer, and this is what takes long)
            if self._statement(one, scope):
                return True
        return False

    def _statement(self, node: ast.stmt, scope: Scope) -> bool:
        self.budget -= 1
        if self.budget < 0:
            self.unclear(node)
            return True
        match node:
            case ast.Expr(value=ast.Call() as call):
                self.call(call, scope, alone=True)
            case ast.Expr():
                self.value(node.value, scope)
            case ast.Assign():
                value = self.value(node.value, scope)
                for target in node.targets:
                    self._bind(target, value, scope)
            case ast.AnnAssign(value=ast.expr() as given):
                self._bind(node.target, self.value(given, scope), scope)
            case ast.AugAssign():
                added = folding.added(self.value(node.target, scope), self.value(node.value, scope))
                self._bind(node.target, added if isinstance(node.op, ast.Add) else UNKNOWN, scope)
            case ast.Return():
                self.returned.append(self.value(node.value, scope) if node.value is not None else None)
                return True
            case ast.Raise() | ast.Continue() | ast.Break():
                return True
            case ast.If():
                return self._if(node, scope)
            case ast.For() | ast.AsyncFor():
                self._for(node, scope)
            case ast.While():
                self._aside([node.body, node.orelse], scope)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    value = self.value(item.context_expr, scope)
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars, value, scope)
                return self.block(node.body, scope)
            case ast.Try() | ast.TryStar():
                ended = self.block([*node.body, *node.orelse], scope)
                self._aside([handler.body for handler in node.handlers], scope)
                return self.block(node.finalbody, scope) or (ended and not node.handlers)
            case ast.Match():
                self.value(node.subject, scope)
                self._aside([case.body for case in node.cases], scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                scope[node.name] = Function(node, scope)
            case ast.ClassDef():
                scope[node.name] = self._model(node, scope)
            case ast.Import():
                for alias in node.names:
                    path = alias.name if alias.asname else alias.name.partition(".")[0]
                    scope[alias.asname or path] = self.imported(path)
            case ast.ImportFrom():
                module = "." * node.level + (node.module or "")
                for alias in node.names:
                    scope[alias.asname or alias.name] = self.imported(f"{module}.{alias.name}")
        return False

    def _if(self, node: ast.If, scope: Scope) -> bool:
        asked = self.value(node.test, scope)
        if isinstance(asked, bool):
            return self.block(node.body if asked else node.orelse, scope)
        test = asked if isinstance(asked, Test) else Test(True, True)
        before = self.postgres
        yes, no = {**scope}, {**scope}
        self.postgres = before and test.yes
        done = self.block(node.body, yes)
        self.postgres = before and test.no
        otherwise = self.block(node.orelse, no)
        # Behind a branch that ends, only the other one's dialects are left.
        self.postgres = before and (test.no if done else test.yes if otherwise else True)
        scope.update(no if done else yes if otherwise else _joined(yes, no))
        return done and otherwise

    def _aside(self, blocks: Iterable[Sequence[ast.stmt]], scope: Scope) -> None:
        """Walks blocks of which any may be left out."""
        for block in blocks:
            before, own = self.postgres, {**scope}
            self.block(block, own)
            self.postgres = before
            scope.update(_joined(scope, own))

    def _for(self, node: ast.For | ast.AsyncFor, scope: Scope) -> None:
        before = self.postgres
        for one in self.turns(self.value(node.iter, scope)):
            self._bind(node.target, one, scope)
            self.block(node.body, scope)
            self.postgres = before
        self.block(node.orelse, scope)

    def turns(self, value: Value) -> Iterator[Value]:
        """What a loop's name is in each turn; once something unknown where that isn't known."""
        if isinstance(value, Pairs):
            value = tuple(name for name, _ in value.items)
        # Who loops over an empty list has filled it where that does not show.
        if isinstance(value, tuple) and value:
            yield from value[:LONGEST_LOOP]
            if len(value) > LONGEST_LOOP:
                yield UNKNOWN
        else:
            yield value if isinstance(value, Rows) else UNKNOWN

    def _bind(self, target: ast.expr, value: Value, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            scope[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            parts = value if isinstance(value, tuple) and len(value) == len(target.elts) else None
            for at, each in enumerate(target.elts):
                self._bind(each, parts[at] if parts else UNKNOWN, scope)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, UNKNOWN, scope)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            scope[target.value.id] = UNKNOWN

    def _model(self, node: ast.ClassDef, scope: Scope) -> Value:
        """A class: a model where it names its table."""
        for one in node.body:
            target = one.targets[0] if isinstance(one, ast.Assign) else getattr(one, "target", None)
            if isinstance(target, ast.Name) and target.id in ("__tablename__", "__table__"):
                value = self.value(getattr(one, "value", None) or ast.Constant(None), scope)
                return Rows(
                    value.table if isinstance(value, Rows) else value if isinstance(value, str) else ""
                )
        return Foreign(f"class.{node.name}")

    def comprehended(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: Scope) -> Value:
        """What a comprehension makes; it may be there for what its calls do."""
        rounds: list[Scope] = [{**scope}]
        exact = True
        for each in node.generators:
            longer: list[Scope] = []
            for names in rounds:
                value = self.value(each.iter, names)
                exact = exact and isinstance(value, tuple) and not each.ifs
                for one in self.turns(value):
                    longer.append(own := {**names})
                    self._bind(each.target, one, own)
                    for test in each.ifs:
                        self.value(test, own)
            rounds = longer[:LONGEST_LOOP]
        made = tuple(self.value(node.elt, own) for own in rounds)
        return made if exact else UNKNOWN

    def follow(self, function: Function, given: Sequence[Value], named: Mapping[str, Value]) -> Value:
        """Reads a function of the revision as it is called; what it gives back."""
        node = function.node
        if node in self.inside:
            return UNKNOWN  # what it does is being read
        if len(self.inside) >= self.DEEPEST:
            self.unclear(node)
            return UNKNOWN
        arguments = node.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        scope: Scope = {**function.scope}
        scope |= dict.fromkeys(names, UNKNOWN)
        scope |= {one.arg: UNKNOWN for one in (arguments.vararg, arguments.kwarg) if one}
        defaults = zip(reversed(names), reversed(arguments.defaults), strict=False)
        scope |= {name: self.value(one, function.scope) for name, one in defaults}
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            scope[one.arg] = self.value(default, function.scope) if default else UNKNOWN
        scope |= dict(zip(names, given, strict=False))
        scope |= {name: value for name, value in named.items() if name in scope}
        before, postgres, self.returned = self.returned, self.postgres, []
        self.inside.append(node)
        if isinstance(node, ast.Lambda):
            self.returned.append(self.value(node.body, scope))
        else:
            self.block(node.body, scope)
        self.inside.pop()
        gave, self.returned, self.postgres = self.returned, before, postgres
        return gave[0] if len(gave) == 1 else UNKNOWN


def _joined(one: Scope, other: Scope) -> Scope:
    """What names stand for where either may have happened."""
    found = {**one, **other}
    for name, value in found.items():
        here = one.get(name, UNKNOWN)
        if (here is not value and not same(here, value)) or name not in other:
            found[name] = UNKNOWN
    return found


def same(one: Value, other: Value) -> bool:
    """Whether two values are surely the same."""
    # Lists within lists could take for ever.
    return one is other or (isinstance(one, str | int | Batch | Rows) and one == other)
