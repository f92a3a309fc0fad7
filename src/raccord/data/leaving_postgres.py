"""Rows of PostgreSQL on their way into files: of one state of a server, in the forms of COPY.

Writes nothing there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from raccord.data import observe, outline
from raccord.data.closure import by_closure, closed, keyed, parents
from raccord.data.compare import digest
from raccord.data.csv_set import FORM
from raccord.data.difference import Digest
from raccord.data.fit import unfit
from raccord.data.leaving import Going, Packed, Write
from raccord.data.manifest import Came
from raccord.data.masks import Salt
from raccord.data.obstacles import guarded, unread
from raccord.data.order import ordered
from raccord.data.pace import Pace
from raccord.data.pairs import Pair, pairs
from raccord.data.scope import scope
from raccord.data.spec import ALL, REPLACE, Spec
from raccord.data.stage import one_row
from raccord.data.transaction import looking
from raccord.database import postgres, pump
from raccord.database.tables import Name, identifier
from raccord.database.types_postgres import portable
from raccord.database.url import Target
from raccord.errors import CannotRun


@contextlib.contextmanager
def leaving(target: Target, spec: Spec) -> Iterator[_Leaving]:
    """See `kinds.Kind`."""
    with postgres.connected(target, name=postgres.ROWS) as db, looking(db, target, spec):
        yield _Leaving(db)


@dataclass(frozen=True, slots=True)
class _Leaving:
    """See `leaving.Leaving`."""

    db: postgres.Connection

    def going(self, spec: Spec, salt: Salt) -> Going:
        """What it has of a set."""
        return going(self.db, spec, salt)

    def digest(self, pair: Pair) -> Digest:
        """What the rows of a table come to."""
        return digest(self.db, pair, source=True)

    def came(self, pair: Pair) -> Digest | None:
        """What the keys that came by closure come to."""
        return digest(self.db, by_closure(pair), source=True) if pair.closure else None

    def packed(self, pair: Pair, say: Callable[[str], None], write: Write) -> Packed:
        """Writes the rows of a table."""
        say(f"summing up {pair.shown}")
        found = outline.outlined(self.db, pair)
        sums = self.digest(pair) if found is None else found.sums.digest
        said = outline.packed(found) if found is not None else b""
        told = write(iter([said])) if said else None
        keys = self.came(pair)
        form = pump.BINARY if pair.binary else ""
        came = None if keys is None else Came(keys, write(pump.given(self.db, keyed(pair), form)))
        pace = Pace(say, f"writing {pair.shown}", sums.rows)
        count: list[int] = []

        def blocks() -> Iterator[bytes]:
            for block in pump.given(self.db, _sent(pair), form, count.append):
                pace.add(len(block))
                yield block

        part = write(blocks())
        if count != [sums.rows]:
            raise CannotRun(f"{pair.shown} gave {count} rows, and was counted with {sums.rows}")
        return Packed(sums, part, told, came)

    def csv(self, pair: Pair, counted: Callable[[int], object]) -> Iterator[bytes]:
        """The same rows as CSV."""
        return pump.given(self.db, _sent(pair), FORM, counted)

    def sequences(self, pair: Pair) -> dict[str, int]:
        """The last numbers of sequences."""
        return _sequences(self.db, pair)


def _sent(pair: Pair) -> str:
    listed = ", ".join(f"r.{identifier(name)}" for name in pair.columns)
    return f"select {listed} from {scope(pair, source=True)} r"


def going(db: postgres.Connection, spec: Spec, salt: Salt) -> Going:
    """What a set has where it comes from. Its masks are tried."""
    tables, unmatched = observe.sources(db, spec)
    outside: set[Name] = set()
    while spec.closure == ALL and (more := parents(tables) - outside):
        outside |= more
        tables |= observe.named_tables(db, more)
    # Any mode may be chosen when the archive is read.
    found = pairs(replace(spec, mode=REPLACE), tables, tables, salt)
    if spec.closure and not (unmatched or found.refused):
        found = closed(db, None, found, outside)
    refused = [*unmatched, *found.refused]
    for pair in found.tables:
        refused += unread(spec, pair)
        if pair.source.policies:
            refused.append(guarded(pair.source, spec.origin))
    if not refused:
        refused += unfit(db, db, found.tables)
    by_name = {pair.id: pair for pair in found.tables}
    listed = tuple(by_name[one] for one in ordered([pair.source for pair in found.tables]).tables)
    server = f"PostgreSQL {one_row(db, 'show server_version')[0]}"
    return Going(tuple(map(_carried, listed)), tuple(refused), found.notes, server)


def _carried(pair: Pair) -> Pair:
    # Nobody knows yet how another server numbers its types.
    return replace(pair, binary=all(portable(pair.column(name).binary) for name in pair.columns))


def _sequences(db: postgres.Connection, pair: Pair) -> dict[str, int]:
    found = {}
    for name in pair.columns:
        sequence = pair.column(name).sequence
        if sequence is not None:
            # The view has no number where there is none yet, or where the role may not see it.
            asked = db.execute(
                "select last_value from pg_sequences where (schemaname, sequencename) = (%s, %s)", sequence
            ).fetchone()
            if asked is not None and asked[0] is not None:
                found[name] = int(asked[0])
    return found
