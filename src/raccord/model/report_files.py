"""What the `files` verbs answer with; see `report`."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.model.plan import Finding
from raccord.model.report_data import DataPush


@dataclass(frozen=True, slots=True)
class FilesObject:
    """An object that differs.

    Attributes:
        key: its name.
        what: "added", "changed" or "removed", as a mirror would have it.
        source: bytes that it has where it comes from; null where it isn't there.
        target: bytes that it has where it goes to; null where it isn't there.
    """

    key: str
    what: str
    source: int | None
    target: int | None


@dataclass(frozen=True, slots=True)
class FilesDiff:
    """How a set differs between two environments.

    Attributes:
        name: of the set.
        origin: the environment that the objects would come from.
        goal: the one that they would go to.
        source: its store, without its secrets.
        target: that of the other.
        mode: of the set.
        added: how many objects the source alone has.
        changed: how many differ.
        same: how many are equal.
        removed: how many the target alone has.
        bytes: how many are in those that are added or changed.
        objects: some of those that differ.
        notes: what a person should know.
        next_command: what to type next, or "".
    """

    name: str
    origin: str
    goal: str
    source: str
    target: str
    mode: str
    added: int
    changed: int
    same: int
    removed: int
    bytes: int
    objects: tuple[FilesObject, ...] = ()
    notes: tuple[Finding, ...] = ()
    next_command: str = ""


@dataclass(frozen=True, slots=True)
class FilesStanding:
    """Where one set stands in one environment.

    Attributes:
        name: of the set.
        environment: where.
        objects: how many it has there.
        bytes: how many they hold.
        push: the last one, or null; it counts objects.
        unread: why its store was not read, or "".
        hint: what to type about that.
    """

    name: str
    environment: str
    objects: int = 0
    bytes: int = 0
    push: DataPush | None = None
    unread: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class FilesStatus:
    """What is where."""

    sets: tuple[FilesStanding, ...]
    next_command: str = ""
