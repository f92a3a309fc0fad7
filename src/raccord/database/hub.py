"""A hub: a PostgreSQL database through which the machines of a project tell each other what they saw.

Entries are numbered under the lock of their project's row, which is held until they are seen by everybody:
whoever has read up to a number misses none before it. Each call is one statement, so a machine that vanishes
in the middle of one holds no lock that others wait for.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from raccord.database import hub_schema, postgres
from raccord.database.hub_leases import HubLeases
from raccord.database.url import Target
from raccord.errors import DatabaseError
from raccord.model.hub import Entry, Machine

NAME = "raccord hub"  # what the server calls such a session
CHANNEL = "raccord"  # on which the key of a project is told when something was added

_ADD = """
with numbered as (
  update raccord.projects set last = last + %(number)s where project = %(project)s returning last
), added as (
  insert into raccord.entries (project, seq, uid, machine, kind, document)
  select %(project)s, last - %(number)s + place, uid, %(machine)s, kind, document::json
  from numbered, unnest(%(uids)s::text[], %(kinds)s::text[], %(documents)s::text[])
    with ordinality as given (uid, kind, document, place)
  on conflict (project, uid) do nothing
  returning 1
)
select (select count(*) from numbered), (select count(*) from added), pg_notify(%(channel)s, %(project)s)
"""
_GREET = """
insert into raccord.machines (project, id, name, place, release, seen)
values (%s, %s, %s, %s, %s, clock_timestamp())
on conflict (project, id) do update
set name = excluded.name, place = excluded.place, release = excluded.release, seen = excluded.seen
"""
_MACHINES = """
select id, name, place, release, extract(epoch from clock_timestamp() - seen)::float8
from raccord.machines where project = %s order by name, id
"""
_AFTER = """
select seq, uid, machine, kind, document::text from raccord.entries
where project = %s and seq > %s order by seq limit %s
"""


@dataclass
class PostgresHub:
    """See `raccord.model.hub.Hub`."""

    id: str
    _db: postgres.Connection
    _target: Target
    _project: str

    def greet(self, machine: Machine) -> list[Machine]:
        """Says that a machine is there; all machines that the hub knows.

        Raises:
            DatabaseError: the hub is newer than this raccord by now, or is lost.
        """
        self.id = _known(self._db, self._target)
        self._db.execute(_GREET, [self._project, machine.id, machine.name, machine.place, machine.release])
        now = time.time()
        rows = self._db.execute(_MACHINES, [self._project]).fetchall()
        return [Machine(key, name, place, release, now - ago) for key, name, place, release, ago in rows]

    def add(self, machine: str, entries: Sequence[Entry]) -> None:
        """Adds entries in their order; one that is there already is not added again.

        Raises:
            DatabaseError: the hub is lost, or somebody emptied it: nothing was added.
        """
        given: dict[str, Any] = {
            "number": len(entries),
            "project": self._project,
            "machine": machine,
            "uids": [one.uid for one in entries],
            "kinds": [one.kind for one in entries],
            "documents": [one.document for one in entries],
            "channel": CHANNEL,
        }
        row = self._db.execute(_ADD, given).fetchone()
        if not (row and row[0]):
            raise DatabaseError(f"the hub {self._target.shown} has lost this project; it is told again")

    def after(self, seq: int, most: int) -> list[Entry]:
        """Entries after a place, in their order."""
        rows = self._db.execute(_AFTER, [self._project, seq, most]).fetchall()
        return [Entry(uid, kind, document, machine, seq) for seq, uid, machine, kind, document in rows]

    def uid(self, seq: int) -> str:
        """The uid of the entry at a place; "" where there is none."""
        asked = "select uid from raccord.entries where project = %s and seq = %s"
        found = self._db.execute(asked, [self._project, seq]).fetchone()
        return found[0] if found else ""

    @property
    def leases(self) -> HubLeases:
        """The leases of the project."""
        return HubLeases(self._db, self._project)

    def wait(self, seconds: float) -> bool:
        """Waits until somebody added something, or the time is over; whether somebody did."""
        return self._project in [one.payload for one in self._db.notifies(timeout=seconds, stop_after=1)]


@contextlib.contextmanager
def opened(target: Target, project: str) -> Iterator[PostgresHub]:
    """A connection to a hub, whose tables are made where they are missing.

    Raises:
        DatabaseError: it can't be reached or used, or is newer than this raccord.
    """
    with postgres.connected(target, name=NAME) as db:
        made = db.execute("select to_regclass('raccord.hub') is not null").fetchone()
        if not (made and made[0]) or _version(db) < hub_schema.VERSION:
            db.execute(hub_schema.statement().encode())
        known = _known(db, target)
        db.execute("insert into raccord.projects (project) values (%s) on conflict do nothing", [project])
        db.execute(f"listen {CHANNEL}".encode())
        yield PostgresHub(known, db, target, project)


def _version(db: postgres.Connection) -> int:
    found = db.execute(hub_schema.READ).fetchone()
    return int(found[0]) if found else 0


def _known(db: postgres.Connection, target: Target) -> str:
    """The hub's id, once its version is one that this raccord knows."""
    found = db.execute(hub_schema.READ).fetchone()
    version, key = found or (0, "")
    if version > hub_schema.VERSION:
        raise DatabaseError(
            f"the hub {target.shown} was made by a newer raccord: it is of version {version}, and this one"
            f" knows up to {hub_schema.VERSION}",
            hint="install the newest raccord",
        )
    return str(key)
