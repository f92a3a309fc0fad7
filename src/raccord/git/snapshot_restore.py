"""Puts a snapshot back, given that the worktree is as a second snapshot, the backup, says.

The files are written by the machine of `follow_put.py`, which a kill at any point leaves to be finished or
taken back. Submodules, embedded repositories and what the target doesn't hold stay as they are.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import HeldBack, UnsafePath, WorldMoved
from raccord.git import follow_put, refs, snapshot
from raccord.git.follow_put import PathChange, Put
from raccord.git.follow_refs import Head, read_head
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.git.snapshot_changes import Differences, State, differences, states, target_of, unheld
from raccord.git.snapshot_look import read_index
from raccord.git.snapshot_model import Snapshot
from raccord.git.snapshot_write import PIECE, READING, hasher, object_id, unwritten
from raccord.git.worktrees import Worktree, worktrees
from raccord.kernel import fs
from raccord.kernel.fs_tree import Tree
from raccord.model.handler import Position
from raccord.model.plan import Json
from raccord.model.text import shown


@dataclass(frozen=True, slots=True)
class Restore:
    """What a restore does, as data that survives a trip through JSON.

    Attributes:
        target: id of the snapshot that comes back.
        now: id of the snapshot that holds what is there before.
        put: the files, the index, HEAD and its branch; None where they are as they shall be.
        state: the state files of an operation in progress, in the git directory.
    """

    target: str
    now: str
    put: Put | None
    state: Put | None

    def payload(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "target": self.target,
            "now": self.now,
            "put": self.put.payload() if self.put else None,
            "state": self.state.payload() if self.state else None,
        }

    @classmethod
    def of(cls, payload: Mapping[str, Json]) -> Restore:
        """Read back from JSON."""
        put, state = payload["put"], payload["state"]
        return cls(
            payload["target"], payload["now"], Put.of(put) if put else None, Put.of(state) if state else None
        )

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.put or self.state)

    def lanes(self, lane: str) -> list[tuple[Put, str]]:
        """Both parts in order, with the lane's name for each."""
        return [(put, name) for put, name in ((self.put, lane), (self.state, f"{lane}\0state")) if put]


def beside(repo: Repository, worktree: Worktree, target: Snapshot) -> str | tuple[str, ...]:
    """What the backup must be asked for as `ignored`, to hold whatever restoring `target` overwrites.

    Raises:
        CannotRun: the index is damaged.
    """
    if target.every_ignored:
        return "all"
    git = repo.git.at(worktree.path)
    _, index = read_index(git, worktree.gitdir, target.hash_size)
    return unheld(target, {entry.path for entry in index.entries()})


def prepare(repo: Repository, worktree: Worktree, target: Snapshot, now: Snapshot) -> Restore:
    """The restore that brings `worktree`, which is as `now`, to `target`. Looks, never writes.

    Raises:
        HeldBack: the branch is gone, moved or checked out elsewhere, the worktree is missing or another
            one, or an operation is in progress that can't be put back.
    """
    where = shown(str(worktree.path))
    if worktree.missing or worktree.bare:
        raise HeldBack(f"{where} is missing", hint=f"git worktree add {where}", path=str(worktree.path))
    for each in (target, now):
        if str(worktree.path) != each.worktree and str(worktree.gitdir) != each.gitdir:
            raise HeldBack(f"snapshot {each.id} is of {shown(each.worktree)}, not of {where}", id=each.id)
    found = differences(target, now)
    if found.operation:
        _check_operation(repo, target, now)
    if found.head or found.ref:
        _check_branch(repo, worktree, target, found)
    put, state = None, None
    if found.paths or found.index or found.head or found.ref:
        put = Put(
            worktree=str(worktree.path),
            gitdir=str(worktree.gitdir),
            changes=tuple(each.change for each in found.paths),
            index=target.index,
            index_mtime_ns=target.index_mtime_ns,
            refs=(found.ref,) if found.ref else (),
            # Named even where it stays: then it has to be what the backup saw.
            head=found.head or Head(target_of(now.head, now.branch), target_of(now.head, now.branch)),
            message=f"restore {target.id}",
        )
    if found.operation:
        changes = tuple(each.change for each in found.operation)
        state = Put(str(worktree.gitdir), str(worktree.gitdir), changes)
    return Restore(target.id, now.id, put, state)


