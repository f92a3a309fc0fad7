"""A repository whose migrations can be put anywhere: what the tests of the search share."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.git.repo import open_repository
from raccord.git.worktrees import worktrees
from raccord.migrations.archive import Archive, Content
from raccord.migrations.cache import Cache
from raccord.migrations.contents import Found
from raccord.migrations.revision import Revision, read
from raccord.migrations.sources import Sources
from tests.gitkit import Repo, git

VERSIONS = "backend/alembic/versions"
KINDS = (
    "archive", "dangling", "dangling_blob", "directory", "elsewhere", "elsewhere_history", "history",
    "ignored", "index", "reflog", "remote", "removed_worktree", "stash", "stash_staged", "stash_untracked",
    "tag", "tip", "untracked",
)  # fmt: skip


def written(rev: str, down: str | Sequence[str] | None, body: str = "pass", *, trap: str = "") -> bytes:
    """The bytes of a migration; with `trap`, one that leaves a mark in that file when it is run."""
    spring = f"import os\nos.close(os.open({trap!r}, os.O_CREAT))\n" if trap else ""
    return (
        f'"""step {rev}\n\nRevision ID: {rev}\nCreate Date: 2026-01-01\n"""\n{spring}'
        f"revision: str = {rev!r}\ndown_revision = {down!r}\nbranch_labels = None\ndepends_on = None\n\n\n"
        f"def upgrade() -> None:\n    {body}\n\n\ndef downgrade() -> None:\n    pass\n"
    ).encode("utf-8", "surrogateescape")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Desk:
    """A repository at `top/main`, and ways to leave a file in each kind of place."""

    top: Path
    folder: str = VERSIONS
    args: Sequence[str] = ()
    repo: Repo = field(init=False)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        path = self.top / "main"
        path.mkdir(parents=True)
        git(path, "init", "--quiet", *self.args)
        self.repo = Repo(path)
        self.repo.commit({"README": "hello\n", ".gitignore": "*.ignored.py\n"})

    def sources(self, *, cache: Cache | None = None, outside: Sequence[str] = ()) -> Sources:
        """The search, from the main worktree."""
        repo = open_repository(self.repo.path)
        trees = worktrees(repo)
        return Sources(repo, trees, [self.folder], cache=cache, outside=outside, archive=Archive(repo))

    def find(self, *wanted: str, known: Sequence[str] = (), **options) -> Found:
        """What a search finds that has no cache."""
        thorough = options.pop("thorough", False)
        return self.sources(**options).find(wanted, frozenset(known), thorough=thorough)

    @property
    def outside(self) -> str:
        """The pattern of the directories that git doesn't list."""
        return str(self.top / "Project-*")

    def tree(self, name: str = "") -> Repo:
        """A new worktree on a new branch."""
        name = name or f"tree{next(self.numbers)}"
        return self.repo.worktree(self.top / name, name, "main")

    def put(self, kind: str, files: Mapping[str, bytes]) -> None:
        """Leaves files, by base name, in a place of a kind and nowhere else."""
        getattr(self, f"_{kind}")({f"{self.folder}/{name}": data for name, data in files.items()})

    def _untracked(self, files) -> None:
        tree = self.tree()
        for path, data in files.items():
            tree.write(path, data)

    def _ignored(self, files) -> None:
        self._untracked({path.removesuffix(".py") + ".ignored.py": data for path, data in files.items()})

    def _directory(self, files) -> None:
        for path, data in files.items():
            target = self.top / f"Project-{next(self.numbers)}" / path
            target.parent.mkdir(parents=True)
            target.write_bytes(data)

    def _index(self, files) -> None:
        tree = self.tree()
        for path, data in files.items():
            tree.write(path, data)
        tree.git("add", "--all", "--force")
        for path in files:
            tree.write(path, None)

    def _tip(self, files) -> None:
        tree = self.tree()
        tree.commit(files)
        self._dropped(tree)

    def _remote(self, files) -> None:
        commit = self._lost(files)
        self.repo.git("update-ref", f"refs/remotes/origin/b{next(self.numbers)}", commit)

    def _tag(self, files) -> None:
        self.repo.git("tag", "--annotate", "--message", "t", f"t{next(self.numbers)}", self._lost(files))

    def _history(self, files) -> None:
        tree = self.tree()
        tree.commit(files)
        tree.commit(dict.fromkeys(files))
        self._dropped(tree)

    def _elsewhere(self, files) -> None:
        self._untracked({f"old/{path.rpartition('/')[2]}": data for path, data in files.items()})

    def _elsewhere_history(self, files) -> None:
        self._history({f"former/{path.rpartition('/')[2]}": data for path, data in files.items()})

    def _stash(self, files) -> None:
        tree = self.tree()
        tree.commit(dict.fromkeys(files, b"# to be written\n"))
        for path, data in files.items():
            tree.write(path, data)
        tree.git("stash", "push", "--quiet")

    def _stash_staged(self, files) -> None:
        tree = self.tree()
        for path, data in files.items():
            tree.write(path, data)
        tree.git("add", "--all", "--force")
        tree.git("stash", "push", "--quiet")

    def _stash_untracked(self, files) -> None:
        tree = self.tree()
        for path, data in files.items():
            tree.write(path, data)
        tree.git("stash", "push", "--quiet", "--all")

    def _reflog(self, files) -> None:
        tree = self.tree()
        tree.commit(files)
        tree.git("reset", "--quiet", "--hard", "HEAD~")

    def _removed_worktree(self, files) -> None:
        tree = self.tree()
        for path, data in files.items():
            tree.write(path, data)
        tree.git("add", "--all", "--force")
        self._dropped(tree)

    def _dangling(self, files) -> None:
        self._lost(files)

    def _dangling_blob(self, files) -> None:
        for data in files.values():
            self.repo.git("hash-object", "-w", "--stdin", input=data)

    def _archive(self, files) -> None:
        archive = Archive(open_repository(self.repo.path))
        archive.remember(
            [Content(header(data).id, path.rpartition("/")[2], data) for path, data in files.items()], at=1.0
        )

    def _lost(self, files) -> str:
        """A commit that nothing leads to."""
        tree = self.tree()
        commit = tree.commit(files)
        self._dropped(tree)
        self.repo.git("branch", "--quiet", "-D", tree.path.name)
        return commit

    def _dropped(self, tree: Repo) -> None:
        self.repo.git("worktree", "remove", "--force", tree.path)


def header(data: bytes) -> Revision:
    """What a file says of itself."""
    found = read(data, "_.py")
    assert isinstance(found, Revision), found
    return found


def sources_of(found: Found) -> dict[str, list[bytes]]:
    """The bytes of every content that was found, by revision."""
    return {one: [each.source for each in contents] for one, contents in found.contents.items()}
