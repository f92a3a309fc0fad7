"""What a revision's `upgrade()` is sure to leave in a database, and what it may touch. Pure data.

`effects_read.py` fills it in. Names are in lower case and without their schema: two that differ in nothing
else count as one, which never makes evidence out of nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_WORD = re.compile(r"\w+")
# How statements begin that leave every table as it is, and those that touch what they name.
_ROWS = frozenset({"analyze", "comment", "delete", "insert", "reindex", "truncate", "update"})
_TABLES = frozenset({"alter", "create", "drop"})
# Words of statements that touch more than that.
_FAR = frozenset(
    {
        "attach", "cascade", "database", "detach", "do", "event", "execute", "extension", "function",
        "language", "owned", "procedure", "rule", "schema", "search_path", "server", "trigger",
    }
)  # fmt: skip


class Thing(NamedTuple):
    """Something that a schema has or has not.

    Attributes:
        kind: "table", "column", "index", "constraint", "enum" or "label", a value of an enum.
        table: that a column or constraint is on, or the enum of a label; "" for the others.
        name: its name, in lower case; a label as it is.
    """

    kind: str
    table: str
    name: str

    def __str__(self) -> str:
        place = f"{self.table}.{self.name}" if self.table else self.name
        return f"value {place} of an enum" if self.kind == "label" else f"{self.kind} {place}"


@dataclass(frozen=True, slots=True)
class Effects:
    """What one content does.

    Attributes:
        leaves: what is surely there (or surely not there) when it has run.
        homes: the table of each index in `leaves`.
        elsewhere: those in `leaves` that a schema was named for.
        named: everything that it makes, changes or takes away, for certain or not.
        whole: tables that it takes away or renames, with all that is theirs.
        loose: tables that it changes; their indexes and constraints may go with that.
        texts: the words of each statement in SQL.
        unclear: what can't be read as data, as the end of a sentence; "" where all is known.
    """

    leaves: Mapping[Thing, bool] = field(default_factory=dict)
    homes: Mapping[Thing, str] = field(default_factory=dict)
    elsewhere: frozenset[Thing] = frozenset()
    named: frozenset[Thing] = frozenset()
    whole: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()
    texts: tuple[frozenset[str], ...] = ()
    unclear: str = ""

    def touches(self, thing: Thing, home: str = "") -> bool:
        """Whether it may make, change or take away a thing, as far as it can be read.

        Args:
            home: the table of an index.
        """
        home = thing.table or home
        if thing in self.named or home in self.whole or (thing.kind == "table" and thing.name in self.whole):
            return True
        if thing.kind in ("index", "constraint") and home in self.loose:
            return True
        if thing.kind == "label" and Thing("enum", "", thing.table) in self.named:
            return True
        names = [one for one in (thing.name, home) if one]
        return any(_mentions(words, one) for words in self.texts for one in names)

    def names(self, thing: Thing) -> bool:
        """Whether it makes, changes or takes away this very thing, as far as it can be read."""
        if thing in self.named or (thing.name if thing.kind == "table" else thing.table) in self.whole:
            return True
        if thing.kind == "label" and thing._replace(name="") in self.named:
            return True
        return any(_mentions(words, thing.name) and _mentions(words, thing.table) for words in self.texts)


def sql_words(text: str) -> frozenset[str] | None:
    """The words of statements in SQL; None where they may touch more than they name."""
    found: set[str] = set()
    for statement in text.split(";"):
        words = _WORD.findall(statement.lower())
        if not words:
            continue
        if words[0] in _ROWS:
            continue
        if words[0] not in _TABLES or not _FAR.isdisjoint(words):
            return None
        found.update(words)
    return frozenset(found)


def mentions(source: bytes, thing: Thing) -> bool:
    """Whether a file has the words of a thing's name, and of its table's."""
    words = frozenset(_WORD.findall(source.decode("utf-8", "replace").lower()))
    return _mentions(words, thing.name) and _mentions(words, thing.table)


def _mentions(words: frozenset[str], name: str) -> bool:
    return words.issuperset(_WORD.findall(name.lower()))
