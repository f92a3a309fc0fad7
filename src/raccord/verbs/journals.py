"""Moves old entries of the agents' journals into archives, where the configuration says so.

Each journal is a run of its own, after a snapshot; one that somebody works on is left for the next time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime

from raccord.code.keeping import snapshot_step
from raccord.coordination.journal import moved
from raccord.coordination.papers import read
from raccord.coordination.rolling import Change, archive_of, roll_step
from raccord.coordination.watched import anchored, find
from raccord.errors import RaccordError, WorldMoved
from raccord.git.commits import Signature, signed
from raccord.git.worktrees import Worktree
from raccord.model.plan import Lane, Plan, Stage
from raccord.model.text import shown
from raccord.verbs.coordination import home
from raccord.verbs.room import Room

QUIET_SECONDS = 60.0  # since the last write: whoever writes one is left alone


def roll(room: Room) -> str:
    """Moves what is old; why a journal could not be, "" where all could."""
    said = room.config.coordination
    if not said.journals:
        return ""
    tree = home(room)
    if tree is None or tree.operation:
        return ""
    room.engine().recover()
    archives = {archive_of(path) for path in find(str(tree.path), anchored(said.journals)).files}
    why = ""
    for path in find(str(tree.path), anchored(said.journals)).files:
        try:
            if path not in archives:
                _roll(room, tree, path)
        except WorldMoved:
            continue  # the next time
        except RaccordError as error:
            why = f"{shown(path)}: {error.message}"
    return why


def _roll(room: Room, tree: Worktree, path: str) -> None:
    top = str(tree.path)
    if time.time() - os.lstat(tree.path / path).st_mtime < QUIET_SECONDS:
        return
    archive = archive_of(path)
    (journal, _), (before, version) = read(top, path), read(top, archive)
    now = datetime.now().astimezone().replace(tzinfo=None)  # as people write it: local
    done = moved(journal, before, now, room.config.coordination.journal_hours)
    if done is None:
        return
    # First into the archive.
    changes: tuple[Change, ...] = (
        (archive, _kept(room, before) if version else "", _kept(room, done.archive)),
        (path, _kept(room, journal), _kept(room, done.journal)),
    )
    title = f"move {done.number} old entries of {shown(path)} into {shown(archive)}"
    kept = _commit(room, [oid for _, *two in changes for oid in two if oid])
    steps = (snapshot_step(tree, "before old entries move"), roll_step(top, changes, kept, title))
    plan = Plan("journals", (Stage("roll", (Lane(top, shown(tree.path.name), steps),)),), by="raccord")
    record = room.engine().apply(lambda: plan)[1]
    for lane in record.lanes.values() if record is not None else ():
        if lane.finding is not None:
            raise WorldMoved(lane.finding.message, hint=lane.finding.hint)


def _commit(room: Room, blobs: Sequence[str]) -> str:
    """A commit that holds blobs, and that no branch has."""
    git = room.repo.git
    lines = "".join(f"100644 blob {oid}\t{number}\n" for number, oid in enumerate(blobs))
    who = Signature("raccord", "", int(time.time()))
    body = signed(git.line("mktree", stdin=lines.encode("ascii")), [], who, b"entries of a journal\n")
    return git.line("hash-object", "-w", "-t", "commit", "--stdin", stdin=body)


def _kept(room: Room, data: bytes) -> str:
    """The blob of a content, byte for byte."""
    return room.repo.git.line("hash-object", "-w", "--no-filters", "--stdin", stdin=data)
