"""Clones of databases that are lent for as long as a block lasts, and dropped afterwards, whatever happens.

A document beside a locked file names them before they are made. The child that works on them holds the file
too: what a kill leaves behind is known by a file that nobody holds any more, and the next one drops it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.database import clone as copies
from raccord.database import owned
from raccord.database.keeping import new_id
from raccord.database.url import POSTGRESQL, SQLITE, Target
from raccord.errors import LockTimeout, RaccordError
from raccord.kernel import fs, fs_alive
from raccord.migrations.standing import absent
from raccord.model.text import shown

FOLDER = "clones"


@dataclass(frozen=True, slots=True)
class Lent:
    """Clones for a while.

    Attributes:
        of: the clone by the key of its database.
        folder: for files that are needed as long.
        notes: what a person should know of how they were made.
        handle: the open file that a child keeps open, and with it the lock.
    """

    of: Mapping[str, Target]
    folder: Path
    notes: tuple[str, ...]
    handle: int


@contextlib.contextmanager
def lent(targets: Sequence[Target], state: Path, what: str, *, fresh: bool = False) -> Iterator[Lent]:
    """Clones each database.

    Args:
        state: raccord's own folder.
        what: what for, kept with their mark.
        fresh: empty databases instead; where there is no database yet it is an empty one anyhow.

    Raises:
        DatabaseError, DatabaseBusy: one can't be cloned.
    """
    folder = state / FOLDER
    fs.make_dirs(folder)
    id_ = new_id()
    wanted = {one.key: one for one in targets}
    planned = {
        key: replace(one, name=f"raccord_clone_{secrets.token_hex(8)}")
        if one.kind == POSTGRESQL
        else replace(one, path=str(folder / f"{id_}-{number}.db"))
        for number, (key, one) in enumerate(wanted.items())
    }
    with fs_alive.alive(folder / f"{id_}.alive", 0.0) as file:
        said = [{"key": key, "name": one.name, "path": one.path} for key, one in planned.items()]
        fs.write_atomic(folder / f"{id_}.json", json.dumps(said).encode("ascii"), mode=0o600)
        notes, made = [], {}
        fs.make_dirs(folder / id_)
        try:
            for key, one in wanted.items():
                name = planned[key].path if one.kind == SQLITE else planned[key].name
                if fresh or absent(one):
                    made[key] = copies.empty(one, name, what=what)
                else:
                    done = copies.clone(one, name, what=what)
                    made[key] = done.target
                    notes += [done.note] if done.note else []
            yield Lent(made, folder / id_, tuple(notes), file.fileno())
        finally:
            _forget(folder, id_, planned)


def sweep(targets: Sequence[Target], state: Path) -> tuple[str, ...]:
    """Drops the clones of these databases that were left by what was killed.

    Returns:
        What was dropped, for a person.

    Raises:
        DatabaseError: a server can't be reached.
    """
    folder = state / FOLDER
    keys = {one.key: one for one in targets}
    dropped: list[str] = []
    for id_ in sorted(name.removesuffix(".json") for name in fs.names(folder) if name.endswith(".json")):
        try:
            with fs_alive.alive(folder / f"{id_}.alive", 0.0):
                left = _read(folder / f"{id_}.json")
                ours = {
                    key: replace(keys[key], name=name or keys[key].name, path=path)
                    for key, name, path in left
                    if key in keys
                }
                if len(ours) == len(left):
                    dropped += [shown(one.path or one.name) for one in ours.values() if copies.drop(one)]
                    _remove(folder, id_)
        except LockTimeout:
            continue  # it is at work
    for one in {one.hosts: one for one in targets if one.kind == POSTGRESQL}.values():
        dropped += owned.sweep(one)
    return tuple(dropped)


def remaining(state: Path) -> int:
    """How many were left behind, or are at work."""
    return sum(name.endswith(".json") for name in fs.names(state / FOLDER))


def _read(path: Path) -> list[tuple[str, str, str]]:
    try:
        return [(one["key"], one["name"], one["path"]) for one in json.loads(fs.read_or_none(path) or b"[]")]
    except (ValueError, KeyError, TypeError):
        return []


def _forget(folder: Path, id_: str, planned: Mapping[str, Target]) -> None:
    """Drops what was made. What can't be reached now is known by its document, and dropped later."""
    try:
        for one in planned.values():
            copies.drop(one)
    except RaccordError:
        return
    _remove(folder, id_)


def _remove(folder: Path, id_: str) -> None:
    fs.remove_tree(folder / id_)
    fs.unlink(folder / f"{id_}.json")
    fs.unlink(folder / f"{id_}.alive")
