"""Revision files as they lie on the disk: in worktrees, and in directories that git doesn't list.

Reads regular files of at most 2 MB, follows no symbolic link that leads out of its tree, opens no pipe. What
is passed by for such a reason is named.
"""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raccord.errors import ProcessFailed
from raccord.git.run import Git, strings
from raccord.kernel.fs_look import BINARY, CLOEXEC, NOFOLLOW
from raccord.migrations.cache import Cache
from raccord.migrations.contents import Kind, Sighting, Trouble
from raccord.migrations.headers import LIMIT, Headers, marks
from raccord.migrations.revision import is_revision_name
from raccord.model.plan import Json

SPACE = "migration.folder/2"
# A file's times tell that it wasn't written since only once the clock has ticked on.
SETTLED_NS = 2_000_000_000
# Of a directory that a pattern names, maybe by mistake, no more is walked through.
MOST_FILES = 500_000
_READING = os.O_RDONLY | NOFOLLOW | CLOEXEC | BINARY | getattr(os, "O_NONBLOCK", 0)
# Directories of tools, where other people's migrations lie. Sorted.
PASSED_BY = (
    ".eggs", ".git", ".hg", ".mypy_cache", ".nox", ".ruff_cache", ".tox", ".venv", "__pycache__",
    "node_modules", "site-packages", "venv",
)  # fmt: skip


class Skipped(Exception):
    """A file that isn't read, with the reason."""


@dataclass(slots=True)
class Tree:
    """A worktree or another directory to look into.

    Attributes:
        top: as it was named.
        real: without symbolic links.
    """

    kind: Kind
    top: str
    real: str = field(init=False)

    def __post_init__(self) -> None:
        self.real = os.path.realpath(self.top)

    def inside(self, path: str) -> str | None:
        """The real path of something in this tree; None where that lies elsewhere."""
        real = os.path.realpath(path)
        return real if real == self.real or real.startswith(os.path.join(self.real, "")) else None


