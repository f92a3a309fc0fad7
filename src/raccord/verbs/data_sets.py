"""What the `data` verbs share: the sets and environments of the configuration, and looking at both ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from raccord.config import DataSet, variable
from raccord.data import observe
from raccord.data.environments import Environments
from raccord.data.spec import Spec
from raccord.database import postgres
from raccord.database.url import Target
from raccord.errors import UsageError
from raccord.kernel.record import RunRecord
from raccord.model.options_data import DataPushOptions, FilesPushOptions
from raccord.model.plan import Plan
from raccord.model.text import shown
from raccord.verbs import protected
from raccord.verbs.room import Room


@dataclass(frozen=True, slots=True)
class Ends:
    """A set with its two databases."""

    spec: Spec
    source: Target
    target: Target


def environments(room: Room) -> Environments:
    """The environments of a workspace."""
    return Environments(room.config, room.repo.top or room.repo.common, variable, room.links)


def promoted(
    room: Room, options: DataPushOptions | FilesPushOptions, verb: str, make: Callable[[], Plan]
) -> tuple[Plan, RunRecord | None]:
    """Plans a push of rows or of objects and, unless only that is asked for, applies it.

    Raises:
        UsageError: there is no such environment, or it is protected and was not named.
    """
    goal = options.goal
    environments(room).environment(goal)
    if options.dry_run:
        return make(), None
    protected.refuse_unnamed(room, [goal], options.yes_to, f"raccord {verb} {options.name} --to {goal}")
    engine = room.engine()
    engine.recover()
    return engine.apply(make)


def configured(room: Room, name: str) -> DataSet:
    """A set by its name.

    Raises:
        UsageError: there is none.
    """
    found = room.config.data.get(name)
    if found is None:
        known = ", ".join(sorted(room.config.data)) or "none"
        raise UsageError(
            f"there is no data set {shown(name)}; known: {known}",
            hint=f"add [data.{shown(name)}] to raccord.toml",
        )
    return found


def spec(
    room: Room, name: str, goal: str, *, origin: str = "", mode: str = "", allow_empty: bool = False
) -> Spec:
    """A set as one command takes it.

    Raises:
        UsageError: there is no such set, it names no tables, or its ends are one.
    """
    found = configured(room, name)
    if not found.tables:
        raise UsageError(f"the data set {name} names no tables", hint=f"set tables in [data.{name}]")
    made = Spec(
        name=name,
        origin=origin or found.from_,
        goal=goal,
        tables=found.tables,
        mode=mode or found.mode,
        where=found.where,
        exclude=found.exclude,
        mask=found.mask,
        secrets=found.secrets,
        triggers=found.triggers,
        lock_seconds=found.lock_seconds,
        statement_seconds=found.statement_seconds,
        allow_empty=allow_empty,
    )
    if made.origin == made.goal:
        raise UsageError(f"{name} would go from {goal} to {goal}", hint="--from names another environment")
    return made


def found_ends(room: Room, what: Spec) -> Ends:
    """A set's databases.

    Raises:
        UsageError: there is no such environment.
        CannotRun: an environment's database isn't known, or rows can't go from one to the other.
    """
    known = environments(room)
    ends = Ends(what, known.target(what.origin), known.target(what.goal))
    observe.check_kinds(ends.source, ends.target)
    return ends


@contextlib.contextmanager
def looked(ends: Ends) -> Iterator[tuple[postgres.Connection, postgres.Connection, observe.Seen]]:
    """Both databases as of one moment each, and what they have of the set."""
    with observe.ends(ends.source, ends.target) as (one, two):
        yield one, two, observe.seen(one, two, ends.spec)
