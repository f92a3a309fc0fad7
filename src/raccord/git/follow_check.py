"""Looks at every path that a move between two commits changes, ignored files included, before anything moves.

Only looks. What it finds is a finding; what it allows is a list of paths to write and to remove, each with
the signature that it had before its content was judged, so that a later write is noticed.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from raccord.errors import UnsafePath
from raccord.git import status
from raccord.git.deltas import Delta
from raccord.git.follow_index import GITLINK, Index, Item, blob_oid, same_mode
from raccord.git.run import Git
from raccord.kernel.fs import Signature
from raccord.kernel.fs_swap_log import above
from raccord.kernel.fs_tree import Tree
from raccord.model.plan import Finding
from raccord.model.text import shown

# A file written this shortly before it was looked at may be written again without its times telling.
YOUNG_NS = 20_000_000
PATIENCE = 50  # looks at a file that is written all the time

WHY = {
    "follow.filter": "need filters that the repository's own configuration names",
    "follow.ignored": "are ignored here and would be overwritten",
    "follow.parent": "have a file in the way",
    "follow.sparse": "are outside of the sparse checkout or marked skip-worktree",
    "follow.staged": "have staged changes",
    "follow.symlink": "are behind a symbolic link",
    "follow.unmerged": "are in conflict",
    "follow.unstaged": "have unstaged changes",
    "follow.untracked": "are untracked here and would be overwritten",
}


@dataclass(slots=True)
class Examined:
    """What a move would do, and what stands in its way.

    Attributes:
        write: paths to write, with git's mode.
        remove: paths to remove.
        folders: submodules that come: their directory is made.
        modules: submodules whose entry changes; their own files stay.
        before: what is at each of these paths.
        confirm: untracked files that seem to be what would be written.
        bad: why it can't be done, by finding's name: the paths.
    """

    write: dict[str, int] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    before: dict[str, Signature | None] = field(default_factory=dict)
    confirm: list[str] = field(default_factory=list)
    bad: dict[str, list[str]] = field(default_factory=dict)

    def refuse(self, name: str, path: str) -> None:
        """Notes that a path stands in the way."""
        self.bad.setdefault(name, []).append(path)

    def findings(self) -> list[Finding]:
        """The problems, one for each kind, and a note about submodules."""
        found = [problem(name, sorted(set(paths))) for name, paths in sorted(self.bad.items())]
        if modules := sorted(self.modules):
            text = f"{some(modules)}: only the entry moves, the submodule's own files stay as they are"
            found.append(
                Finding("follow.submodule", "note", text, "git submodule update", {"paths": modules})
            )
        return found


def problem(name: str, paths: Sequence[str]) -> Finding:
    """A failing finding about paths."""
    hint = {"follow.unmerged": "git status"}.get(name, "commit, move away or remove them")
    return Finding(name, "fail", f"{some(paths)}: {WHY[name]}", hint, {"paths": list(paths)})


def some(paths: Sequence[str]) -> str:
    """The first paths, and how many more there are."""
    first = ", ".join(shown(path) for path in paths[:3])
    return first + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def examine(
    git: Git,
    index: Index,
    index_mtime_ns: int,
    deltas: Sequence[Delta],
    *,
    sparse: bool = False,
    trusted: bool = False,
) -> Examined:
    """Looks at every path that changes.

    Args:
        git: at the worktree.
        index: its index, not a split one.
        index_mtime_ns: when that was written.
        sparse: whether the worktree has a sparse checkout: a path that comes may be outside of it.
        trusted: run filters that the repository's own configuration names.

    Raises:
        ProcessFailed: git failed.
    """
    found = Examined()
    for raw in index.unmerged:
        found.refuse("follow.unmerged", os.fsdecode(raw))
    with Tree(git.cwd) as tree:
        _Look(git, tree, index, index_mtime_ns, sparse, trusted, found).look(deltas)
    return found


class _Look:
    """One examination: small methods that share what they look at."""

    def __init__(
        self,
        git: Git,
        tree: Tree,
        index: Index,
        index_mtime_ns: int,
        sparse: bool,
        trusted: bool,
        found: Examined,
    ) -> None:
        self.git, self.tree, self.index, self.found = git, tree, index, found
        self.index_mtime_ns, self.sparse, self.trusted = index_mtime_ns, sparse, trusted
        self.names = sorted(index.offsets)
        self.going: set[str] = set()
        self.doubtful: dict[str, str] = {}

    def look(self, deltas: Sequence[Delta]) -> None:
        """Sorts all paths into what is to be done and what can't be."""
        coming: list[tuple[Delta, Item | None]] = []
        for delta in deltas:
            item = self.index.get(os.fsencode(delta.path))
            if (item.mode, item.oid) == (delta.new_mode, delta.new) if item else not delta.new:
                continue  # the index is there already: git leaves it, and whatever the file holds
            if (item.mode, item.oid) != (delta.old_mode, delta.old) if item else bool(delta.old):
                self.found.refuse("follow.staged", delta.path)
            elif delta.new:
                coming.append((delta, item))
            elif item:
                with self._linked(delta.path):
                    self._go(delta, item)
        self.going.update(delta.path for delta, item in coming if item)
        for delta, item in coming:
            if GITLINK in (delta.old_mode, delta.new_mode):
                self.found.modules.append(delta.path)
            if self.sparse and item is None:
                self.found.refuse("follow.sparse", delta.path)
            with self._linked(delta.path):
                self._come(delta, item)
        if self.doubtful:
            self._settle()
        self._collide()

    def _go(self, delta: Delta, item: Item) -> None:
        path = delta.path
        self.going.add(path)
        if delta.old_mode == GITLINK:
            self.found.modules.append(path)
            self.found.before[path] = seen = self._signature(path)
            if seen is not None and seen.is_dir:
                self.found.remove.append(path)
        elif item.skip:
            if self._signature(path) is not None:
                self.found.refuse("follow.sparse", path)
        elif self._clean(path, item):
            self.found.remove.append(path)

    def _come(self, delta: Delta, item: Item | None) -> None:
        path = delta.path
        if self._overlaps_index(path):
            self.found.refuse("follow.staged", path)
        elif item is None:
            self._appear(delta)
        elif delta.old_mode == GITLINK:
            self.found.before[path] = seen = self._signature(path)
            if delta.new_mode == GITLINK:
                return
            if seen is None or seen.is_dir:
                self.found.write[path] = delta.new_mode
            else:
                self.found.refuse("follow.untracked", path)
        elif item.skip:
            if self._signature(path) is not None:
                self.found.refuse("follow.sparse", path)
        elif self._clean(path, item, there=True):
            if delta.new_mode == GITLINK:
                self.found.folders.append(path)
            else:
                self.found.write[path] = delta.new_mode

    def _appear(self, delta: Delta) -> None:
        """A path that comes and isn't in the index."""
        path = delta.path
        parent = self._in_the_way(path)
        if parent and parent not in self.going:
            seen = self._signature(parent)
            self.found.refuse("follow.symlink" if seen and seen.is_link else "follow.parent", path)
            return
        self.found.before[path] = seen = None if parent else self._signature(path)
        if delta.new_mode == GITLINK:
            if seen is None or seen.is_dir:
                self.found.folders.append(path)
            else:
                self.found.refuse("follow.untracked", path)
            return
        self.found.write[path] = delta.new_mode
        if seen is not None and not seen.is_dir:
            if same_mode(delta.new_mode, seen.mode) and self._holds(path, seen, delta.new):
                self.found.confirm.append(path)
            else:
                self.found.refuse("follow.untracked", path)

    def _in_the_way(self, path: str) -> str:
        """The first parent that is no directory, "" for none."""
        for parent in reversed([*above(path)]):
            seen = self._signature(parent)
            if seen is None:
                break
            if not seen.is_dir:
                return parent
        return ""

    @contextlib.contextmanager
    def _linked(self, path: str) -> Iterator[None]:
        try:
            yield
        except UnsafePath:
            self.found.refuse("follow.symlink", path)

    def _overlaps_index(self, path: str) -> bool:
        """Whether the index has a file where the path needs a directory, or files below it, that stay."""
        if any(
            os.fsencode(parent) in self.index.offsets and parent not in self.going for parent in above(path)
        ):
            return True
        prefix = os.fsencode(path) + b"/"
        at = bisect.bisect_left(self.names, prefix)
        while at < len(self.names) and self.names[at].startswith(prefix):
            if os.fsdecode(self.names[at]) not in self.going:
                return True
            at += 1
        return False

    def _signature(self, path: str) -> Signature | None:
        """What is at a path; if just written, waits until its times can tell of the next write."""
        for _ in range(PATIENCE):
            seen = self.tree.signature(path)
            if seen is None or abs(time.time_ns() - max(seen.mtime_ns, seen.ctime_ns)) > YOUNG_NS:
                return seen
            time.sleep(YOUNG_NS / 4e9)
        return self.tree.signature(path)

    def _clean(self, path: str, item: Item, *, there: bool = False) -> bool:
        """Whether the file is what the index says, as far as can be told now (the rest is `doubtful`).

        Args:
            there: whether it must be there; a file that goes may be gone already.
        """
        self.found.before[path] = seen = self._signature(path)
        if seen is None:
            if there:
                self.found.refuse("follow.unstaged", path)
            return False
        folder, name = self.tree.parent(path)
        status_now = folder.look(name)
        old_enough = item.mtime_ns < self.index_mtime_ns - YOUNG_NS
        if old_enough and status_now is not None and item.matches(status_now):
            return True
        if seen.is_dir:
            self.found.refuse("follow.untracked", path)
        elif (seen.mode ^ item.mode) & 0o170000 or (self._mode_differs(item, seen) and self._heeds_modes):
            self.found.refuse("follow.unstaged", path)
        elif self._holds(path, seen, item.oid):
            return True
        elif seen.is_file:
            self.doubtful[path] = item.oid
            return True
        else:
            self.found.refuse("follow.unstaged", path)
        return False

    @staticmethod
    def _mode_differs(item: Item, seen: Signature) -> bool:
        return seen.is_file and not same_mode(item.mode, seen.mode)

    @cached_property
    def _heeds_modes(self) -> bool:
        """Whether the execute bit of a file means anything here."""
        said = self.git.run("config", "--type=bool", "--get", "core.fileMode")
        return said.stdout.strip() != b"false"

    def _holds(self, path: str, seen: Signature, oid: str) -> bool:
        """Whether a path has the raw bytes of a blob: true whatever filter there may be."""
        folder, name = self.tree.parent(path)
        return blob_oid(folder.chunks(name), seen.size, self.index.width) == oid

    def _settle(self) -> None:
        """Asks git about files whose bytes are not the blob's: end of lines or a filter may make the
        difference.

        Not `git status`: it believes the times, and looks at whole seconds.
        """
        listed = b"".join(_quoted(path) + b"\n" for path in self.doubtful)
        out = self.git.out("hash-object", "--stdin-paths", stdin=listed, trusted=self.trusted)
        said = out.decode().split()
        for (path, oid), now in zip(self.doubtful.items(), said, strict=True):
            if now != oid:
                self.found.refuse("follow.unstaged", path)

    def _collide(self) -> None:
        """Looks into directories where a file shall be, and tells ignored from untracked."""
        for path in self.found.write:
            seen = self.found.before[path]
            if seen is not None and seen.is_dir:
                for inside in self._inside(path):
                    if inside not in self.going:
                        self.found.refuse("follow.untracked", inside)
        if untracked := self.found.bad.pop("follow.untracked", None):
            ignored = status.ignored(self.git, untracked)
            for path in untracked:
                self.found.refuse("follow.ignored" if path in ignored else "follow.untracked", path)

    def _inside(self, path: str) -> list[str]:
        folder = self.tree.folder(path)
        found = []
        for name, is_dir in folder.names():
            inside = f"{path}/{name}"
            found += self._inside(inside) if is_dir else [inside]
        return found


def _quoted(path: str) -> bytes:
    """A path as git reads it from a list of lines."""
    raw = os.fsencode(path)
    if b"\n" not in raw and not raw.startswith(b'"'):
        return raw
    return b'"' + b"".join(b"\\%03o" % byte for byte in raw) + b'"'
