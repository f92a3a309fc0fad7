"""What the blocks of one side's rows come to, and the rows of some of them: asked for, and read.

The server packs many blocks, or the rows of one, into one value: a message for each would be longer than what
it says, and would take this process longer to read than the server takes to hash. Nothing is written.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from raccord.data.difference import Digest, Key
from raccord.data.pairs import Pair
from raccord.data.scope import Blocks, hashed, keys, scope
from raccord.database import postgres
from raccord.database.tables import identifier

PART = 10  # bits of a block's number within the value that many come in
FETCH = 500  # blocks whose rows are asked for at once, or as many as have
FETCH_ROWS = 1 << 16  # so many rows at most; and never those of more
MOST_FETCHED = 1 << 20
_SUM = struct.Struct(">hqq")  # which block, how many rows, the exclusive or of their hashes
_RAW = struct.Struct(f"{_SUM.size}s")  # the same, as it came
_TIMES = struct.Struct(">qq")  # a hash, and how many rows have it
_NUMBERS = count()

# The hash of each key, a whole number as itself; of a table without one, how many rows have that hash.
Rows = dict[Key | int, int]
Sum = tuple[bytes] | tuple[bytes, str]  # what a block of a part comes to: `_SUM`, the sum of its hashes


@dataclass(frozen=True, slots=True)
class Sums:
    """What all blocks of one side come to.

    Attributes:
        digest: what they come to together.
        parts: by the upper bits of their numbers, what the server packed; of a table without a key also the
            sums of hashes, in decimal.
    """

    digest: Digest
    parts: Mapping[int, tuple[bytes, str]]

    def of(self, part: int) -> set[Sum]:
        """The blocks of a part."""
        packed, totals = self.parts.get(part, (b"", ""))
        found: Iterator[tuple[bytes]] = _RAW.iter_unpack(packed)
        if not totals:
            return {*found}
        return {(raw, total) for (raw,), total in zip(found, totals.split(","), strict=True)}


@dataclass(frozen=True, slots=True)
class Differing:
    """Which blocks differ.

    Attributes:
        sizes: their numbers, in order, and how many rows each has on the side that has more.
        every: how many blocks there are.
        touched: what their rows come to in the source, of a table with a key.
    """

    sizes: Mapping[int, int]
    every: int
    touched: Digest


def summed(db: postgres.Connection, pair: Pair, blocks: Blocks, *, source: bool) -> Sums:
    """What the blocks of one side come to."""
    with db.cursor(binary=True) as cursor:
        found = cursor.execute(_summed(pair, blocks, source=source).encode()).fetchall()
    rows = xor = total = 0
    for _, one, two, three, *_ in found:
        rows, xor, total = rows + one, xor ^ two, total + int(three or 0)
    return Sums(Digest(rows, xor, total), {part: (packed, sums or "") for part, *_, packed, sums in found})


def differing(ours: Sums, theirs: Sums) -> Differing:
    """Compares the blocks of source and target."""
    sizes: dict[int, int] = {}
    every = touched_rows = touched_xor = 0
    for part in sorted(ours.parts.keys() | theirs.parts.keys()):
        if ours.parts.get(part) == theirs.parts.get(part):
            every += len(ours.parts[part][0]) // _SUM.size
            continue
        left, right = ours.of(part), theirs.of(part)
        mine, other = ([_SUM.unpack(one[0]) for one in side] for side in (left - right, right - left))
        numbers = {one[0] for one in mine} | {one[0] for one in other}
        every += len(left & right) + len(numbers)
        first = part << PART
        for number, rows, _ in sorted(mine + other):
            sizes[first + number] = max(rows, sizes.get(first + number, 0))
        for _, rows, xor in mine:
            touched_rows, touched_xor = touched_rows + rows, touched_xor ^ xor
    return Differing(sizes, every, Digest(touched_rows, touched_xor))


def _summed(pair: Pair, blocks: Blocks, *, source: bool) -> str:
    """Asks what blocks come to. The second sum is of rows that may be there twice, which an exclusive or
    doesn't see."""
    twice = ", sum(h) as s" * (not pair.key)
    of, pair = scope(pair, source=source), pair.sided(source)
    # The union with nothing hides the column's statistics: by these the server would expect as many blocks as
    # rows, and gather them in one process.
    many = f"(select * from {of} s union all select * from {of} s where false) r"
    inner = f"select {blocks.of(pair, 'r')} as b, {hashed(pair, 'r')} as h from {many}"
    sums = "sum(s)::text", "string_agg(s::text, ',' order by b)"
    total, totals = ("null::text",) * 2 if pair.key else sums
    packed = f"int2send((b & {(1 << PART) - 1})::int2) || int8send(n) || int8send(x)"
    return (
        f"select (b >> {PART})::bigint, sum(n)::bigint, bit_xor(x), {total},"
        f" string_agg({packed}, ''::bytea order by b), {totals}"
        f" from (select b, count(*) as n, bit_xor(h) as x{twice} from ({inner}) i group by b) y group by 1"
    )


