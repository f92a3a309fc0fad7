"""What machines tell each other, and what a place can do through which they do: frozen data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from raccord.model.leases import Leases
from raccord.model.plan import Json

LATEST = 253402300799.0  # the end of the year 9999, in Unix seconds


@dataclass(frozen=True, slots=True)
class Machine:
    """A clone of a project with raccord's state: one computer may have several.

    Attributes:
        id: unique; another one where the state was copied.
        name: what people call it.
        place: the directory of its main worktree.
        release: of its raccord.
        seen: when the hub last heard of it, in Unix seconds by this machine's clock.
    """

    id: str
    name: str
    place: str
    release: str
    seen: float = 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a machine tells all others.

    Attributes:
        uid: the same at each try, and nobody else's.
        kind: "change", "consolidation" or "run"; later releases may know more.
        document: JSON in ASCII.
        machine: the id of who tells it.
        seq: its place among all entries of the project, given by the hub; 0 before.
    """

    uid: str
    kind: str
    document: str
    machine: str = ""
    seq: int = 0


class Hub(Protocol):
    """An open connection to a hub, for one project. Each call raises `RaccordError` where it is lost."""

    @property
    def id(self) -> str:
        """Of the hub itself: another one where its data was made anew."""

    def greet(self, machine: Machine) -> list[Machine]:
        """Says that a machine is there; all machines that the hub knows."""

    def add(self, machine: str, entries: Sequence[Entry]) -> None:
        """Adds entries in their order; one that it has already is not added again."""

    def after(self, seq: int, most: int) -> list[Entry]:
        """Entries after a place, in their order: none shows up later before one that was given."""

    def uid(self, seq: int) -> str:
        """The uid of the entry at a place; "" where there is none."""

    @property
    def leases(self) -> Leases:
        """The leases of the project."""

    def wait(self, seconds: float) -> bool:
        """Waits until somebody added something, or the time is over; whether somebody may have."""


Opened = Callable[[], AbstractContextManager[Hub]]


class Unreadable(ValueError):
    """A document that is not what its kind should be."""


@dataclass(frozen=True, slots=True)
class Read:
    """A document that another machine wrote, read with suspicion."""

    document: Mapping[str, Json]

    @classmethod
    def of(cls, text: str) -> Read:
        """Reads JSON.

        Raises:
            Unreadable: it is no object.
        """
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"no JSON: {error}") from None
        if not isinstance(found, dict):
            raise Unreadable("no object")
        return cls(found)

    def text(self, name: str, among: Sequence[str] = ()) -> str:
        """A string; one of some words where they are given."""
        found = self.document.get(name)
        if not isinstance(found, str) or (among and found not in among):
            raise Unreadable(f"{name} is {found!r:.80}")
        return found

    def word(self, name: str) -> str:
        """A string that is on one line and that every store can hold, such as an id."""
        found = self.text(name)
        if not found.isprintable():
            raise Unreadable(f"{name} is {found!r:.80}")
        return found

    def whole(self, name: str) -> int:
        """A number of things."""
        found = self.document.get(name)
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**53:
            raise Unreadable(f"{name} is {found!r:.80}")
        return found

    def number(self, name: str) -> float:
        """A time in Unix seconds, or how long something took."""
        found = self.document.get(name)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= LATEST:
            raise Unreadable(f"{name} is {found!r:.80}")
        return float(found)

    def words(self, name: str) -> list[str]:
        """A list of such strings."""
        found = self.document.get(name)
        if not isinstance(found, list) or not all(
            isinstance(one, str) and one.isprintable() for one in found
        ):
            raise Unreadable(f"{name} is no list of words")
        return found

    def table(self, name: str) -> Mapping[str, Json]:
        """An object."""
        found = self.document.get(name)
        if not isinstance(found, dict):
            raise Unreadable(f"{name} is no object")
        return found
