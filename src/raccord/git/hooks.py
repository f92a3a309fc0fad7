"""Runs a hook of the user's in a worktree as git would. Only on the user's order, never to look.

Git's own `hook run` is not used: before 2.43 it gives a hook no standard input.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from raccord.git.gitdir import gitdir_at
from raccord.git.repo import Repository
from raccord.git.run import ENVIRONMENT
from raccord.kernel import proc

KEPT = 64 * 1024


@dataclass(frozen=True, slots=True)
class HookResult:
    """How a hook ended, and the end of what it said on both streams, in that order."""

    name: str
    returncode: int
    output: str


def find_hook(repo: Repository, name: str, worktree: Path) -> Path | None:
    """The executable that git would run as hook `name` in `worktree`, or None; one stat.

    A relative core.hooksPath counts from the top of the worktree; git is asked for one below a home.
    """
    root = repo.settings.get("core.hooksPath") or os.path.join(repo.common, "hooks")
    if root.startswith("~"):
        root = os.fsdecode(repo.git.out("config", "--type=path", "core.hooksPath", trusted=True)).rstrip("\n")
    path = os.path.join(worktree, root, name)
    return Path(path) if os.access(path, os.X_OK) and os.path.isfile(path) else None


def run_hook(
    repo: Repository,
    name: str,
    worktree: Path,
    *args: str,
    stdin: bytes = b"",
    timeout: float | None = 600.0,
    env: Mapping[str, str] = {},
) -> HookResult | None:
    """Runs a hook at the top of `worktree`; None where there is none.

    Args:
        env: variables that git sets for this hook besides those of every hook.

    Raises:
        ProcessTimeout: it ran longer than `timeout` seconds; its process group was ended.
        CannotRun: the system would not start it.
    """
    hook = find_hook(repo, name, worktree)
    if hook is None:
        return None
    # Git sets GIT_DIR for a hook; in the main worktree as ".git".
    gitdir = gitdir_at(str(worktree)) or str(repo.gitdir)
    known = {"GIT_DIR": gitdir, "GIT_TERMINAL_PROMPT": ENVIRONMENT["GIT_TERMINAL_PROMPT"]}
    result = proc.run([str(hook), *args], cwd=worktree, stdin=stdin, env={**known, **env}, timeout=timeout)
    said = result.stdout.decode("utf-8", "replace") + result.stderr
    return HookResult(name, result.returncode, said[-KEPT:])
