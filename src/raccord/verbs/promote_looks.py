"""`raccord promote --diff` and `--status`: how the sets of a profile differ, and what is where."""

from __future__ import annotations

from dataclasses import replace

from raccord.model.options_data import DataDiffOptions, FilesDiffOptions, ProfileDiffOptions
from raccord.model.report_promote import ProfileDiff, ProfileStatus
from raccord.verbs import data_looks, files_looks
from raccord.verbs.hooking import pending
from raccord.verbs.promote import configured
from raccord.verbs.room import Room


def diff(room: Room, options: ProfileDiffOptions) -> ProfileDiff:
    """How the sets of a profile differ.

    Raises:
        UsageError: no such profile, set or environment.
        CannotRun: a database or a store can't be reached.
    """
    profile = configured(room, options.name)
    goal, origin = options.goal, options.origin
    # The next command is the profile's, not that of one set.
    files = tuple(
        replace(
            files_looks.diff(room, FilesDiffOptions(name, goal, origin, options.objects)),
            mode=profile.modes.get(f"files.{name}", room.config.files[name].mode),
            next_command="",
        )
        for name in profile.files
    )
    data = tuple(
        replace(data_looks.diff(room, DataDiffOptions(name, goal, origin, options.rows)), next_command="")
        for name in profile.data
    )
    differs = any(one.added or one.changed or one.removed for one in files)
    differs = differs or any(one.equal is False for one in data)
    known = all(one.equal is not None for one in data)
    said = f" --from {origin}" if origin else ""
    return ProfileDiff(
        name=options.name,
        goal=goal,
        files=files,
        data=data,
        equal=None if not known else not differs,
        next_command=f"raccord promote {options.name}{said} --to {goal} --dry-run" if differs else "",
    )


def status(room: Room, name: str, goal: str = "") -> ProfileStatus:
    """What is where of a profile.

    Args:
        goal: the only environment to look at; "" for all.

    Raises:
        UsageError: no such profile or set.
    """
    profile = configured(room, name)
    waiting = pending(room.journal())
    return ProfileStatus(
        name=name,
        files=tuple(
            one
            for each in profile.files
            for one in files_looks.status(room, each).sets
            if goal in ("", one.environment)
        ),
        data=tuple(
            one
            for each in profile.data
            for one in data_looks.status(room, each).sets
            if goal in ("", one.environment)
        ),
        next_command=waiting[0].next_command if waiting else "",
        pending=waiting,
    )