class Files:
    """Looks through trees; what it read is in `headers` afterwards."""

    def __init__(self, headers: Headers, cache: Cache) -> None:
        self.headers, self.cache = headers, cache
        self.troubles: list[Trouble] = []
        self._read: dict[tuple[str, str], bytes] = {}

    def folders(self, trees: Sequence[Tree], folders: Sequence[str]) -> list[Sighting]:
        """The revision files below version folders (relative to each tree; "" is the tree's top alone)."""
        found: list[Sighting] = []
        todo = [(tree, folder) for tree in trees for folder in folders if self._there(tree, folder)]
        known = self.cache.get(SPACE, {os.path.join(tree.real, folder) for tree, folder in todo})
        for tree, folder in todo:
            key = os.path.join(tree.real, folder)
            old = known.get(key) or {"at": 0, "files": {}, "folders": []}
            if (same := _untouched(tree, old)) is not None:
                found += same
                continue
            at = time.time_ns()
            files: dict[str, Json] = {}
            looked: list[Json] = []
            seen, troubles = 0, len(self.troubles)
            for path, entry in self._walk(tree, folder, looked):
                seen += 1
                found += self._one(tree, path, entry, old, files)
            # What was passed by may change without a trace in these times.
            if seen != len(files) or troubles != len(self.troubles):
                looked = []
            # Times that were too young then may tell by now.
            if (files, looked) != (old["files"], old["folders"]) or _settled(old, old["at"]) != _settled(
                old, at
            ):
                self.cache.put(SPACE, {key: {"at": at, "files": files, "folders": looked}})
        # The cache may know a file and no longer what is in it.
        lost = self.headers.recall({(one.blob, one.name) for one in found} - self._read.keys())
        for one in found if lost else ():
            if (one.blob, one.name) in lost:
                data = reread(one.where, one.path, one.kind)
                if data is not None and self.headers.oid(data) == one.blob:
                    self._read[one.blob, one.name] = data
        self._offer()
        return found

    def anywhere(self, tree: Tree, paths: Iterable[str]) -> list[Sighting]:
        """Those of the files of a tree that may be revisions."""
        found: list[Sighting] = []
        for path in paths:
            full = os.path.join(tree.real, path)
            try:
                real = tree.inside(full)
                if real is None:
                    raise Skipped("a symbolic link that leads out of its tree")
                data, mtime = _content(real)
            except Skipped as reason:
                self._trouble(tree, path, str(reason))
                continue
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    self._trouble(tree, path, f"can't be read: {error.strerror}")
                continue
            if marks(data):
                found.append(self._sighted(tree, path, data, mtime))
        self._offer()
        return found

    def walked(self, tree: Tree) -> Iterator[str]:
        """The `.py` files below a directory, those of tools left out."""

        def failed(error: OSError) -> None:
            below = os.path.relpath(error.filename, tree.real)
            self._trouble(tree, "" if below == "." else below, f"can't be read: {error.strerror}")

        seen = 0
        for folder, folders, names in os.walk(tree.real, onerror=failed):
            seen += len(names)
            if seen > MOST_FILES:
                self._trouble(tree, "", f"more than {MOST_FILES} files: not all were looked at")
                return
            folders[:] = sorted(name for name in folders if name not in PASSED_BY)
            below = os.path.relpath(folder, tree.real)
            for name in sorted(names):
                if is_revision_name(name):
                    yield name if below == "." else f"{below}/{name}"

    def _there(self, tree: Tree, folder: str) -> bool:
        """Whether a version folder is in a tree, not outside of it, and can be read."""
        path = os.path.join(tree.real, folder)
        try:
            if not stat.S_ISDIR(os.stat(path).st_mode):
                return False
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self._trouble(tree, folder, f"can't be read: {error.strerror}")
            return False
        if tree.inside(path) is None:
            self._trouble(tree, folder, "a symbolic link that leads out of its tree")
            return False
        return True

    def _walk(self, tree: Tree, folder: str, looked: list[Json]) -> Iterator[tuple[str, os.DirEntry[str]]]:
        todo = [folder]
        while todo:
            below = todo.pop()
            try:
                looked.append([below, *_signed(os.lstat(os.path.join(tree.real, below)))])
                with os.scandir(os.path.join(tree.real, below)) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self._trouble(tree, below, f"can't be read: {error.strerror}")
                continue
            for entry in listed:
                path = f"{below}/{entry.name}" if below else entry.name
                if is_revision_name(entry.name):
                    yield path, entry
                elif folder and entry.name not in PASSED_BY:
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(path)
                    elif entry.is_symlink() and entry.is_dir():
                        self._trouble(tree, path, "a symbolic link to a directory: not followed")

    def _one(
        self, tree: Tree, path: str, entry: os.DirEntry[str], old: Json, files: dict[str, Json]
    ) -> list[Sighting]:
        """The file of one entry, read unless its times tell that the cache knows it."""
        try:
            seen = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(seen.st_mode):
                real = tree.inside(entry.path)
                if real is None:
                    raise Skipped("a symbolic link that leads out of its tree")
                data, mtime = _content(real)
                return [self._sighted(tree, path, data, mtime)]
            if not stat.S_ISREG(seen.st_mode):
                raise Skipped("not a regular file")
            signature = _signed(seen)
            known = old["files"].get(path)
            settled = max(seen.st_mtime_ns, seen.st_ctime_ns) + SETTLED_NS < old["at"]
            if known and known[:4] == signature and settled:
                files[path] = known
                return [Sighting(tree.kind, tree.top, path, known[4], time=seen.st_mtime)]
            data, mtime = _content(entry.path)
        except Skipped as reason:
            self._trouble(tree, path, str(reason))
            return []
        except FileNotFoundError:
            return []
        except OSError as error:
            self._trouble(tree, path, f"can't be read: {error.strerror}")
            return []
        sighted = self._sighted(tree, path, data, mtime)
        files[path] = [*signature, sighted.blob]
        return [sighted]

    def _sighted(self, tree: Tree, path: str, data: bytes, mtime: float) -> Sighting:
        blob = self.headers.oid(data)
        sighted = Sighting(tree.kind, tree.top, path, blob, time=mtime)
        self._read[blob, sighted.name] = data
        return sighted

    def _offer(self) -> None:
        self.headers.offer(self._read)
        self._read = {}

    def _trouble(self, tree: Tree, path: str, reason: str) -> None:
        self.troubles.append(Trouble(tree.kind, tree.top, path, reason))


