"""Copies of a database to work on, made and dropped by raccord: a PostgreSQL database, or a SQLite file.

Only what bears raccord's mark is dropped: a comment on the database, a file beside the SQLite file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.database import backup_sqlite, owned, postgres, restore_postgres, sqlite
from raccord.database import tools as programs
from raccord.database.url import SQLITE, Target
from raccord.errors import DatabaseBusy, DatabaseError, DatabaseMissing, NotOurs
from raccord.kernel import fs, proc
from raccord.model.text import shown

WAIT_SECONDS = 5.0
MARK = ".raccord-clone"
# The server cuts a longer one off, and says so to nobody who isn't looking.
NAME_BYTES = 63


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
) -> Cloned:
    """Copies a database.

    Args:
        name: of the new PostgreSQL database, or the path of the new SQLite file.
        what: what it is for, kept with its mark.
        tools: folders in which pg_dump and pg_restore are looked for first.
        wait: seconds to wait for others' connections to end: the server copies a database that nobody uses.
            Where they stay it is dumped and restored instead.
        evict: end the others' sessions instead.

    Raises:
        DatabaseBusy: others are connected, and there is no pg_dump of the server's release.
        DatabaseError: the name is taken, or the copy may not be made.
    """
    if target.kind == SQLITE:
        return _sqlite(target, name, what, wait)
    with postgres.administering(target) as db:
        _demand_free(db, target, name)
        with postgres.connected(target) as own:
            source = own.info.dbname
        note, how = "", "template"
        try:
            new = owned.template(db, target, source, wait=wait, evict=evict)
        except DatabaseBusy as busy:
            note, how = busy.message, "dump"
            new = _dumped(db, target, source, busy, tools)
        with owned.unfinished(db, new):
            restore_postgres.dress(db, source, new)
            owned.name(db, new, name, what)
    return Cloned(replace(target, name=name), how, note)


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


def drop(target: Target) -> bool:
    """Drops a database that raccord made, with the sessions in it; False where it is gone already.

    Raises:
        NotOurs: raccord didn't make it.
    """
    if target.kind == SQLITE:
        return _drop_file(target)
    with postgres.administering(target) as db:
        return owned.drop(db, target.name)


def _dumped(
    db: postgres.Connection, target: Target, source: str, busy: DatabaseBusy, folders: Iterable[Path]
) -> str:
    """Copies a database that others are connected to."""
    found, why = programs.find(db.info.server_version // 10000, folders)
    if found is None:
        raise DatabaseBusy(f"{busy.message}; {why}", hint=busy.hint, **busy.data) from busy
    new = restore_postgres.empty(db, source)
    with owned.unfinished(db, new):
        words, env = postgres.child(target)
        goal, _ = postgres.child(target, new)
        done = proc.pipe(
            [found.dump, "--format=custom", "--compress=0", "--no-password", f"--dbname={words}"],
            [found.restore, "--exit-on-error", "--no-password", "--single-transaction", f"--dbname={goal}"],
            env=env,
            timeout=programs.HOURS,
        )
        done.check()
    return new


def _sqlite(target: Target, name: str, what: str, wait: float) -> Cloned:
    path = _marked(name, target, what)
    try:
        backup_sqlite.write(target, path, wait=wait, mode=0o644)
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
        raise NotOurs(
            f"the database file {shown(str(path))} was not made by raccord",
            hint="delete it by hand if it is no longer needed",
            path=str(path),
        )
    there = fs.signature(path) is not None
    for end in ("", *sqlite.BESIDE):
        fs.unlink(f"{path}{end}")
    fs.sync_dir(path.parent)
    fs.unlink(_mark(path))
    return there
