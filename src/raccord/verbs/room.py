"""An opened workspace: the repository, its configuration, its state and the engine over them."""

from __future__ import annotations

import fnmatch
import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from raccord.config import Config, Source, configured, language, source
from raccord.errors import RaccordError, StoreError, UsageError
from raccord.git import leftover
from raccord.git.refs import read
from raccord.git.repo import Repository, open_repository
from raccord.git.worktrees import Worktree, worktrees
from raccord.kernel import fs
from raccord.kernel.fs_look import Signature
from raccord.kernel.journal import Journal
from raccord.kernel.store import Store
from raccord.model.event import Listener, silent
from raccord.model.text import shown

if TYPE_CHECKING:
    from raccord.data.sealing import Opener
    from raccord.git.archive import GitArchive
    from raccord.git.follow_shared import Shared
    from raccord.kernel.engine import Engine
    from raccord.transport.links import Links
    from raccord.transport.model import Ask

PUSHED = "pushed"  # the cache of what raccord last pushed
DATABASE = "state.db"


@dataclass
class Room:
    """What every verb works with.

    Attributes:
        repo: the repository as opened from `path`.
        path: where the person is.
        listen: told what happens.
        asked: when the person asked, in seconds since the epoch.
        person: asks what only a person knows, such as a password; None where there is nobody.
        reconfigured: called once the configuration was changed through this room.
    """

    repo: Repository
    path: Path
    listen: Listener = silent
    asked: float = field(default_factory=time.time)
    person: Ask | None = None
    reconfigured: list[Callable[[], object]] = field(default_factory=list, repr=False)
    # Why databases could not be asked, when a sync was planned.
    refused: dict[tuple[str, str, str | None], RaccordError] = field(
        default_factory=dict, init=False, repr=False
    )
    # What opens archives, by what tells these apart: what a person typed is nowhere else.
    openers: dict[str, Opener] = field(default_factory=dict, init=False, repr=False)
    _note: Path | None = field(default=None, init=False, repr=False)

    @classmethod
    def open(
        cls,
        path: Path,
        listen: Listener = silent,
        asked: float | None = None,
        person: Ask | None = None,
    ) -> Room:
        """Opens the workspace that `path` lies in; nothing is written.

        Raises:
            NotARepository, GitMissing, GitTooOld, CannotRun: see there.
        """
        began = time.time() if asked is None else asked
        return cls(open_repository(path), path, listen, began, person)

    @cached_property
    def config(self) -> Config:
        """The configuration of the worktree that the person is in.

        Raises:
            ConfigError: it can't be read or is invalid.
        """
        return configured(self.source)

    @property
    def home(self) -> Path:
        """The directory whose file configures the workspace."""
        return self.repo.top or self.repo.common

    @cached_property
    def source(self) -> Source | None:
        """The file that the configuration is in; None where all is by default.

        Raises:
            ConfigError: see `config`.
        """
        return source(self.home)

    def configure(self, at: Source | None, config: Config) -> None:
        """Has another configuration in force."""
        self.__dict__["source"], self.__dict__["config"] = at, config
        self.__dict__.pop("language", None)

    def again(self) -> Room:
        """The workspace opened anew, by the configuration that is in force in this room."""
        made = Room.open(self.path, self.listen)
        made.configure(self.source, self.config)
        made.reconfigured = self.reconfigured
        return made

    @cached_property
    def links(self) -> Links:
        """The connections to other hosts."""
        from raccord.transport.links import Links

        return Links(self.person)

    @cached_property
    def language(self) -> str:
        """The language of findings and reports.

        Raises:
            ConfigError: see `config`.
        """
        return language(self.config)

    @cached_property
    def trees(self) -> tuple[Worktree, ...]:
        """Every worktree."""
        return worktrees(self.repo)

    @property
    def here(self) -> Worktree | None:
        """The worktree that the person is in."""
        if self.repo.top is None:
            return None
        for tree in self.trees:
            if tree.path == self.repo.top:
                return tree
        top = os.path.realpath(self.repo.top)
        return next((tree for tree in self.trees if os.path.realpath(tree.path) == top), None)

    @property
    def state(self) -> Path:
        """The directory of raccord's own state."""
        return self.repo.common / "raccord"

    @cached_property
    def archive(self) -> GitArchive:
        """The journal's second copy, under `refs/raccord/runs`."""
        from raccord.git.archive import GitArchive  # most looks, and pushes with nothing to do, need none

        return GitArchive(self.repo.git, self.repo.common, len(self.repo.zero) // 2)

    @cached_property
    def shared(self) -> Shared:
        """What moves of several worktrees have in common."""
        from raccord.git.follow_shared import Shared

        return Shared(self.repo.settings)

    @cached_property
    def store(self) -> Store:
        """The state database, made where there is none.

        Raises:
            StoreError, CannotRun: it can't be.
        """
        self._refuse_foreign_state()
        fs.make_dirs(self.state)
        self._note = leftover.begin(self.repo)
        return Store(self.state / DATABASE, first=lambda store: Journal(store, self.archive).rebuild())

    @cached_property
    def reading(self) -> Store | None:
        """The state database for looking only; None where there is none yet.

        Raises:
            StoreError: it is there and can't be read.
        """
        path = self.state / DATABASE
        if "store" in self.__dict__:
            return self.store
        self._refuse_foreign_state()
        if path.exists():
            return Store(path, readonly=True)
        # A database that was lost is made anew from the second copy.
        return self.store if read(self.repo.git, "refs/raccord/runs").by_name else None

    def _refuse_foreign_state(self) -> None:
        """Through a link in its place, raccord would write into other people's files; a pipe never answers.

        Raises:
            StoreError: what lies there isn't what raccord would have made.
        """
        common = self.repo.common
        folders = {self.state, common / "refs" / "raccord", common / "logs" / "refs" / "raccord"}
        foreign = [path for path in folders if (seen := fs.signature(path)) and not seen.is_dir]
        if not foreign:
            files = {self.state / name: fs.signature(self.state / name) for name in fs.names(self.state)}
            foreign = [path for path, seen in files.items() if seen and not _ours(path.name, seen)]
        if foreign:
            raise StoreError(
                f"{shown(str(min(foreign)))} is not what raccord would have made, so it isn't used",
                hint=f"ls -la {shown(shlex.quote(str(min(foreign).parent)))}, and move it away",
            )

    def protected(self, branch: str) -> bool:
        """Whether a branch's history is never rewritten on a remote."""
        return any(fnmatch.fnmatchcase(branch, pattern) for pattern in self.config.sync.protected)

    def landed(self, remote: str, dest: str) -> str | None:
        """What raccord last pushed to a ref of a remote."""
        found: str | None = self.store.cache_get(PUSHED, f"{remote} {dest}")
        return found

    def journal(self) -> Journal | None:
        """The journal for looking only; None where nothing was journalled yet."""
        return Journal(self.reading, self.archive) if self.reading else None

    def journal_or_usage(self) -> Journal:
        """The journal for looking only.

        Raises:
            UsageError: nothing was journalled yet.
        """
        journal = self.journal()
        if journal is None:
            raise UsageError("nothing was journalled here yet", hint="raccord sync")
        return journal

    def close(self) -> None:
        """Closes the connections to other hosts, and the state database."""
        links: Links | None = self.__dict__.pop("links", None)
        if links is not None:
            links.close()
        for name in ("store", "reading"):
            store = self.__dict__.pop(name, None)
            if store is not None:
                store.close()
        if self._note is not None:
            leftover.end(self.repo, self._note)
            self._note = None

    def engine(self, *, jobs: int = 0) -> Engine:
        """The engine with every step handler that this release knows."""
        # Loaded here: looking needs none of it.
        from raccord.kernel.engine import Engine, Limits
        from raccord.verbs.handlers import handlers
        from raccord.verbs.notices import notice

        return Engine(
            self.store,
            handlers(self),
            self.archive,
            limits=Limits(jobs or self.jobs, float(self.config.sync.lock_wait_seconds)),
            listen=self.listen,
            ended=lambda record: notice(self, record),
        )

    @property
    def jobs(self) -> int:
        """How many worktrees are worked on at once."""
        return self.config.sync.jobs or os.cpu_count() or 2


def _ours(name: str, seen: Signature) -> bool:
    return seen.is_file or (seen.is_dir and name != DATABASE)
