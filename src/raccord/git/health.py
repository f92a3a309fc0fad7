"""Whether git and its worktrees are fit to work with. Looks only."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence

from raccord.git.repo import Repository
from raccord.git.worktrees import Worktree
from raccord.model.advice import Advice
from raccord.model.language import counted, message

LEFT_SECONDS = 60.0  # no git command holds the index for so long without a person waiting in its editor
LOCKS = ("index.lock", "HEAD.lock")


def version(repo: Repository) -> Advice:
    """The git that is there; an older one opens no repository."""
    return Advice("git.version", "ok", message("git {version}", version=".".join(map(str, repo.version))))


def there(trees: Sequence[Worktree]) -> Iterator[Advice]:
    """Worktrees whose directories are gone."""
    gone = [one for one in trees if one.missing]
    for one in gone:
        what = message("the worktree {place} is gone", place=str(one.path))
        why = message("nothing is watched, synced or looked for in it")
        if one.locked is None:
            yield Advice("worktree.missing", "warning", what, why, "git worktree prune")
        else:
            unlock = f"git worktree unlock {shlex.quote(str(one.path))}"
            yield Advice("worktree.missing", "warning", what, why, unlock)
    if not gone:
        number = len(trees)
        what = counted("{number} worktree is there", "{number} worktrees are there", number=number)
        yield Advice("worktree.missing", "ok", what)


def entered(trees: Sequence[Worktree]) -> Iterator[Advice]:
    """Worktrees that this user may not read, enter or write."""
    for one in trees:
        if not one.missing and not os.access(one.path, os.R_OK | os.W_OK | os.X_OK):
            what = message("the worktree {place} can't be read and written", place=str(one.path))
            why = message("its files are neither watched nor put back")
            yield Advice("worktree.access", "problem", what, why, f"ls -ld {shlex.quote(str(one.path))}")


def left(trees: Sequence[Worktree], now: float | None = None) -> Iterator[Advice]:
    """Locks that a killed git may have left.

    Args:
        now: in Unix seconds.
    """
    at = time.time() if now is None else now
    for one in trees:
        for lock in (one.gitdir / name for name in LOCKS):
            try:
                age = at - os.lstat(lock).st_mtime
            except OSError:
                continue
            if age > LEFT_SECONDS:
                what = message(
                    "{lock} is there since {minutes} minutes", lock=str(lock), minutes=round(age / 60)
                )
                why = message("git refuses to work there; a killed one leaves it behind")
                yield Advice("git.lock", "problem", what, why, f"rm {shlex.quote(str(lock))}")
