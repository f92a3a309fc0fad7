"""Finds how the rows of two PostgreSQL databases differ: blocks of keys first, then rows of differing blocks.

Both servers hash at the same time; what crosses the wire is a few numbers for each block, and a key and a
hash for each row of a block that differs. Memory doesn't grow with the tables. Nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, TypeVar

from raccord.data.blocks import Rows, blockwise, differing, summed
from raccord.data.difference import MOST, Difference, Digest, Key
from raccord.data.pairs import Pair, hidden
from raccord.data.scope import WHOLE, Blocks, scope, total
from raccord.database import postgres
from raccord.database.tables import identifier

T = TypeVar("T")

BLOCK_ROWS = 32
MOST_BLOCKS = 1 << 16
KEPT_KEYS = 100_000  # differing rows whose keys are remembered; with more, all rows travel
SAMPLED = 64  # blocks that are looked at to know that share
ROUND = 1 << 16  # a plan says where blocks begin, and no row's own key
CANCEL_SECONDS = 0.2  # between attempts to end what a server does
SPARSE = 64  # numbers for each row, beyond which they are no dense range


def both(
    first: Callable[[], T], second: Callable[[], T], using: Sequence[postgres.Connection] = ()
) -> tuple[T, T]:
    """Does two things at once; where both fail the first error is raised.

    Args:
        using: what is asked; a Ctrl-C ends the questions, as it reaches no other thread.
    """
    asked: list[Future[T]] = []
    with ThreadPoolExecutor(2) as pool:
        try:
            asked.extend(map(pool.submit, (first, second)))
            return asked[0].result(), asked[1].result()
        except KeyboardInterrupt:
            # A thread between two questions asks the next one after the first cancel, which ended nothing.
            while True:
                postgres.cancel(*using)
                if not wait(asked, CANCEL_SECONDS).not_done:
                    raise


def difference(
    one: postgres.Connection,
    two: postgres.Connection,
    pair: Pair,
    *,
    samples: int = 0,
    estimate: bool = False,
) -> Difference:
    """How a table's rows differ between two databases.

    Args:
        one, two: connections to source and target, each in a transaction that sees one state.
        samples: of how many changed rows the keys are given.
        estimate: whether it will do to know about how many differ, where that is most of very many.
    """
    blocks = gathered(one, two, pair)
    ours, theirs = both(
        lambda: summed(one, pair, blocks, source=True),
        lambda: summed(two, pair, blocks, source=False),
        (one, two),
    )
    source, target = ours.digest, theirs.digest
    found = differing(ours, theirs)
    numbers, every = tuple(found.sizes), found.every
    if not numbers:
        return Difference(pair, source, target)
    if not source.rows or not target.rows:
        return Difference(pair, source, target, source.rows, 0, target.rows, None, None)
    if estimate and max(source.rows, target.rows) > KEPT_KEYS and len(numbers) > every * MOST:
        few = min(SAMPLED, len(numbers))
        some = [numbers[at * len(numbers) // few] for at in range(few)]
        seen = _rowwise(one, two, pair, blocks, some, some)
        looked = sum(found.sizes[number] for number in some)
        share = (seen.added + seen.changed + seen.removed) / looked * len(numbers) / every
        if share >= MOST:
            return Difference(
                pair, source, target, source.rows, 0, target.rows, None, None, share=min(share, 1.0)
            )
    chosen = None if len(numbers) > every // 2 else numbers
    told = _rowwise(one, two, pair, blocks, numbers, chosen, samples=samples)
    return replace(told, source=source, target=target, blocks=blocks, numbers=numbers, touched=found.touched)


def again(
    one: postgres.Connection, two: postgres.Connection, pair: Pair, blocks: Blocks, numbers: Sequence[int]
) -> Difference:
    """How the rows of some blocks differ by now; nothing is said of the others."""
    return _rowwise(one, two, pair, blocks, numbers, numbers)


def _rowwise(
    one: postgres.Connection, two: postgres.Connection, pair: Pair, blocks: Blocks, numbers: Iterable[int],
    chosen: Sequence[int] | None, *, samples: int = 0,
) -> Difference:  # fmt: skip
    count = _Count(samples)
    wanted = frozenset(numbers)
    mine, other = both(
        lambda: _begun(blockwise(one, pair, blocks, chosen, source=True)),
        lambda: _begun(blockwise(two, pair, blocks, chosen, source=False)),
        (one, two),
    )
    for number, left, right in _joined(mine, other):
        if number not in wanted:
            continue
        if pair.key:
            count.keyed(left, right)
        else:
            count.counted(Counter(left), Counter(right))
    known = count.known
    return Difference(
        pair, Digest(), Digest(), count.added, count.changed, count.removed,
        tuple(count.puts) if known else None, tuple(count.gone) if known else None, tuple(count.differing),
    )  # fmt: skip


def digest(db: postgres.Connection, pair: Pair, *, source: bool = False) -> Digest:
    """What all rows of one side come to."""
    found = db.execute(total(pair, source=source).encode()).fetchone()
    assert found is not None
    return Digest(found[0], found[1] or 0, int(found[2] or 0))


@dataclass(slots=True)
class _Count:
    samples: int
    added: int = 0
    changed: int = 0
    removed: int = 0
    known: bool = True
    puts: list[Key] = field(default_factory=list)
    gone: list[Key] = field(default_factory=list)
    differing: list[Key] = field(default_factory=list)

    def keyed(self, left: Rows, right: Rows) -> None:
        other = [key for key, hash_ in left.items() if right.get(key) != hash_]
        added = _texts(key for key in other if key not in right)
        changed = _texts(key for key in other if key in right)
        gone = _texts(key for key in right if key not in left)
        self.added += len(added)
        self.changed += len(changed)
        self.removed += len(gone)
        self.differing += changed[: max(0, self.samples - len(self.differing))]
        if self.known and len(self.puts) + len(self.gone) + len(added) + len(changed) + len(gone) > KEPT_KEYS:
            self.known = False
            self.puts.clear()
            self.gone.clear()
        if self.known:
            self.puts += added
            self.puts += changed
            self.gone += gone

    def counted(self, left: Counter[Key | int], right: Counter[Key | int]) -> None:
        self.known = False
        self.added += (left - right).total()
        self.removed += (right - left).total()


def _texts(keys: Iterable[Key | int]) -> list[Key]:
    return [(str(key),) if isinstance(key, int) else key for key in keys]


def gathered(one: postgres.Connection, two: postgres.Connection, pair: Pair) -> Blocks:
    """Blocks that are good for both sides."""
    about = max(pair.source.rows, pair.target.rows)
    if about < 0:
        about = max(both(lambda: _rows(one, pair, True), lambda: _rows(two, pair, False), (one, two)))
    if ranged(pair):
        sides = both(lambda: ends(one, pair, source=True), lambda: ends(two, pair, source=False), (one, two))
        known = [end for side in sides for end in side if end is not None]
        if known and max(known) - min(known) < SPARSE * max(about, 1):
            low = min(known)
            span = max(known) - low + 1
            first = low - low % ROUND if low > -(1 << 62) else low
            return Blocks(max(1, span * BLOCK_ROWS // max(about, BLOCK_ROWS), -(-span // MOST_BLOCKS)), first)
    number = 1
    while number < min(about // BLOCK_ROWS, MOST_BLOCKS):
        number *= 2
    return Blocks(number)


def ranged(pair: Pair) -> bool:
    """Whether ranges of its key may be blocks: of one whole number, as it is."""
    return len(pair.key) == 1 and pair.column(pair.key[0]).type in WHOLE and not hidden(pair, pair.key[0])


def ends(db: postgres.Connection, pair: Pair, *, source: bool) -> tuple[int | None, int | None]:
    """The lowest and the highest number of its key, None where there is no row."""
    name = identifier(pair.key[0])
    low, high = _ask(db, pair, f"min({name})::bigint, max({name})::bigint", source=source)
    return low, high


def roughly(db: postgres.Connection, pair: Pair) -> int:
    """How many rows a table has where they come from: by its statistics, counted where there are none."""
    return pair.source.rows if pair.source.rows >= 0 else _rows(db, pair, True)


def _rows(db: postgres.Connection, pair: Pair, source: bool) -> int:
    return int(_ask(db, pair, "count(*)", source=source)[0])


def _ask(db: postgres.Connection, pair: Pair, what: str, *, source: bool) -> tuple[Any, ...]:
    found = db.execute(f"select {what} from {scope(pair, source=source)} r".encode()).fetchone()
    assert found is not None
    return found


def _begun(blocks: Iterator[tuple[int, Rows]]) -> Iterator[tuple[int, Rows]]:
    """The same, once the server has found the first."""
    return chain([*islice(blocks, 1)], blocks)


def _joined(
    mine: Iterator[tuple[int, Rows]], other: Iterator[tuple[int, Rows]]
) -> Iterator[tuple[int, Rows, Rows]]:
    """Blocks of both sides that belong together, by their numbers."""
    left, right = next(mine, None), next(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield *left, {}
            left = next(mine, None)
        elif left is None or right[0] < left[0]:
            yield right[0], {}, right[1]
            right = next(other, None)
        else:
            yield *left, right[1]
            left, right = next(mine, None), next(other, None)
