"""Reads what a snapshot keeps and writes it with one `git fast-import`: one pack, then the ref.

The bytes are the files' own: no filter, no line-end conversion. Never touches the index, a branch or a file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from raccord.errors import CannotRun, HeldBack, ProcessFailed, RaccordError
from raccord.git.run import Git
from raccord.git.snapshot_model import LINK, Kept
from raccord.git.snapshot_walk import unreadable
from raccord.kernel import fs, proc
from raccord.kernel.fs_tree import Folder, Tree
from raccord.model.text import shown

# One pack, whatever its size: 15 loose objects cost 68 ms here, a pack of them 8. Level 1: an index hardly
# shrinks any further and costs thrice. What is big goes through git in pieces. Names that only Windows or
# macOS forbid are fine. A pack is found through its .idx, which `objects` does not make durable.
SETTINGS = (
    "-c", "fastimport.unpackLimit=1",
    "-c", "pack.compression=1",
    "-c", "core.bigFileThreshold=16m",
    "-c", "core.protectNTFS=false",
    "-c", "core.protectHFS=false",
    "-c", "core.fsync=objects,reference,pack-metadata",
    "-c", "core.fsyncMethod=fsync",
)  # fmt: skip
COMMAND = ("git", "fast-import")
DISK = re.compile(r"No space left on device|Disk quota exceeded|Read-only file system|Input/output error")
MISSING = re.compile(r"(?:not found: M [0-9]+ |Not a valid commit: )([0-9a-f]{40,})")
WHO = "raccord <raccord@localhost>"
WHOLE = 4 << 20  # bytes; a bigger file is never held in memory
PIECE = 1 << 20
PAUSES_S = (0.002, 0.02, 0.1)
# Names that git refuses in a tree, or that `git fsck` complains about: spellings of `.git` and `.gitmodules`
# on Windows and macOS.
ODD = re.compile(
    rb"^\.\.?$|^\.git(modules)?[ .]*$|~[0-9]|[:\\]"
    rb"|\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf",
    re.IGNORECASE,
)
# A pipe that has just taken a file's place must not make us wait.
PATIENT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
READING = os.O_RDONLY | fs.NOFOLLOW | fs.CLOEXEC | fs.BINARY | PATIENT


@dataclass(slots=True)
class Tip:
    """A commit to write.

    Attributes:
        ref: the full ref that names it; it must not exist, or be reached from one of `parents`.
        parents: commits.
        message: its bytes.
        when: Unix seconds.
        files: path in the tree to mode and mark or object id.
    """

    ref: str
    parents: Sequence[str]
    message: bytes
    when: float
    files: Mapping[bytes, tuple[str, str]]


class Import:
    """A running `git fast-import`; nothing of it is visible before `finish`."""

    def __init__(self, child: proc.Child, hash_size: int) -> None:
        assert child.stdin is not None
        self._child = child
        self._to: IO[bytes] = child.stdin
        self._marks = 0
        self.hash_size = hash_size
        self._blobs: dict[str, str] = {}

    def blob(self, data: bytes) -> tuple[str, str]:
        """Writes a blob; returns its mark and its object id."""
        oid = object_id(data, self.hash_size)
        if oid not in self._blobs:
            self._blobs[oid] = self._mark(b"blob\n")
            self._send(b"data %d\n" % len(data))
            self._send(data)
            self._send(b"\n")
        return self._blobs[oid], oid

    def stream(self, handle: int, size: int) -> tuple[str, str, int]:
        """Writes `size` bytes of an open file as a blob, filled up with zeros; mark, id, and bytes found."""
        mark = self._mark(b"blob\n")
        self._send(b"data %d\n" % size)
        digest = hasher(self.hash_size, size)
        left = size
        while left and (piece := os.read(handle, min(PIECE, left))):
            digest.update(piece)
            self._send(piece)
            left -= len(piece)
        found = size - left
        while left:
            filling = bytes(min(PIECE, left))
            self._send(filling)
            left -= len(filling)
        self._send(b"\n")
        return mark, digest.hexdigest(), found

    def commit(self, tip: Tip) -> None:
        """Writes a commit and moves its ref at the end of the import."""
        lines = [b"commit %s\n" % os.fsencode(tip.ref)]
        mark = self._next()
        who = f"committer {WHO} {int(tip.when)} +0000\n".encode()
        lines += [b"mark %s\n" % mark.encode(), who, b"data %d\n" % len(tip.message), tip.message, b"\n"]
        for number, parent in enumerate(dict.fromkeys(tip.parents)):
            lines.append(b"%s %s\n" % (b"merge" if number else b"from", parent.encode()))
        lines.append(b"deleteall\n")
        lines += [b"M %s %s %s\n" % (m.encode(), o.encode(), quoted(p)) for p, (m, o) in tip.files.items()]
        lines.append(b"get-mark %s\n" % mark.encode())
        self._send(b"".join(lines))

    def finish(self) -> list[str]:
        """Makes everything durable and moves the refs; returns the commits in the order of writing.

        Raises:
            ProcessFailed: git failed; a ref may have been refused, none is half moved.
        """
        with self._answering():
            self._to.flush()
            out, err = self._child.communicate()
        if self._child.returncode:
            raise _failure(self._child.returncode, err)
        return out.decode("ascii").split()

    def _next(self) -> str:
        self._marks += 1
        return f":{self._marks}"

    def _mark(self, head: bytes) -> str:
        mark = self._next()
        self._send(head + b"mark %s\n" % mark.encode())
        return mark

    def _send(self, data: bytes) -> None:
        with self._answering():
            self._to.write(data)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Turns the closed pipe of a git that gave up into what it said."""
        try:
            yield
        except BrokenPipeError:
            with contextlib.suppress(OSError):
                self._to.close()
            assert self._child.stderr is not None
            said = self._child.stderr.read()
            raise _failure(self._child.wait(), said) from None


