"""Bytes that are made in a thread of their own, a few chunks ahead of whoever takes them.

obstore can't be called from an iterator that obstore itself asks for bytes, as one bucket's object read into
another bucket's would.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator

AHEAD = 1  # chunks
PATIENCE = 0.1  # seconds between two looks at whether anybody still takes them


@contextlib.contextmanager
def fed(data: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """The same bytes, and the same exceptions; whatever becomes of them, the thread ends with the block."""
    waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(AHEAD)
    over = threading.Event()

    def hand(one: bytes | BaseException | None) -> bool:
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(one, timeout=PATIENCE)
                return True
        return False

    def feed() -> None:
        try:
            for chunk in data:
                if not hand(chunk):
                    return
        except BaseException as error:  # noqa: BLE001 - raised where the bytes are taken
            hand(error)
        else:
            hand(None)

    def taken() -> Iterator[bytes]:
        while (one := waiting.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one

    thread = threading.Thread(target=feed, name="feeding")
    thread.start()
    try:
        yield taken()
    finally:
        over.set()
        thread.join()
