"""`raccord files diff` and `raccord files status`: what differs, and what is where. Nothing is changed."""

from __future__ import annotations

from dataclasses import replace

from raccord.errors import RaccordError
from raccord.files.compare import Comparison
from raccord.files.observe import listed, observe
from raccord.files.steps import PUT
from raccord.model.options_data import FilesDiffOptions
from raccord.model.report_files import FilesDiff, FilesObject, FilesStanding, FilesStatus
from raccord.objects.opening import opened
from raccord.verbs import data_looks, files_sets
from raccord.verbs.room import Room


def diff(room: Room, options: FilesDiffOptions) -> FilesDiff:
    """How a set differs.

    Raises:
        UsageError: no such set or environment.
        CannotRun: a store can't be reached.
    """
    spec = files_sets.spec(room, options.name, options.goal, origin=options.origin)
    ends = files_sets.found_ends(room, spec)
    seen = observe(ends.source, ends.target, ends.origin, spec)
    found = seen.comparison
    doing = found.added or (found.changed and spec.mode != "insert")
    return FilesDiff(
        name=spec.name,
        origin=spec.origin,
        goal=spec.goal,
        source=ends.source.shown,
        target=ends.target.shown,
        mode=spec.mode,
        added=len(found.added),
        changed=len(found.changed),
        same=found.same,
        removed=len(found.removed),
        bytes=sum(one.size for one in (*found.added, *(one for one, _ in found.changed))),
        objects=_objects(found, options.objects),
        notes=seen.notes,
        next_command=f"raccord {spec.verb} {spec.ends} --dry-run" if doing else "",
    )


def _objects(found: Comparison, number: int) -> tuple[FilesObject, ...]:
    """The first of each kind."""
    return (
        *(FilesObject(one.key, "added", one.size, None) for one in found.added[:number]),
        *(FilesObject(one.key, "changed", one.size, two.size) for one, two in found.changed[:number]),
        *(FilesObject(one.key, "removed", None, one.size) for one in found.removed[:number]),
    )


def status(room: Room, name: str = "") -> FilesStatus:
    """What is where: objects of each set in each environment that has a store.

    Raises:
        UsageError: no such set.
    """
    pushes = data_looks.pushes(room.journal(), PUT)
    found = []
    for each in [name] if name else sorted(room.config.files):
        files_sets.configured(room, each)
        for place, environment in sorted(room.config.environments.items()):
            if not environment.objects:
                continue
            standing = FilesStanding(each, place, push=pushes.get((each, place)))
            try:
                store = opened(files_sets.place_of(room, place))
                entries, _ = listed(store, files_sets.spec(room, each, "", origin=place))
                size = sum(one.size for one in entries.values())
                found.append(replace(standing, objects=len(entries), bytes=size))
            except RaccordError as error:
                found.append(replace(standing, unread=error.message, hint=error.hint))
    return FilesStatus(tuple(found))
