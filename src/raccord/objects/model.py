"""What an object store is to raccord: the protocol that each kind fulfils, and the data that it speaks in.

A key is a path with `/` between its segments, relative to the place. An etag says which version an object is;
"" stands for no object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from raccord.errors import ObjectsError
from raccord.model.language import sentence

CHUNK = 1 << 20  # bytes that are read at once
HEX = "0123456789abcdef"
PATH = 4096  # bytes of a path
ASIDE = 64  # bytes in front of a key, where a copy of its object is kept
# Why a listing leaves a name out.
LINK = sentence("a link, which is not followed")
IRREGULAR = sentence("no regular file")


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a listing has it.

    Attributes:
        key: its name.
        size: in bytes.
        etag: its version.
        version: what a bucket that keeps versions knows it by; "" where that isn't known: no listing says it.
    """

    key: str
    size: int
    etag: str
    version: str = field(default="", compare=False)

    @property
    def md5(self) -> str:
        """The MD5 of its bytes where the etag is one. That of an upload in parts is no checksum."""
        return self.etag if len(self.etag) == 32 and not self.etag.strip(HEX) else ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a store has.

    Attributes:
        entries: by key.
        left: names that are no objects, or can't be spoken of, and why.
    """

    entries: Mapping[str, Entry]
    left: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """One version of an object, while it is read.

    Attributes:
        entry: which.
        chunks: its bytes; `WorldMoved` comes out of it where it changes meanwhile.
        attributes: content type and other headers, and what its owner added.
    """

    entry: Entry
    chunks: Iterator[bytes]
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Written:
    """An object that was written.

    Attributes:
        etag: its version.
        proven: whether the etag shows that the store has these very bytes.
        version: see `Entry`; "" where the store keeps none.
    """

    etag: str
    proven: bool
    version: str = ""


class Unreadable(ObjectsError):
    """One object that can't be read, however often it is tried; others can."""


class Readable(Protocol):
    """Where objects are read. Called from several threads."""

    def find(self, key: str) -> Entry | None:
        """One object, None where there is none."""

    def read(self, key: str, etag: str, /) -> AbstractContextManager[Reading]:
        """Opens one version of an object.

        Raises:
            WorldMoved: another version is there, or none.
        """


class Store(Protocol):
    """A place for objects. Called from several threads."""

    @property
    def shown(self) -> str:
        """How a person knows it; without secrets."""

    @property
    def keeps_attributes(self) -> bool:
        """Whether it has content types and their like."""

    @property
    def longest(self) -> int:
        """Bytes that a key may have."""

    def listing(self, below: str = "") -> Listing:
        """Every object whose key begins with the segments of `below`.

        Raises:
            ObjectsError: it can't be listed to its end.
        """

    def find(self, key: str) -> Entry | None:
        """One object, None where there is none."""

    def read(self, key: str, etag: str, version: str = "") -> AbstractContextManager[Reading]:
        """Opens one version of an object.

        Args:
            version: of a bucket that keeps versions; it may be one that was overwritten or removed.

        Raises:
            WorldMoved: another version is there, or none.
        """

    def write(
        self, key: str, data: Iterable[bytes], size: int, attributes: Mapping[str, str], expected: str
    ) -> Written:
        """Writes an object, whole or not at all.

        Args:
            size: how many bytes `data` gives.
            expected: the etag of the version that is there now.

        Raises:
            WorldMoved: another version is there; nothing was written.
        """

    def copy(self, entry: Entry, to: str) -> None:
        """Copies an object to a key of raccord's own, with its attributes; overwrites what is there."""

    def remove(self, entries: Sequence[tuple[str, str]]) -> list[str]:
        """Removes objects, given with their etags; returns the keys of those that were another version."""

    def conditional(self, key: str) -> bool:
        """Whether its writes honour conditions; tried on a key of raccord's own. Where not, none are made.

        Raises:
            ObjectsError: it can't be written to.
        """