def _signed(seen: os.stat_result) -> list[int]:
    return [seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns]


def _settled(seen: Json, at: int) -> bool:
    """Whether the times of folders and files would tell of a write since `at`, in ns since the epoch."""
    times: list[int] = [time for one in seen["files"].values() for time in one[2:4]]
    times += [time for one in seen["folders"] for time in one[3:5]]
    return max(times, default=0) + SETTLED_NS < at


def _untouched(tree: Tree, old: Json) -> list[Sighting] | None:
    """The files of a version folder of which nothing was touched since it was looked at; else None.

    A name that comes or goes shows in the times of its folder.
    """
    if not old["folders"]:
        return None
    look, top, latest = os.lstat, tree.real, old["at"] - SETTLED_NS
    kind, where = tree.kind, tree.top
    found: list[Sighting] = []
    try:
        for path, *signature in old["folders"]:
            if _signed(look(f"{top}/{path}")) != signature or max(signature[2:]) >= latest:
                return None
        for path, (inode, size, mtime, ctime, blob) in old["files"].items():
            seen = look(f"{top}/{path}")
            if seen.st_ctime_ns != ctime or seen.st_mtime_ns != mtime or ctime >= latest or mtime >= latest:
                return None
            if seen.st_size != size or seen.st_ino != inode:
                return None
            found.append(Sighting(kind, where, path, blob, time=seen.st_mtime))
    except OSError:
        return None
    return found


def reread(top: str, path: str, kind: Kind) -> bytes | None:
    """The bytes of a file that was sighted; None where it is gone or no longer what may be read."""
    tree = Tree(kind, top)
    real = tree.inside(os.path.join(tree.real, path))
    try:
        return _content(real)[0] if real is not None else None
    except (OSError, Skipped):
        return None


def directories(patterns: Iterable[str], but: Iterable[str]) -> tuple[list[Tree], list[Trouble]]:
    """The directories that patterns such as "/home/me/Project-*" name, and patterns that name none.

    Args:
        but: directories that are looked into anyway.
    """
    known = {os.path.realpath(top) for top in but}
    trees: list[Tree] = []
    troubles: list[Trouble] = []
    for pattern in patterns:
        matches = [path for path in sorted(glob.glob(pattern)) if os.path.isdir(path)]
        if not matches:
            troubles.append(Trouble("directory", pattern, "", "there is no such directory"))
        for tree in (Tree("directory", path) for path in matches):
            if tree.real not in known:
                known.add(tree.real)
                trees.append(tree)
    return trees, troubles


def changed(git: Git, top: str) -> list[str] | ProcessFailed:
    """The `.py` files of a worktree that are untracked, ignored or not as the index has them."""
    passed_by = [f"--exclude={name}/" for name in PASSED_BY]
    wanted = ("--", ":(top,glob)**/*.py")
    try:
        out = git.at(Path(top)).out("ls-files", "-z", "--others", "--modified", *passed_by, *wanted)
    except ProcessFailed as error:
        return error
    return sorted({path for path in strings(out) if is_revision_name(os.path.basename(path))})


def _content(path: str) -> tuple[bytes, float]:
    """The bytes of a regular file and when it was written.

    Raises:
        Skipped: it is no regular file, too long, or being written.
        OSError: it can't be read.
    """
    for _ in range(3):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise Skipped("not a regular file")  # to open a device may be an order to it
        fd = os.open(path, _READING)
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise Skipped("not a regular file")
            if before.st_size > LIMIT:
                raise Skipped(f"{before.st_size} bytes: more than {LIMIT}")
            data = b""
            while len(data) <= LIMIT and (piece := os.read(fd, LIMIT + 1)):
                data += piece
            after = os.fstat(fd)
        finally:
            os.close(fd)
        if len(data) == after.st_size and before.st_mtime_ns == after.st_mtime_ns:
            return data, after.st_mtime
    raise Skipped("somebody is writing to it")
