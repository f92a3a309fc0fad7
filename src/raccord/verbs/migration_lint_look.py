"""What `raccord migrations lint` looks at and what it found there, for the modules that take part in it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.config import Lint
from raccord.database.url import POSTGRESQL, parse
from raccord.errors import DatabaseError
from raccord.git.worktrees import Worktree
from raccord.migrations.lint.examine import Examined
from raccord.migrations.lint.remarks import Remark
from raccord.migrations.observe import Site
from raccord.model.language import Message
from raccord.model.options import LintOptions
from raccord.model.plan import Finding
from raccord.verbs.room import Room


@dataclass
class Look:
    """What was looked at, and what was found.

    Attributes:
        sites: the histories, each once.
        examined: the revisions that were looked at, with what was found.
        more: what squawk found, by the path of the file.
        faults: files that can't be read: path, line, reason.
        notes: what a person should know.
    """

    room: Room
    tree: Worktree
    options: LintOptions
    sites: Sequence[Site] = ()
    examined: list[Examined] = field(default_factory=list)
    more: Mapping[str, Sequence[Remark]] = field(default_factory=dict)
    faults: list[tuple[str, int, str]] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @property
    def config(self) -> Lint:
        """The rules' configuration."""
        return self.room.config.lint

    @property
    def baseline_path(self) -> Path:
        """Where the baseline is."""
        return self.tree.path / self.config.baseline

    def said(self, what: Message) -> str:
        """A message in the configured language."""
        return what.said(self.room.language)

    def note(self, name: str, what: Message, hint: str = "", status: str = "note") -> None:
        """Adds what a person should know."""
        self.notes.append(Finding(f"lint.{name}", status, self.said(what), hint))

    def off(self, rule: str) -> bool:
        """Whether a rule is turned off."""
        return matches(rule, self.config.off)

    def remarks(self) -> Iterator[tuple[Examined, Remark]]:
        """What was found by rules that are not turned off."""
        for one in self.examined:
            for remark in (*one.remarks, *self.more.get(one.path, ())):
                if not self.off(remark.rule):
                    yield one, remark


def matches(rule: str, patterns: Iterable[str]) -> bool:
    """Whether a rule is meant by one of the patterns."""
    return any(fnmatch.fnmatchcase(rule, pattern) for pattern in patterns)


def may_be_postgres(site: Site) -> bool:
    """Whether a history may be meant for PostgreSQL: nothing says that it is for something else."""
    if site.database.url is None:
        return True
    try:
        return parse(site.database.url, site.project.backend).kind == POSTGRESQL
    except DatabaseError:
        return True
