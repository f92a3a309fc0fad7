"""What revision files said, remembered from one process to the next in raccord's cache.

An entry counts only while the stamp of what it rests on is the same; see `memo.py`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from raccord.kernel.store import dumps
from raccord.migrations import headers
from raccord.migrations.cache import Cache
from raccord.migrations.memo import Memo, Parsed, Question, Stamp, key_of, settled, untouched
from raccord.migrations.revision import Revision
from raccord.model.plan import Json

FOLDER_SPACE = "migration.loaded/1"
ANSWER_SPACE = "migration.answer/2"
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
        self._expected: dict[str, Json] = {}

    def said(self, path: str, stamp: Stamp) -> tuple[Parsed] | None:
        """See `Memo`."""
        if (known := super().said(path, stamp)) is not None:
            return known
        folder, _, name = path.rpartition(os.sep)
        row = self._folder(folder).get(name)
        if row is None or tuple(row[:5]) != stamp or (result := self.revision(row[5])) is None:
            return None
        self._files[path] = (stamp, result)
        return (result,)

    def remember(self, path: str, stamp: Stamp, result: Parsed, now: int) -> None:
        """See `Memo`; what is no revision is read anew by the next process."""
        super().remember(path, stamp, result, now)
        if isinstance(result, Revision) and settled(stamp, now):
            folder, _, name = path.rpartition(os.sep)
            key = key_of(result)
            self._folder(folder)[name] = [*stamp, key]
            self._changed.add(folder)
            if key not in self._said:
                self._said[key] = headers.plain(result)
                self._cache.put(headers.SAID, {key: self._said[key]})

    def expect(self, questions: Iterable[Question]) -> None:
        """See `Memo`: one look into the cache for all."""
        keys = [_key(one) for one in questions if one not in self._answers]
        self._expected.update(dict.fromkeys(keys))
        self._expected.update(self._cache.get(ANSWER_SPACE, keys))
        values = [value[-1] for value in map(self._expected.get, keys) if value]
        self._recall(key for saved in values if isinstance(saved, dict) for key in saved["keys"])

    def answer(self, question: Question) -> object:
        """See `Memo`; what was saved is remembered from one process to the next."""
        if (known := super().answer(question)) is not None:
            return known
        key = _key(question)
        if key not in self._expected:
            self._expected.update(self._cache.get(ANSWER_SPACE, [key]))
        if not (value := self._expected.get(key)):
            return None
        top, rests, device, numbers, saved = value
        try:
            stamps = zip(numbers[0::4], numbers[1::4], numbers[2::4], numbers[3::4], itertools.repeat(device))
            return saved if untouched(zip([top + one for one in rests], stamps, strict=True)) else None
        except OSError:
            return None

    def keep(
        self,
        question: Question,
        stamps: Sequence[tuple[str, Stamp | None]],
        answer: object,
        now: int,
        saved: Json = None,
    ) -> None:
        """See `Memo`."""
        super().keep(question, stamps, answer, now)
        known = [(path, stamp) for path, stamp in stamps if stamp is not None and settled(stamp, now)]
        devices = {stamp[4] for _, stamp in known}
        if saved is None or len(known) != len(stamps) or len(stamps) > MOST or len(devices) != 1:
            return
        top = os.path.commonpath([path for path, _ in known])
        rests = [path[len(top) :] for path, _ in known]
        if [top + one for one in rests] != [path for path, _ in known]:
            return  # spelled otherwise than their folder is
        # Flat, since a list of lists takes three times as long to read.
        numbers = [number for _, stamp in known for number in stamp[:4]]
        self._expected.pop(_key(question), None)
        self._cache.put(ANSWER_SPACE, {_key(question): [top, rests, devices.pop(), numbers, saved]})

    def flush(self) -> None:
        """Hands what is new to the cache, which still has to be written."""
        self._cache.put(FOLDER_SPACE, {folder: self._folders[folder] for folder in self._changed})
        self._changed.clear()

    def revision(self, key: str) -> Revision | None:
        """See `Memo`."""
        if key not in self._revisions and (value := self._said.get(key)) is not None:
            header = headers.header_of(value)
            if isinstance(header, Revision):
                self._revisions[key] = replace(header, name=key.partition("/")[2])
        return self._revisions.get(key)

    def _recall(self, keys: Iterable[str]) -> None:
        """Asks the cache what contents said."""
        unknown = {*keys} - self._said.keys()
        self._said.update(self._cache.get(headers.SAID, unknown) if unknown else {})

    def _folder(self, folder: str) -> dict[str, Json]:
        if folder not in self._folders:
            rows = self._folders[folder] = self._cache.get(FOLDER_SPACE, [folder]).get(folder) or {}
            self._recall(row[5] for row in rows.values())
        return self._folders[folder]


def _key(question: Question) -> str:
    return dumps([*question[0], *question[1:]])
