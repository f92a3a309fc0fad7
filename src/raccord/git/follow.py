"""Brings a worktree's ref, index and files from one commit to another; edits that don't overlap stay.

A kill at any system call leaves what `apply` finishes or `revert` takes back (`follow_target.py`). It never
overwrites what git does not hold: ignored and untracked files count. No hook runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from raccord.errors import CannotRun, ProcessFailed
from raccord.git import follow_index, follow_refs, follow_stage, follow_target
from raccord.git.deltas import differences
from raccord.git.follow_move import Move, all_old, look, read_index, staged
from raccord.git.follow_shared import Shared
from raccord.git.follow_target import Moved
from raccord.git.run import Git
from raccord.kernel import fs
from raccord.model.handler import Position
from raccord.model.plan import Finding

__all__ = ["Move", "Moved", "apply", "check", "probe", "revert"]


def check(git: Git, move: Move, shared: Shared, *, trusted: bool = False) -> Sequence[Finding]:
    """What stands in the way, by looking only: a finding "fail" holds the move back, a "note" is to be told.

    Names: follow.unfinished, follow.moved, follow.operation, follow.unmerged, follow.sparse, follow.filter,
    follow.staged, follow.unstaged, follow.untracked, follow.ignored, follow.parent, follow.symlink, and as a
    note follow.submodule. `data["paths"]` lists the paths.

    Raises:
        ProcessFailed: git failed, for one since a commit isn't there.
        CannotRun: the index can't be read.
    """
    path = Path(move.gitdir) / "index"
    seen = fs.signature(path)
    index = follow_index.parse(fs.read_or_none(path) or b"", move.width)
    if index.split:
        with follow_stage.opened(move.worktree, move.gitdir, "check", secrets.token_hex(8), 5.0) as stage:
            try:
                index, _ = read_index(stage, git, move.width)
            finally:
                stage.empty()
    mtime_ns = seen.mtime_ns if seen else 0
    return look(git, move, index, mtime_ns, trusted=trusted, shared=shared).findings


def apply(
    git: Git,
    move: Move,
    run: str,
    lane: str,
    shared: Shared,
    *,
    trusted: bool = False,
    wait: float = 5.0,
) -> Moved:
    """Does it, or finishes it after a kill.

    Args:
        git: at the worktree.
        run: the run's id, and
        lane: the lane's key: they name what is left beside the repository while it runs.
        shared: what it has in common with other moves.
        trusted: run filters that the repository's own configuration names.
        wait: seconds to wait for another git command that holds the index or a ref.

    Raises:
        WorldMoved: ref, HEAD, index or a file are not what they were; nothing was changed.
        HeldBack: `check` finds a problem, or another git holds the index; nothing was changed.
        CannotRun: disk full or read-only; nothing was changed.
    """
    left = fs.signature(follow_stage.place(move.gitdir, run, lane)) is not None
    with follow_stage.opened(move.worktree, move.gitdir, run, lane, wait) as stage:
        earlier = follow_target.resume(stage, git, move.key, wait)
        if isinstance(earlier, Moved):
            return earlier
        if left and _stands(git, move) is Position.AFTER:
            return Moved((), earlier)  # killed while it cleaned up
        try:
            target, index = staged(stage, git, move, trusted=trusted, shared=shared)
            swap = follow_target.prepare(stage, target)
        except BaseException:
            stage.empty()
            raise
        done = follow_target.carry(stage, git, swap, resumed=False, wait=wait, index=index)
        return Moved(done.paths, (*earlier, *done.rescued))


def probe(git: Git, move: Move, run: str, lane: str) -> Position:
    """Where the move stands, by looking only."""
    meta = follow_stage.place(move.gitdir, run, lane)
    return follow_target.probe(meta, move.key, lambda: _stands(git, move))


def _stands(git: Git, move: Move) -> Position:
    """Where the move stands, as far as the worktree tells."""
    try:
        before, after = follow_refs.stand(git, Path(move.gitdir), move.moves)
        if before and not after:
            return Position.BEFORE
        if not after:
            return Position.NEITHER
        # A ref that someone else moved takes neither index nor files along.
        deltas = differences(git, move.old, move.new)
        if deltas and all_old(move, deltas):
            return Position.BEFORE if before else Position.NEITHER
    except (ProcessFailed, CannotRun):
        return Position.UNKNOWN
    return Position.AFTER


def revert(git: Git, move: Move, run: str, lane: str, *, wait: float = 5.0) -> tuple[str, ...]:
    """Takes back a half-done one, exactly; does nothing where it never began or has ended.

    Returns:
        Copies of what someone wrote meanwhile and was in the way.

    Raises:
        WorldMoved: another move of this run's lane is unfinished there.
        HeldBack: another git command holds the index.
        CannotRun: disk full or read-only; call it again.
    """
    if fs.signature(follow_stage.place(move.gitdir, run, lane)) is None:
        return ()
    with follow_stage.opened(move.worktree, move.gitdir, run, lane, wait) as stage:
        return follow_target.revert(stage, git, move.key, wait)
