"""Remembers what revision files said: nothing is parsed twice, and what nobody touched is not opened again.

A file or folder counts as untouched while its stamp is the same, and only once that stamp has settled: two
writes within one tick of a file system's clock leave the same times. Nothing is kept on the disk; in
`kept_memo.py` it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence

from raccord.migrations.revision import Revision, Unread, read
from raccord.model.plan import Json

# Some file systems count in steps of two seconds.
_SETTLED = 2_000_000_000  # ns

Parsed = Revision | Unread | None
Stamp = tuple[int, int, int, int, int]
Question = tuple[tuple[str, ...], bool, bool]


def stamp_of(status: os.stat_result) -> Stamp:
    """Size in bytes, times of the last change of content and of anything in ns, inode and device."""
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def untouched(stamps: Iterable[tuple[str, Sequence[int]]]) -> bool:
    """Whether each path has its stamp still. There are thousands of them: one look at each, and no more.

    Raises:
        OSError: one is not there any more.
    """
    look = os.lstat
    for path, (size, mtime, ctime, inode, device) in stamps:
        seen = look(path)
        if (
            seen.st_ctime_ns != ctime
            or seen.st_mtime_ns != mtime
            or seen.st_size != size
            or seen.st_ino != inode
            or seen.st_dev != device
        ):
            return False
    return True


class Memo:
    """What was read before, for every `load` of a process. It needs no lock: entries are written whole."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Stamp, Parsed]] = {}
        self._contents: dict[tuple[bytes, str], Parsed] = {}
        self._answers: dict[Question, tuple[Sequence[tuple[str, Stamp | None]], object]] = {}

    def said(self, path: str, stamp: Stamp) -> tuple[Parsed] | None:
        """What a path said when it had that stamp, wrapped; None where that is not known."""
        known = self._files.get(path)
        return (known[1],) if known is not None and known[0] == stamp else None

    def parsed(self, source: bytes, name: str) -> Parsed:
        """What a content says under a name."""
        key = (hashlib.sha256(source).digest(), name)
        if key not in self._contents:
            self._contents[key] = read(source, name)
        return self._contents[key]

    def remember(self, path: str, stamp: Stamp, result: Parsed, now: int) -> None:
        """Keeps what a path says, unless it was touched so lately that it may change unseen.

        Args:
            now: the time before it was looked at, in ns since the epoch.
        """
        if settled(stamp, now):
            self._files[path] = (stamp, result)
        else:
            self._files.pop(path, None)

    def answer(self, question: Question) -> object:
        """What `keep` was given, None where it wasn't or something was touched since."""
        if (kept := self._answers.get(question)) is None:
            return None
        if any(stamp is None and os.path.lexists(path) for path, stamp in kept[0]):
            return None
        try:
            same = untouched((path, stamp) for path, stamp in kept[0] if stamp is not None)
        except OSError:
            return None
        return kept[1] if same else None

    def expect(self, questions: Iterable[Question]) -> None:
        """Prepares for questions that will be asked one after the other."""

    def revision(self, key: str) -> Revision | None:
        """What a content said under a name, by `key_of`, where that is known without reading it."""
        return None

    def keep(
        self,
        question: Question,
        stamps: Sequence[tuple[str, Stamp | None]],
        answer: object,
        now: int,
        saved: Json = None,
    ) -> None:
        """Keeps an answer for as long as nothing that it rests on is touched.

        Args:
            stamps: of every file and folder that was looked at; None for one that was not there.
            now: the time before they were looked at, in ns since the epoch.
            saved: the same as JSON, which another process is answered with; its "keys" are of revisions.
        """
        if all(stamp is None or settled(stamp, now) for _, stamp in stamps):
            self._answers[question] = (tuple(stamps), answer)


def key_of(revision: Revision) -> str:
    """Names what a content says under a file's name."""
    return f"{revision.digest}/{revision.name}"


def settled(stamp: Stamp, now: int) -> bool:
    """Whether a write since `now` (ns since the epoch) would show in a stamp that was taken after it."""
    return max(stamp[1], stamp[2]) + _SETTLED < now
