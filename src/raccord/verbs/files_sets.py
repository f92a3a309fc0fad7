"""What the `files` verbs share: the sets and environments of the configuration, and both stores, opened."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.config import FileSet, absent, variable
from raccord.errors import CannotRun, UsageError
from raccord.files import observe
from raccord.files.spec import VERSIONS, Spec
from raccord.kernel import secret
from raccord.objects import place
from raccord.objects.model import Store
from raccord.objects.opening import opened
from raccord.objects.place import Place
from raccord.verbs.promoting import environments, sets_of
from raccord.verbs.room import Room


@dataclass(frozen=True, slots=True)
class Ends:
    """A set with its two stores."""

    spec: Spec
    origin: Place
    goal: Place
    source: Store
    target: Store


def place_of(room: Room, name: str) -> Place:
    """The object store of an environment.

    Raises:
        UsageError: there is no such environment.
        CannotRun: it has no store, or its key can't be read.
    """
    known = environments(room)
    found = known.environment(name)
    if not found.objects:
        hint = f"set objects in [environments.{name}]"
        raise CannotRun(f"the environment {name} has no object store", hint=hint)
    if (found.objects_key_id is None) != (found.objects_key is None):
        raise CannotRun(
            f"the environment {name} has one of objects_key_id and objects_key: both are needed, or neither",
            hint=f"edit [environments.{name}] in raccord.toml",
        )
    if found.objects_token is not None and found.objects_key is None:
        raise CannotRun(
            f"the environment {name} has objects_token, and no key that it would belong to",
            hint=f"set objects_key_id and objects_key in [environments.{name}]",
        )
    top = room.repo.top or room.repo.common
    said = [
        secret.read(one, f"the {what} of the object store of {name}", top, variable) if one else ""
        for one, what in (
            (found.objects_key_id, "key's id"),
            (found.objects_key, "key"),
            (found.objects_token, "session token"),
        )
    ]
    return place.parse(
        found.objects,
        endpoint=found.objects_endpoint,
        region=found.objects_region,
        key_id=said[0],
        secret=said[1],
        token=said[2],
        # A bucket of the whole world's is asked from here, which is quicker.
        route=known.proxied(name) if place.is_own(found.objects_endpoint) else None,
        way=known.files_host(name),
    )


def configured(room: Room, name: str) -> FileSet:
    """A set by its name.

    Raises:
        UsageError: there is none.
    """
    found = room.config.files.get(name)
    if found is None:
        raise absent("file set", name, room.config.files, "files", sets_of(room))
    return found


def spec(
    room: Room,
    name: str,
    goal: str,
    *,
    origin: str = "",
    mode: str = "",
    delete: bool = False,
    pulls: bool = False,
) -> Spec:
    """A set as one command takes it. What goes to where it comes from is pulled, whatever was typed.

    Raises:
        UsageError: there is no such set, its ends are one, or it would remove without being a mirror.
    """
    found = configured(room, name)
    pulls = pulls or (bool(origin) and goal == found.from_)
    made = Spec(
        name=name,
        origin=origin or found.from_,
        goal=goal,
        prefix=found.prefix.strip("/"),
        only=found.only,
        mode=mode or found.mode,
        delete=delete,
        keep=found.keep,
        private=found.private if pulls else (),
        pulls=pulls,
        chosen=pulls or origin not in ("", found.from_),
    )
    if made.origin == made.goal:
        raise UsageError(f"{name} would go from {goal} to {goal}", hint="--from names another environment")
    if delete and made.mode != "mirror":
        raise UsageError(
            f"--delete is for a mirror, and {name} goes by {made.mode}", hint="--mode mirror --delete"
        )
    return made


def found_ends(room: Room, what: Spec) -> Ends:
    """A set's stores.

    Raises:
        UsageError: there is no such environment.
        CannotRun: a store isn't known, or both are one.
    """
    origin, goal = place_of(room, what.origin), place_of(room, what.goal)
    observe.check_places(origin, goal)
    if what.keep == VERSIONS and goal.kind != "s3":
        raise CannotRun(
            f"{goal.shown} keeps no versions: only a bucket may",
            hint=f'keep = "trash" in [files.{what.name}]',
        )
    return Ends(what, origin, goal, opened(origin), opened(goal))
