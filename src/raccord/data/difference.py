"""How the rows of a table differ between two databases, whatever their kind. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.data.pairs import Pair
from raccord.data.scope import Blocks

Key = tuple[str, ...]
Cells = tuple[tuple[str, str | None, str | None], ...]  # column, and its text on both sides

MOST = 0.5  # share of rows beyond which they are no longer told apart one by one, if that will do
LONGEST = 80  # characters of a value that a person is shown
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Digest:
    """What all rows of a set's table come to."""

    rows: int = 0
    xor: int = 0
    sum: int = 0

    def __str__(self) -> str:
        return f"{self.rows}:{self.xor}:{self.sum}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Reads what `str` gives."""
        return cls(*map(int, text.split(":")))


@dataclass(frozen=True, slots=True)
class Difference:
    """How one table differs.

    Attributes:
        source, target: all its rows on each side.
        added, changed, removed: how many rows the source alone has, differ, the target alone has.
        puts, gone: the keys of added and changed, and of removed rows; None where there are too many.
        differing: keys of changed rows, as many as asked for.
        blocks: how rows were gathered, and `numbers` of those that differ; None where it wasn't asked for.
        touched: what the source's rows in these blocks come to.
        state: of the target when it was compared (`places.state`); "" where nothing is told by it.
        share: about what share of the rows differs, where that was only sampled: all then count as removed,
            and as added.
    """

    pair: Pair
    source: Digest
    target: Digest
    added: int = 0
    changed: int = 0
    removed: int = 0
    puts: tuple[Key, ...] | None = ()
    gone: tuple[Key, ...] | None = ()
    differing: tuple[Key, ...] = ()
    blocks: Blocks | None = None
    numbers: tuple[int, ...] = ()
    touched: Digest | None = None
    state: str = ""
    share: float | None = None

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.changed or self.removed)


def cell(
    name: str, mine: str | None, other: str | None, *, secret: bool
) -> tuple[str, str | None, str | None]:
    """A value that differs, for a person: long ones cut, secret ones never shown.

    Args:
        mine, other: as text, at least one character longer than what is shown, if they are.
    """
    shown = (lambda text: HIDDEN) if secret else cut
    return name, None if mine is None else shown(mine), None if other is None else shown(other)


def cut(text: str) -> str:
    """A value for a person, not too long."""
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def told_key(pair: Pair, key: Key) -> Key:
    """A row's key for a person, without what may be secret."""
    return tuple(HIDDEN if name in pair.secret else part for name, part in zip(pair.key, key, strict=True))
