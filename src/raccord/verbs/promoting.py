"""What pushes of rows and of objects share: the environments, and the word that a protected one asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from raccord.config import variable
from raccord.data.environments import Environments
from raccord.database import reuse_postgres
from raccord.kernel.record import RunRecord
from raccord.model.options_data import (
    DataImportOptions,
    DataPushOptions,
    DataRestoreOptions,
    FilesPushOptions,
    PromoteOptions,
)
from raccord.model.plan import Plan
from raccord.verbs import protected
from raccord.verbs.room import Room


def environments(room: Room) -> Environments:
    """The environments of a workspace."""
    return Environments(room.config, room.repo.top or room.repo.common, variable, room.links)


def sets_of(room: Room) -> dict[str, Collection[str]]:
    """The names of sets and profiles by the table of the configuration, for who mistook one for another."""
    return {"data": room.config.data, "files": room.config.files, "profiles": room.config.profiles}


def promoted(
    room: Room,
    options: DataImportOptions | DataPushOptions | DataRestoreOptions | FilesPushOptions | PromoteOptions,
    command: str,
    make: Callable[[], Plan],
    also: Sequence[str] = (),
) -> tuple[Plan, RunRecord | None]:
    """Plans a push of rows or of objects and, unless only that is asked for, applies it.

    Args:
        command: to be typed again, as far as `--yes-to`.
        also: environments besides the one that is changed that have to be named where they are protected.

    Raises:
        UsageError: there is no such environment, or it is protected and was not named.
    """
    goal = options.goal
    # Both are there, before a name is asked for.
    for name in filter(None, (goal, getattr(options, "origin", ""))):
        environments(room).environment(name)
    if options.dry_run:
        return make(), None
    protected.refuse_unnamed(room, [goal, *also], options.yes_to, command)
    engine = room.engine()
    engine.recover()
    # What is planned, changed and looked at afterwards is the same databases.
    with reuse_postgres.kept():
        return engine.apply(make)
