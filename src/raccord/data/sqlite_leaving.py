"""Rows of a SQLite file on their way into files: of one state of it. Writes nothing there."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from raccord.data import sqlite_csv, sqlite_rows
from raccord.data.difference import Digest
from raccord.data.leaving import Going, Packed, Write
from raccord.data.manifest import LONGEST_NAME
from raccord.data.masks import Salt
from raccord.data.order import ordered
from raccord.data.pace import Pace
from raccord.data.pairs import Pair, pairs
from raccord.data.spec import REPLACE, Spec
from raccord.data.sqlite_look import sources, unclosed
from raccord.data.sqlite_rows import Row
from raccord.data.sqlite_session import Session, reading
from raccord.data.sqlite_sql import sent
from raccord.database.url import Target
from raccord.model.plan import Finding
from raccord.model.text import shown


@contextlib.contextmanager
def leaving(target: Target, spec: Spec) -> Iterator[_Leaving]:
    """See `kinds.Kind`."""
    with reading(target, spec) as (one, _):
        yield _Leaving(one)


@dataclass(slots=True)
class _Sums:
    """What rows come to: how many they are, and a hash of the bytes that they become, in their order.

    Two tables with the same rows may come to something else. An export that goes on then writes one again.
    """

    rows: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)

    def counted(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows, counted."""
        for row in rows:
            self.rows += 1
            yield row

    def hashed(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The bytes, hashed."""
        for block in blocks:
            self._hash.update(block)
            yield block

    @property
    def digest(self) -> Digest:
        """Both."""
        found = self._hash.digest()
        return Digest(self.rows, *(int.from_bytes(found[at : at + 8], "big") for at in (0, 8)))


@dataclass(frozen=True, slots=True)
class _Leaving:
    """See `leaving.Leaving`."""

    one: Session

    def going(self, spec: Spec, salt: Salt) -> Going:
        """What it has of a set."""
        tables, findings = sources(self.one.db, spec)
        # Any mode may be chosen when the files are read.
        found = pairs(replace(spec, mode=REPLACE), tables, tables, salt)
        refused = [*findings.refused, *unclosed(spec, spec.origin), *found.refused]
        for pair in found.tables:
            refused += _unnamed(pair)
        named = {pair.id: pair for pair in found.tables}
        if not refused:
            # A condition or a mask that is no SQL is found here.
            for name, pair in named.items():
                self.one.ask(f"select 1 from ({sent(pair)}) limit 0").fetchall()
                rows = self.one.number(f"select count(*) from ({sent(replace(pair, masks={}))})")
                named[name] = replace(pair, source=replace(pair.source, rows=rows))
        order = ordered([pair.source for pair in found.tables]).tables
        version = self.one.ask("select sqlite_version()").fetchone()[0]
        return Going(
            tuple(named[name] for name in order), tuple(refused), (*found.notes, *findings.notes),
            f"SQLite {version}",
        )  # fmt: skip

    def digest(self, pair: Pair) -> Digest:
        """What the rows of a table come to."""
        sums = _Sums()
        for _ in self._packed(pair, sums):
            pass
        return sums.digest

    def came(self, pair: Pair) -> Digest | None:
        """Nothing: there are no closures."""
        return None

    def packed(self, pair: Pair, say: Callable[[str], None], write: Write) -> Packed:
        """Writes the rows of a table, and sums them up on the way."""
        sums, pace = _Sums(), Pace(say, f"writing {pair.shown}", pair.source.rows)

        def blocks() -> Iterator[bytes]:
            for block in self._packed(pair, sums):
                pace.add(len(block))
                yield block

        part = write(blocks())
        return Packed(sums.digest, part)

    def _packed(self, pair: Pair, sums: _Sums) -> Iterator[bytes]:
        return sums.hashed(sqlite_rows.packed(sums.counted(self.one.rows(sent(pair)))))

    def csv(self, pair: Pair, counted: Callable[[int], object]) -> Iterator[bytes]:
        """The same rows as CSV."""
        sums = _Sums()
        yield from sqlite_csv.written(pair.columns, sums.counted(self.one.rows(sent(pair))))
        counted(sums.rows)

    def sequences(self, pair: Pair) -> dict[str, int]:
        """The last number of AUTOINCREMENT."""
        keys = next((one.columns for one in pair.source.uniques if one.primary), ())
        if len(keys) != 1 or keys[0] not in pair.columns:
            return {}
        there = self.one.number("select count(*) from sqlite_schema where name = 'sqlite_sequence'")
        query = "select seq from sqlite_sequence where name = ? and typeof(seq) = 'integer'"
        found = self.one.ask(query, [pair.source.name]).fetchone() if there else None
        return {keys[0]: int(found[0])} if found else {}


def _unnamed(pair: Pair) -> list[Finding]:
    """Names that no file says of anything."""
    names = [pair.source.name, *(column.name for column in pair.source.columns)]
    bad = [name for name in names if not 0 < len(name) <= LONGEST_NAME or "\0" in name]
    if not bad:
        return []
    said = f"{pair.shown} has the name {shown(bad[0][:LONGEST_NAME]) or 'of no letters'}, which no file holds"
    return [Finding("data.name", "fail", said, "rename it, or raccord data push")]
