"""What is noted while the operations of one `upgrade()` are read, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from raccord.migrations.effects import Effects, Thing

LONGEST = 60  # bytes; PostgreSQL cuts names at 63, and a convention may put something before


@dataclass
class Notes:
    """See `Effects`."""

    leaves: dict[Thing, bool] = field(default_factory=dict)
    homes: dict[Thing, str] = field(default_factory=dict)
    elsewhere: set[Thing] = field(default_factory=set)
    named: set[Thing] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    texts: list[frozenset[str]] = field(default_factory=list)

    def put(self, thing: Thing, there: bool, *, certain: bool, foreign: bool = False, home: str = "") -> None:
        """Notes that something is there from now on, or no longer.

        Args:
            foreign: whether a schema was named.
            home: the table of an index.
        """
        self.named.add(thing)
        self.leaves.pop(thing, None)
        if certain:
            self.leaves[thing] = there
            self.homes[thing] = home
        if foreign:
            self.elsewhere.add(thing)

    def lose(self, table: str) -> None:
        """Notes that a table is no longer what it was."""
        self.whole.add(table)
        self._forget(lambda thing, home: table in (thing.table, home))

    def loosen(self, table: str) -> None:
        """Notes that indexes and constraints of a table may be gone."""
        self.loose.add(table)
        kinds = ("index", "constraint")
        self._forget(lambda thing, home: thing.kind in kinds and table in (thing.table, home))

    def unlabel(self, enum: str) -> None:
        """Notes that nobody knows an enum's values any more."""
        self._forget(lambda thing, _: thing.kind == "label" and thing.table == enum)

    def text(self, words: frozenset[str]) -> None:
        """Notes a statement in SQL."""
        self.texts.append(words)
        said = Effects(texts=(words,))
        self._forget(said.touches)

    def _forget(self, whether: Callable[[Thing, str], bool]) -> None:
        for thing in [one for one in self.leaves if whether(one, self.homes[one])]:
            del self.leaves[thing]

    def effects(self, unclear: str) -> Effects:
        """All of it; nothing is certain where something is unclear."""
        leaves = {} if unclear else {one: there for one, there in self.leaves.items() if _short(one)}
        return Effects(
            leaves,
            {one: self.homes[one] for one in leaves if self.homes[one]},
            frozenset(self.elsewhere),
            frozenset(self.named),
            frozenset(self.whole),
            frozenset(self.loose),
            tuple(self.texts),
            unclear,
        )


def _short(thing: Thing) -> bool:
    """Whether a database surely has a thing under its whole name."""
    long = thing.name + (thing.table if thing.kind in ("constraint", "index") else "")
    return len(long.encode("utf-8", "surrogatepass")) <= LONGEST
