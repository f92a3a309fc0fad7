"""Backups of a whole database, read back before they count as one, and the way back to them.

PostgreSQL is dumped by pg_dump of the server's own release; without one the server copies it to another
database, and the backup says so. SQLite is copied by its own backup interface. A restore is exact, and
happens whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from raccord.database import backup_postgres, backup_sqlite, owned, postgres, restore_postgres
from raccord.database.keeping import CLONE, COPY, Backup, Restored, new_id
from raccord.database.url import SQLITE, Target
from raccord.errors import DatabaseError
from raccord.kernel import fs

WAIT_SECONDS = 15.0


def backup(
    target: Target,
    folder: Path,
    *,
    name: str = "",
    tools: Iterable[Path] = (),
    wait: float = WAIT_SECONDS,
) -> Backup:
    """Makes a backup of all of a database, and compares it with the database row by row.

    Args:
        folder: where files go; made if missing, readable by this user alone.
        name: its id, to make it again after a kill; "" for a new one.
        tools: folders in which pg_dump and pg_restore are looked for first.
        wait: seconds to wait for others, where the way needs it.

    Raises:
        DatabaseError: the database can't be read, or the copy differs from it.
        DatabaseBusy: others hold it.
        CannotRun: the folder can't be written.
    """
    name = name or new_id()
    fs.make_dirs(folder)
    if target.kind == SQLITE:
        return backup_sqlite.backup(target, folder, name, wait=wait)
    return backup_postgres.backup(target, folder, name, folders=tools, wait=wait)


def restore(
    target: Target,
    kept: Backup,
    *,
    tools: Iterable[Path] = (),
    wait: float = WAIT_SECONDS,
    evict: bool = False,
) -> Restored:
    """Brings a database back to a backup, exactly. Killed at any point, it is as it was or as the backup.

    What is in the database now is gone afterwards: a backup of it is the caller's to make.

    Args:
        wait: seconds to wait for others to let go of it.
        evict: end the sessions of others instead (PostgreSQL).

    Raises:
        DatabaseBusy: others hold it; nothing was changed.
        RestoreFailed: the backup can't be read, or isn't what was recorded; nothing was changed.
        DatabaseError: the server refused; nothing was changed.
    """
    if (target.kind == SQLITE) != (kept.kind == COPY):
        raise DatabaseError(f"the backup {kept.id} is no backup of a database such as {target.shown}")
    if target.kind == SQLITE:
        return backup_sqlite.restore(target, kept, wait=wait)
    return restore_postgres.restore(target, kept, folders=tools, wait=wait, evict=evict)


def forget(target: Target, kept: Backup) -> bool:
    """Removes a backup; False where it was gone.

    Raises:
        NotOurs: its name is another database's by now.
    """
    if kept.kind != CLONE:
        return fs.unlink(kept.place)
    with postgres.administering(target) as db:
        return owned.drop(db, kept.place)
