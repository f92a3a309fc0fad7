"""What a watched file is, what a change of it is, and what a consolidation made of changes: frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from raccord.model.plan import Json

Kind = Literal["created", "modified", "deleted", "renamed"]
Trigger = Literal["threshold", "time_based", "manual"]

UNKNOWN = "unknown"  # the owner of what nobody can be proved to have done


@dataclass(frozen=True, slots=True)
class Root:
    """A directory whose files are watched: a worktree, or a plain directory.

    Attributes:
        path: where it is, absolute.
        name: what people call it: the directory's own name.
        branch: that it is on; "" where there is none.
        main: whether it is the main worktree.
    """

    path: str
    name: str
    branch: str = ""
    main: bool = False


@dataclass(frozen=True, slots=True)
class FileState:
    """A watched file as it was found.

    Attributes:
        path: below its root, with `/`.
        checksum: of its content, 128 bits as 32 hexadecimal digits; "" where it could not be read.
        size: in bytes.
        seen: when, in Unix seconds.
        stamp: what the file system says of it; equal stamps mean equal content. "" where nothing may be
            concluded from it.
        error: why it could not be read.
    """

    path: str
    checksum: str
    size: int
    seen: float
    stamp: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One change that was seen.

    Attributes:
        id: rises by time within one store; 0 before it is stored.
        root: the path of the root.
        path: of the file, below the root.
        at: when it was seen, in Unix seconds.
        old, new: checksums; "" where there was, or is, no file.
        before: the path that a renamed file had.
        owner: who made it; `UNKNOWN` where that isn't known.
        how: by what the owner is known.
        consolidation: that told of it; "" while it is pending.
        machine: the id of that on which it was made; "" for this one.
    """

    id: int
    root: str
    path: str
    kind: Kind
    at: float
    old: str = ""
    new: str = ""
    before: str = ""
    owner: str = UNKNOWN
    how: str = ""
    consolidation: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Consolidation:
    """Changes that were turned into one report.

    Attributes:
        id: unique among all machines.
        conditions: what the trigger saw: {"pending_changes": 5, "threshold": 5}.
        at: when, in Unix seconds.
        took: seconds.
        changes, files: how many of them.
        report: as it goes into the document, in Markdown.
        language: of the report.
        placed: whether it is known to be in the document.
        machine: the id of that which made it; "" for this one.
    """

    id: str
    trigger: Trigger
    conditions: Mapping[str, Json] = field(hash=False)
    at: float
    changes: int
    files: int
    report: str
    language: str
    took: float = 0.0
    placed: bool = False
    machine: str = ""


def local(at: float) -> str:
    """A time as the reports write it: local, to the second, without a zone."""
    return datetime.fromtimestamp(at).astimezone().replace(tzinfo=None).isoformat(timespec="seconds")


def file_type(path: str) -> str:
    """What a watched file is for: sync, passation, architecture, docs or other."""
    name = path.rpartition("/")[2].lower()
    folders = path.lower().split("/")[:-1]
    if "passation" in name:
        return "passation"
    if "sync" in name:
        return "sync"
    if "architecture" in folders or "architecture" in name:
        return "architecture"
    if "docs" in folders or name.endswith((".md", ".rst", ".txt")):
        return "docs"
    return "other"
