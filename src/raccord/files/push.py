"""Carries out a push: objects are filled and removed on the condition that they are as planned.

An object that is not is left out and named; the others go on. Called again after a kill it does what is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from raccord.errors import UnsafePath, WorldMoved
from raccord.files import carry
from raccord.files.log import Done, Log
from raccord.files.observe import digest
from raccord.files.plan import Item
from raccord.model.text import shown
from raccord.objects.model import Entry, Readable, Reading, Store, Unreadable, Written

TRIES = 3  # times that a source which changes meanwhile is read


@dataclass(slots=True)
class Push:
    """One push at work.

    Attributes:
        source, target: where from and where to; what the target keeps where it is an undo.
        log: what is done.
        again: whether it was begun before.
        below: the segments that all keys begin with.
        say: told how far it is.
        cancelled: whether a person asked to stop.
        left: what was left out, and why.
        notes: what a person should know.
        begun: whether something may have been written.
        standing: what the target had when it began, or went on.
    """

    source: Readable
    target: Store
    log: Log
    again: bool
    below: str
    say: Callable[[str], None]
    cancelled: Callable[[], bool]
    left: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    begun: bool = False
    standing: Mapping[str, Entry] = field(default_factory=dict)
    _newer: list[str] = field(default_factory=list)

    def carry_out(self, items: Sequence[Item], probe: str) -> dict[str, Done]:
        """Does what is not done yet.

        Args:
            probe: a key of raccord's own, to try conditions on.

        Returns:
            Everything that is done, by key.

        Raises:
            ObjectsError: a store can't be reached; what was done is in the log.
            KeyboardInterrupt: a person asked to stop.
        """
        done = self.log.read() or {}
        self.begun = bool(done) or self.again
        if items and not self.target.conditional(probe):
            self.notes.append("the store honours no conditions: what is there was looked at just before")
        with self.log.open():
            self.standing = self.target.listing(self.below).entries
            todo = self._still_to_do(items, done)
            self.begun = True
            filled = [one for one in todo if one.source]
            progress = carry.Progress(self.say, len(filled), sum(one.size for one in filled), "pushed")
            carry.each(filled, lambda one: self._fill(one, done, progress), self.cancelled)
            self._remove([one for one in todo if not one.source], done)
            self.log.leave(self.left)
        if self._newer:
            some = ", ".join(shown(key) for key in sorted(self._newer)[:5])
            self.notes.append(f"{len(self._newer)} changed since the plan, and went as they are now: {some}")
        return {one.key: done[one.key] for one in items if one.key in done}

    def unlogged(self, items: Iterable[Item], done: dict[str, Done]) -> None:
        """Finds out what a kill left done without its line in the log; what it can't tell is left and named.

        Raises:
            ObjectsError: a store can't be reached.
        """
        now = self.target.listing(self.below).entries
        for one in items:
            there = now.get(one.key)
            if one.key in done or (there.etag if there else "") == one.before:
                continue
            if (found := self._adopted(one, there)) is not None:
                self._done(found, done)
            else:
                self.left[one.key] = "somebody else changed it there"

    def _still_to_do(self, items: Iterable[Item], done: dict[str, Done]) -> list[Item]:
        """What somebody else changed is left out."""
        todo = []
        for one in items:
            there = self.standing.get(one.key)
            etag = there.etag if there else ""
            known = done.get(one.key)
            if known is not None and known.etag == etag:
                continue
            done.pop(one.key, None)
            if etag == one.before:
                todo.append(one)
            elif self.again and (found := self._adopted(one, there)) is not None:
                # A kill came between the write and its line in the log.
                self._done(found, done)
            else:
                self.left[one.key] = "somebody else changed it there"
        return todo

    def _adopted(self, one: Item, there: Entry | None) -> Done | None:
        if there is None or not one.source:
            return Done(one.key, "") if there is None and not one.source else None
        found = self.source.find(one.source)
        if found is None or found.size != there.size:
            return None
        try:
            sha = digest(self.target, there)
            same = sha == digest(self.source, found)
        except WorldMoved:
            return None
        return Done(one.key, there.etag, there.size, sha, found.etag, True) if same else None

    def _fill(self, one: Item, done: dict[str, Done], progress: carry.Progress) -> None:
        etag = one.etag
        for _ in range(TRIES):
            hashed = _Hashed(progress)
            try:
                with self.source.read(one.source, etag) as reading:
                    written = self._written(one, reading, hashed)
            except WorldMoved:
                if hashed.begun and not hashed.failed:
                    self.left[one.key] = "somebody else changed it there"
                    return
                now = self.source.find(one.source)
                if now is None:
                    self.left[one.key] = "it is gone from where it comes from"
                    return
                if now.etag == etag and not hashed.failed:
                    self.left[one.key] = "somebody else changed it there"
                    return
                etag = now.etag
                continue
            except Unreadable as error:
                self.left[one.key] = error.message
                return
            except UnsafePath:
                self.left[one.key] = "a link is in its way there"
                return
            if one.etag and etag != one.etag:
                self._newer.append(one.key)
            self._done(
                Done(one.key, written.etag, hashed.size, hashed.sha.hexdigest(), etag, written.proven), done
            )
            progress.ended()
            return
        self.left[one.key] = "it changes faster than it can be read"

    def _written(self, one: Item, reading: Reading, hashed: _Hashed) -> Written:
        attributes = reading.attributes if self.target.keeps_attributes else {}
        return self.target.write(
            one.key, hashed.through(reading.chunks), reading.entry.size, attributes, one.before
        )

    def _remove(self, items: Sequence[Item], done: dict[str, Done]) -> None:
        if not items:
            return
        now = self.target.listing(self.below).entries
        going = [one for one in items if one.key in now and now[one.key].etag == one.before]
        moved = {*self.target.remove([(one.key, one.before) for one in going])}
        for one in items:
            if one.key in moved or (one not in going and one.key in now):
                self.left[one.key] = "somebody else changed it there"
            else:
                self._done(Done(one.key, ""), done)

    def _done(self, one: Done, done: dict[str, Done]) -> None:
        done[one.key] = one
        self.log.add(one)


class _Hashed:
    """Bytes on their way, and their SHA-256."""

    def __init__(self, progress: carry.Progress) -> None:
        self.sha, self.size = hashlib.sha256(), 0
        self.begun = self.failed = False
        self._progress = progress

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        self.begun = True
        try:
            for chunk in chunks:
                self.sha.update(chunk)
                self.size += len(chunk)
                self._progress.moved(len(chunk))
                yield chunk
        except WorldMoved:
            self.failed = True
            raise


def verified(
    target: Store, below: str, done: Mapping[str, Done], cancelled: Callable[[], bool]
) -> dict[str, str]:
    """Looks again at what a push wrote; returns what is not as it left it, and why.

    Raises:
        ObjectsError: the store can't be read.
    """
    now = target.listing(below).entries
    wrong: dict[str, str] = {}

    def read(one: Done) -> None:
        try:
            if digest(target, now[one.key]) != one.sha256:
                wrong[one.key] = "it holds other bytes than were sent"
        except WorldMoved:
            wrong[one.key] = "somebody else changed it since"

    unproven = []
    for key, one in done.items():
        there = now.get(key)
        if (there.etag if there else "") != one.etag or (there is not None and there.size != one.size):
            wrong[key] = "it is not as it was written"
        elif one.etag and not one.proven:
            unproven.append(one)
    carry.each(unproven, read, cancelled)
    return wrong
