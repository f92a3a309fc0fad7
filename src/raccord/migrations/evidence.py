"""Decides by a database's schema which content of a revision was applied to it. Pure: no I/O, no clock.

One sign is none: somebody may have made or dropped a thing by hand, or an upgrade was taken back in part.
The schema has to speak for one content and against every other one, through things that no other revision
touches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from raccord.database.catalog import Catalog
from raccord.migrations import walk
from raccord.migrations.contents import Candidate
from raccord.migrations.effects import Effects, Thing, mentions
from raccord.migrations.effects_read import effects
from raccord.migrations.revision import Revision
from raccord.migrations.sightings import stands_on
from raccord.model.text import shown

NAMED = 6  # signs in a sentence
# Quoted or not, a name before a dot.
_SCHEMA = re.compile(r'(?:"(?:[^"]|"")*"|[^."]+)\.')
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_TABLES = frozenset({"table", "foreign table", "materialized view", "view"})


@dataclass(frozen=True, slots=True)
class Text:
    """One content of a revision: what it says of itself, and its bytes."""

    revision: Revision
    source: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """What a schema says of several contents.

    Attributes:
        pick: the content that was applied; None where the schema doesn't tell.
        said: the signs, or why there are none, as a clause.
    """

    pick: Candidate | None
    said: str


@dataclass(frozen=True)
class Facts:
    """What a database has."""

    catalog: Catalog

    def has(self, thing: Thing, *, elsewhere: bool = False) -> bool | None:
        """Whether it has a thing, in whatever schema; None where nobody can tell.

        Args:
            elsewhere: whether a schema was named for it.
        """
        sqlite = self.catalog.kind == "sqlite"
        if sqlite and (elsewhere or thing.kind in ("enum", "label")):
            return None  # an attached file; a type that SQLite doesn't have
        names = self._names.get(thing.kind, {})
        if thing.kind == "label":
            values = self._names.get("enum", {}).get(thing.table)
            return None if values is None else thing.name in _LABEL.findall(values)
        name = f"{thing.table}.{thing.name}" if thing.table else thing.name
        if name in names:
            return True
        # A naming convention may have put more around the name.
        around = thing.kind in ("constraint", "index") and any(thing.name in one for one in names)
        return None if around else False

    @cached_property
    def _names(self) -> Mapping[str, Mapping[str, str]]:
        """Definitions by kind and name, without schemas and quotes, in lower case."""
        found: dict[str, dict[str, str]] = {}
        for key, definition in self.catalog.objects.items():
            kind, _, name = _split(key)
            if self.catalog.kind != "sqlite":
                name = name[schema.end() :] if (schema := _SCHEMA.match(name)) else name
            name = name.replace('"', "").lower()
            found.setdefault("table" if kind in _TABLES else kind, {})[name] = definition
        return found


def _split(key: str) -> tuple[str, str, str]:
    kind = next((one for one in _TABLES if key.startswith(one + " ")), "")
    return (kind, " ", key[len(kind) + 1 :]) if kind else key.partition(" ")


class Book:
    """Every content of every revision that can be seen, and what a database has applied of them.

    Args:
        texts: by revision id.
        heads: the ids in the version table.
    """

    def __init__(self, texts: Mapping[str, Sequence[Text]], heads: Iterable[str]) -> None:
        self.texts = texts
        self._labels: dict[str, set[str]] = {}
        for one, contents in texts.items():
            for label in (label for each in contents for label in each.revision.labels):
                self._labels.setdefault(label, set()).add(one)
        named = {
            one: [set().union(*map(self._ids, stands_on(each.revision))) for each in contents]
            for one, contents in texts.items()
        }
        # What every content stands on was there before, whichever was applied.
        self._surely = {one: tuple(set.intersection(*ways)) for one, ways in named.items() if ways}
        self._maybe = {one: tuple(set().union(*ways)) for one, ways in named.items()}
        self.heads = frozenset(heads)
        self.surely_applied = walk.reached(self.heads, self._surely)
        self.maybe_applied = walk.reached(self.heads, self._maybe)

    def _ids(self, name: str) -> Set[str]:
        return {name} if name in self.texts else self._labels.get(name, {name})

    @cached_property
    def whole(self) -> bool:
        """Whether every revision that may be applied can be seen."""
        return self.heads <= self.texts.keys() and all(
            up in self.texts for one in self.maybe_applied for up in self._maybe[one]
        )

    def before(self, content: Candidate) -> set[str]:
        """What had run before this content did, if it was applied."""
        ups = [self._ids(name) for name in stands_on(content.revision)]
        return walk.reached((one for ids in ups if len(ids) == 1 for one in ids), self._surely)

    def after(self, revision: str) -> set[str]:
        """What may stand on a revision."""
        ups = {one: tuple(up for up in ups if up in self._maybe) for one, ups in self._maybe.items()}
        return walk.reached([revision], walk.turned(ups)) - {revision}


def prove(
    revision: str, pool: Sequence[Candidate], past: Sequence[Candidate], book: Book, facts: Facts
) -> Proof:
    """Which of several contents of a revision the schema shows to be applied.

    Args:
        pool: those that one is to be taken of.
        past: others; one of them that fits better leaves it open.
    """
    if revision not in book.surely_applied or not book.whole:
        return Proof(None, "nobody can tell what was applied with it")
    suspects = []
    for content in (*pool, *past):
        done = effects(content.source)
        if done.unclear and content in pool:
            return Proof(None, f"{content.digest[:12]} can't be read as data: {done.unclear}")
        if not done.unclear:
            suspects.append(_Suspect(content, done, facts))
    after = book.after(revision)
    for one in suspects:
        before = book.before(one.content)
        for other, contents in book.texts.items():
            if other == revision:
                continue
            for text in contents:
                others = effects(text.source)
                if other in before:
                    one.earlier.append((text.source, others))
                elif others.unclear and (other in after or other in book.maybe_applied):
                    said = f"{shown(other)} may have changed it, and can't be read as data: {others.unclear}"
                    return Proof(None, said)
                else:
                    one.later.append(others)
    standing = [one for one in suspects if one.content in pool]
    fitting = [one for one in standing if one.fits]
    if len(fitting) != 1:
        return Proof(None, "the schema fits several of them" if fitting else "the schema fits none of them")
    found = fitting[0]
    rivals = [one for one in standing if one is not found]
    if not all(found.own(rival) and rival.own(found, right=False) for rival in rivals):
        return Proof(None, "the schema says too little")
    if any(one.fits and one.own(found) for one in suspects if one not in standing):
        return Proof(None, "the schema fits an older content as well")
    told: dict[str, None] = {}
    for rival in rivals:
        for sign in (found.own(rival)[0], rival.own(found, right=False)[0]):
            told[f"{shown(str(sign))} is {'there' if facts.has(sign) else 'not there'}"] = None
    return Proof(found.content, "; ".join(list(told)[:NAMED]))


class _Suspect:
    """A content that may have been applied.

    Attributes:
        earlier: what had run before it.
        later: what may have run after it.
    """

    def __init__(self, content: Candidate, done: Effects, facts: Facts) -> None:
        self.content, self.done, self._facts = content, done, facts
        self.earlier: list[tuple[bytes, Effects]] = []
        self.later: list[Effects] = []

    @cached_property
    def _lasting(self) -> dict[Thing, bool]:
        """What it alone makes or takes away, and that can be looked up: whether it is as it leaves it."""
        found = {}
        for thing, there in self.done.leaves.items():
            has = self._facts.has(thing, elsewhere=thing in self.done.elsewhere)
            if has is not None and self._alone(thing, there):
                found[thing] = has is there
        return found

    def _alone(self, thing: Thing, there: bool) -> bool:
        home = self.done.homes.get(thing, "")
        if any(one.touches(thing, home) for one in self.later):
            return False
        if not there:
            # What is taken away was there before; else its absence says nothing.
            return any(one.leaves.get(thing) for _, one in self.earlier)
        return not any(
            mentions(source, thing) if one.unclear else one.names(thing) for source, one in self.earlier
        )

    @property
    def fits(self) -> bool:
        """Whether everything is as it would have left it."""
        return all(self._lasting.values())

    def own(self, rival: _Suspect, *, right: bool = True) -> list[Thing]:
        """What is as this one leaves it (or is not), and that the rival would have left alone."""
        return [
            thing
            for thing, is_right in self._lasting.items()
            if is_right is right and not rival._may_say_so(thing, self)
        ]

    def _may_say_so(self, thing: Thing, other: _Suspect) -> bool:
        """Whether a thing that the other makes or takes away may be made or taken away by this one too."""
        if not other.done.leaves[thing]:
            return self.done.touches(thing, other.done.homes.get(thing, ""))
        return self.done.names(thing)
