"""Applies the rules to one revision, and takes off what its comments ignore. Reads nothing but text."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.migrations.lint import ignores
from raccord.migrations.lint.interpret import script
from raccord.migrations.lint.operations import SCHEMA, UNCLEAR, Script
from raccord.migrations.lint.remarks import Remark
from raccord.migrations.lint.rules import RULES, remarks
from raccord.migrations.literals import parse
from raccord.migrations.revision import Revision

NAMES = frozenset({*RULES, ignores.BAD})


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found in a revision.

    Attributes:
        revision: the revision.
        path: of its file, as listed.
        script: what it does.
        remarks: what the rules say.
        ignores: what its comments ignore.
    """

    revision: Revision
    path: str
    script: Script
    remarks: tuple[Remark, ...]
    ignores: tuple[ignores.Ignore, ...]

    @property
    def unclear(self) -> bool:
        """Whether some of what it does was not known."""
        return any(one.kind == UNCLEAR for one in self.script.upgrade.operations)

    @property
    def changes_schema(self) -> bool:
        """Whether PostgreSQL may have something to lock."""
        return any(one.postgres and one.kind in SCHEMA | {UNCLEAR} for one in self.script.upgrade.operations)

    def reason(self, remark: Remark) -> str:
        """Why a remark is ignored, or ""."""
        if remark.rule == ignores.BAD:
            return ""
        return next((one.reason for one in self.ignores if one.covers(remark)), "")


def examine(source: bytes, revision: Revision, path: str, *, postgres: bool) -> Examined:
    """Applies the rules.

    Args:
        source: the bytes of the file, which said what `revision` says.
        postgres: whether it may be meant for PostgreSQL.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: the file is no Python by now.
    """
    read = script(parse(source), first=not revision.down)
    comments = ignores.ignores(source)
    found = dict.fromkeys([*remarks(read, postgres=postgres), *ignores.wrong(comments, NAMES)])
    return Examined(revision, path, read, tuple(found), comments)
