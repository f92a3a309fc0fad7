"""The SQL with which PostgreSQL is asked about the rows of a set: which they are, their keys, hashes, blocks.

Pure. A row's hash is made of what `tables.Column.bytes` makes of its values (see `hashed`); the same on
every server from release 14 on. Rows are gathered into blocks by their key, so that what is equal is told in
few numbers: of a dense whole number its ranges, else what a hash of the key says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raccord.data.pairs import Pair
from raccord.database.tables import Reference, Table, identifier

WHOLE = frozenset({"smallint", "integer", "bigint"})


def relation(pair: Pair, *, source: bool = False) -> str:
    """See `relation_of`."""
    return relation_of(pair.source if source else pair.target)


def relation_of(table: Table) -> str:
    """The table's name; a table whose rows others inherit is meant without them."""
    return ("" if table.kind == "partitioned" else "only ") + identifier(*table.id)


def scope(pair: Pair, *, source: bool = False, columns: Sequence[str] = ()) -> str:
    """The rows of the set, as a table to select from.

    Args:
        source: as the source sends them, with what is masked in its place.
        columns: other columns than those that travel.
    """
    said, own, brought = [], pair.sided(source), source and pair.brought
    for name in columns or pair.columns:
        mask = pair.masks.get(name) if source and not brought else None
        said.append(
            f"({mask}\n)::{own.column(name).type} as {identifier(name)}" if mask else identifier(name)
        )
    where = "" if brought else chosen(pair)
    return f"(select {', '.join(said)} from {relation(pair, source=source)}{where})"


def chosen(pair: Pair) -> str:
    """Which rows of the table those are: SQL that goes behind its name."""
    if not pair.closure:
        return f" where ({pair.where}\n)" if pair.where else ""
    of = identifier(pair.target.name)
    same = " and ".join(f"{of}.{identifier(name)} = raccord_k.k{at}" for at, name in enumerate(pair.key))
    return f" where (({pair.where}\n) or exists (select from pg_temp.{pair.closure} raccord_k where {same}))"


def hashed(pair: Pair, alias: str) -> str:
    """The hash of a row, of what travels of it.

    hash_record_extended only adds up what its parts come to: where two rows exchange a value, they cancel
    each other out in an exclusive or far too often. So it is hashed once more.
    """
    key = pair.key[0] if len(pair.key) == 1 and pair.column(pair.key[0]).type in WHOLE else ""
    parts = ", ".join(
        pair.column(name).bytes.replace("{}", f"{alias}.{identifier(name)}")
        for name in pair.columns
        if name != key
    )
    row = f"hash_record_extended(row({parts}), 0)" if parts else "0"
    if not key:
        return f"hashfloat8extended({row}::float8, 0)"  # the quickest way that there is
    # A whole number is mixed with the others' hash: it is quicker outside of the row. As part of the seed all
    # its 64 bits count, of which this function by itself keeps 32.
    number = f"({alias}.{identifier(key)})::bigint"
    return f"hashint8extended({number}, {row} # {number})"


def keys(pair: Pair, alias: str) -> list[str]:
    """The one text of each column of the key; of a table without one, the hash of the row."""
    if not pair.key:
        return [f"({hashed(pair, alias)})::text"]
    return [pair.column(name).key.replace("{}", f"{alias}.{identifier(name)}") for name in pair.key]


def types(pair: Pair) -> list[str]:
    """The types of the key's columns."""
    return [pair.column(name).type for name in pair.key]


@dataclass(frozen=True, slots=True)
class Blocks:
    """How rows are gathered into blocks.

    Attributes:
        count: how many, a power of two; or how many whole numbers a block holds.
        first: where the numbers begin; None where a hash decides.
    """

    count: int
    first: int | None = None

    def of(self, pair: Pair, alias: str) -> str:
        """SQL for the block of a row."""
        if self.first is not None:
            return f"(({alias}.{identifier(pair.key[0])})::bigint - ({self.first})) / {self.count}"
        if not pair.key:
            return f"{hashed(pair, alias)} & {self.count - 1}"
        texts = ", ".join(f"textsend({one})" for one in keys(pair, alias))
        return f"hash_record_extended(row({texts}), 1) & {self.count - 1}"


def total(pair: Pair, *, source: bool) -> str:
    """Asks how many rows there are, and for both sums of their hashes."""
    twice = "sum(h)::text" if not pair.key else "''"
    inner = f"select {hashed(pair.sided(source), 'r')} as h from {scope(pair, source=source)} r"
    return f"select count(*), bit_xor(h), {twice} from ({inner}) x"


def matched(pair: Pair, one: str, other: str) -> str:
    """SQL for two rows with one key."""
    return " and ".join(f"{one}.{identifier(name)} = {other}.{identifier(name)}" for name in pair.key)


def meets(one: Reference, child: str, parent: str) -> str:
    """SQL for a row that refers to another by a foreign key."""
    return " and ".join(
        f"{child}.{identifier(mine)} = {parent}.{identifier(theirs)}"
        for mine, theirs in zip(one.columns, one.refs, strict=True)
    )


def literal(texts: Iterable[str]) -> str:
    """An array of texts as SQL."""
    items = ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "E'" + ("{" + items + "}").replace("\\", "\\\\").replace("'", "\\'") + "'::text[]"


def named(pair: Pair, keys_: Sequence[tuple[str, ...]], alias: str) -> str:
    """Rows of keys, as a table to join with: columns k0, k1, …, of the key's own types."""
    arrays = ", ".join(literal(key[at] for key in keys_) for at in range(len(pair.key)))
    texts = ", ".join(f"t{at}" for at in range(len(pair.key)))
    casts = ", ".join(f"t{at}::{kind} as k{at}" for at, kind in enumerate(types(pair)))
    return f"(select {casts} from unnest({arrays}) u({texts})) {alias}"


def is_named(pair: Pair, alias: str, row: str) -> str:
    """SQL for a row whose key is one of `named`."""
    return " and ".join(f"{row}.{identifier(name)} = {alias}.k{at}" for at, name in enumerate(pair.key))
