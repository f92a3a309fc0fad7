"""Keeps the ledger in step with the files: looks, records, consolidates, tells. The service without its face.

It may run in several processes at once on one ledger: each change is recorded by whoever sees it first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from raccord.coordination import consolidate as consolidating
from raccord.coordination.ledger import Ledger
from raccord.coordination.spec import Owners, Past, Roots, Spec, due, reporting
from raccord.coordination.tally import Tally
from raccord.coordination.watched import find, look
from raccord.errors import CannotRun
from raccord.model.coordination import UNKNOWN, Change, Consolidation, FileState, Root, Trigger
from raccord.model.plan import Json

ROOTS_SECONDS = 5.0  # a new worktree is noticed at once all the same, by its entry in git's list


@dataclass(frozen=True, slots=True)
class Checked:
    """One look at files.

    Attributes:
        seconds: that it took.
        changes: what it found.
        whole: whether every watched file was looked at.
    """

    seconds: float
    changes: Sequence[Change]
    whole: bool


@dataclass(frozen=True, slots=True)
class Consolidated:
    """One consolidation, and what became of its report.

    Attributes:
        error: why the report is not in the document yet; "" where it is.
    """

    consolidation: Consolidation
    error: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a watched file stands.

    Attributes:
        owner: who changed it last; None where nobody was seen to.
        status: 1 where all its changes were told, 0 where some are pending, -1 where it can't be read.
    """

    root: str
    state: FileState
    owner: str | None
    status: Literal[1, 0, -1]


@dataclass
class Keeper:
    """Looks and consolidates, by one specification at a time.

    Attributes:
        spec: may be replaced at any time.
        owners: says who made what is found.
        worktree: the name or path of that which takes the reports; "" for the main one.
        checked, consolidated: called with what was done, in the thread that did it.
        configured: called once another configuration is in force, or is refused.
    """

    ledger: Ledger
    roots: Roots
    spec: Spec = field(default_factory=Spec)
    owners: Owners = lambda root, contents, past: {}
    worktree: str = ""
    checked: list[Callable[[Checked], object]] = field(default_factory=list)
    consolidated: list[Callable[[Consolidated], object]] = field(default_factory=list)
    configured: list[Callable[[], object]] = field(default_factory=list)
    _mutex: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _known: tuple[float, Sequence[Root]] = field(default=(-1e9, ()), repr=False)
    _since: float = field(default_factory=time.time, repr=False)

    def listed(self) -> Sequence[Root]:
        """The roots as they are now; what is known of others is dropped."""
        roots = self.roots()
        self._known = time.monotonic(), roots
        gone = set(self.ledger.roots()) - {one.path for one in roots}
        if gone:
            self.ledger.forget(sorted(gone))
        return roots

    def known_roots(self) -> Sequence[Root]:
        """The roots as they were within the last seconds: to list them takes a process."""
        at, roots = self._known
        if time.monotonic() - at > ROOTS_SECONDS:
            roots = self.roots()
            self._known = time.monotonic(), roots
        return roots

    def look(self, paths: Mapping[str, Sequence[str] | None] | None = None) -> Sequence[Change]:
        """Looks at files and records what changed.

        Args:
            paths: by root the files to look at, None for all of them; without it all files of all roots.
        """
        with self._mutex:
            began = time.monotonic()
            roots = {one.path: one for one in (self.listed() if paths is None else self.known_roots())}
            asked = dict.fromkeys(roots) if paths is None else paths
            changes: list[Change] = []
            for path, some in asked.items():
                if path in roots:
                    changes += self._root(roots[path], some)
            whole = any(some is None for some in asked.values())
            done = Checked(time.monotonic() - began, changes, whole)
        for tell in self.checked:
            tell(done)
        return changes

    def _root(self, root: Root, some: Sequence[str] | None) -> Sequence[Change]:
        patterns = self.spec.patterns
        known = self.ledger.known(root.path)
        contents: dict[str, bytes] = {}
        # What the watcher names was written to, whatever its time stamp says.
        trusted = known if some is None else {}
        found: dict[str, FileState | None] = {
            path: look(root.path, path, trusted.get(path), keep=contents.__setitem__)
            for path in (find(root.path, patterns).files if some is None else some)
        }
        if some is None and found == known and self.ledger.patterns(root.path) == patterns:
            return ()
        moved = {
            path: contents.get(state.checksum, b"") if state is not None else None
            for path, state in {**dict.fromkeys(known if some is None else ()), **found}.items()
            if (state.checksum if state else "") != (known[path].checksum if path in known else "")
        }
        names = self.owners(root, moved, Past(known, self.ledger.content)) if moved else {}

        def named(changes: Sequence[Change]) -> Sequence[Change]:
            return [
                replace(one, owner=who, how=how)
                for one in changes
                for who, how in [names.get(one.path, (UNKNOWN, ""))]
            ]

        return self.ledger.record(root, patterns, found, contents, time.time(), named, whole=some is None)

    def standing(self) -> list[Standing]:
        """Every watched file of every root."""
        pending, owners = self.ledger.unsettled(), self.tally.owners()
        return [
            Standing(
                root.path,
                state,
                owners.get((root.path, path)),
                -1 if state.error else 0 if (root.path, path) in pending else 1,
            )
            for root in self.known_roots()
            for path, state in sorted(self.ledger.known(root.path).items())
        ]

    @cached_property
    def tally(self) -> Tally:
        """What all changes come to."""
        return Tally(self.ledger)

    def tick(self) -> Consolidated | None:
        """Consolidates where a trigger fires, and places what was not placed yet."""
        last = self.ledger.consolidations(limit=1, own=True)
        since = max(last[0].at, self._since) if last else self._since
        fired = due(self.spec, self.ledger.waiting(), since, time.time())
        if fired is not None:
            return self.consolidate(*fired)
        self._place()
        return None

    def consolidate(
        self, trigger: Trigger = "manual", conditions: Mapping[str, Json] | None = None
    ) -> Consolidated | None:
        """Consolidates what is pending now; None where nothing is."""
        said = {"pending_changes": self.ledger.waiting()} if conditions is None else conditions
        with self._mutex:
            made = consolidating.consolidate(
                self.ledger, self.spec, self.roots(), trigger, said, worktree=self.worktree
            )
            if made is None:
                self._place()
                return None
            error = self._place()
        done = Consolidated(replace(made, placed=not error), error)
        for tell in self.consolidated:
            tell(done)
        return done

    def _place(self) -> str:
        """Why reports could not be placed; "" where all are."""
        home = reporting(self.roots(), self.worktree)
        if home is None:
            return f"there is no worktree {self.worktree}" if self.worktree else ""
        try:
            with self._mutex:
                consolidating.place(self.ledger, self.spec, home, lambda paths: self.look({home.path: paths}))
        except CannotRun as error:
            return error.message
        return ""
