"""Many objects at once, in bounded memory, and how far they are; never knows what is done with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

from raccord.objects.model import Readable
from raccord.objects.s3 import IN_PARTS, SINGLE

JOBS = 32
MEMORY = 128 << 20  # bytes in all that objects on their way may take
INTERVAL = 0.5  # seconds between two lines of progress


class Sized(Protocol):
    """Something whose bytes travel."""

    @property
    def size(self) -> int:
        """How many."""


T = TypeVar("T", bound=Sized)


def _weight(size: int) -> int:
    """What it takes to have an object on its way: small ones are whole in memory, of others some parts."""
    return 2 * size if size <= SINGLE else IN_PARTS


class Budget:
    """Bytes that may be taken, and are given back."""

    def __init__(self, limit: int = MEMORY) -> None:
        self._free, self._limit = limit, limit
        self._changed = threading.Condition()

    def take(self, wanted: int) -> int:
        """Waits for them; more than there are in all is all."""
        wanted = min(wanted, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        return wanted

    def give(self, taken: int) -> None:
        """Gives them back."""
        with self._changed:
            self._free += taken
            self._changed.notify_all()


class Progress:
    """Says how far it is: count, bytes, rate, time left."""

    def __init__(self, say: Callable[[str], None], count: int, size: int, verb: str) -> None:
        self._say, self._count, self._size, self._verb = say, count, size, verb
        self._lock = threading.Lock()
        self._done, self._bytes = 0, 0
        self._began = self._said = time.monotonic()

    def moved(self, number: int) -> None:
        """So many bytes more."""
        with self._lock:
            self._bytes += number
            self._tell()

    def ended(self) -> None:
        """One object more."""
        with self._lock:
            self._done += 1
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._said < INTERVAL:
            return
        self._said = now
        rate = self._bytes / max(now - self._began, 0.001)
        left = (
            f", {(self._size - self._bytes) / rate:.0f} s left" if rate and self._size > self._bytes else ""
        )
        self._say(
            f"{self._verb} {self._done} of {self._count} objects, {self._bytes / 1e6:.1f} of"
            f" {self._size / 1e6:.1f} MB, {rate / 1e6:.1f} MB/s{left}"
        )


def each(items: Iterable[T], work: Callable[[T], None], cancelled: Callable[[], bool]) -> None:
    """Calls `work` for each item, many at once.

    Raises:
        KeyboardInterrupt: a person asked to stop; those at work were finished.
        Exception: the first that `work` raised; those at work were finished, the others were not begun.
    """
    waiting = iter(items)
    lock, budget = threading.Lock(), Budget()
    failed: list[BaseException] = []

    def next_one() -> Iterator[T]:
        while not failed:
            if cancelled():
                failed.append(KeyboardInterrupt())
                return
            with lock:
                one = next(waiting, None)
            if one is None:
                return
            yield one

    def worker() -> None:
        for one in next_one():
            taken = budget.take(_weight(one.size))
            try:
                work(one)
            except BaseException as error:  # noqa: BLE001 - raised below, once the others are through
                failed.append(error)
            finally:
                budget.give(taken)

    with ThreadPoolExecutor(JOBS, thread_name_prefix="object") as pool:
        try:
            wait([pool.submit(worker) for _ in range(JOBS)])
        except BaseException as error:  # noqa: BLE001 - Ctrl-C, raised below: no worker begins another
            failed.append(error)
    if failed:
        raise failed[0]


def drained(store: Readable, key: str, etag: str, take: Sequence[Callable[[bytes], object]]) -> None:
    """Reads one version of an object into what takes its bytes, such as a digest.

    Raises:
        WorldMoved: another version is there.
    """
    with store.read(key, etag) as reading:
        for chunk in reading.chunks:
            for one in take:
                one(chunk)
