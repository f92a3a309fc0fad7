"""What the engine tells while it works; faces show it, metrics count it, the core knows neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from raccord.model.plan import Json

What = Literal["waiting", "started", "step", "said", "counted", "done", "held", "stopped", "ended"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a run.

    Attributes:
        run: the run's id; "" before it has one.
        lane: the lane's key; "" for the run as a whole.
        what: "waiting" for a lock, lane "started" (in each stage), "step" begins, a step "said" something,
            a step "counted" what it did, lane "done", "held" or "stopped", run "ended".
        text: one line for a person.
        data: of "counted" the numbers, see `Outcome.counts`.
    """

    run: str
    lane: str
    what: What
    text: str
    data: Mapping[str, Json] = field(default_factory=dict)


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listens to nothing."""
