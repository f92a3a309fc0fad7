"""Real repositories for tests, in few git processes.

Commits carry made-up, growing dates, so that the same test makes the same object ids every time.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Data = bytes | str | None
# Paths are str or bytes; a mapping is invariant in its keys, so naming them would refuse most callers.
Files = Mapping[Any, Data]


class GitFailed(AssertionError):
    """A git command of the test itself failed."""


def git(
    cwd: str | os.PathLike[str],
    *args: str | os.PathLike[str],
    input: str | bytes | None = None,  # noqa: A002 (subprocess calls it so)
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> str:
    """Runs git in `cwd`; returns what it printed, less one trailing newline.

    Args:
        input: what it reads on its standard input.
        check: whether a failure raises `GitFailed`; otherwise it is ignored.
        env: variables on top of the test's own.
    """
    command = ["git", *[os.fspath(arg) for arg in args]]
    done = subprocess.run(
        command,
        cwd=cwd,
        input=os.fsencode(input) if isinstance(input, str) else input or b"",
        env={**os.environ, **(env or {})},
        capture_output=True,
    )
    if check and done.returncode:
        raise GitFailed(f"{' '.join(command)} in {cwd}: exit {done.returncode}\n{os.fsdecode(done.stderr)}")
    return os.fsdecode(done.stdout).removesuffix("\n")


def _clock() -> Iterator[int]:
    return itertools.count(1_700_000_000, 60)


@dataclass(frozen=True)
class Repo:
    """A repository, or one of its worktrees, at `path`."""

    path: Path
    # Shared with worktrees and clones: equal commits in two of them still get different ids.
    clock: Iterator[int] = field(default_factory=_clock, repr=False, compare=False)

    @classmethod
    def init(cls, path: str | os.PathLike[str], *, bare: bool = False) -> Repo:
        """Makes an empty repository, with `main` as its branch to be."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        git(path, "init", "--quiet", *(["--bare"] if bare else []))
        return cls(path)

    def git(
        self,
        *args: str | os.PathLike[str],
        input: str | bytes | None = None,  # noqa: A002
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Runs git here; see the function of the same name."""
        return git(self.path, *args, input=input, check=check, env=env)

    def write(self, path: str | bytes, data: Data) -> Path:
        """Writes a file of the work tree, folders included; None deletes it."""
        target = self.path / os.fsdecode(path)
        if data is None:
            target.unlink()
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(os.fsencode(data))
        return target

    def commit(self, files: Files | None = None, message: str = "change") -> str:
        """Writes `files`, stages just them, commits the index as it then is; returns the new commit's id."""
        for path, data in (files or {}).items():
            self.write(path, data)
        if files:
            paths = b"\0".join(os.fsencode(path) for path in files)
            # --force: a test that names an ignored file means it.
            self.git("add", "--all", "--force", "--pathspec-from-file=-", "--pathspec-file-nul", input=paths)
        date = f"@{next(self.clock)} +0000"
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        self.git("commit", "--quiet", "--allow-empty", "--no-verify", "--message", message, env=dates)
        return self._committed()

    def _committed(self) -> str:
        """The commit that was just made, read without a process where git keeps refs in files."""

        def read(path: Path) -> str:
            return os.fsdecode(path.read_bytes()).rstrip("\n")

        own = self.path / ".git"
        if own.is_file():
            own = self.path / read(own).removeprefix("gitdir: ")
        kind, _, ref = read(own / "HEAD").partition("ref: ")
        shared = own / "commondir"
        loose = (own / read(shared) if shared.exists() else own) / ref
        return kind or (read(loose) if loose.exists() else self.oid())

    def worktree(self, path: str | os.PathLike[str], branch: str, start: str = "HEAD") -> Repo:
        """Adds a worktree on a new branch; a relative path is beside this one."""
        target = self.path.parent / path
        self.git("worktree", "add", "--quiet", "--no-track", "-b", branch, target, start)
        return Repo(target, self.clock)

    def oid(self, rev: str = "HEAD") -> str:
        """The full id of the object that `rev` names."""
        return self.git("rev-parse", "--verify", "--end-of-options", rev)


def remote_with_clone(tmp_path: Path) -> tuple[Repo, Repo]:
    """A bare remote with one commit on `main`, and its clone, whose origin/HEAD is set.

    They lie in `remote.git` and `clone`, so that `clone.worktree("feature", …)` lands beside them.
    """
    remote = Repo.init(tmp_path / "remote.git", bare=True)
    # fast-import is one process for what init, add, commit and push do in five.
    remote.git(
        "fast-import",
        "--quiet",
        input="commit refs/heads/main\n"
        f"committer Tester <tester@example.invalid> {next(remote.clock)} +0000\n"
        "data 5\nstart\nM 100644 inline README.md\ndata 6\nhello\n",
    )
    git(tmp_path, "clone", "--quiet", remote.path, "clone")
    return remote, Repo(tmp_path / "clone", remote.clock)
