"""A worktree, two commits, edits that don't overlap, and a look at everything that a move may touch."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raccord.git.config import LISTING, Settings, parse
from raccord.git.follow import Move
from raccord.git.follow_shared import Shared
from raccord.git.refs import Change
from raccord.git.run import Git
from tests.gitkit import Repo

# Of both commits: what changes, comes, goes; types, modes, directories and files that take each other's
# place.
OLD = {
    "same": "same\n",
    "staged": "staged\n",
    "edited": "edited\n",
    "dropped": "dropped\n",
    "changed": "one\n",
    "gone/deep/file": "gone\n",
    "dir/stays": "stays\n",
    "dir/goes": "goes\n",
    "file-to-dir": "file\n",
    "dir-to-file/a": "a\n",
    "dir-to-file/sub/b": "b\n",
    "run": "#!/bin/sh\n",
    "becomes-link": "text\n",
}
NEW = {
    "changed": "two\n",
    "gone/deep/file": None,
    "dir/goes": None,
    "dir/comes": "comes\n",
    "new/deep/file": "new\n",
    "file-to-dir": None,
    "dir-to-file/a": None,
    "dir-to-file/sub/b": None,
    "becomes-link": None,
}


def shared(git: Git) -> Shared:
    """What a run of raccord would know of the repository."""
    return Shared(Settings(parse(git.out(*LISTING))))


@dataclass(frozen=True)
class Place:
    """A linked worktree that is at the old commit, and what moves it to the new one."""

    main: Repo
    tree: Repo
    move: Move

    @property
    def git(self) -> Git:
        return Git(self.tree.path)

    @property
    def gitdir(self) -> Path:
        return Path(self.move.gitdir)

    def copy(self, to: Path) -> Place:
        """The same on another place, with new inodes and the same times."""
        shutil.copytree(self.main.path.parent, to, symlinks=True)
        main, tree = Repo(to / "repo"), Repo(to / "tree")
        gitdir = main.path / ".git/worktrees/tree"
        (tree.path / ".git").write_text(f"gitdir: {gitdir}\n")
        (gitdir / "gitdir").write_text(f"{tree.path / '.git'}\n")
        # What git noted of the files is of the originals.
        tree.git("update-index", "-q", "--refresh", check=False)
        return Place(main, tree, move(tree.path, str(gitdir), self.move.old, self.move.new))


def move(worktree: Path, gitdir: str, old: str, new: str) -> Move:
    refs = (Change("refs/heads/feature", new, old),)
    return Move(str(worktree), gitdir, old, new, refs, "test")


def place(root: Path, *, edits: bool = True) -> Place:
    """A worktree on `feature` at a commit, and a newer commit on `main`."""
    main = Repo.init(root / "repo")
    main.write("run", OLD["run"])
    old = main.commit({**OLD, ".gitignore": "*.ignored\n"}, "old")
    tree = main.worktree(root / "tree", "feature")
    for path, data in NEW.items():
        if data is None:
            (main.path / path).unlink()
    os.removedirs(main.path / "dir-to-file/sub")
    os.symlink("same", main.path / "becomes-link")
    (main.path / "run").chmod(0o755)
    (main.path / "file-to-dir").mkdir()
    for path, data in {**NEW, "file-to-dir/inner": "inner\n", "dir-to-file": "file now\n"}.items():
        if data is not None:
            main.write(path, data)
    main.git("add", "--all")
    new = main.commit({}, "new")
    gitdir = tree.git("rev-parse", "--absolute-git-dir")
    if edits:
        edit(tree)
    return Place(main, tree, move(tree.path, gitdir, old, new))


def edit(tree: Repo) -> None:
    """Edits of every kind that overlap with nothing."""
    tree.write("staged", "staged, and staged again\n")
    tree.write("added", "added\n")
    tree.git("add", "staged", "added")
    tree.write("added", "added and edited\n")
    tree.write("edited", "edited here\n")
    tree.write("dropped", None)
    tree.write("untracked", "untracked\n")
    tree.write("new-untracked/file", "untracked\n")
    tree.write("dir/secret.ignored", "ignored\n")


def files(root: Path) -> dict[str, tuple[Any, Any]]:
    """Everything below a directory but `.git`: bytes, modes, links, directories."""
    found: dict[str, tuple[Any, Any]] = {}
    for folder, names, plain in os.walk(os.fsencode(root)):
        for name in [*names, *plain]:
            path = os.path.join(folder, name)
            relative = os.fsdecode(os.path.relpath(path, os.fsencode(root)))
            seen = os.lstat(path)
            if relative == ".git" or relative.startswith(".git/"):
                continue
            if stat.S_ISLNK(seen.st_mode):
                found[relative] = ("link", os.readlink(path))
            elif stat.S_ISDIR(seen.st_mode):
                found[relative] = ("dir", stat.S_IMODE(seen.st_mode))
            else:
                with open(path, "rb") as file:
                    found[relative] = (file.read(), stat.S_IMODE(seen.st_mode))
    return found


def world(place: Place) -> dict[str, object]:
    """What must be wholly old or wholly new."""
    tree = place.tree
    return {
        "files": files(tree.path),
        "index": tree.git("ls-files", "-z", "--stage"),
        "status": tree.git("status", "--porcelain=v2", "-z", "--branch"),
        "refs": tree.git("for-each-ref", "--format=%(refname) %(objectname)"),
        "head": tree.git("symbolic-ref", "-q", "HEAD", check=False) or tree.oid("HEAD"),
        "differ": tree.git("diff-files", "-z", "--name-only"),
        "litter": litter(place),
    }


def litter(place: Place) -> list[str]:
    """Locks, stages and temporary files that stayed."""
    found = []
    for root in (place.main.path / ".git", place.tree.path):
        for path in root.rglob("*"):
            if path.name == "raccord-stage" and not any(path.iterdir()):
                continue  # an empty directory of git's harms nobody
            if path.name.endswith((".lock", ".tmp")) or "raccord-" in path.name:
                found.append(str(path.relative_to(root)))
    return sorted(found)
