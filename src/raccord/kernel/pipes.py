"""Feeds a program and reads what it says, all pipes at once, so that none of them can block another.

Starts nothing and ends nothing: `kernel/proc.py` does.
"""

from __future__ import annotations

import io
import os
import queue
import selectors
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

CHUNK = 1024 * 1024
POLL_S = 0.1
QUIET_POLLS = 3

Events = list[tuple[IO[bytes], bytes]]


class TooLate(Exception):
    """The time is over."""


def talk(
    feed: IO[bytes] | None,
    stdin: bytes,
    readers: dict[IO[bytes], Callable[[bytes], None]],
    *,
    until: float | None,
    ended: Callable[[], bool],
    cancelled: Callable[[], bool],
) -> None:
    """Writes `stdin` to `feed` and gives what each pipe brings to its function, until all are closed.

    A program that was left behind may hold the pipes open for ever (ssh does, as a control master): once
    `ended()`, silence ends the reading.

    Args:
        until: the time by `time.monotonic` when it is over.
        cancelled: asked about ten times a second.

    Raises:
        TooLate: it is.
        KeyboardInterrupt: `cancelled()` became true.
    """
    source = _by_threads if os.name == "nt" else _by_selector
    quiet = 0
    for events in source(feed, stdin, tuple(readers)):
        for stream, data in events:
            readers[stream](data)
        if until is not None and time.monotonic() > until:
            raise TooLate
        if cancelled():
            raise KeyboardInterrupt
        quiet = 0 if events or not ended() else quiet + 1
        if quiet > QUIET_POLLS:
            return


def _by_selector(feed: IO[bytes] | None, stdin: bytes, readers: Sequence[IO[bytes]]) -> Iterator[Events]:
    rest = memoryview(stdin)
    with selectors.DefaultSelector() as waiting:
        for stream in readers:
            waiting.register(stream, selectors.EVENT_READ, stream)
        if feed is not None and rest:
            os.set_blocking(feed.fileno(), False)
            waiting.register(feed, selectors.EVENT_WRITE)
        elif feed is not None:
            feed.close()
        while waiting.get_map():
            events: Events = []
            for key, _ in waiting.select(POLL_S):
                if key.data is None and feed is not None:
                    rest = _fed(feed, rest)
                    done = not rest
                else:
                    data = os.read(key.fd, CHUNK)
                    done = not data
                    if data:
                        events.append((key.data, data))
                if done:
                    waiting.unregister(key.fileobj)
                if done and key.data is None and feed is not None:
                    feed.close()
            yield events


def _fed(feed: IO[bytes], rest: memoryview) -> memoryview:
    """What is left after writing as much as the pipe takes."""
    assert isinstance(feed, io.BufferedWriter)
    try:
        # The raw side: nothing is kept back, and a full pipe answers None.
        return rest[feed.raw.write(rest[:CHUNK]) or 0 :]
    except BrokenPipeError:
        return rest[:0]  # it didn't want all of it; how it ends tells whether that is well


def _by_threads(feed: IO[bytes] | None, stdin: bytes, readers: Sequence[IO[bytes]]) -> Iterator[Events]:
    """The same for Windows, where pipes can't be waited for."""
    said: queue.Queue[tuple[IO[bytes], bytes]] = queue.Queue(16)

    def read(stream: IO[bytes]) -> None:
        data = b"-"
        while data:
            try:
                data = os.read(stream.fileno(), CHUNK)
            except (OSError, ValueError):  # closed meanwhile
                data = b""
            said.put((stream, data))

    def write(stream: IO[bytes]) -> None:
        try:
            stream.write(stdin)
            stream.close()
        except (OSError, ValueError):
            return

    for stream in readers:
        threading.Thread(target=read, args=(stream,), daemon=True).start()
    if feed is not None:
        threading.Thread(target=write, args=(feed,), daemon=True).start()
    reading = set(readers)
    while reading:
        try:
            stream, data = said.get(timeout=POLL_S)
        except queue.Empty:
            yield []
            continue
        if data:
            yield [(stream, data)]
        else:
            reading.discard(stream)
            yield []
