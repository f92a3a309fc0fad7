"""The steps of a conflict that a person resolves: a real rebase is opened and awaited.

What follows is in the plan's second stage: red tests hold the branch back unpushed and leave the resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from raccord.code.moves import move_step, resources
from raccord.errors import HeldBack, Stop, WorldMoved
from raccord.git.follow import Move
from raccord.git.refs import Change
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.git.status import status
from raccord.git.worktrees import operation
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step
from raccord.model.text import shown

REBASE = "rebase.open"
THEN = "rebase.then"


def rebase_step(worktree: str, gitdir: str, branch: str, old: str, onto: str, base: str) -> Step:
    """The step that opens a real rebase and waits for a person to resolve it.

    Args:
        base: the commit below the branch's own work.
    """
    return Step(
        REBASE,
        1,
        f"rebase {shown(branch)}, resolved by hand",
        {"worktree": worktree, "gitdir": gitdir, "branch": branch, "onto": onto, "base": base},
        before=old,
        resources=resources(worktree, branch),
        pins=(old, onto),
    )


class RebaseHandler:
    """Opens a rebase in the worktree, stops while a person resolves it, and goes on where the person left."""

    kind, version = REBASE, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

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
        return Outcome({"old": step.before, "new": self._tip(step)})

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
        return tip_of(self._repo, step.payload["branch"])

    def revert(self, step: Step, context: Context) -> None:
        """Closes the rebase; the branch is where it was."""
        self._git(step).run("rebase", "--abort", trusted=True).check()

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """The move back to where the branch was."""
        payload, new, old = step.payload, str(outcome.record["new"]), str(step.before)
        refs = (Change(f"refs/heads/{payload['branch']}", old, new),)
        move = Move(payload["worktree"], payload["gitdir"], new, old, refs, "take back")
        return (move_step(move, payload["branch"], f"put {shown(payload['branch'])} back to {old[:10]}"),)


def tip_of(repo: Repository, branch: str) -> str:
    """Where a branch is; "" where there is none."""
    found = repo.git.run("rev-parse", "--verify", "-q", f"refs/heads/{branch}")
    return found.stdout.decode("ascii", "replace").strip()


def then_step(worktree: str, branch: str, old: str, then: dict[str, Json]) -> Step:
    """The step that plans what follows, once the person's result is known.

    Args:
        old: where the branch was before the rebase.
        then: what the verb needs to plan by.
    """
    return Step(
        THEN,
        1,
        f"plan the tests and the push of {shown(branch)}",
        {"worktree": worktree, "branch": branch, "old": old, "then": then},
        resources=resources(worktree, branch),
    )


class ThenHandler:
    """Makes known what follows a rebase; changes nothing itself.

    Args:
        repo: the repository.
        then: the steps that follow, given this step and the branch's new tip.
    """

    kind, version = THEN, 1

    def __init__(self, repo: Repository, then: Callable[[Step, str], tuple[Step, ...]]) -> None:
        self._repo, self._then = repo, then

    def probe(self, step: Step, context: Context) -> Position:
        """Planning can be done again."""
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Plans."""
        tip = tip_of(self._repo, step.payload["branch"])
        if not tip:
            raise WorldMoved(f"{shown(step.payload['branch'])} is gone")
        return Outcome(more=self._then(step, tip))

    def revert(self, step: Step, context: Context) -> None:
        """Nothing was changed."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing was changed."""
        return ()