def blockwise(
    db: postgres.Connection, pair: Pair, blocks: Blocks, chosen: Sequence[int] | None, *, source: bool
) -> Iterator[tuple[int, Rows]]:
    """The rows of some blocks, in the order of their numbers; None for all blocks."""
    # Both sides may be one session.
    with db.cursor(name=f"raccord_rows_{next(_NUMBERS)}", binary=True) as cursor:
        if blocks.first is None:
            cursor.itersize = FETCH
        else:
            least = min(FETCH, MOST_FETCHED // blocks.count)
            cursor.itersize = max(1, least, FETCH_ROWS // blocks.count)
        cursor.execute(_rows(pair, blocks, chosen, source=source).encode())
        for number, packed, names in cursor:
            if names is None:
                yield number, {(str(hash_),): times for hash_, times in _TIMES.iter_unpack(packed)}
                continue
            hashes = struct.unpack(f">{len(packed) // 8}q", packed)
            if isinstance(names, bytes):
                yield number, dict(zip(struct.unpack(f">{len(hashes)}q", names), hashes, strict=True))
            else:
                yield number, dict(zip(map(tuple, json.loads(names)), hashes, strict=True))


def touched(db: postgres.Connection, pair: Pair, blocks: Blocks, numbers: Sequence[int]) -> Digest:
    """What the target's rows in some blocks come to, which are ranges of its key."""
    one = _ranged(pair, blocks, f"{hashed(pair, 'r')} as h", scope(pair))
    of = f"unnest({_listed(numbers)}) c(b) cross join lateral ({one}) x"
    found = db.execute(f"select count(*), bit_xor(x.h) from {of}".encode()).fetchall()[0]
    return Digest(found[0], found[1] or 0)


def _listed(numbers: Sequence[int]) -> str:
    return "'{" + ",".join(map(str, numbers)) + "}'::bigint[]"


def _ranged(pair: Pair, blocks: Blocks, said: str, of: str) -> str:
    """Selects from the rows of the block `c.b`, by the key's index."""
    low, column = f"{blocks.first} + c.b * {blocks.count}", f"r.{identifier(pair.key[0])}"
    return f"select {said} from {of} r where {column} >= {low} and {column} < {low} + {blocks.count}"


def _rows(pair: Pair, blocks: Blocks, chosen: Sequence[int] | None, *, source: bool) -> str:
    """Asks for the rows of blocks: the block, hashes, keys."""
    of, pair = scope(pair, source=source), pair.sided(source)
    if blocks.first is not None:
        # Whole numbers come as such: as text they would take longer to make, to send and to read.
        name, told = f"r.{identifier(pair.key[0])}::bigint", "string_agg(int8send(k), ''::bytea)"
    else:
        name, told = f"array[{', '.join(keys(pair, 'r'))}]", "array_to_json(array_agg(k))::text"
    said = f"{hashed(pair, 'r')} as h" + f", {name} as k" * bool(pair.key)
    packed = f"string_agg(int8send(h), ''::bytea) as p, {told} as k"
    listed = _listed(chosen or ())
    if pair.key and chosen is not None and blocks.first is not None:
        return (
            f"select c.b, x.p, x.k from unnest({listed}) c(b) cross join lateral"
            f" (select {packed} from ({_ranged(pair, blocks, said, of)}) i) x"
            " where x.p is not null order by c.b"
        )
    block = blocks.of(pair, "r")
    some = "" if chosen is None else f" where {block} = any({listed})"
    inner = f"select ({block})::bigint as b, {said} from {of} r{some}"
    if pair.key:
        return f"select b, {packed} from ({inner}) i group by b order by b"
    # There may be very many equal rows.
    times = f"select b, h, count(*) as n from ({inner}) i group by b, h"
    pairs = "string_agg(int8send(h) || int8send(n), ''::bytea)"
    return f"select b, {pairs}, null::text from ({times}) y group by b order by b"
