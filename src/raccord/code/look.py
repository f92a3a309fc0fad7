"""Reads the status of many worktrees, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from raccord.errors import RaccordError
from raccord.git.run import Git
from raccord.git.status import Status, status
from raccord.git.worktrees import Worktree


def key_of(tree: Worktree) -> str:
    """Names a worktree's lane."""
    return str(tree.path)


def statuses(git: Git, trees: Sequence[Worktree], jobs: int) -> dict[str, Status | RaccordError]:
    """The status of each worktree that is there, or why it can't be read; side by side."""

    def look(tree: Worktree) -> Status | RaccordError:
        try:
            return status(git.at(tree.path))
        except RaccordError as error:
            return error

    there = [tree for tree in trees if not tree.missing and not tree.bare]
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        return dict(zip(map(key_of, there), pool.map(look, there), strict=True))
