"""The steps that keep a worktree's whole state and bring it back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from raccord.errors import HeldBack, RaccordError, WorldMoved
from raccord.git import snapshot, snapshot_restore
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.git.snapshot_model import PREFIX
from raccord.git.snapshot_restore import Restore
from raccord.git.worktrees import Worktree, worktrees
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step, checkout
from raccord.model.text import shown

SNAPSHOT = "worktree.snapshot"
COMPARE = "worktree.compare"
RESTORE = "worktree.restore"


def snapshot_step(tree: Worktree, message: str, *, ignored: Sequence[str] = (), every: bool = False) -> Step:
    """The step that keeps a worktree's state.

    Args:
        message: why, for whoever lists the snapshots.
        ignored: ignored paths to keep as well.
        every: keep all ignored files.
    """
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(4)
    path = str(tree.path)
    payload = {
        "id": name,
        "worktree": path,
        "gitdir": str(tree.gitdir),
        "message": message,
        "ignored": list(ignored),
        "every": every,
    }
    return Step(
        SNAPSHOT, 1, f"snapshot {name}", payload, after=name, resources=(checkout(path),), backs_up=True
    )


def restore_step(tree: Worktree, target: str, now: str) -> Step:
    """The step that compares two snapshots and then brings a worktree from one to the other.

    Args:
        target: the id of the snapshot that comes back.
        now: the id of the one that holds what is there; its step runs before this one.
    """
    path = str(tree.path)
    return Step(
        COMPARE,
        1,
        f"restore {target}",
        {"worktree": path, "target": target, "now": now},
        before=now,
        after=target,
        resources=_resources(tree),
        destroys=True,
    )


def _resources(tree: Worktree) -> tuple[str, ...]:
    branch = (f"branch:{tree.branch}",) if tree.branch else ()
    return (*branch, checkout(tree.path))


class SnapshotHandler:
    """Keeps states."""

    kind, version = SNAPSHOT, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def probe(self, step: Step, context: Context) -> Position:
        """Whether the snapshot is there."""
        there = self._repo.git.ok("rev-parse", "-q", "--verify", PREFIX + step.payload["id"])
        return Position.AFTER if there else Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Takes it, unless it is there."""
        payload = step.payload
        name = payload["id"]
        if self.probe(step, context) is Position.AFTER:
            return Outcome({"snapshot": name})
        taken = snapshot.take(
            self._repo,
            _tree(self._repo, payload["worktree"]),
            id=name,
            ignored="all" if payload["every"] else payload["ignored"],
            message=payload["message"],
        )
        torn = [path for path, kept in taken.kept.items() if kept.torn]
        note = f"being written while it was read: {', '.join(map(shown, torn[:3]))}" if torn else ""
        return Outcome({"snapshot": name, "commit": taken.commit}, note=note)

    def revert(self, step: Step, context: Context) -> None:
        """A snapshot is there or not."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing: a snapshot takes nobody's place, and `raccord gc` drops it in time."""
        return ()


class CompareHandler:
    """Finds out what a restore has to change, once the backup is taken; changes nothing itself."""

    kind, version = COMPARE, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def probe(self, step: Step, context: Context) -> Position:
        """Comparing can be done again."""
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Compares, and makes the step that restores known."""
        payload = step.payload
        return Outcome(more=_restoring(self._repo, payload["worktree"], payload["target"], payload["now"]))

    def revert(self, step: Step, context: Context) -> None:
        """Nothing was changed."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing was changed."""
        return ()


def _restoring(repo: Repository, worktree: str, target: str, now: str) -> tuple[Step, ...]:
    """The step that restores; none where everything is as it shall be."""
    tree = _tree(repo, worktree)
    both = snapshot.read_many(repo.git, [target, now])
    for name in (target, now):
        if name not in both:
            raise HeldBack(f"there is no snapshot {name} any more", hint="raccord restore --list")
    restore = snapshot_restore.prepare(repo, tree, both[target], both[now])
    if restore.empty:
        return ()
    count = len(restore.put.changes) if restore.put else 0
    step = Step(
        RESTORE,
        1,
        f"bring back {count} paths of {target}",
        {"worktree": worktree, "restore": restore.payload()},
        before=now,
        after=target,
        resources=_resources(tree),
        destroys=True,
        pins=tuple(dict.fromkeys(each.commit for each in (both[target], both[now]))),
    )
    return (step,)


def _tree(repo: Repository, worktree: str) -> Worktree:
    tree = next((t for t in worktrees(repo) if str(t.path) == worktree), None)
    if tree is None or tree.missing:
        raise HeldBack(f"{shown(worktree)} is no worktree any more", hint="git worktree list")
    return tree


class RestoreHandler:
    """Brings states back."""

    kind, version = RESTORE, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def _git(self, step: Step) -> Git:
        return self._repo.git.at(Path(step.payload["worktree"]))

    def probe(self, step: Step, context: Context) -> Position:
        """Asks the worktree."""
        if not Path(step.payload["worktree"]).is_dir():
            return Position.NEITHER
        restore = Restore.of(step.payload["restore"])
        return snapshot_restore.probe(self._git(step), restore, context.run, context.lane)

    def apply(self, step: Step, context: Context) -> Outcome:
        """Restores, or finishes a restore that was cut off."""
        if not Path(step.payload["worktree"]).is_dir():
            raise WorldMoved(f"{shown(step.payload['worktree'])} is gone", hint="git worktree prune")
        restore = Restore.of(step.payload["restore"])
        done = snapshot_restore.apply(self._git(step), restore, context.run, context.lane)
        note = f"kept what was being written: {', '.join(map(shown, done.rescued))}" if done.rescued else ""
        return Outcome({"paths": len(done.paths), "rescued": list(done.rescued)}, note=note)

    def revert(self, step: Step, context: Context) -> None:
        """Takes back a restore that was cut off."""
        tree = _tree(self._repo, step.payload["worktree"])
        restore = Restore.of(step.payload["restore"])
        snapshot_restore.revert(self._repo, tree, restore, context.run, context.lane)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        """The restore of what was there before."""
        try:
            return _restoring(self._repo, step.payload["worktree"], step.before, step.after)
        except RaccordError as error:
            return error.message
