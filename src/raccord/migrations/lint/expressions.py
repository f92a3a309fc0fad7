"""What expressions of a revision stand for, as far as its text tells. See `interpret.py`."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence

from raccord.migrations.lint import folding
from raccord.migrations.lint.calls import Call, Calls
from raccord.migrations.lint.values import REST, UNKNOWN, Foreign, Function, Pairs, Scope, Test, Value


class Expressions(Calls):
    """Expressions; `Reader` has the statements."""

    @abstractmethod
    def comprehended(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: Scope) -> Value:
        """Reads a comprehension."""

    def value(self, node: ast.expr, scope: Scope) -> Value:
        """What an expression stands for."""
        self.budget -= 1
        if self.budget < 0:
            return UNKNOWN
        match node:
            case ast.Constant():
                return node.value if isinstance(node.value, str | int | float | None) else UNKNOWN
            case ast.Name():
                return scope.get(node.id, Foreign(f"builtins.{node.id}"))
            case ast.Attribute():
                return self.attribute(self.value(node.value, scope), node.attr)
            case ast.Call():
                return self.call(node, scope)
            case ast.Tuple() | ast.List() | ast.Set():
                return self._elements(node.elts, scope)
            case ast.Dict():
                items = [(self.value(key, scope) if key else UNKNOWN, self.value(one, scope))
                         for key, one in zip(node.keys, node.values, strict=True)]  # fmt: skip
                return Pairs(tuple(items)) if all(node.keys) else UNKNOWN
            case ast.JoinedStr():
                return folding.joined(self.value(one, scope) for one in node.values)
            case ast.FormattedValue():
                return self.value(node.value, scope)
            case ast.BinOp():
                left, right = self.value(node.left, scope), self.value(node.right, scope)
                if isinstance(node.op, ast.Add):
                    return folding.added(left, right)
                if isinstance(node.op, ast.Mod) and isinstance(left, str):
                    return folding.filled(
                        folding.PERCENT, left, right if isinstance(right, tuple) else (right,)
                    )
                return UNKNOWN
            case ast.IfExp():
                self.value(node.test, scope)
                one, other = self.value(node.body, scope), self.value(node.orelse, scope)
                return one if one is other or (isinstance(one, str) and one == other) else UNKNOWN
            case ast.Compare():
                sides = [self.value(one, scope) for one in (node.left, *node.comparators)]
                return folding.compared(sides[0], node.ops[0], sides[1]) if len(sides) == 2 else UNKNOWN
            case ast.BoolOp():
                tests = [folding.test(self.value(one, scope)) for one in node.values]
                both = isinstance(node.op, ast.And)
                yes, no = [one.yes for one in tests], [one.no for one in tests]
                return Test(all(yes), any(no)) if both else Test(any(yes), all(no))
            case ast.UnaryOp():
                inner = self.value(node.operand, scope)
                if isinstance(node.op, ast.Not):
                    return Test(inner.no, inner.yes) if isinstance(inner, Test) else UNKNOWN
                return -inner if isinstance(node.op, ast.USub) and isinstance(inner, int | float) else UNKNOWN
            case ast.Subscript():
                return self.item(self.value(node.value, scope), self.value(node.slice, scope), scope)
            case ast.Lambda():
                return Function(node, scope)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self.comprehended(node, scope)
            case ast.NamedExpr():
                scope[node.target.id] = found = self.value(node.value, scope)
                return found
            case ast.Await():
                return self.value(node.value, scope)
        return UNKNOWN

    def _elements(self, nodes: Sequence[ast.expr], scope: Scope) -> Value:
        found: list[Value] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                inner = self.value(node.value, scope)
                if not isinstance(inner, tuple):
                    return UNKNOWN
                found += inner
            else:
                found.append(self.value(node, scope))
        return tuple(found) if len(found) <= folding.MOST else UNKNOWN

    def _named(self, node: ast.Call, scope: Scope) -> dict[str, Value]:
        """The arguments that have names; what `**` brings without telling is called so."""
        named: dict[str, Value] = {}
        for one in node.keywords:
            value = self.value(one.value, scope)
            if one.arg:
                named[one.arg] = value
            elif isinstance(value, Pairs) and all(isinstance(name, str) for name, _ in value.items):
                named |= {str(name): given for name, given in value.items}
            else:
                named[REST] = UNKNOWN
        return named

    def call(self, node: ast.Call, scope: Scope, *, alone: bool = False) -> Value:
        """What a call gives, and what it would do.

        Args:
            alone: whether nothing is made of what it gives, so that it is there for what it does.
        """
        called = node.func
        owner = self.value(called.value, scope) if isinstance(called, ast.Attribute) else None
        values = self._elements(node.args, scope)
        given = values if isinstance(values, tuple) else (UNKNOWN,) * len(node.args)
        named = self._named(node, scope)
        if isinstance(called, ast.Attribute):
            return self.method(owner, called.attr, Call(node, given, named, scope, alone))
        return self.called(self.value(called, scope), Call(node, given, named, scope, alone))
