"""How far rows are on their way: how much, of how much, and how fast, told now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from raccord.model.text import size

SECONDS = 0.5  # between two words


@dataclass(slots=True)
class Pace:
    """Counts bytes and says so.

    Attributes:
        rows: how many there are, -1 where nobody knows.
        total: how many bytes these take, 0 where nobody knows.
    """

    say: Callable[[str], object]
    what: str
    rows: int = -1
    total: int = 0
    done: int = 0
    _began: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def add(self, number: int) -> None:
        """So many bytes more."""
        self.done += number
        now = time.monotonic()
        if now - self._said < SECONDS:
            return
        self._said = now
        said = size(self.done)
        if self.total and self.rows >= 0:
            part = min(1.0, self.done / self.total)
            said = f"about {round(part * self.rows)} of {self.rows} rows, {said} of {size(self.total)}"
        elif self.rows >= 0:
            said = f"{said} of {self.rows} rows"
        self.say(f"{self.what}: {said}, {size(self.done / (now - self._began))}/s")
