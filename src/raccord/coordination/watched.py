"""Finds the watched files of a root and reads them. Only reads, follows no link, waits for no pipe."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raccord.model.coordination import FileState
from raccord.model.globs import leads, named

# A file that was written to less than this before it was read may change again under the same time stamp.
RACY_SECONDS = 0.1
LARGEST = 64 * 2**20  # bytes; a larger file is told, not read
SKIPPED = frozenset({".git", ".raccord"})
EMPTY_SECONDS = 0.09
TRIES = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What lies below a root.

    Attributes:
        files: paths below the root that the patterns name.
        folders: absolute paths of the directories in which such a file is, or could come to be.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]


def anchored(patterns: Sequence[str]) -> tuple[str, ...]:
    """Patterns that start at the root: `AGENTS.md` is the one at the top, `**/AGENTS.md` is any."""
    made = []
    for pattern in patterns:
        mark, rest = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
        made.append(f"{mark}/{rest.lstrip('/')}")
    return tuple(made)


def find(root: str, patterns: Sequence[str]) -> Found:
    """Walks no further than the patterns lead.

    Args:
        patterns: as `anchored` gives them.
    """
    files: list[str] = []
    folders: list[str] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            entries = sorted(os.scandir(os.path.join(root, below)), key=lambda entry: entry.name)
        except OSError:
            continue  # gone, or not ours to read: nothing can be watched in it
        folders.append(os.path.join(root, below) if below else root)
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                foreign = entry.name in SKIPPED or os.path.lexists(os.path.join(root, path, ".git"))
                if not foreign and leads(patterns, path):
                    waiting.append(path)
            elif named(patterns, path):
                files.append(path)
    return Found(tuple(sorted(files)), tuple(sorted(folders)))


def look(
    root: str,
    path: str,
    known: FileState | None = None,
    *,
    keep: Callable[[str, bytes], object] = lambda checksum, data: None,
) -> FileState | None:
    """Reads one file; None where there is none.

    Args:
        known: what it was; not read again where its stamp says that it still is that.
        keep: given each content that was read.
    """
    place = os.path.join(root, path)
    try:
        if known is not None and known.stamp and known.stamp == _stamp(os.lstat(place)):
            return known
        before, data, after = _settled(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return FileState(path, "", 0, time.time(), error=error.strerror or str(error))
    if data is None:
        return None
    checksum, now = hashed(data), time.time()
    keep(checksum, data)
    racy = now - after.st_mtime < RACY_SECONDS or _stamp(before) != _stamp(after)
    return FileState(path, checksum, len(data), now, "" if racy else _stamp(after))


def _settled(place: str) -> tuple[os.stat_result, bytes | None, os.stat_result]:
    """A content and what stood beside it before and after it was read.

    One that is being written to is taken as it is in the end: another look follows the last write.
    """
    left = TRIES
    while True:
        before = os.lstat(place)
        data = _read(place, before)
        after = os.lstat(place)
        left -= 1
        # Who saves a file often empties it first: that is no state of it yet.
        emptied = data == b"" and time.time() - after.st_mtime < EMPTY_SECONDS
        if not left or (_stamp(before) == _stamp(after) and not emptied):
            return before, data, after
        time.sleep(EMPTY_SECONDS / TRIES if emptied else 0)


def hashed(data: bytes) -> str:
    """The checksum of a content: 128 bits of BLAKE2b (RFC 7693) as 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _stamp(seen: os.stat_result) -> str:
    return f"{seen.st_mode}:{seen.st_ino}:{seen.st_size}:{seen.st_mtime_ns}:{seen.st_ctime_ns}"


def _read(place: str, seen: os.stat_result) -> bytes | None:
    if stat.S_ISLNK(seen.st_mode):
        return os.fsencode(os.readlink(place))
    if not stat.S_ISREG(seen.st_mode):
        return None
    if seen.st_size > LARGEST:
        raise OSError(0, f"larger than {LARGEST // 2**20} MiB")
    # Should a pipe or a link have come in its place since: neither waited for nor followed.
    handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return file.read()
