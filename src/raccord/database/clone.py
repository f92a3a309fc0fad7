"""Copies of a database to work on, made and dropped by raccord: a PostgreSQL database, or a SQLite file.

Only what bears raccord's mark is dropped: a comment on the database, a file beside the SQLite file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.database import backup_sqlite, copying, owned, postgres, restore_postgres, sqlite
from raccord.database import tools as programs
from raccord.database.keeping import Backup
from raccord.database.url import SQLITE, Target
from raccord.errors import DatabaseBusy, DatabaseError, DatabaseMissing, NotOurs, ProcessFailed
from raccord.kernel import fs, proc
from raccord.model.text import shown

WAIT_SECONDS = 5.0
QUEUE_SECONDS = 300.0
MARK = ".raccord-clone"
# The server cuts a longer one off, and says so to nobody who isn't looking.
NAME_BYTES = 63
_DENIED = re.compile(r"permission denied|must be (?:owner|member|able)|must have")


@dataclass(frozen=True, slots=True)
class Cloned:
    """A copy of a database.

    Attributes:
        target: where it is.
        how: "template", by the server; "dump", through pg_dump; "copy", a SQLite file.
        note: why it was not done the quicker way, or "".
    """

    target: Target
    how: str
    note: str = ""


def clone(
    target: Target,
    name: str,
    *,
    what: str = "clone",
    tools: Iterable[Path] = (),
    wait: float = WAIT_SECONDS,
    evict: bool = False,
    id_: str = "",
    queue: float = QUEUE_SECONDS,
) -> Cloned:
    """Copies a database.

    Args:
        name: of the new PostgreSQL database, or the path of the new SQLite file.
        what: what it is for, kept with its mark.
        tools: folders in which pg_dump and pg_restore are looked for first.
        wait: seconds to wait for others' connections to end: the server copies a database that nobody uses.
            Where they stay it is dumped and restored instead.
        evict: end the others' sessions instead.
        id_: 16 hexadecimal digits, by which `cut_off` finds what a kill left of it; "" for random ones.
        queue: seconds to wait for others who copy the same database.

    Raises:
        DatabaseBusy: others are connected, and there is no pg_dump of the server's release.
        DatabaseError: the name is taken, or the copy may not be made.
        LockTimeout: others were copying it for too long.
    """
    if target.kind == SQLITE:
        return _sqlite(target, name, what, wait)
    with postgres.administering(target) as db:
        _demand_free(db, target, name)
        with postgres.connected(target) as own:
            source = own.info.dbname
        with owned.queue(target, source, queue):
            found = copying.of(db, source, tools)
            found.check(source)
            note, how = "", "template"
            try:
                if not found.copies:
                    raise DatabaseBusy(f"the database {source} is {found.owner}'s")
                new = owned.template(db, target, source, wait=wait, evict=evict, id_=id_)
            except DatabaseBusy as busy:
                note, how = busy.message, "dump"
                new, left_out = _dumped(db, target, source, busy, tools, id_)
                note += left_out
            with owned.unfinished(db, new):
                lost = restore_postgres.dress(db, source, new)
                owned.name(db, new, name, what)
    return Cloned(replace(target, name=name), how, "; ".join(filter(None, (note, *lost))))


def empty(target: Target, name: str, *, what: str = "empty") -> Target:
    """Makes an empty database beside another, which need not be there.

    Args:
        name, what: as in `clone`.

    Raises:
        DatabaseError: the name is taken, or no database may be made.
    """
    if target.kind == SQLITE:
        path = _marked(name, target, what)
        fs.write_new(path, b"")
        return _file(target, path)
    with postgres.administering(target) as db:
        _demand_free(db, target, name)
        try:
            with postgres.connected(target) as own:
                source = own.info.dbname
        except DatabaseMissing:
            source = db.info.dbname
        new = restore_postgres.empty(db, source)
        with owned.unfinished(db, new):
            if source != db.info.dbname:
                restore_postgres.dress(db, source, new)
            owned.name(db, new, name, what)
    return replace(target, name=name)


def _demand_free(db: postgres.Connection, target: Target, name: str) -> None:
    if not 0 < len(name.encode()) <= NAME_BYTES:
        raise DatabaseError(f"a database's name has 1 to {NAME_BYTES} bytes, not {len(name.encode())}")
    if db.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
        raise DatabaseError(
            f"there is a database {name} beside {target.shown} already", hint="choose another name"
        )


def cut_off(target: Target, id_: str, wait: float = QUEUE_SECONDS) -> bool:
    """Whether a kill left a PostgreSQL copy that was not finished, once nobody is at it any more."""
    with postgres.administering(target) as db:
        owned.rest(db, target, owned.fresh(id_), wait)
        return owned.purpose(db, owned.fresh(id_)) is not None


def clear(target: Target, id_: str, wait: float = QUEUE_SECONDS) -> None:
    """Drops what a kill left of a copy."""
    if target.kind == SQLITE:
        return
    with postgres.administering(target) as db:
        owned.rest(db, target, owned.fresh(id_), wait)
        owned.drop(db, owned.fresh(id_))


def _database(target: Target) -> str:
    return target.name or target.user


def purpose(target: Target) -> str | None:
    """What raccord made a copy for; None where there is no such database or file.

    Raises:
        NotOurs: raccord didn't make it.
    """
    if target.kind != SQLITE:
        with postgres.administering(target) as db:
            return owned.purpose(db, target.name)
    path = Path(target.path)
    if fs.signature(path) is None:
        return None
    said = fs.read_or_none(_mark(path))
    if said is None:
        raise _not_ours(path)
    try:
        return str(json.loads(said)["what"])
    except (ValueError, KeyError, TypeError):
        return ""


def remade(target: Target, kept: Backup, like: Target, *, what: str, id_: str = "") -> None:
    """Makes a database anew from a backup of it, with raccord's mark.

    Args:
        target: where it shall be; nothing is there.
        like: a database of the same server, which lends what belongs to a database: its owner, its locale.

    Raises:
        DatabaseError: the name is taken, or it may not be made.
        RestoreFailed: the backup can't be read, or isn't what was recorded.
    """
    if target.kind == SQLITE:
        _marked(target.path, like, what)
        backup_sqlite.restore(target, kept, wait=WAIT_SECONDS)
        return
    with postgres.administering(target) as db:
        new = restore_postgres.made(db, target, kept, _database(like), id_=id_)
        with owned.unfinished(db, new):
            owned.name(db, new, target.name, what)


def drop(target: Target, *, force: bool = True) -> bool:
    """Drops a database that raccord made; False where it is gone already.

    Args:
        force: end the sessions in it.

    Raises:
        NotOurs: raccord didn't make it.
        DatabaseBusy: others are connected.
    """
    if target.kind == SQLITE:
        return _drop_file(target)
    with postgres.administering(target) as db:
        return owned.drop(db, target.name, force=force)


def _dumped(
    db: postgres.Connection,
    target: Target,
    source: str,
    busy: DatabaseBusy,
    folders: Iterable[Path],
    id_: str,
) -> tuple[str, str]:
    """Copies a database that others are connected to; returns its name, and what the copy lacks."""
    found, why = programs.find(db.info.server_version // 10000, folders)
    if found is None:
        raise DatabaseBusy(f"{busy.message}; {why}", hint=busy.hint, **busy.data) from busy
    new = restore_postgres.empty(db, source, id_)
    with owned.unfinished(db, new):
        words, env = postgres.child(target)
        goal, _ = postgres.child(target, new)
        dump = [found.dump, "--format=custom", "--compress=0", "--no-password", f"--dbname={words}"]
        restore = [found.restore, "--exit-on-error", "--no-password", "--single-transaction"]

        def copied(*more: str) -> None:
            proc.pipe(dump, [*restore, *more, f"--dbname={goal}"], env=env, timeout=programs.HOURS).check()

        try:
            copied()
        except ProcessFailed as error:
            # Only a member of a role gives something to it.
            if not _DENIED.search(error.stderr):
                raise
            copied("--no-owner", "--no-acl")
            return new, "; its owners and grants were left out, which only a superuser may give"
    return new, ""


def _sqlite(target: Target, name: str, what: str, wait: float) -> Cloned:
    path = _marked(name, target, what)
    try:
        mode = os.stat(sqlite.existing(target)).st_mode & 0o777
        backup_sqlite.write(target, path, wait=wait, mode=mode)
    except BaseException:
        fs.unlink(_mark(path))
        raise
    return Cloned(_file(target, path), "copy")


def _marked(name: str, target: Target, what: str) -> Path:
    """The path of a new file, marked before it is there: one without a mark would stay for ever."""
    path = Path(name).absolute()
    if fs.signature(path) is not None:
        raise DatabaseError(f"{shown(str(path))} is there already", hint="choose another name")
    fs.make_dirs(path.parent)
    fs.write_atomic(_mark(path), json.dumps({"what": what, "of": target.shown}).encode())
    return path


def _file(target: Target, path: Path) -> Target:
    return replace(target, path=str(path), scheme="sqlite", query=())


def _mark(path: Path) -> Path:
    return path.with_name(path.name + MARK)


def _drop_file(target: Target) -> bool:
    path = Path(target.path)
    marked = fs.signature(_mark(path)) is not None
    if not marked:
        if fs.signature(path) is None:
            return False
        raise _not_ours(path)
    there = fs.signature(path) is not None
    backup_sqlite.clear(path)  # what a kill left of its making
    for end in ("", *sqlite.BESIDE):
        fs.unlink(f"{path}{end}")
    fs.sync_dir(path.parent)
    fs.unlink(_mark(path))
    return there


def _not_ours(path: Path) -> NotOurs:
    return NotOurs(
        f"the database file {shown(str(path))} was not made by raccord",
        hint="delete it by hand if it is no longer needed",
        path=str(path),
    )
