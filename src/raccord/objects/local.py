"""A local directory as an object store. Links in it are never followed; attributes are not kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from raccord.errors import CannotRun, ObjectsError, WorldMoved
from raccord.kernel import fs, fs_objects
from raccord.model.text import shown
from raccord.objects import guess
from raccord.objects.model import ASIDE, IRREGULAR, LINK, PATH, Entry, Listing, Reading, Unreadable, Written
from raccord.objects.place import Place

OWN = ".raccord-"  # what the names of raccord's own begin with
STAGE = ".raccord-trash/.writing"


@dataclass(frozen=True, slots=True)
class Local:
    """A directory."""

    place: Place

    @property
    def shown(self) -> str:
        """Its URL."""
        return self.place.shown

    @property
    def keeps_attributes(self) -> bool:
        """No."""
        return False

    @property
    def longest(self) -> int:
        """What Linux takes for a path, less where it begins and what a copy is kept below."""
        return PATH - len(self.place.prefix.encode(errors="surrogateescape")) - ASIDE

    def listing(self, below: str = "") -> Listing:
        """Every file; links, pipes and their like are named as left."""
        root = self.place.prefix
        entries: dict[str, Entry] = {}
        left: dict[str, str] = {}
        try:
            for key, seen in fs_objects.walk(root, below.strip("/")):
                if seen.is_file:
                    entries[key] = Entry(key, seen.size, fs_objects.version(seen))
                else:
                    left[key] = LINK if seen.is_link else IRREGULAR
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectsError(f"{self.shown} is no directory", hint=f"mkdir {shown(root)}") from None
        return Listing(entries, left)

    def find(self, key: str) -> Entry | None:
        """One file."""
        seen = fs_objects.look(self.place.prefix, key)
        return Entry(key, seen.size, fs_objects.version(seen)) if seen is not None and seen.is_file else None

    @contextlib.contextmanager
    def read(self, key: str, etag: str, version: str = "") -> Iterator[Reading]:
        """One version of a file, and no older one; its content type is guessed from its name."""
        with contextlib.ExitStack() as open_:
            with _readable():
                seen, chunks = open_.enter_context(fs_objects.opened(self.place.prefix, key, etag))
            yield Reading(Entry(key, seen.size, etag), self._chunks(chunks), guess.attributes(key))

    def _chunks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        with _readable():
            yield from chunks

    def write(
        self, key: str, data: Iterable[bytes], size: int, attributes: Mapping[str, str], expected: str
    ) -> Written:
        """Writes a file beside and renames it."""
        self._own(key)
        return Written(fs_objects.put(self.place.prefix, key, data, expected, STAGE), False)

    def copy(self, entry: Entry, to: str) -> None:
        """Copies a file."""
        there = self.find(to)
        with self.read(entry.key, entry.etag) as reading:
            self.write(to, reading.chunks, entry.size, {}, there.etag if there else "")

    def remove(self, entries: Sequence[tuple[str, str]]) -> list[str]:
        """Removes files."""
        moved = []
        for key, etag in entries:
            try:
                fs_objects.remove(self.place.prefix, key, etag, STAGE)
            except WorldMoved:
                moved.append(key)
        return moved

    def conditional(self, key: str) -> bool:
        """It does."""
        return True

    def _own(self, key: str) -> None:
        # A directory in a worktree: git need not show what is raccord's.
        first = key.split("/")[0]
        fs.self_ignoring(f"{self.place.prefix}/.raccord-trash")
        if first.startswith(OWN) and "/" in key:
            fs.self_ignoring(f"{self.place.prefix}/{first}")


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """One file that gives no right to read it, or no bytes, is no reason to leave the others."""
    try:
        yield
    except CannotRun as error:
        raise Unreadable(error.message, hint=error.hint) from error
