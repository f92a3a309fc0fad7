"""Rows of one state of a database on their way into files, whatever its kind. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from raccord.data.container import Part
from raccord.data.difference import Digest
from raccord.data.manifest import Came
from raccord.data.masks import Salt
from raccord.data.pairs import Pair
from raccord.data.spec import Spec
from raccord.model.plan import Finding

Write = Callable[[Iterator[bytes]], Part]


@dataclass(frozen=True, slots=True)
class Going:
    """What would be exported.

    Attributes:
        tables: each as a pair with itself, in the order in which they are filled.
        refused: what speaks against it.
        server: what runs there.
    """

    tables: tuple[Pair, ...]
    refused: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    server: str

    @property
    def secret(self) -> list[str]:
        """Columns that would travel and may hold secrets."""
        return [
            f"{pair.shown}.{name}"
            for pair in self.tables
            for name in pair.columns
            if name in pair.secret and name not in pair.masks
        ]


@dataclass(frozen=True, slots=True)
class Packed:
    """The rows of a table, written.

    Attributes:
        digest: what they come to.
        part: where they lie.
        outline: where it lies what tells a plan of them, if anything does.
        came: the keys of those that came by closure, where the table has one. Both lie before the rows.
    """

    digest: Digest
    part: Part
    outline: Part | None = None
    came: Came | None = None


class Leaving(Protocol):
    """One state of a database, from which rows go into files. Nothing is written there."""

    def going(self, spec: Spec, salt: Salt) -> Going:
        """What it has of a set. Its masks are tried."""

    def digest(self, pair: Pair) -> Digest:
        """What the rows of a table come to, as they are sent."""

    def came(self, pair: Pair) -> Digest | None:
        """What the keys of the rows that come by closure come to; None of a table that has none."""

    def packed(self, pair: Pair, say: Callable[[str], None], write: Write) -> Packed:
        """Has the rows of a table written, in the form of archives.

        Raises:
            CannotRun: they are not as many as were counted.
        """

    def csv(self, pair: Pair, counted: Callable[[int], object]) -> Iterator[bytes]:
        """The same rows as CSV with a header.

        Args:
            counted: is told how many there were, in the end.
        """

    def sequences(self, pair: Pair) -> dict[str, int]:
        """For columns that draw their values, the last number that was drawn."""
