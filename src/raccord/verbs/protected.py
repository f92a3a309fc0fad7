"""Which environments a plan or a run changes, and whether those that are protected were named."""

from __future__ import annotations

from collections.abc import Iterable

from raccord.errors import UsageError
from raccord.model.plan import Step
from raccord.verbs.room import Room


def changed(room: Room, steps: Iterable[Step]) -> tuple[str, ...]:
    """The environments of the configuration that steps change, sorted."""
    found = set()
    for step in steps:
        spec = step.payload.get("spec")
        goal = spec.get("goal") if isinstance(spec, dict) else None
        if isinstance(goal, str) and goal in room.config.environments:
            found.add(goal)
    return tuple(sorted(found))


def named(yes_to: str) -> frozenset[str]:
    """The environments that a person named, with commas between them."""
    return frozenset(filter(None, (one.strip() for one in yes_to.split(","))))


def refuse_unnamed(room: Room, names: Iterable[str], yes_to: str, command: str, rest: str = "") -> None:
    """Makes sure that each protected environment was named.

    Args:
        command: to be typed with `--yes-to` behind it.
        rest: what comes behind that.

    Raises:
        UsageError: one is protected and wasn't.
    """
    known = room.config.environments
    asked = [name for name in names if name in known and known[name].protected]
    for name in asked:
        if name not in named(yes_to):
            raise UsageError(
                f"{name} is protected" + (f", and --yes-to names {yes_to}" if yes_to else ""),
                hint=f"{command} --yes-to {','.join(asked)}{rest}",
            )
