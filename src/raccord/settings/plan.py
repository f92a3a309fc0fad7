"""Decides what a change of the configuration is: which keys, from what to what. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raccord.config.edit import Splice, changed, found
from raccord.config.text import toml
from raccord.model.plan import Json, Lane, Plan, Stage, Step, checkout
from raccord.model.text import shown

KIND = "config.set"
LONGEST = 60  # characters of a value in a title


@dataclass(frozen=True, slots=True)
class Change:
    """One key that is to have another value.

    Attributes:
        path: the parts of the key, from the top of the document.
        old, new: None where it isn't set.
    """

    path: tuple[str, ...]
    old: Json
    new: Json

    @property
    def back(self) -> Change:
        """The same, the other way."""
        return Change(self.path, self.new, self.old)


@dataclass(frozen=True, slots=True)
class Place:
    """The file that is changed.

    Attributes:
        root: the top of its worktree.
        file: its name there.
        prefix: the table that holds the configuration; () for the whole document.
    """

    root: str
    file: str
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """What a change left behind, so that its undo can put the very bytes back.

    Attributes:
        digest: the SHA-256 of the file as the change left it.
        splices: what became another, in order.
        made: whether there was no file before.
    """

    digest: str
    splices: tuple[Splice, ...]
    made: bool = False

    def document(self) -> dict[str, Json]:
        """Itself for the journal."""
        splices = [[one.at, one.out, one.into] for one in self.splices]
        return {"digest": self.digest, "splices": splices, "made": self.made}

    @classmethod
    def read(cls, said: Mapping[str, Json]) -> Trace | None:
        """The trace in the journal; None where there is none."""
        if not said:
            return None
        return cls(said["digest"], tuple(Splice(*one) for one in said["splices"]), said["made"])


def standing(value: Json) -> Json:
    """A value of a document; an empty table says nothing."""
    return None if value == {} else value


def changes(document: Mapping[str, Any], wanted: Mapping[tuple[str, ...], Json]) -> tuple[Change, ...]:
    """The keys of which a document says something else."""
    all_ = [Change(path, standing(found(document, path)), value) for path, value in wanted.items()]
    return tuple(one for one in all_ if standing(one.new) != one.old or type(one.new) is not type(one.old))


def edited(text: str, some: Sequence[Change]) -> tuple[str, tuple[Splice, ...]]:
    """The document with changes made, and what of it became another.

    Raises:
        Unchangeable: see there.
    """
    splices: tuple[Splice, ...] = ()
    for one in some:
        text, more = changed(text, one.path, one.new)
        splices += more
    return text, splices


def step(place: Place, some: Sequence[Change], trace: Trace | None = None) -> Step:
    """The step that makes changes of one file.

    Args:
        trace: of the change that it takes back.
    """
    payload: dict[str, Json] = {
        "root": place.root,
        "file": place.file,
        "prefix": list(place.prefix),
        "changes": [{"path": list(one.path), "old": one.old, "new": one.new} for one in some],
        "trace": trace.document() if trace is not None else {},
    }
    return Step(KIND, 1, _title(place, some), payload, resources=(checkout(place.root),))


def plan(place: Place, some: Sequence[Change], by: str) -> Plan:
    """What `raccord config set` does."""
    steps = (step(place, some),) if some else ()
    lane = Lane(place.root, f"{shown(place.file)} in {shown(Path(place.root).name)}", steps)
    return Plan("config", (Stage("configure", (lane,)),), by=by)


def of(one: Step) -> tuple[Place, tuple[Change, ...], Trace | None]:
    """What a step says."""
    said = one.payload
    place = Place(said["root"], said["file"], tuple(said["prefix"]))
    some = tuple(Change(tuple(each["path"]), each["old"], each["new"]) for each in said["changes"])
    return place, some, Trace.read(said["trace"])


def _title(place: Place, some: Sequence[Change]) -> str:
    return "; ".join(
        f"{'.'.join(one.path[len(place.prefix) :])}: {_value(one.old)} → {_value(one.new)}" for one in some
    )


def _value(value: Json) -> str:
    if value is None:
        return "(default)"
    try:
        text = toml(value)
    except TypeError:
        text = json.dumps(value, default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
