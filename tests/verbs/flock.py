"""A small workspace for sync tests: a remote, a clone on main, worktrees whose branches were pushed."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raccord.model.options import SyncOptions
from raccord.model.plan import Plan
from raccord.model.report import LaneReport, RunReport
from raccord.workspace import Workspace
from tests.gitkit import Repo, git, remote_with_clone

REPOSITORIES = ("remote.git", "clone", "other")


@functools.cache
def _template() -> tuple[Path, int]:
    """What every flock was before: its repositories, and the time of the next commit."""
    path = Path(tempfile.mkdtemp())
    remote, main = remote_with_clone(path)
    files = {"app.py": "one\ntwo\nthree\nfour\nfive\n", "lib.py": "lib\n", ".gitignore": "*.log\n.env\n"}
    # Tests sync again at once, after the remote moved.
    main.commit({**files, "raccord.toml": "[sync]\nfetch_reuse_seconds = 0\n"}, "app")
    main.git("push", "-q", "origin", "main")
    git(path, "clone", "-q", remote.path, "other")
    return path, next(main.clock)


def contents(top: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a worktree, ignored ones too: mode and bytes, or a link's target."""
    found = {}
    for folder, names, files in os.walk(os.fsencode(top)):
        names[:] = [name for name in names if name != b".git"]
        for name in files:
            path = os.path.join(folder, name)
            if name == b".git":
                continue
            info = os.lstat(path)
            data = os.readlink(path) if os.path.islink(path) else Path(os.fsdecode(path)).read_bytes()
            found[os.fsdecode(os.path.relpath(path, os.fsencode(top)))] = (info.st_mode, data)
    return found


@dataclass
class Flock:
    """The workspace, and what a test asks of it.

    Attributes:
        remote: the bare remote.
        main: the clone, on main.
        trees: the other worktrees by name.
    """

    remote: Repo
    main: Repo
    other: Repo
    trees: dict[str, Repo] = field(default_factory=dict)

    @classmethod
    def make(cls, path: Path) -> Flock:
        template, ticks = _template()
        clock = itertools.count(ticks, 60)
        for name in REPOSITORIES:
            shutil.copytree(template / name, path / name, symlinks=True)
        for name in REPOSITORIES[1:]:
            config = path / name / ".git" / "config"
            config.write_text(config.read_text().replace(str(template), str(path)))
        remote, main, other = (Repo(path / name, clock) for name in REPOSITORIES)
        return cls(remote, main, other)

    def tree(
        self, name: str, files: dict[Any, Any] | None = None, *, start: str = "main", push: bool = True
    ) -> Repo:
        """A worktree on a branch of its own name, with one commit where files are given."""
        repo = self.main.worktree(name, name, start)
        self.trees[name] = repo
        if files:
            repo.commit(files, f"{name}: work")
            if push:
                repo.git("push", "-q", "origin", name)
        return repo

    def advance(self, files: dict[Any, Any], message: str = "base moves") -> str:
        """Somebody else pushes to main."""
        self.other.git("pull", "-q", "--ff-only")
        oid = self.other.commit(files, message)
        self.other.git("push", "-q", "origin", "main")
        return oid

    def at(self, name: str = "", **more: Any) -> Workspace:
        return Workspace.open(self.trees[name].path if name else self.main.path, **more)

    def sync(self, name: str = "", **options: Any) -> RunReport:
        """Syncs without tests, as somebody who says why."""
        words = {"skip_tests": True, "reason": "a test", "all": not name, **options}
        report = self.at(name).sync(SyncOptions(**words))
        assert isinstance(report, RunReport)
        return report

    def planned(self, name: str = "", **options: Any) -> Plan:
        words = {"skip_tests": True, "reason": "a test", "all": not name, **options}
        plan = self.at(name).sync(SyncOptions(**words, dry_run=True))
        assert isinstance(plan, Plan)
        return plan

    def undo(self, run: str | None = None) -> RunReport:
        report = self.at().undo(run)
        assert isinstance(report, RunReport)
        return report

    def lane(self, report: RunReport, name: str) -> LaneReport:
        path = str(self.trees[name].path if name in self.trees else self.main.path)
        return next(lane for lane in report.lanes if lane.key == path)

    def on_remote(self, branch: str) -> str:
        return self.remote.git("rev-parse", "--verify", "-q", f"refs/heads/{branch}", check=False)

    def in_step(self, name: str) -> None:
        """The branch stands on the remote's main, its worktree is clean, and the remote has it."""
        repo = self.trees[name]
        assert repo.git("merge-base", "HEAD", "origin/main") == self.on_remote("main")
        assert repo.git("status", "--porcelain") == ""
        assert self.on_remote(name) == repo.oid()


def names(report: RunReport) -> dict[str, str]:
    """Each lane's state by the worktree's name."""
    return {Path(lane.key).name: lane.state for lane in report.lanes}
