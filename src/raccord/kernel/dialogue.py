"""Lines to a running program and its answers, while what it says besides is read and its end kept.

Starts nothing and ends nothing: `kernel/proc.py` does.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable

from raccord.kernel import pipes
from raccord.kernel.proc import STDERR_LIMIT, Child


class Dialogue:
    """A conversation with a program that answers each line with one of its own.

    Args:
        child: started with all three pipes.
        begins: what each of its answers begins with; its other lines are passed by.
    """

    def __init__(self, child: Child, begins: bytes) -> None:
        self._child = child
        self._begins = begins
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._said = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._reader.start()
        self._keeper.start()

    def tell(self, line: bytes) -> None:
        """Says a line that isn't answered."""
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what it leaves unanswered tells that it ended
            self._child.stdin.write(line + b"\n")
            self._child.stdin.flush()

    def ask(
        self, line: bytes, cancelled: Callable[[], bool] = lambda: False, *, seconds: float | None = None
    ) -> bytes | None:
        """Says a line and waits for the answer, without what it begins with; None where it ended instead.

        Args:
            seconds: how long it may take, None for no limit.

        Raises:
            KeyboardInterrupt: `cancelled()` became true.
            TimeoutError: it took longer.
        """
        until = None if seconds is None else time.monotonic() + seconds
        self.tell(line)
        while True:
            try:
                answer = self._lines.get(timeout=pipes.POLL_S)
            except queue.Empty:
                if cancelled():
                    raise KeyboardInterrupt from None
                if until is not None and time.monotonic() > until:
                    raise TimeoutError from None
                continue
            if not answer:
                self._lines.put(b"")
                return None
            if answer.startswith(self._begins):
                return answer[len(self._begins) :].strip()

    @property
    def said(self) -> str:
        """The end of what it said on its standard error; all of it once it has ended."""
        if self._child.poll() is not None:
            self._keeper.join(pipes.POLL_S)
        return bytes(self._said).decode("utf-8", "replace")

    def _read(self) -> None:
        assert self._child.stdout is not None
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            for line in self._child.stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def _keep(self) -> None:
        assert self._child.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self._child.stderr.fileno(), pipes.CHUNK):
                self._said.extend(data)
                del self._said[:-STDERR_LIMIT]
