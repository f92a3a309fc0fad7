"""What the `data` verbs share: the sets and environments of the configuration, and looking at both ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from raccord.config import DataSet, absent
from raccord.data import kinds, salts
from raccord.data.masks import Salt
from raccord.data.spec import Spec
from raccord.database.url import Target
from raccord.errors import UsageError
from raccord.verbs.promoting import environments as environments
from raccord.verbs.promoting import promoted as promoted
from raccord.verbs.promoting import sets_of
from raccord.verbs.room import Room


@dataclass(frozen=True, slots=True)
class Ends:
    """A set with its two databases."""

    spec: Spec
    source: Target
    target: Target
    salt: Salt


def configured(room: Room, name: str) -> DataSet:
    """A set by its name.

    Raises:
        UsageError: there is none.
    """
    found = room.config.data.get(name)
    if found is None:
        raise absent("data set", name, room.config.data, "data", sets_of(room))
    return found


def sql(room: Room, name: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The conditions and the masks of a set.

    Raises:
        UsageError: there is no such set.
    """
    found = configured(room, name)
    return found.where, found.mask


def spec(
    room: Room,
    name: str,
    goal: str,
    *,
    origin: str = "",
    mode: str = "",
    allow_empty: bool = False,
    pulls: bool = False,
    masking: bool = False,
) -> Spec:
    """A set as one command takes it.

    Args:
        pulls: whether it goes where the set comes from.
        masking: whether what may hold secrets or personal data by its name is masked.

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
        closure=found.closure,
        exclude=found.exclude,
        mask=found.mask,
        secrets=found.secrets,
        triggers=found.triggers,
        lock_seconds=found.lock_seconds,
        statement_seconds=found.statement_seconds,
        swap=found.swap,
        allow_empty=allow_empty,
        verb="pull" if pulls else "push",
        masking=masking,
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
    ends = Ends(what, known.target(what.origin), known.target(what.goal), salts.read(room.state))
    kinds.kind(ends.source, ends.target)
    return ends


def commit(room: Room) -> str:
    """On which commit the worktree stands, "" where there is none."""
    here = room.here
    return (here.head if here else "") or ""


@contextlib.contextmanager
def looked(ends: Ends) -> Iterator[kinds.Look]:
    """Both databases as of one moment each, and what they have of the set."""
    knows = kinds.kind(ends.source, ends.target)
    with knows.looked(ends.source, ends.target, ends.spec, ends.salt) as look:
        yield look