def apply(git: Git, restore: Restore, run: str, lane: str, *, wait: float = 5.0) -> follow_put.Moved:
    """Does it, or finishes it after a kill.

    Args:
        git: at the worktree.
        run, lane: name what is left beside the repository while it runs.
        wait: seconds to wait for another git command that holds the index.

    Raises:
        WorldMoved: the worktree is no longer as the backup has it; nothing was changed.
        HeldBack: something is in the way, or another git holds the index; nothing was changed.
        CannotRun: disk full or read-only; nothing was changed.
    """
    parts = [(put, name, follow_put.probe(git, put, run, name)) for put, name in restore.lanes(lane)]
    seen: dict[str, dict[str, fs.Signature | None]] = {}
    if all(position is Position.BEFORE for _, _, position in parts):
        seen = verify(git, restore)
    paths: list[str] = []
    rescued: list[str] = []
    for put, name, position in parts:
        if position is not Position.AFTER or follow_put.uncleaned(put, run, name):
            moved = follow_put.apply(git, put, run, name, seen=seen.get(put.worktree), wait=wait)
            paths += moved.paths
            rescued += moved.rescued
    return follow_put.Moved(tuple(paths), tuple(rescued))


def probe(git: Git, restore: Restore, run: str, lane: str) -> Position:
    """Where it stands: BEFORE only while the worktree is as the backup has it, else NEITHER."""
    parts = {follow_put.probe(git, put, run, name) for put, name in restore.lanes(lane)}
    if parts <= {Position.AFTER}:
        return Position.AFTER
    if parts != {Position.BEFORE}:
        return Position.BETWEEN
    try:
        verify(git, restore)
    except WorldMoved:
        return Position.NEITHER
    return Position.BEFORE


def revert(repo: Repository, worktree: Worktree, restore: Restore, run: str, lane: str) -> tuple[str, ...]:
    """Takes back a half-done one, exactly; nothing where it never began. Returns what was rescued.

    Raises:
        RestoreFailed: what can't be taken back; the snapshot `now` holds it.
    """
    git = repo.git.at(worktree.path)
    rescued: list[str] = []
    for put, name in reversed(restore.lanes(lane)):
        rescued += follow_put.revert(git, put, run, name)
    if restore.put and restore.state:
        ends = [follow_put.probe(git, put, run, name) for put, name in restore.lanes(lane)]
        if ends[0] is Position.AFTER and ends[1] is not Position.AFTER:
            # The files were finished when the operation's state was not: the backup is their way back.
            both = snapshot.read_many(git, [restore.target, restore.now])
            back = prepare(repo, worktree, both[restore.now], both[restore.target])
            if back.put:
                rescued += follow_put.apply(git, back.put, run, f"{lane}\0back").rescued
    return tuple(rescued)


def verify(git: Git, restore: Restore) -> dict[str, dict[str, fs.Signature | None]]:
    """Looks whether all that the restore touches is as the backup has it; what was seen, by root and path.

    Raises:
        WorldMoved: it is not.
        UsageError: the backup is gone.
    """
    now = snapshot.read(git, restore.now)
    found: dict[str, dict[str, fs.Signature | None]] = {}
    if restore.put:
        gitdir = Path(restore.put.gitdir)
        if read_head(git, gitdir) != target_of(now.head, now.branch):
            raise _moved(now, "HEAD")
        at = git.run("rev-parse", "--verify", "--quiet", "HEAD")
        if at.stdout.decode().strip() != now.head:
            raise _moved(now, shown(now.branch or "HEAD"))
        if tuple(read_index(git, gitdir, now.hash_size)[1].entries()) != now.entries:
            raise _moved(now, "the index")
        found[restore.put.worktree] = _compare(restore.put, states(now), now)
    if restore.state:
        there = {path: State(kept.mode, kept.blob, why=kept.why) for path, kept in now.operation.items()}
        found[restore.state.worktree] = _compare(restore.state, there, now)
    return found


