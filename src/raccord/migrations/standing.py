"""One database as a step names it: found again through the project's configuration, locked, and asked.

A step's payload has no URL, which may hold a password: the configuration is read again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from raccord.database.heads import heads
from raccord.database.lock import Held, lock
from raccord.database.naming import other
from raccord.database.url import SQLITE, Target, parse
from raccord.errors import WorldMoved
from raccord.migrations import loading
from raccord.migrations.graph import Graph
from raccord.migrations.loading import Loaded
from raccord.migrations.observe import Site
from raccord.migrations.project import Database, Project, read_project
from raccord.model.plan import Json
from raccord.model.text import shown

FOLDER = "databases"  # below raccord's own state: lock files of SQLite
BACKUPS = "backups"
OPTIONAL = ("start", "beside")  # what most payloads do without


@dataclass(frozen=True, slots=True)
class Named:
    """A database, by what leads to it.

    Attributes:
        worktree: whose configuration names it.
        ini: the configuration file.
        section, engine: which of its databases.
        key: the database's own, see `Target.key`.
        title: its URL for a person.
        start: the words that start alembic, where the configuration doesn't tell the database and env.py is
            asked for it; else none.
        beside: its name or path, where it is not the one that the configuration names but another of the same
            server: a fork, or what a fork was made of.
    """

    worktree: str
    ini: str
    section: str
    engine: str
    key: str
    title: str
    start: tuple[str, ...] = ()
    beside: str = ""

    @classmethod
    def of(cls, site: Site, target: Target) -> Named:
        """What a worktree names."""
        database = site.database
        return cls(
            str(site.tree.path),
            str(site.project.ini),
            database.section,
            database.engine,
            target.key,
            target.shown,
            site.start,
        )

    def other(self, target: Target, name: str) -> Named:
        """Another database of the same server, a target of which is known."""
        found = other(target, name)
        return replace(self, key=found.key, title=found.shown, beside=name)

    @property
    def resource(self) -> str:
        """What a step locks."""
        return f"database:{self.key}"

    def payload(self) -> dict[str, Json]:
        """As JSON."""
        said = {
            name: value for name, value in asdict(self).items() if value or name not in ("start", "beside")
        }
        return {**said, "start": list(self.start)} if self.start else said


@dataclass(frozen=True, slots=True)
class Standing:
    """A database that was found again."""

    named: Named
    project: Project
    database: Database
    target: Target

    @classmethod
    def find(cls, named: Named) -> Standing:
        """Reads the configuration again.

        Raises:
            WorldMoved: it names another database now, or none.
            ConfigError, CannotRun, DatabaseError: it can't be read.
        """
        if not os.path.lexists(named.ini):
            raise WorldMoved(
                f"{shown(named.ini)}, which led to {named.title}, is gone",
                hint="raccord migrations status",
                finding="migration.moved",
            )
        project = read_project(Path(named.worktree), Path(named.ini))
        for database in project.databases:
            if (database.section, database.engine) != (named.section, named.engine):
                continue
            if named.start and (not database.url or database.unclear):
                from raccord.migrations.asking import known  # needed by few, and long to load
                from raccord.migrations.driving import interpreter

                database = known(project, database, interpreter(named.start))
            if database.url:
                target = parse(database.url, project.backend)
                if named.beside and target.key != named.key:
                    target = other(target, named.beside)
                if target.key == named.key:
                    return cls(named, project, database, target)
        raise WorldMoved(
            f"{shown(named.ini)} no longer names {named.title}",
            hint="raccord migrations status",
            finding="migration.moved",
        )

    @property
    def absent(self) -> bool:
        """Whether it is a SQLite file that isn't there yet."""
        return absent(self.target)

    def heads(self) -> frozenset[str]:
        """The ids in the version table; none where there is no table, or no file yet.

        Raises:
            DatabaseError: it can't be read.
        """
        if self.absent:
            return frozenset()
        found = heads(self.target, self.database.version_table, self.database.version_schema)
        return found or frozenset()

    def loaded(self) -> Loaded:
        """The revision files as they are on the disk."""
        one = self.database
        return loading.load(one.versions, recursive=one.recursive, sourceless=one.sourceless)

    def graph(self) -> Graph:
        """The history as it is on the disk."""
        return Graph(self.loaded().revisions)


def absent(target: Target) -> bool:
    """Whether a target is a SQLite file that isn't there yet."""
    return target.kind == SQLITE and bool(target.path) and not os.path.lexists(target.path)


@contextlib.contextmanager
def locked(
    standings: Sequence[Standing], state: Path, wait: float, say: Callable[[str], None]
) -> Iterator[Mapping[str, Held]]:
    """Holds all of them; in sorted order, so that two who want several can't deadlock.

    Args:
        state: raccord's own folder.

    Raises:
        LockTimeout: somebody held one for longer than `wait` seconds.
        DatabaseError: one can't be reached.
    """
    with contextlib.ExitStack() as stack:
        held: dict[str, Held] = {}
        # Two engines may name one database.
        for one in sorted(
            {one.target.key: one for one in standings}.values(), key=lambda one: one.target.key
        ):
            kept = lock(
                one.target,
                state / FOLDER,
                version_table=one.database.version_table,
                schema=one.database.version_schema,
                wait=wait,
                waiting=lambda holder: say(f"waiting for {holder}"),
            )
            held[one.target.key] = stack.enter_context(kept)
        yield held
