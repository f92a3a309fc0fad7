"""What the looks of `raccord promote` answer with; see `report`."""

from __future__ import annotations

from dataclasses import dataclass

from raccord.model.report_data import DataDiff, DataStanding, PendingHook
from raccord.model.report_files import FilesDiff, FilesStanding


@dataclass(frozen=True, slots=True)
class ProfileDiff:
    """How the sets of a profile differ between two environments.

    Attributes:
        name: of the profile.
        goal: the environment that it would be taken to.
        files: its file sets, in order.
        data: its data sets, in order.
        equal: whether nothing differs; null where that is not known.
        next_command: what to type next, or "".
    """

    name: str
    goal: str
    files: tuple[FilesDiff, ...]
    data: tuple[DataDiff, ...]
    equal: bool | None
    next_command: str = ""


@dataclass(frozen=True, slots=True)
class ProfileStatus:
    """What is where of a profile.

    Attributes:
        name: of the profile.
        files: where its file sets stand.
        data: where its data sets stand.
        next_command: what to type next, or "".
        pending: hooks that wait, of whatever push.
    """

    name: str
    files: tuple[FilesStanding, ...]
    data: tuple[DataStanding, ...]
    next_command: str = ""
    pending: tuple[PendingHook, ...] = ()
