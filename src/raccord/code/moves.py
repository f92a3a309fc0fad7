"""The step that brings a worktree, its index and its branch to another commit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from raccord.errors import WorldMoved
from raccord.git import follow
from raccord.git.follow import Move
from raccord.git.follow_shared import Shared
from raccord.git.refs import Change
from raccord.git.repo import Repository
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step, checkout
from raccord.model.text import shown

FOLLOW = "worktree.follow"


def resources(worktree: str, branch: str) -> tuple[str, ...]:
    """What a change of a worktree's branch locks."""
    return (f"branch:{branch}", checkout(worktree))


def move_step(move: Move, branch: str, title: str) -> Step:
    """The step that brings a worktree and its branch to a commit.

    It overwrites nothing that is not kept: the old commit is pinned, and files with edits refuse it.
    """
    return Step(
        FOLLOW,
        1,
        title,
        move.payload(),
        before=move.old,
        after=move.new,
        resources=resources(move.worktree, branch),
        pins=tuple(dict.fromkeys((move.old, move.new))),
    )


class MoveHandler:
    """Moves a worktree, its index and its branch together."""

    kind, version = FOLLOW, 1

    def __init__(self, repo: Repository, shared: Shared) -> None:
        self._repo = repo
        self._shared = shared

    def probe(self, step: Step, context: Context) -> Position:
        """Asks the worktree."""
        move = Move.of(step.payload)
        if not Path(move.worktree).is_dir():
            return Position.NEITHER
        return follow.probe(self._repo.git.at(Path(move.worktree)), move, context.run, context.lane)

    def apply(self, step: Step, context: Context) -> Outcome:
        """Moves it, or finishes a move that was cut off."""
        move = Move.of(step.payload)
        if not Path(move.worktree).is_dir():
            raise WorldMoved(f"{shown(move.worktree)} is gone", hint="git worktree prune")
        # Filters that the repository's own configuration names run, as in the checkout that git would do.
        git = self._repo.git.at(Path(move.worktree))
        done = follow.apply(git, move, context.run, context.lane, self._shared, trusted=True)
        note = f"kept what was being written: {', '.join(map(shown, done.rescued))}" if done.rescued else ""
        return Outcome({"paths": len(done.paths), "rescued": list(done.rescued)}, note=note)

    def revert(self, step: Step, context: Context) -> None:
        """Takes back a move that was cut off."""
        move = Move.of(step.payload)
        follow.revert(self._repo.git.at(Path(move.worktree)), move, context.run, context.lane)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """The move back."""
        move = Move.of(step.payload)
        refs = tuple(Change(ref.ref, ref.old, ref.new) for ref in move.refs)
        back = replace(move, old=move.new, new=move.old, refs=refs, message="take back")
        branch = step.resources[0].removeprefix("branch:")
        return (move_step(back, branch, f"put {shown(branch)} back to {move.old[:10]}"),)
