"""Ref locks that a killed git of ours left: git never removes them, and fails on them ever after.

Each raccord that writes leaves a note beside the state until it ends. Where a note outlives its process,
locks of remote-tracking refs and of raccord's own that are younger than the note and that nobody touches any
more are removed; no other is. Locks of branches and worktrees: `follow_refs.py` and `follow_stage.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from raccord.errors import LockTimeout, ProcessFailed
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.kernel import fs
from raccord.kernel.fs_alive import alive
from raccord.kernel.owner import Owner, me
from raccord.kernel.proc import Result

CLOCK_NS = 50_000_000  # a file's times may lag so far behind the clock
SETTLED_S = 1.0  # how long a lock must stay as it is; a ref transaction takes milliseconds
WAIT_S = 30.0
PACKED = "packed-refs.lock"
# What a ref's lock holds. Git writes the id and the newline one after the other: it may be cut off.
_BEGUN = re.compile(rb"[0-9a-f]{0,64}\n?|r|re|ref|ref: ?[^\n]*\n?")


def begin(repo: Repository) -> Path:
    """Clears what the dead left, and leaves this process's note; returns where it is.

    Raises:
        CannotRun: the state's directory can't be written.
    """
    clear(repo)
    folder = _folder(repo)
    fs.make_dirs(folder)
    note = folder / secrets.token_hex(8)
    fs.write_new(note, str(me(folder.parent)).encode())
    fs.sync_dir(folder)
    return note


def end(repo: Repository, note: Path) -> None:
    """Takes this process's note back, unless there are locks that a killed child may have left."""
    seen = fs.signature(note)
    if seen is not None and not any(_locks(repo, seen.mtime_ns)):
        fs.unlink(note)


def run(repo: Repository, git: Git, *args: str, timeout: float | None) -> Result:
    """Runs a fetch or push on the user's order, and clears what it leaves where it is killed.

    Args:
        git: git at the repository, with what a connection needs.
        timeout: seconds before it is ended.

    Raises:
        ProcessTimeout: it ran too long.
    """
    since = time.time_ns() - CLOCK_NS
    killed = True
    try:
        result = git.run(*args, trusted=True, timeout=timeout)
        killed = result.returncode < 0
        return result
    finally:
        if killed:
            _remove(repo, since)


@contextlib.contextmanager
def watched(repo: Repository) -> Iterator[None]:
    """Clears what a git that the block started leaves where somebody else killed it.

    Raises:
        ProcessFailed: as the block did.
    """
    since = time.time_ns() - CLOCK_NS
    try:
        yield
    except ProcessFailed as error:
        if error.returncode < 0:
            _remove(repo, since)
        raise


def clear(repo: Repository) -> None:
    """Removes the locks that killed fetches and pushes left; where nothing is, one look into a directory."""
    folder = _folder(repo)
    if not _dead(folder):
        return
    # One at a time: what another process has cleared may be locked again by one that lives.
    with contextlib.suppress(LockTimeout), alive(folder.parent / "leftover", WAIT_S):
        notes = _dead(folder)
        if notes:
            _remove(repo, min(since for _, since in notes))
        for note, _ in notes:
            fs.unlink(note)


def _remove(repo: Repository, since_ns: int) -> None:
    """Removes the locks that were taken since, and that nobody touches."""
    locks = list(_locks(repo, since_ns))
    if locks:
        time.sleep(SETTLED_S)
    for path, seen in locks:
        # A lost update of a tracking ref is fetched again; packed-refs holds the branches too.
        foreign = path.parent == repo.common and _git_at_work(repo)
        if not foreign and seen.same(fs.signature(path)):
            fs.unlink(path)


def _folder(repo: Repository) -> Path:
    return repo.common / "raccord" / "notes"


def _dead(folder: Path) -> list[tuple[Path, int]]:
    """The notes whose process is gone, each with the time when it was written."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            note = folder / name
            seen = fs.signature(note)
            if seen is None or not seen.is_file:  # a pipe would never end
                continue
            text = fs.read_or_none(note)
            if text is None:
                continue
            try:
                gone = not Owner.parse(text.decode("ascii"), folder.parent).alive()
            except ValueError:  # it is only being written
                gone = time.time() - seen.mtime_ns / 1e9 > WAIT_S
            if gone:
                found.append((note, seen.mtime_ns))
    return found


def _locks(repo: Repository, since_ns: int) -> Iterator[tuple[Path, fs.Signature]]:
    """Locks that a git of ours may have taken since."""
    paths = [repo.common / PACKED]
    for kind in ("raccord", "remotes"):
        for where, _, names in os.walk(repo.common / "refs" / kind):
            paths += [Path(where, name) for name in names if name.endswith(".lock")]
    for path in paths:
        seen = fs.signature(path)
        if seen is None or not seen.is_file or seen.ctime_ns < since_ns:
            continue
        if path.name == PACKED or _BEGUN.fullmatch(fs.read_or_none(path) or b""):
            yield path, seen


def _git_at_work(repo: Repository) -> bool:
    """Whether a git process is, or may be, at work in the repository."""
    if sys.platform != "linux":
        return True
    ours = [os.path.realpath(place) for place in (repo.common, repo.common.parent)]
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if not Path("/proc", number, "comm").read_text("utf-8", "replace").startswith("git"):
                continue
            try:
                places = [cwd := os.readlink(f"/proc/{number}/cwd")]
            except PermissionError:
                return True
            # Git goes to the top of its worktree, whose `.git` names a directory within the repository's.
            named = fs.read_or_none(os.path.join(cwd, ".git")) if os.path.isfile(f"{cwd}/.git") else None
            if named is not None:
                places.append(os.path.realpath(os.fsdecode(named).removeprefix("gitdir: ").strip()))
            if any(place == own or place.startswith(f"{own}/") for place in places for own in ours):
                return True
    return False
