"""Reads every worktree's migrations: its alembic environments, their files, and what their databases are at.

Imports no migration, runs no env.py, writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from raccord.database.heads import heads
from raccord.database.url import OTHER, Target, parse
from raccord.errors import RaccordError
from raccord.git.worktrees import Worktree
from raccord.migrations import loading, places
from raccord.migrations.graph import Graph
from raccord.migrations.loading import Loaded
from raccord.migrations.memo import Memo, Question
from raccord.migrations.project import Database, Project, read_project
from raccord.migrations.walk import Links

ASK = "alembic current, there"  # where only a run of env.py tells
# What each database said that was asked already, or why it could not be.
Known = dict[tuple[str, str, str | None], frozenset[str] | RaccordError]


@dataclass(frozen=True)
class Site:
    """One database's history as one worktree has it.

    Attributes:
        tree: the worktree.
        project: its alembic environment.
        database: which of the environment's databases.
        loaded: the revision files.
        graph: the history that they form.
        target: the database, None where its URL isn't known.
        heads: the revisions in the version table; empty where there is no such table; None where the
            database was not read.
        unread: why it was not read, or "".
        unread_hint: the next command then, or "".
        start: the words that start alembic, where env.py had to be asked for the database; else none.
    """

    tree: Worktree
    project: Project
    database: Database
    loaded: Loaded = field(repr=False)
    graph: Graph = field(repr=False)
    target: Target | None = None
    heads: frozenset[str] | None = None
    unread: str = ""
    unread_hint: str = ""
    start: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether the configuration leaves open which database it is, or where its revisions are."""
        return self.database.url is None or bool(self.database.unclear)

    @property
    def key(self) -> str:
        """Names the lane: the worktree, and the database where there are several."""
        return f"{self.tree.path}{'#' + self.database.name if self.several else ''}"

    @property
    def addressed(self) -> Target:
        """The database that its URL names, whether it was asked or not.

        Raises:
            DatabaseError: that is no URL.
        """
        return self.target or parse(self.database.url or "", self.project.backend)

    @property
    def several(self) -> bool:
        """Whether the environment has more databases."""
        return len(self.project.databases) > 1

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The version folders inside the worktree, relative to its top."""
        top = os.path.realpath(self.tree.path)
        found = [os.path.relpath(os.path.realpath(one), top) for one in self.database.versions]
        return tuple("" if one == "." else one for one in found if not one.startswith(".."))

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """The ids that the database or a file names and that no file here has."""
        wanted = {*(self.heads or ()), *self.graph.missing}
        return tuple(sorted(one for one in wanted if one not in self.graph and one not in self.graph.labels))

    @cached_property
    def links(self) -> Links:
        """What each revision here stands on, and the labels with the revision that each names."""
        known = {one: self.graph.needs(one) for one in self.graph}
        return known | {label: (one,) for label, one in self.graph.labels.items() if label not in known}


@dataclass(frozen=True, slots=True)
class Unfound:
    """A worktree whose migrations can't be read.

    Attributes:
        error: why.
    """

    tree: Worktree
    error: RaccordError

    @property
    def key(self) -> str:
        """Names the lane."""
        return str(self.tree.path)


def sites(
    trees: Sequence[Worktree],
    backend: str = "",
    *,
    ask: bool = True,
    memo: Memo | None = None,
    known: Known | None = None,
) -> list[Site | Unfound]:
    """What each worktree has, worktree by worktree.

    Args:
        backend: the folder to run alembic in, or the configuration file, relative to a worktree's top; ""
            to look for it.
        ask: whether the databases are read.
        memo: what was read before.
        known: what databases said before, which are not asked again; told what others say.
    """
    memo = memo or Memo()
    known = {} if known is None else known
    projects = _projects([tree for tree in trees if not (tree.bare or tree.missing)], backend, memo)
    read = [one for _, one in projects if isinstance(one, Project)]
    memo.expect(_question(database) for project in read for database in project.databases)
    found: list[Site | Unfound] = []
    for tree, project in projects:
        if not isinstance(project, Project):
            found.append(Unfound(tree, project))
            continue
        for database in project.databases:
            loaded = loading.load(
                database.versions, recursive=database.recursive, sourceless=database.sourceless, memo=memo
            )
            site = Site(tree, project, database, loaded, Graph(loaded.revisions))
            found.append(_asked(site, known) if ask else site)
    return found


def _projects(
    trees: Sequence[Worktree], backend: str, memo: Memo
) -> list[tuple[Worktree, Project | RaccordError]]:
    """Each worktree's environment, or why it can't be read."""
    tops = [tree.path / backend if backend else tree.path for tree in trees]
    memo.expect(map(places.question_of, tops))
    found: list[tuple[Worktree, Project | RaccordError]] = []
    for tree, top in zip(trees, tops, strict=True):
        try:
            found.append((tree, read_project(tree.path, places.find(tree.path, top, memo))))
        except RaccordError as error:
            found.append((tree, error))
    return found


def _question(database: Database) -> Question:
    return loading.question_of(
        database.versions, recursive=database.recursive, sourceless=database.sourceless
    )


def _asked(site: Site, known: Known) -> Site:
    """The site with what its database is at; each database is asked once, whoever names it."""
    database = site.database
    if database.url is None:
        return replace(site, unread=database.url_unclear, unread_hint=ASK)
    try:
        target = parse(database.url, site.project.backend)
        site = replace(site, target=target)
        if target.kind == OTHER:
            return replace(site, unread=f"raccord does not speak {target.scheme}", unread_hint=ASK)
        if database.unclear:
            named = " and ".join(one.replace("_", " ") for one in database.unclear)
            return replace(site, unread=f"env.py decides the {named} while it runs", unread_hint=ASK)
        question = (target.key, database.version_table, database.version_schema)
        if question not in known:
            # A server that gave no answer is not waited for again for each of its databases.
            server = (target.server, "", None)
            known[question] = known[server] if server in known else _answer(target, database)
            if _silent(known[question]):
                known[server] = known[question]
        said = known[question]
        if isinstance(said, RaccordError):
            return replace(site, unread=said.message, unread_hint=said.hint)
        return replace(site, heads=said)
    except RaccordError as error:
        return replace(site, unread=error.message, unread_hint=error.hint)


def _silent(said: frozenset[str] | RaccordError) -> bool:
    return isinstance(said, RaccordError) and bool(said.data.get("silent"))


def _answer(target: Target, database: Database) -> frozenset[str] | RaccordError:
    try:
        return heads(target, database.version_table, database.version_schema) or frozenset()
    except RaccordError as error:
        return error
