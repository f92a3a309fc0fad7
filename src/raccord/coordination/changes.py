"""Decides what changed between what was known of a root and what was found. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from raccord.model.coordination import Change, FileState
from raccord.model.globs import named


@dataclass(frozen=True, slots=True)
class Known:
    """What the store has of a root.

    Attributes:
        patterns: those that its files were found by; None where the root is new.
        wanted: those that files are looked for by now; None where they are the same.
        files: by path.
        own: path and checksum of what raccord itself wrote last, or was about to; "" where it removes it.
    """

    patterns: tuple[str, ...] | None
    files: Mapping[str, FileState]
    own: Set[tuple[str, str]]
    wanted: tuple[str, ...] | None = None


def changed(
    root: str, known: Known, found: Mapping[str, FileState | None], at: float
) -> tuple[list[Change], list[FileState], list[str]]:
    """What happened to the files that were looked at.

    A file of a root that nobody watched before, or that only new patterns name, was not created: it is known
    from now on. One that no pattern names any more was not deleted: it is forgotten. What raccord wrote is no
    change. A file that can't be read has not changed.

    Args:
        found: what each path is now; None where there is no file.

    Returns:
        The changes, the states to keep, and the paths to forget.
    """
    gone: dict[str, FileState] = {}
    left: list[str] = []
    fresh: list[FileState] = []
    changes: list[Change] = []
    keep: list[FileState] = []
    for path, now in sorted(found.items()):
        old = known.files.get(path)
        if now is None:
            if old is not None and known.wanted is not None and not named(known.wanted, path):
                left.append(path)
            elif old is not None:
                gone[path] = old
        elif now.error:
            # What it was before is still what the next readable content is compared with.
            keep.append(now if old is None else _unread(old, now))
        elif old is None or not old.checksum:
            keep.append(now)
            if old is None and _created(known, path) and (path, now.checksum) not in known.own:
                fresh.append(now)
        else:
            if old != now:
                keep.append(now)
            if old.checksum != now.checksum and (path, now.checksum) not in known.own:
                changes.append(Change(0, root, path, "modified", at, old.checksum, now.checksum))
    changes += _appeared(root, fresh, gone, at)
    moved = {one.before for one in changes if one.kind == "renamed"}
    changes += [
        Change(0, root, path, "deleted", at, old.checksum)
        for path, old in gone.items()
        if path not in moved and old.checksum and (path, "") not in known.own
    ]
    return sorted(changes, key=lambda one: one.path), keep, sorted((*gone, *left))


def _unread(old: FileState, now: FileState) -> FileState:
    return FileState(old.path, old.checksum, old.size, now.seen, error=now.error)


def _created(known: Known, path: str) -> bool:
    return known.patterns is not None and named(known.patterns, path)


def _appeared(
    root: str, fresh: Sequence[FileState], gone: Mapping[str, FileState], at: float
) -> list[Change]:
    """New files: one with the content of a file that went at the same time is that file, renamed."""
    by_content: dict[str, list[str]] = {}
    for path, old in sorted(gone.items(), reverse=True):
        # Two empty files have nothing in common.
        if old.checksum and old.size:
            by_content.setdefault(old.checksum, []).append(path)
    made = []
    for now in fresh:
        olds = by_content.get(now.checksum)
        if olds:
            made.append(
                Change(0, root, now.path, "renamed", at, now.checksum, now.checksum, before=olds.pop())
            )
        else:
            made.append(Change(0, root, now.path, "created", at, "", now.checksum))
    return made
