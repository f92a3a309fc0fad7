"""What an alembic that was cut off left in a SQLite database, taken away before it is run again.

SQLite keeps each statement that makes or changes a table for itself: killed between two, a migration is half
there, and would fail over itself. It goes only where the backup has all that anybody else may have written.
"""

from __future__ import annotations

from raccord.database import contents
from raccord.database.url import SQLITE, Target
from raccord.migrations.backups import Shelf
from raccord.migrations.standing import Standing
from raccord.model.text import shown


def take_away(shelf: Shelf, standing: Standing, backup: str) -> str:
    """Brings a database back to the backup that was made before the upgrade, if nothing is lost by it.

    Args:
        backup: its id.

    Returns:
        What was done, for a person; "" where nothing was.

    Raises:
        RestoreFailed, DatabaseError: it can't be brought back; nothing was changed.
    """
    if standing.target.kind != SQLITE or standing.absent:
        return ""
    rescue, found = shelf.rescue(standing, backup, "cut-off")
    assert found is not None
    kept = shelf.kept(backup)
    if kept is not None:
        now, before = (Target(SQLITE, "sqlite", path=one.place) for one in (found, kept))
        if contents.written(now, before, without=(standing.database.version_table,)):
            shelf.forget(rescue)
            return ""
    if not shelf.holds(standing, rescue):
        return ""  # somebody is writing to it
    shelf.bring_back(standing, backup)
    return f"took away what was left of it in {standing.target.shown}; the backup {shown(rescue)} has it"
