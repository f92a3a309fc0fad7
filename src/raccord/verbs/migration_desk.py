"""What the migration verbs look at together: worktrees, their histories and databases, and all sources."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from raccord.config import expanded
from raccord.errors import CannotRun, UsageError
from raccord.git.worktrees import Worktree
from raccord.kernel import fs
from raccord.migrations.cache import Cache
from raccord.migrations.choose import Choice, settle
from raccord.migrations.contents import Candidate, Found
from raccord.migrations.kept_memo import KeptMemo
from raccord.migrations.observe import Known, Site, Unfound, sites
from raccord.migrations.schema import Schemas
from raccord.migrations.sources import Sources
from raccord.migrations.trust import trusted
from raccord.model.text import shown
from raccord.verbs.room import Room


class Desk:
    """What the migration verbs look at together: the chosen worktrees' sites, and all sources.

    Args:
        keep: whether the state database is made where there is none. In one that is there a look keeps
            what it read too, which only raccord sees.
        ask: whether the databases are read.
        known: what databases said before, which are not asked again.
        ask_env: whether the env.py of the worktree that the person is in is run, where its configuration does
            not tell the database.
    """

    def __init__(
        self,
        room: Room,
        trees: Sequence[Worktree],
        backend: str = "",
        *,
        keep: bool = False,
        ask: bool = True,
        known: Known | None = None,
        ask_env: bool = False,
    ) -> None:
        self.room = room
        self.trees = trees
        self.backend = _inside(room, backend) or room.config.migrations.backend
        self._keep = keep
        self._ask = ask
        self._known = known
        self._ask_env = ask_env

    @cached_property
    def found(self) -> list[Site | Unfound]:
        """What each worktree has."""
        memo = KeptMemo(self.cache)
        found = sites(self.trees, self.backend, ask=self._ask, memo=memo, known=self._known)
        memo.flush()
        self.cache.flush()
        here = self.room.here
        open_ = any(isinstance(one, Site) and one.open for one in found)
        if self._ask_env and here is not None and open_:
            from raccord.migrations.asking import completed  # needed by few, and starts what is long to load

            return completed(found, here.path, self.room.config.migrations.command)
        return found

    @property
    def sites(self) -> list[Site]:
        """Those whose migrations can be read."""
        return [one for one in self.found if isinstance(one, Site)]

    @cached_property
    def sources(self) -> Sources:
        """Every place where a revision may be."""
        folders = dict.fromkeys(folder for site in self.sites for folder in site.folders)
        outside = [expanded(one) for one in self.room.config.migrations.outside]
        return Sources(self.room.repo, self.room.trees, folders, outside=outside, cache=self.cache)

    def forget(self) -> None:
        """Has everything searched anew."""
        for name in ("sources", "_schemas"):
            self.__dict__.pop(name, None)

    @cached_property
    def _schemas(self) -> Schemas:
        return Schemas(self.sources)

    @cached_property
    def cache(self) -> Cache:
        """What earlier searches read."""
        return Cache(self.room.store if self._keep else self.room.reading, look=not self._keep)

    @cached_property
    def remote(self) -> str:
        """The trusted remote, "" for none."""
        configured = self.room.config.migrations.trusted_remote
        remotes = self.room.repo.settings.remotes()
        if configured:
            if configured not in remotes:
                raise CannotRun(f"no remote called {configured!r}", hint="git remote -v")
            return configured
        return "origin" if "origin" in remotes else remotes[0] if len(remotes) == 1 else ""

    def choices(self, site: Site, found: Found, chosen: Mapping[str, str]) -> dict[str, Choice]:
        """What to take of what was found for a worktree."""
        applied = self.sources.shelf.digests(site.target.key if site.target else "")
        wanted = [one for one in site.missing if one in found.contents]
        schema = self._schemas.of(site)
        return settle(wanted, found.contents, site.links, chosen=chosen, applied=applied, schema=schema)

    def trust(self, picks: Iterable[Candidate]) -> dict[str, str]:
        """Why contents may be put back unasked."""
        return trusted(self.sources, picks, self.remote)


def _inside(room: Room, backend: str) -> str:
    """The folder that a person named, relative to the worktree: every worktree has its own.

    Raises:
        UsageError: it lies outside of this worktree.
    """
    if room.here is None or not (os.path.isabs(backend) or ".." in Path(backend).parts):
        return backend
    top = os.path.realpath(room.here.path)
    inner = os.path.relpath(os.path.realpath(os.path.join(top, backend)), top)
    if inner.partition("/")[0] != "..":
        return inner
    meant = os.path.normpath(os.path.join(top, backend))
    theirs = [str(one.path) for one in room.trees if Path(meant).is_relative_to(one.path)]
    hint = (
        f"raccord -C {shlex.quote(max(theirs, key=len))} migrations status"
        if theirs
        else "raccord migrations status"
    )
    raise UsageError(f"{shown(backend)} lies outside of this worktree, {shown(top)}", hint=shown(hint))


def chosen(room: Room, *, every: bool) -> tuple[Worktree, ...]:
    """The worktrees that a verb is about.

    Raises:
        CannotRun: this is a bare repository, and not all were asked for.
    """
    here = room.here
    if every:
        return tuple(tree for tree in room.trees if not tree.bare)
    if here is None or here.bare:
        raise CannotRun("this is no worktree, but a bare repository", hint="raccord migrations heal --all")
    return (here,)


def split(top: Path, words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The backend, if the first word names a folder or file of the worktree, and the revisions."""
    if words and words[0] and fs.signature(top / words[0]) is not None:
        return words[0], tuple(words[1:])
    return "", tuple(words)