def _compare(put: Put, there: Mapping[str, State], now: Snapshot) -> dict[str, fs.Signature | None]:
    seen: dict[str, fs.Signature | None] = {}
    with Tree(put.worktree) as tree:
        for change in put.changes:
            expected = there.get(change.path)
            try:
                found = tree.signature(change.path)
            except UnsafePath as error:
                # Below a link is nothing of the worktree's: the link is in the list, or stops the machine.
                if expected is not None:
                    raise _moved(now, shown(change.path)) from error
                found = None
            if found is not None and found.is_dir:
                continue  # what is in it is in the list, or stops the machine
            same = expected is None if found is None else _is(tree, change, found, expected, now)
            if not same:
                raise _moved(now, shown(change.path))
            seen[change.path] = found
    return seen


def _is(tree: Tree, change: PathChange, found: fs.Signature, expected: State | None, now: Snapshot) -> bool:
    """Whether what is found at a path is what the backup has there."""
    if expected is None or stat.S_IFMT(found.mode) != stat.S_IFMT(expected.mode):
        return False
    kept = now.kept.get(change.path)
    if kept and unwritten(kept, found) and kept.ctime_ns < (now.taken - snapshot.SETTLED_S) * 1e9:
        return True
    if found.is_file and found.mode != expected.mode:
        return False
    folder, name = tree.parent(change.path)
    if found.is_link:
        target = os.fsencode(os.readlink(folder.name(name), dir_fd=folder.fd))
        return object_id(target, now.hash_size) == expected.blob
    handle = os.open(folder.name(name), READING, dir_fd=folder.fd)
    try:
        digest = hasher(now.hash_size, found.size)
        while piece := os.read(handle, PIECE):
            digest.update(piece)
    finally:
        os.close(handle)
    return digest.hexdigest() == expected.blob


def _check_branch(repo: Repository, worktree: Worktree, target: Snapshot, found: Differences) -> None:
    name = target.branch
    if not name:
        return
    short = shown(name.removeprefix("refs/heads/"))
    for other in worktrees(repo):
        if other.gitdir != worktree.gitdir and other.branch and f"refs/heads/{other.branch}" == name:
            raise HeldBack(
                f"branch {short} is checked out in {shown(str(other.path))}",
                hint=f"git -C {shown(str(other.path))} switch --detach",
                branch=short,
            )
    if not found.head:
        return  # its own branch, which is at what the backup says, or the transaction refuses
    at = refs.read(repo.git, name).get(name)
    if at == (target.head or None):
        return
    if at is None:
        raise HeldBack(f"branch {short} was deleted", hint=f"git branch {short} {target.head}", branch=short)
    raise HeldBack(
        f"branch {short} moved since: it is at {at[:12]}, the snapshot at {target.head[:12] or 'no commit'}",
        hint=f"git switch {short}, then restore again",
        branch=short,
    )


def _check_operation(repo: Repository, target: Snapshot, now: Snapshot) -> None:
    if "bisect" in (target.doing, now.doing) and target.doing != now.doing:
        raise HeldBack("a bisect can't be put back", hint="git bisect reset, then restore again")
    if repo.settings.get("extensions.refstorage", "files") != "files":
        raise HeldBack(
            f"a {now.doing or target.doing or 'merge'} in progress can't be put back with reftables",
            hint="finish or abort it, then restore again",
        )


def _moved(now: Snapshot, what: str) -> WorldMoved:
    return WorldMoved(f"{what} changed since the backup {now.id} was taken", hint="try again", id=now.id)


def lines(found: Differences) -> Iterable[str]:
    """The restore, one line a change, for a person."""
    marks = {"write": "M", "remove": "D", "mode": "x", "directory": "+"}
    for each in found.paths:
        yield f"{marks[each.action]} {shown(each.path)}"
    if found.index:
        yield "* what is staged"
    if found.ref:
        old, new = found.ref.old or "none", found.ref.new or "none"
        yield f"* {shown(found.ref.ref)}: {old[:12]} to {new[:12]}"
    if found.head:
        yield f"* HEAD: {shown(found.head.old)} to {shown(found.head.new)}"
    if found.operation:
        yield "* the operation in progress"
