"""The one machine that brings a worktree from one state to another; `follow` and `follow_put` feed it.

Files are swapped first, then refs and HEAD, then the index; until the log is turned to "done" everything
can be taken back. All of it happens while `index.lock` is ours, so that no other git writes the index
meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from raccord.errors import CannotRun, HeldBack, ProcessFailed, RaccordError, WorldMoved
from raccord.git import follow_index, follow_refs
from raccord.git.follow_index import Index
from raccord.git.follow_refs import RefMoves
from raccord.git.follow_stage import PRIVATE, Stage, unfinished
from raccord.git.run import Git
from raccord.kernel import fs, fs_swap, fs_swap_log
from raccord.kernel.fs import Signature
from raccord.kernel.fs_swap_log import Entry, Phase, Swap
from raccord.model.handler import Position
from raccord.model.plan import Json
from raccord.model.text import shown


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did.

    Attributes:
        paths: that it wrote or removed.
        rescued: copies of what someone wrote at the very moment, kept aside: absolute paths.
    """

    paths: tuple[str, ...] = ()
    rescued: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a worktree shall become, with everything new already in its stage.

    Attributes:
        key: tells one move from another.
        files: the directory with the staged files in `new/`.
        entries: the paths that change.
        moves: the refs and HEAD.
        index: the index file as it was seen, None where there was none; it is linked as `index.old` in the
            stage.
        width: bytes of an object's name.
        synced: whether the staged files are durable already.
        refresh: whether git shall compare the new index with the files; else only the staged files get
            their stat data. The new index is the stage's private one; without one the index is left alone.
    """

    key: str
    files: Path
    entries: tuple[Entry, ...]
    moves: RefMoves
    index: Signature | None
    width: int
    refresh: bool = False
    synced: bool = False


def link_index(stage: Stage) -> Signature | None:
    """Keeps the index file under a second name, to put it back; its signature, None without one."""
    old = stage.meta / "index.old"
    try:
        fs.link(stage.gitdir / "index", old)
    except FileNotFoundError:
        return None
    return fs.signature(old)


def prepare(stage: Stage, target: Target) -> Swap:
    """Writes the log: from now on the move is finished or taken back, from what is durable.

    Raises:
        CannotRun: see `fs_swap_log.prepare`; nothing was changed.
        UnsafePath: a parent is a symbolic link; nothing was changed.
    """
    extra = {
        "key": target.key,
        "moves": asdict(target.moves),
        "index": asdict(target.index) if target.index else None,
        "new_index": fs.signature(stage.index) is not None,
        "width": target.width,
        "refresh": target.refresh,
    }
    if extra["new_index"]:
        fs.sync_file(stage.index)
    stage.make_lock()
    return fs_swap_log.prepare(
        stage.meta, stage.worktree, target.files, target.entries, extra, synced=target.synced
    )


def carry(
    stage: Stage, git: Git, swap: Swap, *, resumed: bool, wait: float, index: Index | None = None
) -> Moved:
    """Carries a prepared move to its end, or takes it back where it can't be.

    Args:
        index: the private index, where it is parsed already.
        resumed: whether an earlier attempt may have done a part of it.
        wait: seconds to wait for other git commands.

    Raises:
        WorldMoved: the worktree is no longer what was prepared for; all was taken back.
        HeldBack: another git command is at work; all was taken back, or nothing more done where it can't be.
        CannotRun: disk full or read-only; all was taken back.
    """
    try:
        stage.lock(wait)
    except HeldBack:
        if not resumed:
            stage.empty()
        raise
    try:
        moves = RefMoves.of(swap.extra["moves"])
        if not resumed:
            _verify(stage, git, swap, moves)
        fs_swap.forward(swap)
        since = os.stat(stage.meta / Phase.FORWARD.value).st_mtime_ns
        follow_refs.move(stage, git, moves, since_ns=since, resumed=resumed, wait=wait)
        _install(stage, git, swap, index)
        fs_swap_log.turn(stage.meta, Phase.FORWARD, Phase.DONE)
    except BaseException as error:
        rescued = take_back(stage, git, swap, Phase.FORWARD, resumed=resumed, wait=wait)
        if isinstance(error, RaccordError) and rescued:
            error.data["rescued"] = list(rescued)
        raise
    return end(stage, swap)


def resume(stage: Stage, git: Git, key: str, wait: float) -> Moved | tuple[str, ...]:
    """Finishes what an earlier attempt left.

    Returns:
        What it did, where it was this very move and is now done; else what was rescued, and the stage is
        empty.

    Raises:
        WorldMoved: it is another move, unfinished.
        HeldBack: one of another run is.
    """
    found = _found(stage, key)
    if found is None:
        return ()
    swap, phase = found
    if phase is Phase.DONE:
        done = end(stage, swap)
        return done if swap.extra["key"] == key else done.rescued
    if phase is Phase.BACK:
        return take_back(stage, git, swap, phase, resumed=True, wait=wait)
    return carry(stage, git, swap, resumed=True, wait=wait)


def probe(meta: Path, key: str, look: Callable[[], Position]) -> Position:
    """Where a move stands: by the log that an earlier attempt left, else by looking.

    Args:
        meta: where an attempt works.
    """
    try:
        left = fs.signature(meta) is not None
        found = fs_swap_log.load(meta) if left else None
        if found is None:
            stands = look()
            # Without a log it was killed before anything was done, or while it cleaned up.
            return Position.BETWEEN if left and stands is not Position.AFTER else stands
    except (ProcessFailed, CannotRun):
        return Position.UNKNOWN
    swap, phase = found
    if swap.extra["key"] != key:
        return Position.NEITHER
    return Position.AFTER if phase is Phase.DONE else Position.BETWEEN


def revert(stage: Stage, git: Git, key: str, wait: float) -> tuple[str, ...]:
    """Takes back what an earlier attempt left half done. Returns what was rescued.

    Raises:
        WorldMoved: it is another move, unfinished.
        HeldBack: one of another run is.
    """
    found = _found(stage, key)
    if found is None:
        return ()
    swap, phase = found
    if phase is Phase.DONE:
        return end(stage, swap).rescued
    return take_back(stage, git, swap, phase, resumed=True, wait=wait)


def _found(stage: Stage, key: str) -> tuple[Swap, Phase] | None:
    if others := unfinished(stage.gitdir, stage.meta):
        raise HeldBack(
            f"another move of {shown(str(stage.worktree))} is unfinished ({shown(others[0])})",
            hint="raccord continue",
            path=str(stage.worktree),
        )
    found = fs_swap_log.load(stage.meta)
    if found is None:
        stage.empty()
    elif found[1] is not Phase.DONE and found[0].extra["key"] != key:
        raise WorldMoved(
            f"another move of {shown(str(stage.worktree))} is unfinished",
            hint="raccord continue",
        )
    return found


def end(stage: Stage, swap: Swap) -> Moved:
    """Cleans up after a move that has been carried to its end."""
    rescued = fs_swap.rescue(swap, stage.rescued, done=True)
    stage.empty()
    return Moved(tuple(entry.path for entry in swap.entries), rescued)


def take_back(
    stage: Stage, git: Git, swap: Swap, phase: Phase, *, resumed: bool, wait: float
) -> tuple[str, ...]:
    """Takes back what is done of a move, and cleans up. Returns what was rescued.

    Raises:
        CannotRun: disk full or read-only; call it again.
    """
    if phase is Phase.FORWARD:
        # It may have been turned to "done" already, and only the disk did not take that.
        turned = fs.signature(stage.meta / Phase.FORWARD.value) is None
        fs_swap_log.turn(stage.meta, Phase.DONE if turned else Phase.FORWARD, Phase.BACK)
    stage.lock(wait)
    moves = RefMoves.of(swap.extra["moves"])
    since = os.stat(stage.meta / Phase.BACK.value).st_mtime_ns
    _uninstall(stage)
    _take_back_refs(stage, git, moves, since, resumed, wait)
    fs_swap.backward(swap)
    rescued = fs_swap.rescue(swap, stage.rescued, done=False)
    stage.empty()
    return rescued


def _take_back_refs(stage: Stage, git: Git, moves: RefMoves, since: int, resumed: bool, wait: float) -> None:
    if moves.head and moves.head.old == moves.head.new:
        moves = replace(moves, head=None)  # where it is now says nothing about the refs
    before, _ = follow_refs.stand(git, stage.gitdir, moves)
    if before and not resumed:
        return
    with contextlib.suppress(WorldMoved):  # someone moved it on: it is theirs now
        follow_refs.move(stage, git, moves.reverse(), since_ns=since, resumed=resumed, wait=wait)


def _verify(stage: Stage, git: Git, swap: Swap, moves: RefMoves) -> None:
    seen = _signature(swap.extra["index"])
    now = fs.signature(stage.gitdir / "index")
    same = now is None if seen is None else seen.same(now, moved=True)
    if swap.extra["new_index"] and not same:
        raise WorldMoved(f"another git command changed the index of {shown(swap.root)}", hint="try again")
    if moves.head and follow_refs.read_head(git, stage.gitdir) != moves.head.old:
        raise WorldMoved(f"HEAD of {shown(swap.root)} moved meanwhile", hint="try again")
    fs_swap.verify(swap)


def _install(stage: Stage, git: Git, swap: Swap, new: Index | None) -> None:
    """Puts the new index in place: `index.mine` stays as the proof that this was done."""
    if not swap.extra["new_index"]:
        return
    index, mine, final = stage.gitdir / "index", stage.meta / "index.mine", stage.meta / "index.final"
    placed, there = fs.signature(mine), fs.signature(index)
    if placed is not None and there is not None and placed.ino == there.ino:
        return
    before = _signature(swap.extra["index"])
    if (before is None) != (there is None) or (before and there and before.ino != there.ino):
        raise WorldMoved(f"another git command changed the index of {shown(swap.root)}", hint="try again")
    fs.unlink(mine)
    fs.unlink(final)
    if swap.extra["refresh"]:
        # Fails where files differ from the index, which is no failure here.
        with contextlib.suppress(ProcessFailed):
            stage.call(stage.private(git), *PRIVATE, "update-index", "-q", "--unmerged", "--refresh")
    written = fs.signature(stage.index)
    assert written is not None
    if swap.extra["refresh"]:
        data = fs.read(stage.index)
    else:
        new = new or follow_index.parse(fs.read(stage.index), swap.extra["width"])
        files = ((os.fsencode(entry.path), found) for entry, found in fs_swap.placed(swap))
        data = follow_index.restat(new, files)
    # The time of git's own writing: a younger one would let a file that changed meanwhile pass for clean.
    mode = before.mode & 0o777 if before else 0o666
    fs.write_new(mine, data, mode=mode, exact=before is not None, mtime_ns=written.mtime_ns)
    fs.link(mine, final)
    fs.replace(final, index)


def _uninstall(stage: Stage) -> None:
    index, mine = stage.gitdir / "index", fs.signature(stage.meta / "index.mine")
    there = fs.signature(index)
    if mine is None or there is None or mine.ino != there.ino:
        return
    old, back = stage.meta / "index.old", stage.meta / "index.back"
    if fs.signature(old) is None:
        fs.unlink(index)
    else:
        fs.unlink(back)
        fs.link(old, back)
        fs.replace(back, index)
    fs.sync_dir(stage.gitdir)


def _signature(data: Mapping[str, Json] | None) -> Signature | None:
    return Signature(**data) if data else None
