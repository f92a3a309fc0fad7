"""What revision files said, remembered from one process to the next in raccord's cache.

An entry counts only while the stamp of what it rests on is the same; see `memo.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from raccord.kernel.store import dumps
from raccord.migrations import headers
from raccord.migrations.cache import Cache
from raccord.migrations.memo import Memo, Parsed, Question, Stamp, settled, stamp_of
from raccord.migrations.revision import Revision
from raccord.model.plan import Json

FOLDER_SPACE = "migration.loaded/1"
ANSWER_SPACE = "migration.answer/1"
MOST = 2000  # stamps of one answer: more would fill the disk sooner than save time


class KeptMemo(Memo):
    """A memo over the cache of a repository."""

    def __init__(self, cache: Cache) -> None:
        super().__init__()
        self._cache = cache
        self._folders: dict[str, dict[str, Json]] = {}
        self._changed: set[str] = set()
        self._said: dict[str, Json] = {}
        self._revisions: dict[str, Revision] = {}

    def said(self, path: str, stamp: Stamp) -> tuple[Parsed] | None:
        """See `Memo`."""
        if (known := super().said(path, stamp)) is not None:
            return known
        folder, _, name = path.rpartition(os.sep)
        row = self._folder(folder).get(name)
        if row is None or tuple(row[:5]) != stamp or (result := self._revision(row[5])) is None:
            return None
        self._files[path] = (stamp, result)
        return (result,)

    def remember(self, path: str, stamp: Stamp, result: Parsed, now: int) -> None:
        """See `Memo`; what is no revision is read anew by the next process."""
        super().remember(path, stamp, result, now)
        if isinstance(result, Revision) and settled(stamp, now):
            folder, _, name = path.rpartition(os.sep)
            key = f"{result.digest}/{result.name}"
            self._folder(folder)[name] = [*stamp, key]
            self._changed.add(folder)
            if key not in self._said:
                self._said[key] = headers.plain(result)
                self._cache.put(headers.SAID, {key: self._said[key]})

    def answer(self, question: Question) -> object:
        """See `Memo`; a list is remembered from one process to the next."""
        if (known := super().answer(question)) is not None:
            return known
        key = dumps([*question[0], *question[1:]])
        value = self._cache.get(ANSWER_SPACE, [key]).get(key)
        try:
            return value[1] if value and all(_same(path, stamp) for path, stamp in value[0]) else None
        except OSError:
            return None

    def keep(
        self, question: Question, stamps: Sequence[tuple[str, Stamp | None]], answer: object, now: int
    ) -> None:
        """See `Memo`."""
        super().keep(question, stamps, answer, now)
        if not isinstance(answer, list) or len(stamps) > MOST:
            return
        if all(stamp is not None and settled(stamp, now) for _, stamp in stamps):
            rows = [[path, list(stamp or ())] for path, stamp in stamps]
            self._cache.put(ANSWER_SPACE, {dumps([*question[0], *question[1:]]): [rows, answer]})

    def flush(self) -> None:
        """Hands what is new to the cache, which still has to be written."""
        self._cache.put(FOLDER_SPACE, {folder: self._folders[folder] for folder in self._changed})
        self._changed.clear()

    def _revision(self, key: str) -> Revision | None:
        if key not in self._revisions and (value := self._said.get(key)) is not None:
            header = headers.header_of(value)
            if isinstance(header, Revision):
                self._revisions[key] = replace(header, name=key.partition("/")[2])
        return self._revisions.get(key)

    def _folder(self, folder: str) -> dict[str, Json]:
        if folder not in self._folders:
            rows = self._folders[folder] = self._cache.get(FOLDER_SPACE, [folder]).get(folder) or {}
            unknown = {row[5] for row in rows.values()} - self._said.keys()
            self._said.update(self._cache.get(headers.SAID, unknown) if unknown else {})
        return self._folders[folder]


def _same(path: str, stamp: list[int]) -> bool:
    return list(stamp_of(os.lstat(path))) == stamp
