"""Whether raccord's own state can be read and written. Looks only."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from raccord.errors import StoreError
from raccord.kernel import fs
from raccord.kernel.owner import Owner
from raccord.kernel.store import Store
from raccord.model.advice import Advice
from raccord.model.language import message
from raccord.model.text import size

LEAST, SCARCE = 50 << 20, 1 << 30  # bytes


def room_left(folder: Path) -> Advice:
    """Whether there is room to write in a folder, or in the nearest one above it that exists."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    quoted = shlex.quote(str(there))
    if not os.access(there, os.W_OK):  # nor is a file system that is read-only
        why = message("raccord keeps its state there, and can only look without it")
        return Advice(
            "disk.writable",
            "problem",
            message("{place} can't be written", place=str(there)),
            why,
            f"ls -ld {quoted}",
        )
    free = fs.free(there)
    what = message("{free} are free at {place}", free=size(free), place=str(there))
    if free < SCARCE:
        why = message("snapshots and backups need room before anything is changed")
        return Advice("disk.space", "problem" if free < LEAST else "warning", what, why, f"df -h {quoted}")
    return Advice("disk.space", "ok", what)


def database(store: Store) -> Advice:
    """Whether the state database is whole."""
    try:
        said = [str(row[0]) for row in store.rows("pragma integrity_check(3)")]
    except StoreError as error:
        return broken(error)
    if said != ["ok"]:
        what = message("the state database is damaged: {said}", said="; ".join(said))
        return Advice("state.database", "problem", what, None, f"cp {shlex.quote(str(store.path))} broken.db")
    if store.newer:
        why = message("this release only reads it")
        newer = message("the state database was written by a newer raccord")
        return Advice("state.database", "warning", newer, why, "raccord --version")
    return Advice("state.database", "ok", message("the state database is whole"))


def broken(error: StoreError) -> Advice:
    """A state database that can't be read at all."""
    what = message("the state database can't be read: {said}", said=error.message)
    return Advice("state.database", "problem", what, None, error.hint)


def locks(store: Store) -> Iterator[Advice]:
    """Locks whose owners are gone: the next run takes them over."""
    rows = store.rows("select distinct run, owner from locks")
    dead = sorted(run for run, owner in rows if not Owner.parse(owner, store.folder).alive())
    if dead:
        what = message("run {run} was cut off, and its locks are still there", run=dead[0])
        why = message("the next run finishes it or takes it back")
        yield Advice("state.locks", "warning", what, why, f"raccord continue --run {dead[0]}")
    else:
        yield Advice("state.locks", "ok", message("nobody left a lock"))
