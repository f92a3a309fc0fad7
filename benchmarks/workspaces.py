"""Builds a workspace of many worktrees behind a base that has moved, and copies it for each measurement.

    workspace = Workspace.build(directory, worktrees=50, files=2000, seed=1)
    fresh = workspace.copy(elsewhere)        # the same state; nothing in it points back at the original

Every branch was pushed, then origin/main moved on the remote and nobody has fetched it. The changes of the
branches and of the base touch different files. Serves benchmarks, the demo and tests; spawns little.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks import content, hermetic
from benchmarks.fastimport import Stream
from benchmarks.mirror import mirror

START = 1_700_000_000
"""Time of the first commit, in seconds since the epoch; all others follow it by minutes."""

THREADS = 2


@dataclass(frozen=True)
class Workspace:
    """A bare remote, a clone with `main` checked out, and a worktree for each branch, side by side."""

    root: Path
    worktrees: int = 50
    files: int = 2000
    commits: int = 3
    base_commits: int = 5
    seed: int = 1

    @classmethod
    def build(
        cls,
        root: Path,
        *,
        worktrees: int = 50,
        files: int = 2000,
        commits: int = 3,
        base_commits: int = 5,
        seed: int = 1,
    ) -> Workspace:
        """Make the workspace in `root`, a directory that is new or empty."""
        made = cls(root.resolve(), worktrees, files, commits, base_commits, seed)
        hermetic.make_home(made.root / "home")
        made.git(made.root, "init", "--quiet", "--bare", "origin.git")
        made.git(made.root, "init", "--quiet", "main")
        base = made._write_histories()
        # Pushed and not cloned, so that remote-tracking refs have reflogs: --force-if-includes needs them.
        made.git(made.main, "remote", "add", "origin", str(made.remote))
        made.git(made.main, "push", "--quiet", "--set-upstream", "origin", "--all")
        made.git(made.main, "remote", "set-head", "origin", "main")
        made._add_worktrees()
        base.write(made.remote, made.environment)
        return made

    @property
    def remote(self) -> Path:
        """The bare repository that every branch was pushed to."""
        return self.root / "origin.git"

    @property
    def main(self) -> Path:
        """The clone that owns the worktrees; its HEAD is the base as it was before it moved."""
        return self.root / "main"

    @property
    def branches(self) -> tuple[str, ...]:
        """One branch for each worktree, in order."""
        return tuple(f"agent/{number:02}" for number in range(1, self.worktrees + 1))

    @property
    def trees(self) -> tuple[Path, ...]:
        """The worktrees, in the order of their branches."""
        return tuple(self.tree(branch) for branch in self.branches)

    @property
    def environment(self) -> dict[str, str]:
        """What a child process should see."""
        return hermetic.environment(self.root / "home")

    def tree(self, branch: str) -> Path:
        """Where `branch` is checked out."""
        return self.root / branch.replace("/", "-")

    def git(self, where: Path, *arguments: str, stdin: str | None = None) -> str:
        """Run git in `where`, within this workspace's environment."""
        data = None if stdin is None else stdin.encode()
        return hermetic.git(where, arguments, self.environment, data)

    def set_url(self, url: str) -> None:
        """Point the clone's `origin` at `url`."""
        self.git(self.main, "config", "remote.origin.url", url)

    def copy(self, root: Path) -> Self:
        """The same workspace in `root`, new or a used copy; its indexes are fresh, as a user's are."""
        mirror(self.root, root)
        copied = replace(self, root=root.resolve())
        copied._repoint(self.root)
        copied.set_url(str(copied.remote))
        # An index as young as its files makes git read them all again (racy git): let that second pass.
        youngest = (self.main / ".git" / "index").stat().st_mtime
        time.sleep(max(0.0, youngest + 1.1 - time.time()))
        copied._in_every_tree("update-index", "-q", "--refresh")
        return copied

    def _repoint(self, old: Path) -> None:
        """What `git worktree repair` does; that command would follow the old links, which still work."""
        for link in (self.main / ".git" / "worktrees").glob("*/gitdir"):
            tree = self.root / Path(link.read_text(encoding="utf-8").strip()).parent.relative_to(old)
            link.write_text(f"{tree}/.git\n", encoding="utf-8")
            (tree / ".git").write_text(f"gitdir: {link.parent}\n", encoding="utf-8")

    def _write_histories(self) -> Stream:
        """Import the base and the branches; return the move of the base, to be written later."""
        rng = random.Random(self.seed)
        files = content.tree(rng, self.files)
        paths = rng.sample(sorted(files), len(files))
        share = max(self.base_commits * 4, len(paths) // 10)
        if share + 2 > len(paths):
            raise ValueError(f"{self.files} files are too few for {self.base_commits} commits on the base")
        stream = Stream()
        first = stream.commit("refs/heads/main", "Start the project", files, parent=None, when=START)
        for number, branch in enumerate(self.branches):
            known = {path: files[path] for path in paths[share:]}
            parent = first
            for step in range(self.commits):
                changes = _changes(rng, known, f"src/{branch.replace('/', '_')}/part_{step}.py")
                when = START + 60 * (1 + number * self.commits + step)
                message = f"{branch}: step {step + 1}"
                parent = stream.commit(f"refs/heads/{branch}", message, changes, parent=parent, when=when)
        stream.write(self.main, self.environment)
        return self._base_move(rng, {path: files[path] for path in paths[:share]})

    def _base_move(self, rng: random.Random, known: dict[str, bytes]) -> Stream:
        """The commits that the base gains; they also delete a file and rename another."""
        stream = Stream()
        parent = "refs/heads/main^0"
        for step in range(self.base_commits):
            changes = _changes(rng, known, f"src/base/part_{step}.py")
            if step == self.base_commits - 1:
                gone, moved = rng.sample(sorted(set(known) - set(changes)), 2)
                folder, _, name = moved.rpartition("/")
                changes |= {gone: None, moved: None, f"{folder}/renamed_{name}": known[moved]}
            when = START + 60 * (1 + self.worktrees * self.commits + step)
            message = f"Base: step {step + 1}"
            parent = stream.commit("refs/heads/main", message, changes, parent=parent, when=when)
        return stream

    def _add_worktrees(self) -> None:
        for name in self.branches:
            self.git(self.main, "worktree", "add", "--quiet", "--no-checkout", str(self.tree(name)), name)
        self._in_every_tree("reset", "--quiet", "--hard")

    def _in_every_tree(self, *arguments: str) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda tree: self.git(tree, *arguments), (self.main, *self.trees)))


def _changes(rng: random.Random, known: dict[str, bytes], added: str) -> dict[str, bytes | None]:
    """Edit two known files and add a new one; `known` learns the edits."""
    changes: dict[str, bytes | None] = {added: content.text(rng, added)}
    for path in rng.sample(sorted(known), 2):
        known[path] = content.edit(rng, known[path])
        changes[path] = known[path]
    return changes
