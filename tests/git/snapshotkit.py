"""What the snapshot tests share: a worktree's every byte and git's every answer about it, to compare."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

from raccord.git import snapshot, snapshot_restore
from raccord.git.repo import Repository, open_repository
from raccord.git.snapshot_model import Snapshot
from raccord.git.worktrees import Worktree, worktrees
from tests.gitkit import Repo, git

NUMBERS = itertools.count(1)


def opened(where: Repo | Path) -> tuple[Repository, Worktree]:
    """A worktree as raccord sees it."""
    path = where.path if isinstance(where, Repo) else where
    repo = open_repository(path)
    return repo, next(each for each in worktrees(repo) if each.path == path.resolve())


def take(where: Repo, **options) -> Snapshot:
    """A snapshot with a new id."""
    repo, worktree = opened(where)
    return snapshot.take(repo, worktree, id=options.pop("id", f"s{next(NUMBERS)}"), **options)


def restore(where: Repo, target: Snapshot, now: Snapshot | None = None) -> Snapshot:
    """Backs the worktree up and restores `target`, read from git; returns the backup."""
    repo, worktree = opened(where)
    if now is None:
        now = take(where, ignored=snapshot_restore.beside(repo, worktree, target))
    target = snapshot.read(repo.git, target.id)
    plan = snapshot_restore.prepare(repo, worktree, target, now)
    plan = snapshot_restore.Restore.of(plan.payload())
    snapshot_restore.apply(repo.git.at(worktree.path), plan, f"run{next(NUMBERS)}", "lane")
    return now


def files(top: Path) -> dict[str, tuple[object, ...]]:
    """Every file's permissions and bytes, every link's target, every directory; `.git` left out."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(top):
        if ".git" in names:
            names.remove(".git")
        if ".git" in folders:
            folders.remove(".git")
        for name in (*folders, *names):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            key = os.path.relpath(path, top)
            if stat.S_ISLNK(mode):
                found[key] = ("link", os.readlink(path))
            elif stat.S_ISDIR(mode):
                found[key] = ("directory",)
            elif stat.S_ISREG(mode):
                found[key] = (oct(mode), path.read_bytes())
            else:
                found[key] = (oct(mode),)
    return found


def fingerprint(where: Repo) -> dict[str, object]:
    """All that a person or git can tell of a worktree."""
    top = where.path

    def ask(*args: str) -> str:
        return git(top, "-c", "core.fsmonitor=false", "--no-optional-locks", *args)

    gitdir = Path(ask("rev-parse", "--absolute-git-dir"))
    states = [path for path in sorted(gitdir.glob("*_*")) if path.name != "COMMIT_EDITMSG" and path.is_file()]
    states = [path for path in states if path.name not in ("ORIG_HEAD", "FETCH_HEAD")]
    for name in ("rebase-merge", "rebase-apply", "sequencer"):
        states += sorted(path for path in (gitdir / name).rglob("*") if path.is_file())
    return {
        "files": files(top),
        "status": ask("status", "--porcelain=v2", "-z", "--ignored", "--untracked-files=all"),
        "index": ask("ls-files", "-s", "-v", "-z"),
        "intents": ask("diff", "--name-status", "-z", "--no-ext-diff"),
        "cached": ask("diff", "--cached", "--binary", "--no-ext-diff"),
        "resolved": ask("ls-files", "--resolve-undo", "-z"),
        "refs": [line for line in ask("for-each-ref").splitlines() if "refs/raccord/" not in line],
        "head": (gitdir / "HEAD").read_bytes(),
        "states": {str(path.relative_to(gitdir)): path.read_bytes() for path in states},
    }


def collect(where: Repo) -> None:
    """Throws everything away that nothing refers to."""
    where.git("reflog", "expire", "--expire=now", "--all")
    where.git("gc", "--quiet", "--prune=now")
