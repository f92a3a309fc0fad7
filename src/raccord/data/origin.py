"""Where the rows of a push come from: asked and copied there, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from raccord.data.compare import digest
from raccord.data.difference import Digest
from raccord.data.pairs import Pair
from raccord.data.scope import scope
from raccord.database import postgres, pump
from raccord.database.tables import identifier


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from while they are pushed.

    Attributes:
        db: where the pairs' sources can be asked.
        pour: copies all rows of a table straight to where SQL says, and whether that is a table that was made
            just now, within the same subtransaction; returns how many.
        ready: makes sure that a table's rows can be asked there.
    """

    db: postgres.Connection
    pour: Callable[[Pair, str, bool], int]
    ready: Callable[[Pair], object] = field(default=lambda pair: None)

    def digest(self, pair: Pair) -> Digest:
        """What all rows of a table come to by now."""
        self.ready(pair)
        return digest(self.db, pair, source=True)


def pour(
    one: postgres.Connection, two: postgres.Connection, pair: Pair, goal: str, *, new: bool = False
) -> int:
    """Copies all rows of the source straight to their place; returns how many.

    Args:
        new: whether the table was made just now, within the same subtransaction.
    """
    listed = ", ".join(f"r.{identifier(name)}" for name in pair.columns)
    query = f"select {listed} from {scope(pair, source=True)} r"
    return pump.across(one, query, two, goal, binary=pair.binary, frozen=new)
