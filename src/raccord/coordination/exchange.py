"""What this machine tells others through a hub and what it heard from them, in the state database.

Everything here works without a network: what is to go out is marked in the transaction of its effect, by the
triggers of `kernel/schema.py`, and stays marked until the hub has it.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from raccord.coordination import documents
from raccord.kernel.store import Connection, Store, dumps
from raccord.model.hub import Entry, Machine, Unreadable
from raccord.model.plan import Json
from raccord.model.text import shown

MOST_BYTES = 4 * 2**20  # of documents, in one go
BEAT_SECONDS = 10.0
STALE_SECONDS = 35.0  # since the last beat, after which nobody is connected, whatever was written down

# All that a hub which knows nothing is to be told.
_EVERYTHING = """
select 'change', id, uid from changes where machine = '' order by id;
select 'consolidation', id, id || ':' || placed from consolidations where machine = '' order by seq;
select 'run', id, id || ':' || state || ':' || coalesce(ended, '') from runs order by seq
"""
_CHANGE = f"select {', '.join(documents.CHANGE)} from changes where id = ?"  # noqa: S608 (its own columns)
_CONSOLIDATION = f"select {', '.join(documents.CONSOLIDATION)} from consolidations where id = ?"  # noqa: S608

Summarise = Callable[[str], Mapping[str, Json] | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """How this machine stands to its hub.

    Attributes:
        joined: whether what happens here is marked for a hub.
        connected: whether somebody here exchanges with it now.
        since: when that began, or ended, in Unix seconds; 0.0 where it never was.
        why: it is not connected, as far as that is known.
        waiting: how many things wait to go out.
        machine: the id of this machine; "" before it first joined.
    """

    joined: bool = False
    connected: bool = False
    since: float = 0.0
    why: str = ""
    waiting: int = 0
    machine: str = ""


class Exchange:
    """This machine's side of a hub."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def join(self, project: str) -> str:
        """Marks from now on what goes out, and all that there is where nobody did so far.

        Returns:
            The id of this machine. A copy of the state is another machine, by the inode of its file.
        """
        inode = os.stat(self._store.path).st_ino
        with self._store.transaction() as db:
            row = db.execute("select machine, inode, joined, project from hub").fetchone()
            if row == (row and row[0], inode, 1, project):
                return str(row[0])
            machine = row[0] if row and row[1] == inode else secrets.token_hex(8)
            db.execute(
                "insert into hub (one, machine, inode, joined, project) values (1, ?, ?, 1, ?)"
                " on conflict (one) do update set machine = excluded.machine, inode = excluded.inode,"
                " joined = 1, project = excluded.project",
                (machine, inode, project),
            )
            self._anew(db, "")
            return machine

    def leave(self) -> None:
        """Marks nothing more: no hub is configured."""
        if self.standing().joined:
            with self._store.transaction() as db:
                db.execute("update hub set joined = 0, connected = 0")
                db.execute("delete from outgoing")

    @staticmethod
    def _anew(db: Connection, hub: str) -> None:
        db.execute("update hub set hub = ?, cursor = 0, cursor_uid = ''", (hub,))
        db.execute("delete from outgoing")
        for found in _EVERYTHING.split(";"):
            db.execute(f"insert into outgoing (kind, key, uid) {found}")

    def meet(self, hub: str, uid: Callable[[int], str]) -> None:
        """Begins again from nothing where the hub is another one than before, or lost what it had.

        Args:
            uid: asks the hub for the uid of the entry at a place.
        """
        known, cursor, last = self._store.rows("select hub, cursor, cursor_uid from hub")[0]
        if known == hub and (not cursor or uid(cursor) == last):
            return
        with self._store.transaction() as db:
            self._anew(db, hub)

    def outgoing(self, most: int, summarise: Summarise) -> list[tuple[int, Entry | None]]:
        """The oldest of what is to go out, each with the mark that `sent` takes.

        Args:
            summarise: a run as it stands; None where it is no more.
        """
        marks = self._store.rows("select id, kind, key, uid from outgoing order by id limit ?", (most,))
        found: list[tuple[int, Entry | None]] = []
        size = 0
        for mark, kind, key, uid in marks:
            said = summarise(key) if kind == "run" else self._document(kind, key)
            entry = None if said is None else Entry(uid, kind, dumps(dict(said)))
            found.append((mark, entry))
            size += len(entry.document) if entry else 0
            if size > MOST_BYTES:
                break
        return found

    def _document(self, kind: str, key: str) -> Mapping[str, Json] | None:
        if kind == "change":
            rows = self._store.rows(_CHANGE, (key,))
            return documents.change(rows[0]) if rows else None
        rows = self._store.rows(_CONSOLIDATION, (key,))
        told = self._store.rows("select uid from changes where consolidation = ? order by id", (key,))
        return documents.consolidation(rows[0], [row[0] for row in told]) if rows else None

    def sent(self, marks: Sequence[int]) -> None:
        """The hub has what goes with these marks."""
        with self._store.transaction() as db:
            db.executemany("delete from outgoing where id = ?", [(mark,) for mark in marks])

    def cursor(self) -> int:
        """The place of the last entry that was taken in."""
        return int(self._store.rows("select cursor from hub")[0][0])

    def take(self, entries: Sequence[Entry]) -> list[str]:
        """Takes entries in that were not yet, and remembers how far that was.

        Returns:
            What is wrong with those that can't be read; they are left out.
        """
        problems = []
        with self._store.transaction() as db:
            cursor, own = db.execute("select cursor, machine from hub").fetchone()
            for one in entries:
                # Another process may have taken them in meanwhile.
                if one.seq <= cursor:
                    continue
                try:
                    documents.take(db, one, own)
                except Unreadable as error:
                    problems.append(f"entry {one.seq} ({shown(one.kind)}): {shown(str(error))}")
                cursor = one.seq
                db.execute("update hub set cursor = ?, cursor_uid = ?", (cursor, one.uid))
        return problems

    def beat(self, machines: Sequence[Machine]) -> None:
        """This machine is connected, and these are all machines."""
        now = time.time()
        with self._store.transaction() as db:
            db.execute(
                "update hub set since = case when connected then since else ? end, connected = 1, beat = ?,"
                " why = ''",
                (now, now),
            )
            db.execute("delete from machines")
            db.executemany(
                "insert into machines values (?, ?, ?, ?, ?)",
                [(one.id, one.name, one.place, one.release, one.seen) for one in machines],
            )

    def lost(self, why: str) -> None:
        """This machine is not connected any more; "" where nothing is wrong."""
        with self._store.transaction() as db:
            db.execute(
                "update hub set since = case when connected then ? else since end, connected = 0, why = ?",
                (time.time(), why),
            )

    def machines(self) -> list[Machine]:
        """All machines of the project as they were last heard of, by name; two of one name are told apart."""
        rows = self._store.rows("select id, name, place, release, seen from machines order by name, id")
        found = [Machine(*row) for row in rows]
        names = [one.name for one in found]
        return [
            replace(one, name=f"{one.name} ({one.id[:4]})") if names.count(one.name) > 1 else one
            for one in found
        ]

    def names(self) -> dict[str, str]:
        """What to call each machine, by its id."""
        return {one.id: one.name for one in self.machines()}

    def standing(self) -> Standing:
        """How this machine stands to its hub."""
        rows = self._store.rows("select joined, connected, since, beat, why, machine from hub")
        if not rows:
            return Standing()
        joined, connected, since, beat, why, machine = rows[0]
        waiting = int(self._store.rows("select count(*) from outgoing")[0][0])
        alive = bool(connected) and time.time() - beat < STALE_SECONDS
        if connected and not alive:
            since, why = beat, ""
        return Standing(bool(joined), alive, since, why, waiting, machine)

    def runs(self, limit: int) -> list[tuple[str, Mapping[str, Json]]]:
        """The newest runs of other machines: the machine's id and the run, the newest first."""
        rows = self._store.rows(
            "select machine, document from far_runs"
            " order by json_extract(document, '$.started') desc limit ?",
            (limit,),
        )
        return [(machine, json.loads(document)) for machine, document in rows]
