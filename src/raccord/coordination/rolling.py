"""The step that moves old entries of a journal into its archive: first there, then out of the journal.

An entry may be in both for a moment, and is in none at no time. It never overwrites what somebody wrote
meanwhile.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from raccord.coordination.ledger import Ledger
from raccord.coordination.papers import put, read, remove
from raccord.errors import RaccordError, WorldMoved
from raccord.git.follow_index import blob_oid
from raccord.git.repo import Repository
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step, checkout
from raccord.model.text import shown

KIND = "journal.roll"
Change = tuple[str, str, str]  # a path, and the blobs that are and that shall be there; "" for no file


def archive_of(path: str) -> str:
    """Where the old entries of a journal go: beside it."""
    stem, end = posixpath.splitext(path)
    return f"{stem}_archive{end}"


def roll_step(worktree: str, changes: Sequence[Change], kept: str, title: str) -> Step:
    """The step.

    Args:
        changes: in the order in which they are made.
        kept: a commit that holds their blobs, so that none is pruned.
    """
    payload = {"worktree": worktree, "changes": [list(one) for one in changes], "kept": kept}
    return Step(KIND, 1, title, payload, resources=(checkout(worktree),), pins=(kept,))


class RollHandler:
    """Exchanges a journal and its archive, one after the other."""

    kind, version = KIND, 1

    def __init__(self, repo: Repository, ledger: Ledger) -> None:
        self._repo, self._ledger = repo, ledger

    def probe(self, step: Step, context: Context) -> Position:
        """Reads both."""
        try:
            return self._stands(step)
        except RaccordError:
            return Position.UNKNOWN

    def _stands(self, step: Step) -> Position:
        top = step.payload["worktree"]
        if not Path(top).is_dir():
            return Position.NEITHER
        seen = [(self._blob(*read(top, path)), old, new) for path, old, new in step.payload["changes"]]
        if all(now == new for now, _, new in seen):
            return Position.AFTER
        if all(now == old for now, old, _ in seen):
            return Position.BEFORE
        return Position.BETWEEN if all(now in both for now, *both in seen) else Position.NEITHER

    def _blob(self, data: bytes, version: str) -> str:
        return blob_oid([data], len(data), len(self._repo.zero) // 2) if version else ""

    def apply(self, step: Step, context: Context) -> Outcome:
        """Does it, or finishes it."""
        try:
            for path, old, new in step.payload["changes"]:
                self._exchange(step.payload["worktree"], path, old, new)
        except RaccordError:
            self.revert(step, context)
            raise
        return Outcome({"paths": len(step.payload["changes"])})

    def revert(self, step: Step, context: Context) -> None:
        """Takes a half back, the other way round; what somebody wrote since is his."""
        top = step.payload["worktree"]
        for path, old, new in reversed(step.payload["changes"]):
            if self._blob(*read(top, path)) == new:
                self._exchange(top, path, new, old)

    def _exchange(self, top: str, path: str, old: str, new: str) -> None:
        data, version = read(top, path)
        now = self._blob(data, version)
        if now == new:
            return
        if now != old:
            raise WorldMoved(
                f"somebody wrote in {shown(path)} just now", hint="raccord consolidate", path=path
            )
        if new:
            put(self._ledger, top, path, self._repo.git.out("cat-file", "blob", new), version)
        else:
            remove(self._ledger, top, path, version)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Back into the journal first, then out of the archive."""
        changes = [(path, new, old) for path, old, new in reversed(step.payload["changes"])]
        worktree, kept = step.payload["worktree"], step.payload["kept"]
        return (roll_step(worktree, changes, kept, "put entries back into their journal"),)
