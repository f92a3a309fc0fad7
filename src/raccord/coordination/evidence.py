"""Looks who may have written in a worktree: its commits, and the programs that work in it. Only reads."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from raccord.coordination.blame import TRAILERS, credits_of, deleted
from raccord.coordination.owners import Credit, Evidence, people
from raccord.coordination.spec import Past
from raccord.errors import RaccordError
from raccord.git.gitdir import gitdir_at
from raccord.git.run import Git, strings
from raccord.model.coordination import Root

PROCESSES = "/proc"
FRESH_SECONDS = 2.0  # for which a look at processes counts
MOVED_SECONDS = 10.0  # since git last wrote, within which a content may come from a commit
NEWEST = 20  # commits of a branch
AT_ONCE = 500  # paths that one git is asked about
BLAME_SECONDS = 1.0  # within one look, for which lines are traced to their commits


@dataclass
class Witness:
    """Gathers evidence; what takes long is remembered for a moment.

    Attributes:
        base: the branch that others start from; "" where there is none.
        person: whose editor an editor in a worktree is.
    """

    git: Git
    base: str = ""
    person: str = ""
    _programs: dict[str, set[str]] = field(default_factory=dict, repr=False)
    _looked: float = field(default=0.0, repr=False)
    _commits: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False)

    def evidence(self, root: Root, contents: Mapping[str, bytes | None], past: Past) -> dict[str, Evidence]:
        """What is known of each file.

        Args:
            contents: by path, what was found in them; None for one that is gone.
            past: what was there before.
        """
        programs = self.programs(root.path)
        commits = self._named(root)
        committed = self._committed(root, contents, past)
        return {path: Evidence(committed.get(path, ()), programs, commits, self.person) for path in contents}

    def programs(self, path: str) -> set[str]:
        """The names of the programs whose working directory is in a worktree, and of their scripts."""
        now = time.monotonic()
        if now - self._looked > FRESH_SECONDS:
            self._programs, self._looked = _working(), now
        below = path.rstrip("/") + "/"
        return {
            name
            for place, names in self._programs.items()
            if place == path or place.startswith(below)
            for name in names
        }

    def _named(self, root: Root) -> tuple[str, ...]:
        if not root.branch or root.branch == self.base:
            return ()
        git = self.git.at(Path(root.path))
        try:
            head = git.line("rev-parse", "--verify", "-q", "HEAD")
            known = self._commits.get((root.path, head))
            if known is None:
                span = [f"refs/heads/{self.base}..HEAD"] if self.base else ["HEAD"]
                said = git.out("log", f"-{NEWEST}", "-z", f"--format={TRAILERS}%x00%an <%ae>", *span, "--")
                known = tuple(people(strings(said)))
                self._commits[root.path, head] = known
        except RaccordError:
            return ()  # no commit yet, or a base that is gone: nothing is known
        return known

    def _committed(
        self, root: Root, contents: Mapping[str, bytes | None], past: Past
    ) -> dict[str, tuple[Credit, ...]]:
        """The commits that contents come from, where git wrote since these files were seen."""
        if not _moved(root.path, past.since(contents)):
            return {}
        git = self.git.at(Path(root.path))
        found: dict[str, tuple[Credit, ...]] = {}
        until = time.monotonic() + BLAME_SECONDS
        try:
            heads = self._heads(git, contents)
            for path, data in contents.items():
                blob = heads.get(path, "")
                if data is None and not blob:
                    found[path] = deleted(git, path)
                elif data is not None and blob == _blob(data, len(blob)):
                    # Where very many files came at once, the last commit of each says enough.
                    before = past.of(path) if time.monotonic() < until else None
                    found[path] = credits_of(git, path, before, data)
        except RaccordError:
            return found  # git can't tell: nothing is known of the others
        return found

    @staticmethod
    def _heads(git: Git, contents: Collection[str]) -> dict[str, str]:
        """What git calls the content that is committed, by path."""
        paths, found = sorted(contents), {}
        for begin in range(0, len(paths), AT_ONCE):
            some = paths[begin : begin + AT_ONCE]
            for line in strings(git.out("ls-tree", "-r", "-z", "--full-tree", "HEAD", "--", *some)):
                about, _, path = line.partition("\t")
                found[path] = about.split(" ")[-1]
        return found


def _working() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    try:
        numbers = [name for name in os.listdir(PROCESSES) if name.isdigit()]
    except OSError:
        return {}  # a system that does not tell
    own = str(os.getpid())
    for number in numbers:
        if number == own:
            continue
        try:
            place = os.readlink(f"{PROCESSES}/{number}/cwd")
            with open(f"{PROCESSES}/{number}/cmdline", "rb") as file:
                words = file.read(4096).split(b"\0")
        except OSError:
            continue  # somebody else's, or gone
        names = [os.path.basename(os.fsdecode(word)) for word in words[:2] if word[:1] != b"-"]
        found.setdefault(place, set()).update(name for name in names if name)
    return found


def _moved(path: str, since: float) -> bool:
    """Whether git wrote to a worktree's state since then, or just now."""
    gitdir = gitdir_at(path)
    if gitdir is None:
        return False
    for name in ("HEAD", "index", "logs/HEAD", "ORIG_HEAD"):
        try:
            at = os.stat(os.path.join(gitdir, name)).st_mtime
            if at >= since - 1 or abs(time.time() - at) < MOVED_SECONDS:
                return True
        except OSError:
            continue
    return False


def _blob(data: bytes, length: int) -> str:
    """Git's name of a content that no filter changes."""
    made = hashlib.new("sha256" if length == 64 else "sha1", usedforsecurity=False)
    made.update(b"blob %d\0" % len(data))
    made.update(data)
    return made.hexdigest()
