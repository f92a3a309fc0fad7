"""The step that looks, once a replay is over, for migrations that are missing or to be applied.

What it finds becomes steps of the same lane; it changes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Json, Step

THEN = "migration.then"


def then_step(title: str, payload: Mapping[str, Json], resources: Sequence[str]) -> Step:
    """The step that plans what follows.

    Args:
        payload: what the verb needs to plan by.
        resources: what must hold still meanwhile.
    """
    return Step(THEN, 1, title, payload, resources=tuple(resources))


class ThenHandler:
    """Makes known what follows; changes nothing itself.

    Args:
        plan: what follows a step.
    """

    kind, version = THEN, 1

    def __init__(self, plan: Callable[[Step, Context], Outcome]) -> None:
        self._plan = plan

    def probe(self, step: Step, context: Context) -> Position:
        """Planning can be done again."""
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Plans."""
        return self._plan(step, context)

    def revert(self, step: Step, context: Context) -> None:
        """Nothing was changed."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing was changed."""
        return ()
