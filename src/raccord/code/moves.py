"""The steps that change a worktree: it follows its branch, or a person's rebase is opened and awaited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from raccord.errors import HeldBack, Stop, WorldMoved
from raccord.git import follow
from raccord.git.follow import Move
from raccord.git.refs import Change
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.git.status import status
from raccord.git.worktrees import operation
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step
from raccord.model.text import shown

FOLLOW = "worktree.follow"
REBASE = "rebase.open"


def resources(worktree: str, branch: str) -> tuple[str, ...]:
    """What a change of a worktree's branch locks."""
    return (f"branch:{branch}", f"checkout:{worktree}")


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

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

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
        done = follow.apply(
            self._repo.git.at(Path(move.worktree)), move, context.run, context.lane, trusted=True
        )
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


def rebase_step(
    worktree: str, gitdir: str, branch: str, old: str, onto: str, base: str, then: dict[str, object]
) -> Step:
    """The step that opens a real rebase and waits for a person to resolve it.

    Args:
        base: the commit below the branch's own work.
        then: what the verb needs to plan what comes after, once the result is known.
    """
    return Step(
        REBASE,
        1,
        f"rebase {shown(branch)}, resolved by hand",
        {"worktree": worktree, "gitdir": gitdir, "branch": branch, "onto": onto, "base": base, "then": then},
        before=old,
        resources=resources(worktree, branch),
        pins=(old, onto),
    )


class RebaseHandler:
    """Opens a rebase in the worktree, stops while a person resolves it, and goes on where the person left.

    Args:
        repo: the repository.
        then: the steps that follow, given the step and the branch's new tip.
    """

    kind, version = REBASE, 1

    def __init__(self, repo: Repository, then: Callable[[Step, str], tuple[Step, ...]]) -> None:
        self._repo, self._then = repo, then

    def probe(self, step: Step, context: Context) -> Position:
        """Open: between; else by where the branch is."""
        if self._open(step):
            return Position.BETWEEN
        tip = self._tip(step)
        if tip == step.before:
            return Position.BEFORE
        git = self._repo.git
        if tip and git.ok("merge-base", "--is-ancestor", step.payload["onto"], tip):
            return Position.AFTER
        return Position.NEITHER

    def apply(self, step: Step, context: Context) -> Outcome:
        """Opens the rebase, or goes on with it; stops where a person is needed."""
        position = self.probe(step, context)
        payload = step.payload
        if position is Position.NEITHER:
            raise WorldMoved(f"{shown(payload['branch'])} moved since the rebase was planned")
        if position is Position.BEFORE:
            words = [
                "rebase",
                "--no-autostash",
                "--no-autosquash",
                "--onto",
                payload["onto"],
                payload["base"],
            ]
            self._rebase(step, *words)
        elif position is Position.BETWEEN:
            if status(self._git(step)).unmerged:
                self._stop(step)
            self._rebase(step, "rebase", "--continue")
        new = self._tip(step)
        return Outcome({"old": step.before, "new": new}, self._then(step, new))

    def _rebase(self, step: Step, *words: str) -> None:
        # The user's own rebase: hooks, filters and merge drivers run; no editor is opened.
        git = self._git(step).using(GIT_EDITOR="true", GIT_SEQUENCE_EDITOR="true")
        result = git.run(*words, trusted=True, timeout=None)
        if self._open(step):
            self._stop(step)
        if result.returncode:
            said = result.stderr.strip().splitlines()
            raise HeldBack(f"git rebase refused: {shown(said[-1]) if said else result.returncode}")

    def _stop(self, step: Step) -> None:
        paths = status(self._git(step)).unmerged
        where = step.payload["worktree"]
        named = ", ".join(shown(path) for path in paths[:5]) or "its changes"
        raise Stop(
            f"resolve {named} in {shown(where)}, then git add them",
            hint="raccord continue",
            paths=list(paths),
        )

    def _git(self, step: Step) -> Git:
        return self._repo.git.at(Path(step.payload["worktree"]))

    def _open(self, step: Step) -> bool:
        return operation(Path(step.payload["gitdir"]))[0] == "rebase"

    def _tip(self, step: Step) -> str:
        found = self._repo.git.run("rev-parse", "--verify", "-q", f"refs/heads/{step.payload['branch']}")
        return found.stdout.decode("ascii", "replace").strip()

    def revert(self, step: Step, context: Context) -> None:
        """Closes the rebase; the branch is where it was."""
        self._git(step).run("rebase", "--abort", trusted=True).check()

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """The move back to where the branch was."""
        payload, new, old = step.payload, str(outcome.record["new"]), str(step.before)
        refs = (Change(f"refs/heads/{payload['branch']}", old, new),)
        move = Move(payload["worktree"], payload["gitdir"], new, old, refs, "take back")
        return (move_step(move, payload["branch"], f"put {shown(payload['branch'])} back to {old[:10]}"),)
