"""What rules say about a revision: data that is put into words once the language is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from raccord.migrations.lint.operations import Operation, Script
from raccord.model.language import Message


@dataclass(frozen=True, slots=True)
class Remark:
    """What a rule found.

    Attributes:
        rule: its name.
        line, end: the first and the last line of what it is about.
        message: what is wrong.
        fix: what to do instead.
        table: that it is about, or "".
    """

    rule: str
    line: int
    end: int
    message: Message
    fix: Message
    table: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule says of one place, before its name and its advice are known.

    Attributes:
        at: the operation, for its place and table.
    """

    at: Operation
    message: Message


Check = Callable[[Script], Iterable[Said]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        name: as `ignore[…]` and the configuration call it.
        check: finds what is against it.
        fix: what to do instead.
        postgres: whether it is only about PostgreSQL.
    """

    name: str
    check: Check
    fix: Message
    postgres: bool = False

    def remarks(self, script: Script) -> Iterable[Remark]:
        """What is against it in a revision."""
        for said in self.check(script):
            yield Remark(self.name, said.at.line, said.at.end, said.message, self.fix, said.at.table)
