"""What an archive says of a large table besides its rows, so that a plan need not load them: what its blocks
come to, and the hashes of a few blocks' rows.

Nothing of it is believed further than that: a push proves what it wrote. Reading it makes no SQL of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from struct import error as Error

from raccord.data.blocks import Rows, Sums, blockwise, differing, summed
from raccord.data.compare import KEPT_KEYS, MOST_BLOCKS, SAMPLED, ends, gathered, ranged, roughly
from raccord.data.difference import MOST, Digest, Key
from raccord.data.pairs import Pair
from raccord.data.scope import Blocks
from raccord.database import postgres

LARGEST = 1 << 24  # bytes
MOST_ROWS = 1 << 12  # of a block that is looked at
FEWEST = 16  # blocks of which a share can be told


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a table's rows.

    Attributes:
        key: what tells them apart.
        sampled: the rows of some blocks, by their numbers.
    """

    key: tuple[str, ...]
    blocks: Blocks
    sums: Sums
    sampled: Mapping[int, Rows]


def outlined(db: postgres.Connection, pair: Pair) -> Outline | None:
    """That of a table where it comes from; None where it is small enough to be loaded.

    Args:
        pair: the table with itself.
    """
    if roughly(db, pair) <= KEPT_KEYS:
        return None
    blocks = gathered(db, db, pair)
    sums = summed(db, pair, blocks, source=True)
    numbers = sorted(differing(sums, Sums(Digest(), {})).sizes)
    few = min(SAMPLED, len(numbers))
    some = sorted({numbers[at * len(numbers) // few] for at in range(few)})
    return Outline(pair.key, blocks, sums, dict(blockwise(db, pair, blocks, some, source=True)))


def packed(one: Outline) -> bytes:
    """Itself as bytes, b"" where these would be too many."""
    said = json.dumps(
        {
            "key": one.key,
            "blocks": [one.blocks.count, one.blocks.first],
            "sums": [
                [part, base64.b64encode(sums).decode(), totals]
                for part, (sums, totals) in one.sums.parts.items()
            ],
            "sampled": [[number, list(rows.items())] for number, rows in one.sampled.items()],
            "digest": str(one.sums.digest),
        }
    ).encode()
    return said if len(said) <= LARGEST else b""


def parse(said: bytes) -> Outline:
    """Reads `packed` back, with distrust.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(said)
        count, first = found["blocks"]
        parts = {
            _whole(part): (base64.b64decode(sums, validate=True), str(totals))
            for part, sums, totals in found["sums"]
        }
        sampled: dict[int, Rows] = {
            _whole(number): {_key(key): _whole(hash_) for key, hash_ in rows}
            for number, rows in found["sampled"]
        }
        if not 0 < _whole(count) < 1 << 62 or (first is not None and abs(_whole(first)) >= 1 << 62):
            raise ValueError("blocks")
        sums = Sums(Digest.parse(found["digest"]), parts)
        for part in parts:
            sums.of(part)
        return Outline(tuple(map(str, found["key"])), Blocks(count, first), sums, sampled)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError, Error) as error:
        raise ValueError(type(error).__name__) from None


def _key(said: object) -> Key | int:
    return tuple(map(str, said)) if isinstance(said, list) else _whole(said)


def _whole(said: object) -> int:
    if type(said) is not int or abs(said) >= 1 << 64:
        raise ValueError("number")
    return said


def fits(db: postgres.Connection, pair: Pair, one: Outline) -> bool:
    """Whether a target's rows can be gathered into the same blocks, and not too many."""
    if one.key != pair.key:
        return False
    if one.blocks.first is None:
        return one.blocks.count <= MOST_BLOCKS and one.blocks.count & (one.blocks.count - 1) == 0
    if not ranged(pair):
        return False
    low, high = ends(db, pair, source=False)
    if low is None or high is None:
        return True
    return low >= one.blocks.first and (high - one.blocks.first) // one.blocks.count <= 2 * MOST_BLOCKS


def share(db: postgres.Connection, pair: Pair, one: Outline, theirs: Sums) -> float | None:
    """About what share of the rows differs.

    Args:
        theirs: what the target's rows come to.

    Returns:
        None where that can't be told, or it is better to know it one by one.
    """
    found = differing(one.sums, theirs)
    if len(found.sizes) <= found.every * MOST:
        return None
    some = [number for number in sorted(one.sampled) if number in found.sizes]
    if len(some) < FEWEST or max(found.sizes[number] for number in some) > MOST_ROWS:
        return None
    there = dict(blockwise(db, pair, one.blocks, some, source=False))
    differ = sum(_differing(one.sampled[number], there.get(number, {}), bool(pair.key)) for number in some)
    looked = sum(found.sizes[number] for number in some)
    told = differ / looked * len(found.sizes) / found.every
    return min(told, 1.0) if told >= MOST else None


def _differing(left: Rows, right: Rows, keyed: bool) -> int:
    keys = left.keys() | right.keys()
    if keyed:
        return sum(left.get(key) != right.get(key) for key in keys)
    return sum(abs(left.get(key, 0) - right.get(key, 0)) for key in keys)
