"""What changed in a worktree. Looks only: the index is not refreshed, nothing of the tree is executed.

Renames are told as a deletion and an addition, so that a path is one path. Git itself would look into
submodules with their own configuration, which may name programs: `--ignore-submodules=dirty` keeps it
out, and each one that is checked out is opened here with its programs off.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import CannotRun, HeldBack, ProcessFailed
from raccord.git.answer import ask
from raccord.git.gitdir import content, gitdir_at
from raccord.git.repo import open_repository
from raccord.git.run import Git, strings

COMMAND = (
    "status",
    "--porcelain=v2",
    "-z",
    "--untracked-files=all",
    "--no-renames",
    "--ignore-submodules=dirty",
    "--no-ahead-behind",
)
# An index entry's mode, big-endian, for a submodule (160000 octal): written out in every index version.
GITLINK_MODE = b"\0\0\xe0\0"
LIMIT_S = 120.0
DEEPEST = 16  # submodules within submodules


@dataclass(frozen=True, slots=True)
class Status:
    """The paths of one worktree that are not as HEAD has them, as git lists them.

    Attributes:
        staged: differ between HEAD and the index.
        unstaged: differ between the index and the files.
        untracked: unknown to git and not ignored; an embedded repository ends with "/".
        unmerged: in conflict.
        submodules: submodules with another commit checked out, with changes inside, or unreadable ones.
    """

    staged: tuple[str, ...] = ()
    unstaged: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    unmerged: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()

    @property
    def tracked_clean(self) -> bool:
        """Whether nothing changed, untracked files aside."""
        return not (self.staged or self.unstaged or self.unmerged or self.submodules)

    @property
    def clean(self) -> bool:
        """Whether nothing changed and nothing is untracked."""
        return self.tracked_clean and not self.untracked

    @property
    def counts(self) -> dict[str, int]:
        """How many paths there are of each kind."""
        return {
            "staged": len(self.staged),
            "unstaged": len(self.unstaged),
            "untracked": len(self.untracked),
            "unmerged": len(self.unmerged),
            "submodules": len(self.submodules),
        }


def status(git: Git) -> Status:
    """What changed in the worktree at `git.cwd`, its submodules included.

    Raises:
        HeldBack: git would wait for ever.
        ProcessFailed: git failed.
    """
    return _status(git, 0)


def parse(output: bytes) -> Status:
    """Reads `git status --porcelain=v2 -z` without renames.

    Raises:
        ValueError: it is something else.
    """
    staged, unstaged, untracked, unmerged, submodules = [], [], [], [], []
    for line in strings(output):
        kind = line[:2]
        if kind == "1 ":
            # 1 <XY> <sub> <mH> <mI> <mW> <hH> <hI> <path>
            _, changed, sub, *_, path = line.split(" ", 8)
            if sub[0] == "S" and changed[1] != ".":
                submodules.append(path)
            elif changed[1] != ".":
                unstaged.append(path)
            if changed[0] != ".":
                staged.append(path)
        elif kind == "u ":
            # u <XY> <sub> <m1> <m2> <m3> <mW> <h1> <h2> <h3> <path>
            unmerged.append(line.split(" ", 10)[10])
        elif kind == "? ":
            untracked.append(line[2:])
        elif kind not in ("# ", "! "):
            raise ValueError(f"not a line of git status: {line!r}")
    return Status(*map(tuple, (staged, unstaged, untracked, unmerged, submodules)))


def ignored(git: Git, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths`, relative to the worktree's top, that git ignores; tracked ones are not."""
    if not paths:
        return frozenset()
    asked = b"".join(os.fsencode(path) + b"\0" for path in paths)
    result = git.run("check-ignore", "-z", "--stdin", stdin=asked)
    if result.returncode not in (0, 1):
        result.check()
    return frozenset(strings(result.stdout))


def hidden(git: Git) -> tuple[str, ...]:
    """Tracked paths that exist but whose changes git doesn't look for (assume-unchanged, skip-worktree).

    An update of such a path overwrites what is there without a word.
    """
    found = []
    for line in strings(git.out("ls-files", "-v", "-z")):
        tag, path = line[0], line[2:]
        if (tag == "S" or tag.islower()) and os.path.lexists(os.path.join(git.cwd, path)):
            found.append(path)
    return tuple(found)


def _status(git: Git, depth: int) -> Status:
    found = parse(ask(git, *COMMAND, timeout=LIMIT_S).check().stdout)
    dirty = [path for path in _submodules(git) if path not in found.submodules and _dirty(git, path, depth)]
    if not dirty:
        return found
    both = tuple(sorted((*found.submodules, *dirty)))
    return Status(found.staged, found.unstaged, found.untracked, found.unmerged, both)


def _submodules(git: Git) -> list[str]:
    """The submodules that are checked out. Costs a read of the index, and a spawn where it has any."""
    if not _has_gitlinks(git):
        return []
    entries = (line.partition("\t") for line in strings(git.out("ls-files", "--stage", "-z")))
    links = [path for meta, _, path in entries if meta.startswith("160000 ")]
    return [path for path in links if os.path.lexists(os.path.join(git.cwd, path, ".git"))]


def _has_gitlinks(git: Git) -> bool:
    """Whether the index may hold a submodule; false alarms are rare and harmless."""
    gitdir = gitdir_at(str(git.cwd)) or str(git.cwd)
    files = [git.env.get("GIT_INDEX_FILE") or os.path.join(gitdir, "index")]
    with contextlib.suppress(OSError):
        # A split index keeps the entries that didn't change in a file of its own.
        files += [each.path for each in os.scandir(gitdir) if each.name.startswith("sharedindex.")]
    return any(GITLINK_MODE in (content(os.path.join(git.cwd, file)) or b"") for file in files)


def _dirty(git: Git, path: str, depth: int) -> bool:
    """Whether a submodule has changes inside, or can't be looked into: unknown is not clean."""
    top = os.path.realpath(os.path.join(git.cwd, path))
    try:
        sub = open_repository(Path(top))
        # Without a valid `.git` of its own git finds the repository around it.
        if sub.top is None or str(sub.top) != top or depth >= DEEPEST:
            return True
        return not _status(sub.git, depth + 1).clean
    except (CannotRun, HeldBack, ProcessFailed):
        return True
