"""What the engine asks of a step handler, and where a step stands in the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from raccord.model.plan import Json, Step


class Position(Enum):
    """What the world says of a step, asked after a kill."""

    BEFORE = "before"  # nothing of it happened
    BETWEEN = "between"  # it began, and `apply` called again finishes it
    AFTER = "after"  # it happened
    NEITHER = "neither"  # the world moved: refuse
    UNKNOWN = "unknown"  # no answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step left behind.

    Attributes:
        record: what an undo needs and a person may read; kept in the journal.
        more: steps that the lane does next (the "then" of a plan, now known).
        note: one line for a person, or "".
        counts: what was done, in numbers that can be added up, such as {"heals": 1, "by_source": {"ref": 2}}.
    """

    record: Mapping[str, Json] = field(default_factory=dict)
    more: tuple[Step, ...] = ()
    note: str = ""
    counts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may know of its run.

    Attributes:
        run: the run's id; a name for what the handler leaves beside the repository.
        lane: the lane's key.
        say: tells whoever listens what goes on; one short line.
        cancelled: whether a person asked to stop; long steps look at it.
    """

    run: str
    lane: str
    say: Callable[[str], None]
    cancelled: Callable[[], bool]


class Handler(Protocol):
    """Knows one kind of step. Stateless between calls; called from several threads."""

    @property
    def kind(self) -> str:
        """The kind of step that it knows."""

    @property
    def version(self) -> int:
        """The version of the payload that it knows."""

    def probe(self, step: Step, context: Context) -> Position:
        """Asks the world where the step stands. Never writes."""

    def apply(self, step: Step, context: Context) -> Outcome:
        """Does it, or finishes it after a kill; conditional on `before`.

        Raises:
            WorldMoved: the condition does not hold; nothing was changed.
            HeldBack: it failed as foreseen and left nothing of itself behind.
            Stop: it waits for a person; `probe` then tells when the person is done.
            Unanswered: nobody knows whether it took place.

        After `HeldBack` and `WorldMoved` the lane is put back without asking the world about this step; after
        another `RaccordError` it is asked. Any other exception is a bug: the lane stops as it is.
        """

    def revert(self, step: Step, context: Context) -> None:
        """Takes back a step that stands at `BETWEEN`, so that the world is as before it.

        Raises:
            RaccordError: it could not; nothing more was changed.
        """

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        """The steps that take it back, or why it can't be taken back."""


class BatchHandler(Handler, Protocol):
    """A handler that does steps of several lanes in one go, such as one push."""

    def apply_batch(
        self, steps: Sequence[Step], contexts: Sequence[Context]
    ) -> Sequence[Outcome | Exception]:
        """Does them all; the answer for each, in order: its outcome, or what `apply` would raise."""

    def probe_batch(self, steps: Sequence[Step], contexts: Sequence[Context]) -> Sequence[Position]:
        """Asks the world about them all, in as few questions as it takes."""


class TellingHandler(Handler, Protocol):
    """A handler that can say what of a step's world somebody else changed."""

    def moved(self, step: Step, context: Context) -> str:
        """What was changed, in a line for a person; asked where `probe` says `NEITHER`. Never writes."""
