"""The place beside a worktree where a move keeps what it needs to be finished or taken back, and who is at
work there.

A lock is only ever removed after proof that it is ours: `index.lock` is a hard link to a file of the stage,
    and
every git that we start holds the stage's own lock until it ends. A foreign lock, stale or not, is waited for
and then named.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from raccord.errors import CannotRun, HeldBack, ProcessFailed
from raccord.git.run import Git
from raccord.kernel import fs, fs_swap_log, proc
from raccord.kernel.fs_alive import alive
from raccord.kernel.fs_rename import same_mount
from raccord.model.text import shown

STAGES = "raccord-stage"
RESCUED = "raccord-rescued"
# The private index is no cache of the user's: no fsync, no untracked cache for a worktree that is none, no
# shared part, and no hook that hears of it, also where the user's filters may run.
PRIVATE = (
    "-c",
    "core.fsync=none",
    "-c",
    "core.untrackedCache=keep",
    "-c",
    "core.splitIndex=false",
    "-c",
    "core.hooksPath=/dev/null",
)
# Git writes into our own stage: what fails there is the disk's fault. checkout-index doesn't say why.
_DISK = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Input/output error"
    r"|unable to (write|create) (file|new index file)"
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One move's place.

    Attributes:
        worktree: the top directory that is moved.
        gitdir: its own git directory.
        meta: where the log, the private index and the lock are kept; in `gitdir`.
        alive: the stage's lock, shared with every git that runs for it.
    """

    worktree: Path
    gitdir: Path
    meta: Path
    alive: IO[bytes]

    @property
    def index(self) -> Path:
        """The private index."""
        return self.meta / "index"

    @property
    def rescued(self) -> Path:
        """Where copies go of what someone wrote at the very moment."""
        if self.beside.is_dir():
            return self.worktree / f".{RESCUED}-{self.meta.name}"
        return self.gitdir / RESCUED / self.meta.name

    @property
    def beside(self) -> Path:
        """The stage for files where git's directory is on another file system than the worktree."""
        return self.worktree / f".{STAGES}-{self.meta.name}"

    def files(self) -> Path:
        """An empty directory for staged files that can be renamed into the worktree, with `new/` in it."""
        files = self.meta
        if not same_mount(str(self.worktree), str(self.meta)):
            files = fs.self_ignoring(self.beside)
        fs.make_dirs(files / "new", durable=False)
        return files

    def call(self, git: Git, *args: str, stdin: bytes = b"", trusted: bool = False) -> bytes:
        """Runs git, which holds the stage's lock until it ends; returns its output.

        Raises:
            ProcessFailed: it failed.
            CannotRun: it failed since the disk is full or read-only.
        """
        self.alive.seek(0)
        done = proc.run(
            git.argv(*args, trusted=trusted),
            cwd=git.cwd,
            stdin=stdin,
            env=git.environment(),
            errors=self.alive,
        )
        if done.returncode:
            end = self.alive.tell()
            self.alive.seek(0)
            said = self.alive.read(end).decode("utf-8", "replace")
            if found := _DISK.search(said):
                left = fs.free(self.meta) // 1024
                raise CannotRun(
                    f"{shown(str(self.worktree))}: {found[0].lower()}; {left} kB are free", hint="df"
                )
            raise ProcessFailed(_short(args), done.returncode, said)
        return done.stdout

    def private(self, git: Git) -> Git:
        """Git at the worktree with the private index."""
        return git.at(self.worktree).using(GIT_INDEX_FILE=str(self.index))

    def locked(self) -> bool:
        """Whether `index.lock` is ours."""
        mine = fs.signature(self.meta / "lock")
        lock = fs.signature(self.gitdir / "index.lock")
        return mine is not None and lock is not None and mine.ino == lock.ino

    def make_lock(self) -> None:
        """Makes the file that `index.lock` will be a link to. Its name must be durable before that: then
        there is no power cut after which the lock can't be told to be ours.
        """
        said = f"raccord moves this worktree ({self.meta.name}); if it was killed: raccord continue\n"
        fs.write_new(self.meta / "lock", said.encode(), durable=False)

    def lock(self, wait: float) -> None:
        """Takes `index.lock`, or finds that it is ours already.

        Args:
            wait: seconds to wait for another git command.

        Raises:
            HeldBack: another git command holds it.
        """
        path = self.gitdir / "index.lock"
        until = time.monotonic() + wait
        while not self.locked():
            try:
                fs.link(self.meta / "lock", path)
                fs.sync_dir(self.gitdir)
            except FileExistsError:
                if time.monotonic() > until:
                    raise HeldBack(
                        f"{shown(str(path))}: another git command is at work, or was killed",
                        hint=f"if no git runs there: rm {shown(str(path))}",
                        path=str(path),
                    ) from None
                time.sleep(0.02)

    def unlock(self) -> None:
        """Gives `index.lock` back, where it is ours."""
        if self.locked():
            fs.unlink(self.gitdir / "index.lock")
            fs.sync_dir(self.gitdir)

    def empty(self) -> None:
        """Gives the lock back and removes what is in the stage, which stays locked."""
        self.unlock()
        fs.remove_tree(self.beside)
        # The log goes first: half a stage must not look like one.
        for name in sorted(fs.names(self.meta) - {"alive"}, key=lambda name: not name.endswith(".json")):
            fs.remove_tree(self.meta / name)


def unfinished(gitdir: str | Path, but: Path | None = None) -> list[str]:
    """The names of moves of other runs that were begun here and neither finished nor taken back."""
    stages = Path(gitdir) / STAGES
    return sorted(
        name
        for name in fs.names(stages)
        if stages / name != but and fs_swap_log.load(stages / name) is not None
    )


def place(gitdir: str | Path, run: str, lane: str) -> Path:
    """The stage of a run's lane in a worktree, which may not be there."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", run)[:60].lstrip(".") or "run"
    return Path(gitdir) / STAGES / f"{name}-{hashlib.sha256(os.fsencode(lane)).hexdigest()[:8]}"


@contextlib.contextmanager
def opened(worktree: str, gitdir: str, run: str, lane: str, wait: float) -> Iterator[Stage]:
    """The stage, made if missing, once the last process of an earlier attempt has ended.

    Raises:
        LockTimeout: one still runs after `wait` seconds.
        CannotRun: the worktree or its git directory is gone, or the disk is full.
    """
    for path in (worktree, gitdir):
        seen = fs.signature(path)
        if seen is None or not seen.is_dir:
            raise CannotRun(f"{shown(path)} is not there", hint="git worktree prune", path=path)
    meta = place(gitdir, run, lane)
    fs.make_dirs(meta, durable=False)
    with alive(meta / "alive", wait) as file:
        try:
            yield Stage(Path(worktree), Path(gitdir), meta, file)
        finally:
            if fs.names(meta) == {"alive"}:
                fs.remove_tree(meta)
                fs.remove_empty(meta.parent)


def _short(args: tuple[str, ...]) -> tuple[str, ...]:
    words = list(args)
    while words and words[0] == "-c":
        del words[:2]
    return ("git", *words)