@contextlib.contextmanager
def importing(git: Git, common: Path, hash_size: int) -> Iterator[Import]:
    """Starts a fast-import; what was not finished when the block is left never happened."""
    argv = git.argv(*SETTINGS, "fast-import", "--quiet", "--date-format=raw")
    with proc.started(argv, cwd=git.cwd, env=git.environment()) as child:
        try:
            yield Import(child, hash_size)
        except BaseException:
            proc.end(child)
            # What it leaves where it died, for its own authors.
            for directory in {common, *git_directories(common)}:
                fs.unlink(directory / f"fast_import_crash_{child.pid}")
            raise


def git_directories(common: Path) -> list[Path]:
    """The git directories of the linked worktrees."""
    with contextlib.suppress(OSError):
        return list((common / "worktrees").iterdir())
    return []


@dataclass(slots=True)
class Reader:
    """Reads the files below a root into an import, each as it was at one moment where that can be had.

    Attributes:
        marks: the mark of each object id that was written.
    """

    tree: Tree
    to: Import
    marks: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def read(self, path: str, why: str, *, unless: str = "", known: Kept | None = None) -> Kept | None:
        """Keeps what is at a path; None where nothing is, or where its bytes are the blob `unless`.

        Args:
            known: what an earlier snapshot kept at this path; not read again if it was not written since.

        Raises:
            HeldBack: it can't be read, or shrinks all the time.
            UnsafePath: a parent has become a symbolic link.
        """
        for pause in (*PAUSES_S, None):
            try:
                folder, name = self.tree.parent(path)
                before = folder.signature(name)
                if before is None:
                    raise FileNotFoundError
                if known and unwritten(known, before):
                    return known
                read = self._once(folder, name, path, before, unless)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except PermissionError as error:
                raise unreadable(path) from error
            if read is None:
                return None
            oid, size, whole = read
            if whole or (pause is None and size >= 0):
                if oid == unless:
                    return None
                mode = LINK if before.is_link else before.mode
                return Kept(mode, oid, size, why, not whole, before.mtime_ns, before.ctime_ns, before.ino)
            if pause is not None:
                time.sleep(pause)
        problem = f"{shown(path)} shrinks again and again while it is read"
        raise HeldBack(problem, hint="stop what writes to it", path=path)

    def _once(
        self, folder: Folder, name: str, path: str, before: fs.Signature, unless: str
    ) -> tuple[str, int, bool] | None:
        """Object id, bytes, and whether nobody wrote meanwhile; -1 bytes where what was read is of no use."""
        if before.is_link:
            target = os.fsencode(os.readlink(folder.name(name), dir_fd=folder.fd))
            return self._keep(target, unless), len(target), before.same(folder.signature(name))
        if not before.is_file:
            if not before.is_dir:
                self.skipped.append(path)
            return None
        try:
            handle = os.open(folder.name(name), READING, dir_fd=folder.fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                return "", -1, False  # a link or a pipe since
            raise
        try:
            opened = fs.signed(os.fstat(handle))
            if not stat.S_ISREG(opened.mode):
                return "", -1, False
            if opened.size <= WHOLE:
                data = _all(handle)
                oid, size = self._keep(data, unless), len(data)
            else:
                mark, oid, found = self.to.stream(handle, opened.size)
                self.marks[oid] = mark
                size = found if found == opened.size else -1
            after = fs.signed(os.fstat(handle))
        finally:
            os.close(handle)
        whole = opened.size == size and before.same(after) and before.same(folder.signature(name))
        return oid, size, whole

    def _keep(self, data: bytes, unless: str) -> str:
        if unless and object_id(data, self.to.hash_size) == unless:
            return unless
        mark, oid = self.to.blob(data)
        self.marks[oid] = mark
        return oid


def tree_of(
    files: Iterable[tuple[str, Kept]], top: bytes, marks: Mapping[str, str]
) -> dict[bytes, tuple[str, str]]:
    """Where kept files go in a snapshot's tree; those with a name that git refuses are numbered."""
    placed = {}
    for number, (path, kept) in enumerate(files):
        raw = os.fsencode(path)
        odd = any(ODD.search(part) for part in raw.split(b"/"))
        where = b"odd/%s-%d" % (top, number) if odd else b"%s/%s" % (top, raw)
        mode = "120000" if kept.link else "100755" if kept.mode & 0o100 else "100644"
        placed[where] = (mode, marks.get(kept.blob, kept.blob))
    return placed


def object_id(data: bytes, hash_size: int) -> str:
    """The object id of a blob with these bytes."""
    digest = hasher(hash_size, len(data))
    digest.update(data)
    return digest.hexdigest()


def hasher(hash_size: int, size: int) -> hashlib._Hash:
    """Becomes the object id of a blob of `size` bytes, once it has got them."""
    digest = hashlib.sha256() if hash_size == 32 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % size)
    return digest


