"""The step that runs a hook of the user's where `git rebase` would: before, and after a branch moved.

Only hooks that are there become steps, so that a repository without any pays nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raccord.errors import HeldBack
from raccord.git.hooks import find_hook, run_hook
from raccord.git.repo import Repository
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step, checkout
from raccord.model.text import shown

KIND = "hook.run"


def before_move(repo: Repository, worktree: str, onto: str, branch: str) -> tuple[Step, ...]:
    """The `pre-rebase` hook, which may refuse."""
    return _steps(repo, worktree, (("pre-rebase", (onto, branch), ""),), must_pass=True)


def after_move(
    repo: Repository, worktree: str, old: str, new: str, rewritten: Sequence[tuple[str, str]]
) -> tuple[Step, ...]:
    """The hooks `post-checkout` and, where commits got new names, `post-rewrite`; their answers are noted."""
    hooks: list[tuple[str, tuple[str, ...], str]] = [("post-checkout", (old, new, "1"), "")]
    if rewritten:
        lines = "".join(f"{one} {other}\n" for one, other in rewritten)
        hooks.append(("post-rewrite", ("rebase",), lines))
    return _steps(repo, worktree, hooks, must_pass=False)


def after_commit(repo: Repository, worktree: str) -> tuple[Step, ...]:
    """The hook `post-commit`, whose answer is noted."""
    return _steps(repo, worktree, (("post-commit", (), ""),), must_pass=False)


def _steps(
    repo: Repository, worktree: str, hooks: Sequence[tuple[str, tuple[str, ...], str]], *, must_pass: bool
) -> tuple[Step, ...]:
    return tuple(
        Step(
            KIND,
            1,
            f"hook {name}",
            {"worktree": worktree, "name": name, "args": list(args), "stdin": stdin, "must_pass": must_pass},
            resources=(checkout(worktree),),
        )
        for name, args, stdin in hooks
        if find_hook(repo, name, Path(worktree)) is not None
    )


class HookHandler:
    """Runs hooks. After a kill a hook runs again: at least once, as nobody can ask what it did."""

    kind, version = KIND, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def probe(self, step: Step, context: Context) -> Position:
        """Nobody can tell."""
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Runs it; one that must pass and does not holds the lane back."""
        payload = step.payload
        stdin = payload["stdin"].encode()
        result = run_hook(
            self._repo, payload["name"], Path(payload["worktree"]), *payload["args"], stdin=stdin
        )
        if result is None or result.returncode == 0:
            return Outcome()
        lines = result.output.strip().splitlines()
        said = f"hook {payload['name']} answered {result.returncode}" + (
            f": {shown(lines[-1])}" if lines else ""
        )
        if payload["must_pass"]:
            raise HeldBack(
                said, hint=f"see {find_hook(self._repo, payload['name'], Path(payload['worktree']))}"
            )
        return Outcome({"returncode": result.returncode}, note=said)

    def revert(self, step: Step, context: Context) -> None:
        """Nothing of a hook can be taken back."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing to take back."""
        return ()
