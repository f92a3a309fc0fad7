"""Some rows that differ, value by value, for a person to see: long values cut, secret ones never shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raccord.data.difference import LONGEST, Cells, Key, cell, told_key
from raccord.data.pairs import Pair
from raccord.data.scope import is_named, keys, named, scope
from raccord.database import postgres
from raccord.database.tables import identifier

COLUMNS = 500  # of which one query asks: PostgreSQL gives no more than 1,664 values in a row


def differing(
    one: postgres.Connection, two: postgres.Connection, pair: Pair, chosen: Sequence[Key]
) -> Iterator[tuple[Key, Cells]]:
    """The values that differ of some rows that both sides have."""
    if not chosen:
        return
    ours, theirs = _values(one, pair, chosen, source=True), _values(two, pair, chosen, source=False)
    for key in chosen:
        mine, other = ours.get(key), theirs.get(key)
        if mine is None or other is None:
            continue
        yield (
            told_key(pair, key),
            tuple(
                cell(name, mine[at][0], other[at][0], secret=name in pair.secret)
                for at, name in enumerate(pair.columns)
                if mine[at][1] != other[at][1] or mine[at][0] != other[at][0]
            ),
        )


Value = tuple[str | None, int | None]


def _values(
    db: postgres.Connection, pair: Pair, chosen: Sequence[Key], *, source: bool
) -> dict[Key, list[Value]]:
    """For each key the values: the beginning of their text, and a hash of what they are."""
    found: dict[Key, list[Value]] = {}
    of, own = scope(pair, source=source), pair.sided(source)
    texts = keys(own, "r")
    width = len(texts)
    for start in range(0, len(pair.columns), COLUMNS):
        said = []
        for name in pair.columns[start : start + COLUMNS]:
            column = f"r.{identifier(name)}"
            bytes_ = own.column(name).bytes.replace("{}", column)
            said.append(f"left({column}::text, {LONGEST + 1}), hash_record_extended(row({bytes_}), 0)")
        query = (
            f"select {', '.join(texts)}, {', '.join(said)} from {named(own, chosen, 'k')}"
            f" join {of} r on {is_named(own, 'k', 'r')}"
        )
        for row in db.execute(query.encode()):
            values = found.setdefault(tuple(row[:width]), [])
            values += [(row[at], row[at + 1]) for at in range(width, len(row), 2)]
    return found
