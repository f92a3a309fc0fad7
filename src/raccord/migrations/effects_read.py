"""Reads what `upgrade()` does from its syntax tree: alembic's operations, with literal names.

Executes nothing. A call that isn't known, a name that is computed, a function of the project: each makes the
content unclear, since nobody can tell then what it leaves.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable

from raccord.migrations.effects import Effects, sql_words
from raccord.migrations.effects_names import Names, chain
from raccord.migrations.effects_notes import Notes
from raccord.migrations.effects_ops import Operations, Place, Unknown, given
from raccord.migrations.literals import parse

# Of these arguments of a batch it is known that they leave the table as it is.
_BATCH = frozenset({"naming_convention", "recreate", "schema", "table_name"})


@functools.lru_cache(maxsize=4096)
def effects(source: bytes) -> Effects:
    """What a content does."""
    notes = Notes()
    try:
        names = Names.of(parse(source), source)
        if names.upgrade is None or names.unclear:
            raise Unknown(names.unclear)
        _Reader(names, notes).block(names.upgrade.body, True)
    except Unknown as error:
        return notes.effects(str(error))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return notes.effects("it can't be read as Python")
    return notes.effects("")


class _Reader:
    """The walk through one function.

    Attributes:
        batches: the name of each batch that is open.
        left: whether the function may have ended before.
    """

    def __init__(self, names: Names, notes: Notes) -> None:
        self.names, self.notes = names, notes
        self.operations = Operations(names, notes)
        self.batches: dict[str, Place] = {}
        self.left = False

    def block(self, statements: Iterable[ast.stmt], certain: bool) -> None:
        """Statements in their order; `certain` says whether they surely run."""
        for one in statements:
            self.statement(one, certain and not self.left)

    def statement(self, one: ast.stmt, certain: bool) -> None:
        """One statement."""
        match one:
            case ast.Pass() | ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant()):
                pass
            case ast.Expr(ast.Call() as call):
                self.call(call, certain)
            case ast.Assign(targets, value) if all(isinstance(each, ast.Name) for each in targets):
                self.value(value, certain)
            case ast.AnnAssign(ast.Name(), _, value):
                self.value(value, certain)
            case ast.With(items, body):
                opened = [self.opened(one, item) for item in items]
                self.block(body, certain)
                for name in filter(None, opened):
                    del self.batches[name]
            case ast.If(test, body, orelse):
                self.value(test, False)
                self.block([*body, *orelse], False)
            case ast.For(_, iterable, body, orelse):
                self.value(iterable, False)
                self.block([*body, *orelse], False)
            case ast.Try(body, handlers, orelse, final):
                caught = [each for handler in handlers for each in handler.body]
                self.block([*body, *caught, *orelse, *final], False)
            case ast.Return(None) | ast.Return(ast.Constant()) | ast.Raise() | ast.Break() | ast.Continue():
                self.left = True
            case _:
                raise Unknown.at(one, "a statement that has to be run")

    def opened(self, at: ast.stmt, item: ast.withitem) -> str:
        """The name of the batch that a `with` opens, "" where it is none.

        Raises:
            Unknown: it is no block that leaves everything as it is either.
        """
        call, name = item.context_expr, item.optional_vars
        words = chain(call.func) if isinstance(call, ast.Call) else ()
        if isinstance(call, ast.Call) and words and words[0] in self.names.op:
            if words[1:] == ("batch_alter_table",) and isinstance(name, ast.Name):
                told = given(call, ("table_name", "schema"))
                if not told.keys() - _BATCH:
                    place = self.operations.place(told, call)
                    self.notes.loosen(place.table)
                    self.batches[name.id] = place
                    return name.id
            if words[1:] == ("get_context", "()", "autocommit_block") and not (call.args or call.keywords):
                return ""
        raise Unknown.at(at, "a block that has to be run")

    def value(self, value: ast.expr | None, certain: bool) -> None:
        """An expression whose value is used; an operation may give one."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            base = value.func.value
            if isinstance(base, ast.Name) and base.id in self.names.op and value.func.attr == "create_table":
                self.call(value, certain)
                return
        if value is not None:
            self.idle(value)

    def idle(self, value: ast.expr) -> None:
        """Refuses an expression that may change something."""
        if (part := self.names.doubtful(value)) is not None:
            raise Unknown.at(part, f"calls {ast.unparse(getattr(part, 'func', part))[:60]}")

    def call(self, call: ast.Call, certain: bool) -> None:
        """A call that stands for itself."""
        func = call.func
        if not isinstance(func, ast.Attribute):
            raise Unknown.at(call, f"calls {ast.unparse(func)[:60]}")
        base = func.value.id if isinstance(func.value, ast.Name) else ""
        if func.attr == "execute" and (
            base in self.names.op or base in self.batches or self.names.is_bind(func.value)
        ):
            self.execute(call)
        elif base in self.batches:
            self.operations.run(func.attr, call, self.batches[base], certain)
        elif base in self.names.op:
            self.operations.run(func.attr, call, None, certain)
        elif not self.operations.enum_call(func, call, certain):
            raise Unknown.at(call, f"calls {ast.unparse(func)[:60]}")

    def execute(self, call: ast.Call) -> None:
        """A statement that is given to the connection."""
        statement, *others = [*call.args, *(one.value for one in call.keywords)] or [call]
        for other in others:
            self.idle(other)
        if self.names.is_rows(statement):
            self.idle(statement)
            return
        if isinstance(statement, ast.Call) and self.names.from_alchemy(statement.func, {"text"}):
            statement = statement.args[0] if statement.args else statement
        text = self.operations.literal(statement)
        words = sql_words(text) if isinstance(text, str) else None
        if words is None:
            raise Unknown.at(call, "runs SQL whose effects can't be told")
        if words:
            self.notes.text(words)
