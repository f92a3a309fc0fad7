"""What a restore would do: two snapshots of a worktree compared, path by path. Pure: no I/O, no clock.

A path that one of the two knows nothing of is left alone: ignored files come and go only where a snapshot
kept them or says that they were not there.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from raccord.git.follow_put import PathChange
from raccord.git.follow_refs import Head
from raccord.git.refs import Change
from raccord.git.snapshot_index import GITLINK, Entry
from raccord.git.snapshot_model import LINK, Kept, Snapshot


@dataclass(frozen=True, slots=True)
class State:
    """What a snapshot says of a path.

    Attributes:
        mode: as in `lstat`.
        blob: the object with the raw bytes, "" for a directory.
        clean: it comes from the index: tracked and not modified.
        why: see `Kept`; "" where `clean`, "directory" for an empty one.
    """

    mode: int
    blob: str
    clean: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that a restore touches; `action` is "write", "remove", "mode" or "directory"."""

    path: str
    action: str
    change: PathChange


@dataclass(frozen=True, slots=True)
class Differences:
    """What a restore does.

    Attributes:
        paths: files and empty directories, sorted.
        index: whether anything is staged differently.
        head: where HEAD shall point to, None where it already does.
        ref: the branch that moves, None where none does.
        operation: state files of an operation in progress, relative to the git directory.
        left: paths that differ or may differ, and stay as they are, since the target doesn't hold them.
    """

    paths: tuple[Difference, ...]
    index: bool
    head: Head | None
    ref: Change | None
    operation: tuple[Difference, ...]
    left: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.paths or self.index or self.head or self.ref or self.operation)


def differences(target: Snapshot, now: Snapshot) -> Differences:
    """What brings a worktree that is in the state `now` to the state `target`."""
    wanted, there = states(target), states(now)
    known = _Knows(target)
    paths, left = [], []
    for path in sorted({*wanted, *there}):
        want, have = wanted.get(path), there.get(path)
        if want is None and have is not None and not known(path, have):
            left.append(path)
            continue
        found = _difference(path, want, have)
        if found is not None:
            paths.append(found)
    return Differences(
        paths=tuple(paths),
        index=target.staged != now.staged,
        head=_head(target, now),
        ref=_ref(target, now),
        operation=_operation(target.operation, now.operation),
        left=tuple(sorted({*left, *target.opaque, *now.opaque})),
    )


def states(snapshot: Snapshot) -> dict[str, State]:
    """What was at each path that the snapshot tells of; any other was not there, or is unknown."""
    found: dict[str, State] = {}
    for entry in snapshot.entries:
        if not entry.stage and not entry.flags and entry.mode not in (GITLINK, 0o040000):
            found[entry.path] = State(_mode(snapshot, entry), entry.oid, clean=True)
    for path in (*snapshot.absent, *snapshot.skipped):
        found.pop(path, None)
    for path, kept in snapshot.kept.items():
        found[path] = State(kept.mode, kept.blob, why=kept.why)
    for path, mode in snapshot.directories.items():
        found[path] = State(mode, "", why="directory")
    return found


def target_of(head: str, branch: str) -> str:
    """What HEAD points to, as `follow_refs.Head` has it."""
    return branch or head


class _Knows:
    """Whether the target tells that a path was not there, or can't tell."""

    def __init__(self, target: Snapshot) -> None:
        self._all = target.every_ignored
        self._asked = frozenset(target.asked)
        self._ignored = frozenset(path.rstrip("/") for path in target.ignored)
        self._apart = frozenset((*target.opaque, *target.skipped))

    def __call__(self, path: str, have: State) -> bool:
        tops = _with_parents(path)
        if not tops.isdisjoint(self._apart):
            return False
        if self._all or not tops.isdisjoint(self._asked):
            return True
        # What git ignored then was perhaps there with other bytes.
        return have.why not in ("ignored", "asked") and tops.isdisjoint(self._ignored)


def _with_parents(path: str) -> set[str]:
    found = {path}
    while path := path.rpartition("/")[0]:
        found.add(path)
    return found


def _difference(path: str, want: State | None, have: State | None) -> Difference | None:
    if want is None:
        return Difference(path, "remove", PathChange(path, 0))
    if stat.S_ISDIR(want.mode):
        # The permissions of a directory that is there stay as they are.
        if have is not None and stat.S_ISDIR(have.mode):
            return None
        return Difference(path, "directory", PathChange(path, 0o040000 | stat.S_IMODE(want.mode)))
    if have is not None and (want.mode, want.blob) == (have.mode, have.blob):
        return None
    same = have is not None and want.blob == have.blob and stat.S_IFMT(have.mode) == stat.S_IFMT(want.mode)
    return Difference(path, "mode" if same else "write", PathChange(path, want.mode, want.blob))


def _mode(snapshot: Snapshot, entry: Entry) -> int:
    """The mode of a file that is as in the index."""
    if entry.mode == LINK:
        return LINK
    return snapshot.permissions.get(entry.path, snapshot.modes[entry.mode == 0o100755])


def _head(target: Snapshot, now: Snapshot) -> Head | None:
    old, new = target_of(now.head, now.branch), target_of(target.head, target.branch)
    return Head(old, new) if old != new else None


def _ref(target: Snapshot, now: Snapshot) -> Change | None:
    if target.branch and target.branch == now.branch and target.head != now.head:
        return Change(target.branch, target.head or None, now.head or None)
    return None


def _operation(wanted: Mapping[str, Kept], there: Mapping[str, Kept]) -> tuple[Difference, ...]:
    found = []
    for path in sorted({*wanted, *there}):
        want, have = wanted.get(path), there.get(path)
        if want is None:
            found.append(Difference(path, "remove", PathChange(path, 0)))
        elif have is None or (want.mode, want.blob) != (have.mode, have.blob):
            found.append(Difference(path, "write", PathChange(path, want.mode, want.blob)))
    return tuple(found)


def unheld(target: Snapshot, tracked: Collection[str]) -> tuple[str, ...]:
    """The paths that a snapshot must be asked for, to hold all that a restore of `target` may overwrite.

    Args:
        tracked: the paths in the index now.
    """
    wanted = set(states(target)) - set(tracked)
    return tuple(sorted({*wanted, *target.asked}))
