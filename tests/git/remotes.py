"""A remote, its clone, and what tests of fetch and push do to them."""

from __future__ import annotations

from pathlib import Path

from raccord.git.repo import Repository, open_repository
from tests.gitkit import Repo

MAIN = "refs/heads/main"


def moved_remote(remote: Repo, branch: str = "main", file: str = "README.md") -> str:
    """A new commit on a branch of the bare remote; its id."""
    tree = remote.git("rev-parse", "main^{tree}")
    blob = remote.git("hash-object", "-w", "--stdin", input=f"{next(remote.clock)}\n")
    tree = remote.git("mktree", input=f"100644 blob {blob}\t{file}\n")
    old = remote.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False)
    parent = ["-p", old] if old else []
    new = remote.git("commit-tree", "-m", "moved", *parent, tree)
    remote.git("update-ref", f"refs/heads/{branch}", new)
    return new


def opened(repo: Repo) -> Repository:
    """The repository, opened anew."""
    return open_repository(repo.path)


def script(path: Path, text: str) -> Path:
    """Writes a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path
