"""Records what a revision would do, in its order."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from raccord.migrations.lint import sql_text
from raccord.migrations.lint.operations import UNCLEAR, Operation
from raccord.migrations.lint.values import Built, Query, Value, table_of


class Recorder:
    """The operations of one function of a revision.

    Attributes:
        found: the operations.
        postgres: whether PostgreSQL gets to where the reader is.
        budget: how much more is read: a file may be made so that it has no end.
    """

    BUDGET = 50_000  # statements and expressions of one function
    MOST = 5000  # operations of one function

    def __init__(self) -> None:
        self.found: list[Operation] = []
        self.postgres = True
        self.budget = self.BUDGET

    def run(self, value: Value, node: ast.expr, *, asks: bool = False) -> None:
        """Records what executing a value would do.

        Args:
            asks: whether something is made of the answer, so that it is a question where it isn't known.
        """
        if isinstance(value, str):
            at = self.at(node)
            self.budget -= len(value) // 50
            for one in sql_text.operations(value, at.line, at.end):
                self.record(replace(one, postgres=at.postgres))
        elif isinstance(value, Query):
            if value.kind != "select":
                whole = not value.filtered if value.kind == "delete" else None
                # Values that Python computes may come from anywhere.
                others = ("", *value.others) if value.kind in ("insert", "update") else value.others
                self.emit(value.kind, node, table=value.table, whole=whole, others=others)
        elif isinstance(value, Built) and value.of.root == "sqlalchemy":
            dropped = value.of.name == "DropTable"
            table = table_of(value.given[0]) if dropped and value.given else ""
            self.emit("drop_table" if dropped else "other", node, table=table)
        elif not asks:
            self.unclear(node)

    def emit(
        self,
        kind: str,
        node: ast.AST,
        *,
        table: str = "",
        whole: bool | None = None,
        others: Sequence[str] = (),
    ) -> None:
        """Records an operation."""
        self.record(replace(self.at(node), kind=kind, table=table, whole=whole, others=tuple(others)))

    def record(self, operation: Operation) -> None:
        """Adds an operation, unless there are more than anybody writes."""
        if len(self.found) < self.MOST:
            self.found.append(operation)
        else:
            self.budget = -1

    def unclear(self, node: ast.AST, *, reached: bool = False) -> None:
        """Records that only running it would tell.

        Args:
            reached: whether it may change rows.
        """
        self.emit(UNCLEAR, node, others=("",) if reached else ())

    def at(self, node: ast.AST) -> Operation:
        """An operation with a place and nothing else."""
        line = getattr(node, "lineno", 1)
        return Operation("", line, getattr(node, "end_lineno", None) or line, postgres=self.postgres)
