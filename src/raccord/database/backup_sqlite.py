"""Backups of SQLite files by SQLite's own backup interface, and the way back by the same.

A restore writes over the file in one transaction of SQLite's. To put another file in its place instead would
leave programs that have it open writing to one without a name; only a file that is no database any more is
replaced.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from raccord.database import catalog_sqlite, contents, sqlite
from raccord.database.catalog import Catalog
from raccord.database.contents import Contents
from raccord.database.keeping import COPY, Backup, Restored, recorded
from raccord.database.url import SQLITE, Target
from raccord.errors import DatabaseBusy, DatabaseError, RestoreFailed
from raccord.kernel import fs
from raccord.model.text import shown

_UNUSABLE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def backup(target: Target, folder: Path, id_: str, *, wait: float) -> Backup:
    """See `backup.backup`."""
    final = folder / f"{id_}.sqlite"
    rows, names = write(target, final, wait=wait)
    return recorded(id_, COPY, str(final), os.stat(final).st_size, rows, names)


def write(target: Target, final: Path, *, wait: float, mode: int = 0o600) -> tuple[Contents, str]:
    """Copies a database to a new file and compares the two.

    Returns:
        What is in it, and the digest of the names of its objects.

    Args:
        final: where it goes; what is there is replaced.
        mode: its permissions.
    """
    partial = _partial(final)
    _clear(partial)

    def take(db: sqlite.Connection) -> tuple[Contents, Catalog]:
        fs.unlink(partial)
        fs.write_new(partial, b"", mode=mode, exact=True)
        with sqlite.writing(str(partial)) as goal:
            sqlite.copy(db, goal, wait=wait)
            # A copy of a database with a write-ahead log would leave its own beside it.
            goal.execute("pragma journal_mode = delete")
        return contents.of_sqlite(db), Catalog(SQLITE, catalog_sqlite.objects(db, ()))

    try:
        before, listed = sqlite.read(target, take)
        copied = _checked(partial)
        differing = before.differences(copied[0])
        if differing:
            raise DatabaseError(f"the copy of {target.shown} differs: {differing[0]}", differing=differing)
        fs.sync_file(partial)
        fs.rename(partial, final)
        fs.sync_dir(final.parent)
    finally:
        _clear(partial)
    return before, listed.names


def clear(final: Path) -> None:
    """Removes what a kill left of a copy that was to become a file."""
    _clear(_partial(final))


def _partial(final: Path) -> Path:
    return final.with_name(f"{final.name}.partial")


def _clear(path: Path) -> None:
    for end in ("", *sqlite.BESIDE):
        fs.unlink(f"{path}{end}")


def _checked(path: Path) -> tuple[Contents, str]:
    """What is in a file of raccord's own that nobody writes to.

    Raises:
        DatabaseError: it is damaged.
    """

    def ask(db: sqlite.Connection) -> tuple[Contents, str]:
        found = db.execute("pragma integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise DatabaseError(f"{shown(str(path))} is damaged: {found}")
        return contents.of_sqlite(db), Catalog(SQLITE, catalog_sqlite.objects(db, ())).names

    return sqlite.read(Target(SQLITE, "sqlite", path=str(path)), ask)


def restore(target: Target, kept: Backup, *, wait: float) -> Restored:
    """See `backup.restore`."""
    source = Path(kept.place)
    try:
        rows, names = _checked(source)
    except DatabaseError as error:
        raise RestoreFailed(
            f"the backup {kept.id} can't be read: {error.message}", hint=error.hint
        ) from error
    if rows.digest != kept.digest or names != kept.names:
        raise RestoreFailed(
            f"what the backup {kept.id} holds is not what was recorded of it",
            hint="the database is as it was; look for another backup",
        )
    path = os.path.realpath(target.path)
    try:
        # Before anything may write: SQLite deletes the log of what is no database.
        sqlite.read(target, lambda db: db.execute("select count(*) from sqlite_schema").fetchone())
        with sqlite.writing(path, wait=wait) as goal:
            _over(goal, source, wait)
    except DatabaseBusy:
        raise
    except DatabaseError as error:
        if error.data.get("sqlite") not in _UNUSABLE and os.path.lexists(path):
            raise
        return _replace(path, source)
    return Restored("copy")


def _over(goal: sqlite.Connection, source: Path, wait: float) -> None:
    mode = goal.execute("pragma journal_mode").fetchone()[0]
    with contextlib.closing(sqlite.opened(str(source))) as kept:
        if mode == "wal" and _size(kept) != _size(goal):
            # A write-ahead log has pages of one size.
            goal.execute("pragma journal_mode = delete")
        sqlite.copy(kept, goal, wait=wait)
    if mode == "wal":
        goal.execute("pragma journal_mode = wal")
        goal.execute("pragma wal_checkpoint(truncate)")


def _size(db: sqlite.Connection) -> int:
    size: int = db.execute("pragma page_size").fetchone()[0]
    return size


def _replace(path: str, source: Path) -> Restored:
    """Puts the backup where no database is. What is there is kept beside it under another name."""
    goal = Path(path)
    fresh = goal.with_name(f".{goal.name[:60]}.raccord-restore")
    fs.make_dirs(goal.parent)
    fs.unlink(fresh)
    seen = fs.signature(goal)
    fs.write_new(fresh, fs.read(source), mode=(seen.mode & 0o777) if seen else 0o644, exact=seen is not None)
    notes = []
    # A log of another database beside it would be read into it.
    for end in (*sqlite.BESIDE, ""):
        if fs.signature(f"{path}{end}") is not None:
            aside = fs.set_aside(f"{path}{end}", goal.parent, f"{goal.name}{end}.broken")
            notes.append(f"what was there is {shown(str(aside))}")
    fs.replace(fresh, goal)
    return Restored("replace", tuple(notes))
