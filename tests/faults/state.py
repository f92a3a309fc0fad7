"""The fingerprint of a whole workspace, which must be all-old or all-new after a fault. Only looks.

Commits are compared by what they say (tree, parents, author, message), not by id: a replay carries its own
time.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from tests.faults.databases import Server, sqlite_content
from tests.gitkit import git

FILE = "app.db"  # the SQLite database, beside the worktrees
GIT_QUIET = {"GIT_OPTIONAL_LOCKS": "0"}  # looking must not refresh an index that the next command is to find
FORMAT = "--format=%H%x00%T%x00%P%x00%an <%ae> %at%x00%B%x00%x01"
# Of a revision that raccord writes: its id, and when it was made.
MADE_ANEW = re.compile(rb"\b[0-9a-f]{12}\b|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+")
# What git or raccord leaves where it was cut off, and what no recovery may leave behind.
KEPT = "raccord/databases/*.lock"  # a lock is whoever has that open, not the file
LEFTOVERS = ("*.lock", ".raccord-*", "raccord-stage*", "*.tmp")


@dataclass(frozen=True)
class Tree:
    """A worktree, as a whole.

    Attributes:
        files: path to type, permissions and content, of everything but git's own directory.
        index: `ls-files` with flags, modes, ids and stages.
        head: what HEAD says: a branch, or a commit's fingerprint.
        tip: the fingerprint of HEAD's commit.
        operation: the names of a rebase, merge or the like in progress.
    """

    files: dict[str, str]
    index: str
    head: str
    tip: str
    operation: tuple[str, ...] = ()

    def differences(self, other: Tree) -> list[str]:
        """What differs, in words."""
        found = [
            f"{path}: {self.files.get(path, 'absent')} / {other.files.get(path, 'absent')}"
            for path in sorted(self.files.keys() | other.files.keys())
            if self.files.get(path) != other.files.get(path)
        ]
        for field in fields(self)[1:]:
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine != theirs:
                found.append(f"{field.name}: {mine!r} / {theirs!r}")
        return found


@dataclass(frozen=True)
class World:
    """A workspace, its remote and its databases.

    Attributes:
        trees: by the worktree's directory name.
        refs: the repository's, without raccord's own and those that a fetch moves; by name, as fingerprints.
        remote: the remote's refs, likewise.
        databases: their fingerprints, by name.
        leftovers: locks and temporary files.
    """

    trees: dict[str, Tree]
    refs: dict[str, str]
    remote: dict[str, str]
    databases: dict[str, str]
    leftovers: tuple[str, ...]


def look(workspace: Path, remote: Path, server: Server | None = None) -> World:
    """Reads a workspace whose repository is `workspace/main` and whose worktrees lie beside it."""
    tops = sorted(path.parent for path in workspace.glob("*/.git"))
    repository = workspace / "main"
    known = commits(repository)
    refs = {
        name: known[oid]
        for name, oid in refs_of(repository)
        if not name.startswith(("refs/raccord/", "refs/remotes/"))
    }
    far = commits(remote)
    return World(
        trees={top.name: tree(top, known) for top in tops},
        refs=refs,
        remote={name: far[oid] for name, oid in refs_of(remote)},
        databases={FILE: sqlite_content(workspace / FILE)}
        | ({server.name: server.content()} if server else {}),
        leftovers=(*leftovers(workspace), *(server.unfinished() if server else ())),
    )


def tree(top: Path, known: dict[str, str]) -> Tree:
    """Reads one worktree."""
    folder = git_dir(top)
    head = (folder / "HEAD").read_text().strip()
    oid = git(top, "rev-parse", "--verify", "HEAD", env=GIT_QUIET)
    operations = (
        "rebase-merge",
        "rebase-apply",
        "MERGE_HEAD",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "sequencer",
    )
    return Tree(
        files=dict(files(top)),
        index=git(top, "ls-files", "-s", "-v", "-z", env=GIT_QUIET),
        head=head if head.startswith("ref:") else known[oid],
        tip=known[oid],
        operation=tuple(name for name in operations if (folder / name).exists()),
    )


def files(top: Path) -> Iterator[tuple[str, str]]:
    """Every file, link and directory below a worktree, ignored and untracked ones too."""
    for where, folders, names in os.walk(top):
        if where == str(top):
            folders[:] = [name for name in folders if name != ".git"]
            names = [name for name in names if name != ".git"]
        for name in folders + names:
            path = os.path.join(where, name)
            seen = os.lstat(path)
            if stat.S_ISLNK(seen.st_mode):
                what = f"link to {os.readlink(path)!r}"
            elif stat.S_ISDIR(seen.st_mode):
                what = f"directory {stat.S_IMODE(seen.st_mode):o}"
            else:
                data = Path(path).read_bytes()
                if path.endswith(".py"):
                    data = MADE_ANEW.sub(b"*", data)
                what = f"{stat.S_IMODE(seen.st_mode):o} {len(data)} {hashlib.sha256(data).hexdigest()[:16]}"
            yield os.path.relpath(path, top), what


def commits(repository: Path) -> dict[str, str]:
    """Every commit that a ref or a worktree's HEAD reaches: its id to its fingerprint."""
    found: dict[str, str] = {}
    said = git(repository, "log", "--topo-order", "--reverse", "--all", FORMAT, env=GIT_QUIET)
    for record in said.split("\x01"):
        if not record.strip("\n"):
            continue
        oid, tree_id, parents, author, message, _ = record.lstrip("\n").split("\0")
        text = "\0".join([tree_id, *(found[parent] for parent in parents.split()), author, message])
        found[oid] = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return found


def refs_of(repository: Path) -> list[tuple[str, str]]:
    """Every ref that names a commit, with the commit's id."""
    said = git(repository, "for-each-ref", "--format=%(refname) %(objectname) %(objecttype)", env=GIT_QUIET)
    rows = [line.split(" ") for line in said.splitlines()]
    return [(name, oid) for name, oid, kind in rows if kind == "commit"]


def git_dir(top: Path) -> Path:
    """Git's own directory of a worktree."""
    if (top / ".git").is_dir():
        return top / ".git"
    return Path((top / ".git").read_text().strip().removeprefix("gitdir: "))


def leftovers(workspace: Path) -> Iterator[str]:
    """Locks and temporary files anywhere in the workspace."""
    for where, folders, names in os.walk(workspace):
        for name in folders + names:
            path = Path(where, name)
            if any(path.match(pattern) for pattern in LEFTOVERS) and not path.match(KEPT):
                yield str(path.relative_to(workspace))
