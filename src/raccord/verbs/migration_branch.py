"""What the verbs that write revisions ask of a branch: its own part of a history, and what the base has.

Changes nothing.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.code.base import Base, choose_remote, find_base
from raccord.errors import CannotRun
from raccord.git.refs import read
from raccord.git.worktrees import Worktree
from raccord.migrations.faults import findings
from raccord.migrations.graph import Graph
from raccord.migrations.loading import File
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.regular import regular
from raccord.migrations.revision import Revision, Unread
from raccord.migrations.settings import LARGEST
from raccord.migrations.standing import absent
from raccord.migrations.writing import Style
from raccord.model.plan import Finding
from raccord.model.text import shown
from raccord.verbs.migration_desk import Desk
from raccord.verbs.migration_excluded import ignored
from raccord.verbs.room import Room

NAMED = 4  # revisions in a line


@dataclass(frozen=True, slots=True)
class Branch:
    """A worktree's own part of a history: what is kept out of its commits belongs to others.

    Attributes:
        sites: the databases that follow the history, at least one.
        paths: the files by their path in the worktree; one that lies elsewhere begins with "..".
        graph: what they form.
    """

    sites: tuple[Site, ...]
    paths: dict[str, File]
    graph: Graph

    @property
    def site(self) -> Site:
        """The first of them: what they have in common."""
        return self.sites[0]

    def whole(self) -> None:
        """Raises where alembic could not load it.

        Raises:
            CannotRun: what is wrong first.
        """
        wrong = findings(self.graph, self.site.loaded)
        if wrong:
            raise CannotRun(f"the history is not whole: {wrong[0].message}", hint=wrong[0].hint)

    def folder(self, head: str) -> str:
        """The version folder of a revision, relative to the worktree.

        Raises:
            CannotRun: it lies elsewhere.
        """
        place = next(path for path, one in self.paths.items() if one.revision.id == head)
        homes = [one for one in self.site.folders if not one or within(place, [one])]
        if not homes or place.startswith(".."):
            raise CannotRun(
                f"the version folder of {shown(head)} lies outside of this worktree",
                hint="raccord migrations find HEAD",
            )
        return max(homes, key=len)


def branches(desk: Desk) -> list[Branch]:
    """The histories of a worktree; several databases may follow one.

    Raises:
        RaccordError: its migrations can't be read.
    """
    found: dict[tuple[Path, ...], list[Site]] = {}
    for one in desk.found:
        if isinstance(one, Unfound):
            raise one.error
        found.setdefault(one.database.versions, []).append(one)
    return [own_part(desk, sites) for sites in found.values()]


def own_part(desk: Desk, sites: Sequence[Site]) -> Branch:
    """What of a history the branch of a worktree has itself, for the databases that follow it."""
    site = sites[0]
    top = os.path.realpath(site.tree.path)
    paths = {os.path.relpath(os.path.realpath(one.path), top): one for one in site.loaded.files}
    passed = ignored(desk.room, site.tree.path, [path for path in paths if not path.startswith("..")])
    own = {path: one for path, one in paths.items() if path not in passed}
    return Branch(tuple(sites), own, Graph(file.revision for file in own.values()))


def within(path: str, folders: Sequence[str]) -> bool:
    """Whether a path lies in one of the folders; "" is the top alone."""
    return any(path.startswith(f"{one}/") if one else "/" not in path for one in folders)


def title_of(tree: Worktree) -> str:
    """A worktree as the title of a lane."""
    return f"{shown(tree.path.name)} ({shown(tree.branch)})" if tree.branch else shown(tree.path.name)


def template_of(site: Site) -> str:
    """The text of the project's own template, "" where none can be read."""
    try:
        return regular(site.database.script / "script.py.mako", LARGEST)[0].decode("utf-8", "replace")
    except OSError:
        return ""


def style_of(site: Site) -> Style:
    """What the project's own revisions are written like."""
    return Style.of(template_of(site))


def blob(room: Room, content: bytes, *, keep: bool) -> str:
    """The name of a content as a blob.

    Args:
        keep: whether git holds it from now on, for a step; a plan alone leaves no object behind.
    """
    return room.repo.git.line("hash-object", *(("-w",) if keep else ()), "--stdin", stdin=content)


def fresh_id(desk: Desk) -> str:
    """An id as alembic makes them, and that nobody has anywhere."""
    while desk.sources.matching(made := secrets.token_hex(6)):
        pass
    return made


def base_of(room: Room, asked: str = "") -> Base | None:
    """What this worktree's branch stands on; None where there is no commit yet.

    Args:
        asked: a branch, "" for the configured one.

    Raises:
        UsageError: nothing says which branch that is.
    """
    refs = read(room.repo.git)
    if not refs.by_name:
        return None
    remote = choose_remote(room.repo.settings, room.config.sync.remote)
    return find_base(room.repo, refs, remote, asked or room.config.sync.base, room.trees)


@dataclass(frozen=True, slots=True)
class Below:
    """What the base has of a history.

    Attributes:
        revisions: those at its commit.
        unread: what could not be read there.
        lacking: why this branch has to get in step first, or None.
    """

    base: Base
    revisions: tuple[Revision, ...]
    unread: tuple[str, ...]
    lacking: Finding | None


def below(desk: Desk, branch: Branch) -> Below | None:
    """What the base has; None where there is no commit yet.

    Raises:
        UsageError: nothing says which branch that is.
    """
    base = base_of(desk.room)
    if base is None:
        return None
    found, unread = _revisions_at(desk, branch.site.folders, base)
    lacking = list(dict.fromkeys(one.id for one in found if one.id not in branch.graph))
    finding = None
    if lacking:
        said = f"{shown(base.name)} has {some(lacking)}, which this branch lacks"
        finding = Finding("migration.base", "fail", said, "raccord sync", {"revisions": lacking})
    return Below(base, tuple(found), tuple(unread), finding)


def some(ids: Sequence[str]) -> str:
    """Revisions in a line, not too many."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(map(shown, ids[:NAMED])) + more


def heads_of(site: Site) -> frozenset[str] | None:
    """What a database is at, None where nobody knows; a SQLite file that isn't there yet is at nothing."""
    if site.heads is None and site.target is not None and absent(site.target):
        return frozenset()
    return site.heads


def _revisions_at(desk: Desk, folders: Sequence[str], base: Base) -> tuple[list[Revision], list[str]]:
    """The revisions in version folders at the base's commit, and what could not be read there."""
    sources = desk.sources
    before = len(sources.git.troubles)
    seen = sources.git.at_tips({base.oid: base.ref}, folders)
    sources.headers.look({(one.blob, one.name) for one in seen})
    found, unread = [], []
    for one in seen:
        header = sources.headers.get(one.blob, one.name)
        if isinstance(header, Revision):
            found.append(header)
        elif isinstance(header, Unread):
            unread.append(f"{one.path}: {header.reason}")
    return found, unread + [one.reason for one in sources.git.troubles[before:]]
