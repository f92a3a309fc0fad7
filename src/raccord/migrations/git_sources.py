"""Revision files in what git holds of today: the index of each worktree, the tips of refs, and stashes."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice

from raccord.errors import ProcessFailed
from raccord.git import commits, refs
from raccord.git.run import strings
from raccord.git.worktrees import Worktree
from raccord.kernel import fs
from raccord.migrations.cache import Cache
from raccord.migrations.contents import Sighting, Trouble
from raccord.migrations.file_sources import PASSED_BY, SETTLED_NS
from raccord.migrations.git_history import EVERYWHERE, pathspecs, walk
from raccord.migrations.objects import Objects
from raccord.migrations.reflogs import stashed
from raccord.migrations.revision import is_revision_name
from raccord.model.plan import Json

INDEX_SPACE = "migration.index"
TREE_SPACE = "migration.tree"
STASH = "refs/stash"
OURS = "refs/raccord/"
FIRST = ("refs/heads/", "refs/remotes/", "refs/tags/")
# Where somebody works today; a tag holds what was.
WORKED_AT = ("refs/heads/", "refs/remotes/", "HEAD of ")
LARGEST_TREE = 16 << 20  # bytes
# A few objects can spell folders without end.
DEEPEST = 32
MOST_FILES = 100_000
JOBS = 4

Listing = list[tuple[str, str]]  # path and blob


class GitSources:
    """Asks git for version folders and collects what it could not answer in `troubles`."""

    def __init__(self, objects: Objects, trees: Sequence[Worktree], cache: Cache) -> None:
        self.objects, self.cache = objects, cache
        self.repo, self.trees = objects.repo, trees
        self.troubles: list[Trouble] = []

    # The index

    def index(self, folders: Sequence[str]) -> list[Sighting]:
        """The files of every worktree's index, also of one whose directory is gone."""
        trees = [tree for tree in self.trees if not tree.bare]
        paths = pathspecs(folders)
        before = time.time_ns()
        seen = {str(tree.gitdir): fs.signature(tree.gitdir / "index") for tree in trees}
        keys = {gitdir: "\n".join([gitdir, *paths]) for gitdir in seen}
        known = self.cache.get(INDEX_SPACE, keys.values())
        found: dict[str, Listing] = {}
        for gitdir, signature in seen.items():
            value = known.get(keys[gitdir])
            if value and value["signature"] == _plain(signature):
                found[gitdir] = [(path, blob) for path, blob in value["files"]]
        stale = [tree for tree in trees if seen[str(tree.gitdir)] and str(tree.gitdir) not in found]
        found.update(listed := self._listed(stale, paths))
        self.cache.put(
            INDEX_SPACE,
            {
                keys[gitdir]: {"signature": _plain(seen[gitdir]), "files": [list(one) for one in files]}
                for gitdir, files in listed.items()
                if _settled(seen[gitdir], before)
            },
        )
        return [
            Sighting("index", str(tree.path), path, blob)
            for tree in trees
            for path, blob in found.get(str(tree.gitdir), ())
        ]

    def index_anywhere(self) -> list[Sighting]:
        """Every `.py` of every worktree's index."""
        trees = [tree for tree in self.trees if not tree.bare and fs.signature(tree.gitdir / "index")]
        found = self._listed(trees, EVERYWHERE)
        return [
            Sighting("index", str(tree.path), path, blob)
            for tree in trees
            for path, blob in found.get(str(tree.gitdir), ())
        ]

    def _listed(self, trees: Sequence[Worktree], paths: Sequence[str]) -> dict[str, Listing]:
        def one(tree: Worktree) -> Listing | ProcessFailed:
            # A split index lies beside its base, so git has to know the worktree's own directory. The files
            # are not looked at, and may be gone.
            git = self.objects.git.at(self.repo.common).using(
                GIT_DIR=str(tree.gitdir), GIT_WORK_TREE=str(self.repo.common)
            )
            try:
                out = git.out("ls-files", "-z", "--stage", "--", *paths)
            except ProcessFailed as error:
                return error
            return list(_staged(out))

        if not trees:
            return {}
        with ThreadPoolExecutor(min(JOBS, len(trees))) as pool:
            answers = list(pool.map(one, trees))
        found: dict[str, Listing] = {}
        for tree, answer in zip(trees, answers, strict=True):
            if isinstance(answer, ProcessFailed):
                reason = f"its index can't be read: {answer.message}"
                self.troubles.append(Trouble("index", str(tree.path), "", reason, "git status"))
            else:
                found[str(tree.gitdir)] = answer
        return found

    # Refs

    @cached_property
    def refs(self) -> refs.Refs:
        """Every ref, as it was when first asked for."""
        return refs.read(self.objects.git, "refs")

    def tips(self) -> dict[str, str]:
        """Commit to the name of a ref that stands on it, branches first, or of a worktree's HEAD."""
        read = self.refs
        for name in read.broken:
            self.troubles.append(Trouble("ref", name, "", "a broken ref", "git fsck"))
        rank = {prefix: number for number, prefix in enumerate(FIRST)}
        named = [
            (
                next((rank[prefix] for prefix in FIRST if name.startswith(prefix)), len(FIRST)),
                name,
                ref.peeled,
            )
            for name, ref in read.by_name.items()
            if name != STASH and not name.startswith(OURS) and name not in read.broken
        ]
        found: dict[str, str] = {}
        for _, name, oid in sorted(named):
            found.setdefault(oid, name)
        for tree in self.trees:
            if tree.head is not None:
                found.setdefault(tree.head, f"HEAD of {tree.path}")
        return found

    def at_tips(self, tips: Mapping[str, str], folders: Sequence[str]) -> list[Sighting]:
        """The files of version folders at the tips of branches; what many hold at a path is sighted once."""
        standing = [tip for tip, name in tips.items() if name.startswith(WORKED_AT)]
        asked = [(tip, folder) for tip in standing for folder in folders]
        names = [f"{tip}:{folder}" if folder else f"{tip}^{{tree}}" for tip, folder in asked]
        first: dict[tuple[str, str], str] = {}
        for (tip, folder), seen in zip(asked, self.objects.look(names), strict=True):
            if seen is not None and seen[1] == "tree":
                first.setdefault((seen[0], folder), tip)
        listed = self._trees({(oid, folder != "") for oid, folder in first})
        found: dict[tuple[str, str], Sighting] = {}
        for (oid, folder), tip in first.items():
            for below, blob in listed[oid, folder != ""]:
                path = f"{folder}/{below}" if folder else below
                if (path, blob) not in found:
                    found[path, blob] = Sighting("ref", tips[tip], path, blob, tip)
        return list(found.values())

    def _trees(self, wanted: Iterable[tuple[str, bool]]) -> dict[tuple[str, bool], Listing]:
        """The revision files in trees, and with True in what is below them."""
        keys = {f"{oid}{'/' if deep else ''}": (oid, deep) for oid, deep in wanted}
        found = {
            keys[key]: [(path, blob) for path, blob in value]
            for key, value in self.cache.get(TREE_SPACE, keys).items()
        }
        missing = [pair for pair in keys.values() if pair not in found]
        entries: dict[str, list[tuple[bool, str, str]]] = {}
        todo = {oid for oid, _ in missing}
        deep = {oid for oid, below in missing if below}
        whole = True
        for level in itertools.count():
            if not todo:
                break
            if level == DEEPEST:
                self.troubles.append(Trouble("ref", min(todo), "", "a folder nested too deeply", "git fsck"))
                break
            below: set[str] = set()
            for oid, data in self.objects.read(todo, LARGEST_TREE):
                if isinstance(data, str):
                    whole = False
                    self.troubles.append(
                        Trouble("ref", oid, "", f"a folder can't be read: {data}", "git fsck")
                    )
                    data = b""
                entries[oid] = list(parsed_tree(data, len(self.repo.zero) // 2))
                if oid in deep:
                    below.update(
                        child for folder, name, child in entries[oid] if folder and name not in PASSED_BY
                    )
            deep |= below
            todo = below - entries.keys()
        for oid, under in missing:
            found[oid, under] = list(islice(_files(entries, oid, "", under=under), MOST_FILES + 1))
            if len(found[oid, under]) > MOST_FILES:
                self.troubles.append(Trouble("ref", oid, "", f"a folder of more than {MOST_FILES} files"))
        if whole:
            self.cache.put(
                TREE_SPACE,
                {key: [list(one) for one in found[pair]] for key, pair in keys.items() if pair in missing},
            )
        return found

    # Stashes

    def stashes(self, paths: Sequence[str]) -> list[Sighting]:
        """What each stash itself changed: tracked files, staged ones, untracked ones."""
        entries = stashed(self.repo, self.objects.git)
        read = commits.read(self.objects.git, entries)
        tips: dict[str, str] = {}
        for oid, label in entries.items():
            if oid not in read:
                self.troubles.append(Trouble("stash", label, "", "its commit is missing", "git fsck"))
                continue
            # Its parents: where it was made, the index, and the untracked files.
            tips.update(dict.fromkeys([oid, *read[oid].parents[1:3]], label))
        found = walk(self.objects.git, list(tips), paths, alone=True)
        for tip, said in found.broken.items():
            self.troubles.append(Trouble("stash", tips[tip], "", said, "git fsck"))
        return [
            Sighting("stash", tips.get(row.commit, ""), row.path, row.blob, row.commit, row.author, row.time)
            for row in found.rows
        ]


def parsed_tree(data: bytes, hash_size: int) -> Iterator[tuple[bool, str, str]]:
    """Whether it is a folder, name and object id of each folder and regular file in a tree object."""
    at = 0
    while at < len(data):
        space = data.find(b" ", at)
        end = data.find(b"\0", space)
        if space < 0 or end < 0:
            return
        mode, name = data[at:space], data[space + 1 : end].decode("utf-8", "surrogateescape")
        at = end + 1 + hash_size
        if mode in (b"40000", b"040000") or mode.startswith(b"100"):
            yield not mode.startswith(b"100"), name, data[end + 1 : at].hex()


def _files(
    entries: Mapping[str, list[tuple[bool, str, str]]], oid: str, prefix: str, *, under: bool
) -> Iterator[tuple[str, str]]:
    for folder, name, child in entries.get(oid, ()):
        if not folder:
            if is_revision_name(name):
                yield prefix + name, child
        elif under and name not in PASSED_BY:
            yield from _files(entries, child, f"{prefix}{name}/", under=True)


def _staged(out: bytes) -> Iterator[tuple[str, str]]:
    for line in strings(out):
        meta, _, path = line.partition("\t")
        mode, oid, _ = meta.split(" ")
        if mode.startswith("100") and is_revision_name(os.path.basename(path)):
            yield path, oid


def _plain(seen: fs.Signature | None) -> Json:
    return None if seen is None else [seen.ino, seen.size, seen.mtime_ns, seen.ctime_ns]


def _settled(seen: fs.Signature | None, before: int) -> bool:
    """Whether what was written a moment ago would show in the times."""
    return seen is not None and max(seen.mtime_ns, seen.ctime_ns) + SETTLED_NS < before