def quoted(path: bytes) -> bytes:
    """A path as fast-import takes it, whatever bytes are in it."""
    return b'"' + path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


def unwritten(known: Kept, now: fs.Signature) -> bool:
    """Whether a file is the one that was kept, and not written since, as far as its timestamps tell."""
    mode = LINK if now.is_link else now.mode
    was = (known.mode, known.size, known.mtime_ns, known.ctime_ns, known.ino)
    return not known.torn and was == (mode, now.size, now.mtime_ns, now.ctime_ns, now.ino)


def _all(handle: int) -> bytes:
    pieces = []
    while piece := os.read(handle, PIECE):
        pieces.append(piece)
    return b"".join(pieces)


def _failure(status: int, err: bytes) -> RaccordError:
    """What git complains of, without the name of its crash report, which we remove."""
    lines = err.decode("utf-8", "replace").splitlines()
    said = "\n".join(line for line in lines if not line.startswith("fast-import: dumping crash report"))
    if found := DISK.search(said):
        return CannotRun(f"git can't keep a snapshot: {found[0].lower()}", hint="make room, then try again")
    if found := MISSING.search(said):
        # `M` with an object that the index names, or a parent that HEAD or an operation does.
        problem = f"object {found[1]} is missing from the repository"
        return HeldBack(problem, hint="git fsck", oid=found[1])
    return ProcessFailed(COMMAND, status, said)
