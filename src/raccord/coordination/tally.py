"""What all changes come to: how many by whom, and who was last. Reads only what is new from the ledger."""

from __future__ import annotations

import threading
from collections import Counter

from raccord.coordination.ledger import Ledger
from raccord.model.coordination import file_type


class Tally:
    """Sums of a ledger's changes. Safe to share between threads.

    Changes are only ever added to a ledger, so that what was counted once stays right.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._mutex = threading.Lock()
        self._last = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._owners: dict[tuple[str, str], str] = {}

    def counts(self) -> dict[tuple[str, str], int]:
        """How many changes there were, by type of file and owner."""
        with self._mutex:
            self._read()
            return dict(self._counts)

    def owners(self) -> dict[tuple[str, str], str]:
        """Who changed each file last, by root and path."""
        with self._mutex:
            self._read()
            return dict(self._owners)

    def _read(self) -> None:
        # In the order of their last changes: a later owner takes the place of an earlier one.
        for root, path, owner, number, last in self._ledger.counted(after=self._last):
            self._counts[file_type(path), owner] += number
            self._owners[root, path] = owner
            self._last = max(self._last, last)
