"""What the verbs that promote rows and objects may be asked to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataDiffOptions:
    """How a set is compared.

    Attributes:
        name: of the set.
        goal: the environment that it would be pushed to.
        origin: the one that the rows come from; "" for the set's own.
        rows: of how many changed rows of each table the values are shown.
    """

    name: str
    goal: str
    origin: str = ""
    rows: int = 3


@dataclass(frozen=True, slots=True)
class DataPushOptions:
    """How a set is pushed.

    Attributes:
        name: of the set.
        goal: the environment that gets it.
        origin: the one that the rows come from; "" for the set's own.
        mode: "replace", "insert", "upsert" or "mirror"; "" for the set's own.
        allow_empty: whether an empty table of the source may empty the target's.
        yes_to: the name of the protected environment that may be changed.
        dry_run: only plan.
        by: who asked.
        pulls: whether it goes back to where the set comes from.
        unmasked: why a pull masks nothing; "" where it does.
    """

    name: str
    goal: str
    origin: str = ""
    mode: str = ""
    allow_empty: bool = False
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""
    pulls: bool = False
    unmasked: str = ""


@dataclass(frozen=True, slots=True)
class DataPullOptions:
    """How a set is pulled: from another environment to the one that it comes from.

    Attributes:
        name: of the set.
        origin: the environment that the rows come from.
        goal: the one that gets them; "" for the set's own.
        mode: "replace", "insert", "upsert" or "mirror"; "" for the set's own.
        unmasked: whether nothing is masked but what the set itself masks.
        reason: why; the journal keeps it.
        allow_empty: whether an empty table of the source may empty the target's.
        yes_to: the names of the protected environments that this needs, with commas between them.
        dry_run: only plan.
        by: who asked.
    """

    name: str
    origin: str
    goal: str = ""
    mode: str = ""
    unmasked: bool = False
    reason: str = ""
    allow_empty: bool = False
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class FilesDiffOptions:
    """How a set of objects is compared.

    Attributes:
        name: of the set.
        goal: the environment that it would be pushed to.
        origin: the one that the objects come from; "" for the set's own.
        objects: how many objects of each kind are named.
    """

    name: str
    goal: str
    origin: str = ""
    objects: int = 5


@dataclass(frozen=True, slots=True)
class FilesPushOptions:
    """How a set of objects is pushed.

    Attributes:
        name: of the set.
        goal: the environment that gets it.
        origin: the one that the objects come from; "" for the set's own.
        mode: "insert", "upsert" or "mirror"; "" for the set's own.
        delete: whether a mirror removes what the source has not.
        yes_to: the name of the protected environment that may be changed.
        dry_run: only plan.
        by: who asked.
    """

    name: str
    goal: str
    origin: str = ""
    mode: str = ""
    delete: bool = False
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""
