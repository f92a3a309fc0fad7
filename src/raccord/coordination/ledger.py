"""What is kept of watched files, their changes and consolidations, in the state database.

Each call is one transaction. A daemon and the command line are equals here: whoever sees a change first
records it, and the other then finds nothing new.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from raccord.coordination.changes import Known, changed
from raccord.coordination.exchange import Exchange
from raccord.kernel.store import Connection, Store, dumps
from raccord.model.coordination import Change, Consolidation, FileState, Root
from raccord.model.plan import Json

KEPT_BYTES = 2**20  # of a content; a larger one is told by its checksum alone

FORGET = (
    "delete from roots where root = ?",
    "delete from watched where root = ?",
    "delete from own_writes where root = ?",
)

_CHANGES = (
    "select id, root, path, kind, at, old, new, before, owner, how, consolidation, machine from changes"
    " where id > ? and (not ? or consolidation = '' and (? or machine = ''))"
    " and (consolidation = ? or ? = '') order by id"
)
_CONSOLIDATIONS = (
    "select id, trigger_type, conditions, at, changes, files, report, language, took, placed, machine, seq"
    " from consolidations"
)
OLDEST, NEWEST = f"{_CHANGES} limit ?", f"{_CHANGES} desc limit ?"

Owned = Callable[[Sequence[Change]], Sequence[Change]]
Made = Callable[[Sequence[Change]], Consolidation | None]


class Ledger:
    """What coordination remembers, in the state database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def exchange(self) -> Exchange:
        """What is known of other machines."""
        return Exchange(self._store)

    def known(self, root: str) -> dict[str, FileState]:
        """The files of a root as they were last seen."""
        return self._files(dumps(root))

    def patterns(self, root: str) -> tuple[str, ...] | None:
        """Those that a root was last looked at with; None where it never was."""
        rows = self._store.rows("select patterns from roots where root = ?", (dumps(root),))
        return tuple(json.loads(rows[0][0])) if rows else None

    def record(
        self,
        root: Root,
        patterns: Sequence[str],
        found: Mapping[str, FileState | None],
        contents: Mapping[str, bytes],
        at: float,
        owned: Owned,
        *,
        whole: bool,
    ) -> Sequence[Change]:
        """Compares what was found with what was known, and keeps both the changes and the new state.

        Args:
            whole: whether `found` is all that there is: what is known and not in it is gone.
            owned: names who made the changes.
        """
        key, said = dumps(root.path), dumps(list(patterns))
        with self._store.transaction() as db:
            row = db.execute("select patterns from roots where root = ?", (key,)).fetchone()
            before = None if row is None else tuple(json.loads(row[0]))
            known = Known(before, self._files(key), self._own(db, key), tuple(patterns))
            if whole:
                found = {**dict.fromkeys(known.files), **found}
            changes, keep, gone = changed(root.path, known, found, at)
            if row is None or (whole and row[0] != said):
                db.execute("insert or replace into roots values (?, ?, ?)", (key, said, at))
            db.executemany(
                "insert or replace into watched values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (key, dumps(one.path), one.checksum, one.size, one.seen, one.stamp, one.error)
                    for one in keep
                ],
            )
            db.executemany(
                "delete from watched where root = ? and path = ?", [(key, dumps(path)) for path in gone]
            )
            # Once it is there, whoever comes back to this content does so by a change of his own.
            db.executemany(
                "delete from own_writes where root = ?1 and path = ?2 and seq <= ("
                " select seq from own_writes where root = ?1 and path = ?2 and checksum = ?3)",
                [
                    *((key, dumps(one.path), one.checksum) for one in keep),
                    *((key, dumps(path), "") for path in gone),
                ],
            )
            if changes or known.patterns is None or whole:
                self._keep(db, contents)
            return [self._insert(db, one) for one in owned(changes)] if changes else []

    @staticmethod
    def _keep(db: Connection, contents: Mapping[str, bytes]) -> None:
        db.executemany(
            "insert or ignore into contents values (?, ?)",
            [
                (checksum, zlib.compress(data, 1))
                for checksum, data in contents.items()
                if len(data) <= KEPT_BYTES
            ],
        )

    @staticmethod
    def _insert(db: Connection, one: Change) -> Change:
        made = db.execute(
            "insert into changes (root, path, kind, at, old, new, before, owner, how, consolidation, uid)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, '', lower(hex(randomblob(16)))) returning id",
            (
                dumps(one.root),
                dumps(one.path),
                one.kind,
                one.at,
                one.old,
                one.new,
                dumps(one.before),
                dumps(one.owner),
                one.how,
            ),
        ).fetchone()
        return replace(one, id=made[0])

    def _files(self, key: str) -> dict[str, FileState]:
        rows = self._store.rows(
            "select path, checksum, size, seen, stamp, error from watched where root = ?", (key,)
        )
        return {(path := json.loads(row[0])): FileState(path, *row[1:]) for row in rows}

    @staticmethod
    def _own(db: Connection, key: str) -> set[tuple[str, str]]:
        rows = db.execute("select path, checksum from own_writes where root = ?", (key,)).fetchall()
        return {(json.loads(path), checksum) for path, checksum in rows}

    def forget(self, roots: Sequence[str]) -> None:
        """Drops what is known of roots that are no more; what was seen in them stays."""
        with self._store.transaction() as db:
            for root in roots:
                for statement in FORGET:
                    db.execute(statement, (dumps(root),))

    def roots(self) -> list[str]:
        """Every root that is known."""
        return [json.loads(row[0]) for row in self._store.rows("select root from roots order by root")]

    def changes(
        self,
        *,
        after: int = 0,
        pending: bool = False,
        everywhere: bool = False,
        consolidation: str = "",
        newest: int = -1,
        oldest: int = -1,
    ) -> list[Change]:
        """Changes of all machines, the oldest first.

        Args:
            pending: only those of this machine that no report tells of.
            everywhere: with `pending`, those of other machines too.
        """
        rows = self._store.rows(
            OLDEST if oldest >= 0 else NEWEST,
            (after, pending, everywhere, consolidation, consolidation, oldest if oldest >= 0 else newest),
        )
        return sorted((_change(row) for row in rows), key=lambda one: one.id)

    def counted(self, after: int = 0) -> list[tuple[str, str, str, int, int]]:
        """How many changes there were here after one, by root, path and owner, and the last id; by that."""
        rows = self._store.rows(
            "select root, path, owner, count(*), max(id) from changes where id > ? and machine = ''"
            " group by 1, 2, 3 order by 5",
            (after,),
        )
        return [(*map(json.loads, row[:3]), row[3], row[4]) for row in rows]

    def activity(self, since: float) -> list[tuple[int, str, int]]:
        """How many changes there were by hour (its beginning, in Unix seconds) and owner.

        Args:
            since: in Unix seconds.
        """
        rows = self._store.rows(
            "select cast(at / 3600 as integer) * 3600, owner, count(*) from changes where at >= ?"
            " group by 1, 2 order by 1, 2",
            (since,),
        )
        return [(hour, json.loads(owner), number) for hour, owner, number in rows]

    def change(self, key: int) -> Change | None:
        """One change by its id."""
        found = self.changes(after=key - 1, oldest=1)
        return found[0] if found and found[0].id == key else None

    def durations(self) -> list[tuple[str, float]]:
        """The trigger of each consolidation of this machine, and how many seconds it took."""
        rows = self._store.rows("select trigger_type, took from consolidations where machine = ''")
        return [(row[0], row[1]) for row in rows]

    def last(self) -> int:
        """The id of the newest change; 0 where there is none."""
        return int(self._store.rows("select coalesce(max(id), 0) from changes")[0][0])

    def waiting(self) -> int:
        """How many changes of this machine are pending."""
        rows = self._store.rows("select count(*) from changes where consolidation = '' and machine = ''")
        return int(rows[0][0])

    def pending(self, everywhere: bool = False) -> list[int]:
        """The ids of the pending changes of this machine, or of all, the oldest first."""
        rows = self._store.rows(
            "select id from changes where consolidation = '' and (? or machine = '') order by id",
            (everywhere,),
        )
        return [row[0] for row in rows]

    def unsettled(self) -> set[tuple[str, str]]:
        """The root and path of each file here with pending changes."""
        rows = self._store.rows(
            "select distinct root, path from changes where consolidation = '' and machine = ''"
        )
        return {(json.loads(root), json.loads(path)) for root, path in rows}

    def tracked(self) -> dict[str, int]:
        """How many files are known, by root."""
        rows = self._store.rows("select root, count(*) from watched group by root")
        return {json.loads(root): number for root, number in rows}

    def generation(self) -> tuple[int, ...]:
        """See `Store.generation`."""
        return self._store.generation()

    def consolidate(self, make: Made) -> Consolidation | None:
        """Turns the pending changes into what `make` says of them; they are pending no more."""
        with self._store.transaction() as db:
            pending = self.changes(pending=True)
            made = make(pending)
            if made is None:
                return None
            db.execute(
                "insert into consolidations"
                " (id, trigger_type, conditions, at, changes, files, report, language, took, placed)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    made.id,
                    made.trigger,
                    dumps(dict(made.conditions)),
                    made.at,
                    made.changes,
                    made.files,
                    dumps(made.report),
                    made.language,
                    made.took,
                    int(made.placed),
                ),
            )
            db.executemany(
                "update changes set consolidation = ? where id = ?", [(made.id, one.id) for one in pending]
            )
            return made

    def consolidations(
        self, *, search: str = "", limit: int = -1, own: bool = False, unplaced: bool = False
    ) -> list[Consolidation]:
        """Consolidations of all machines, the newest first.

        Args:
            own: only those of this machine.
            unplaced: only those of this machine that are not in the document yet.
        """
        rows = self._store.rows(
            f"{_CONSOLIDATIONS} where (placed = 0 or ?) and (machine = '' or ?) order by seq desc limit ?",
            (int(not unplaced), int(not own and not unplaced), -1 if search else limit),
        )
        found = []
        for one in map(_consolidation, rows):
            if search.casefold() in one.report.casefold():
                found.append(one)
                if len(found) == limit:
                    break
        return found

    def consolidated(self, after: int = 0) -> list[tuple[int, Consolidation]]:
        """Consolidations of this machine after one, by their numbers, the oldest first."""
        rows = self._store.rows(f"{_CONSOLIDATIONS} where seq > ? and machine = '' order by seq", (after,))
        return [(row[11], _consolidation(row)) for row in rows]

    def last_consolidation(self) -> int:
        """The number of the newest; 0 where there is none."""
        return int(self._store.rows("select coalesce(max(seq), 0) from consolidations")[0][0])

    def placed(self, key: str, took: float) -> None:
        """A consolidation is in the document."""
        with self._store.transaction() as db:
            db.execute("update consolidations set placed = 1, took = ? where id = ?", (took, key))

    def report(self, key: str) -> str | None:
        """The report of a consolidation; None where there is none of that id."""
        rows = self._store.rows("select report from consolidations where id = ?", (key,))
        return str(json.loads(rows[0][0])) if rows else None

    def owed(self, keys: Sequence[str]) -> None:
        """Consolidations are not in the document any more, and belong there."""
        with self._store.transaction() as db:
            db.executemany("update consolidations set placed = 0 where id = ?", [(key,) for key in keys])

    def writing(self, root: str, path: str, checksum: str) -> None:
        """raccord is about to write this content there itself; "" where it removes the file."""
        with self._store.transaction() as db:
            db.execute(
                "insert or replace into own_writes (root, path, checksum) values (?, ?, ?)",
                (dumps(root), dumps(path), checksum),
            )

    def content(self, checksum: str) -> bytes | None:
        """A content that was kept."""
        rows = self._store.rows("select body from contents where checksum = ?", (checksum,))
        return zlib.decompress(rows[0][0]) if rows else None


def _change(row: Sequence[Json]) -> Change:
    key, root, path, kind, at, old, new, before, owner, how, told, machine = row
    root, path, before, owner = map(json.loads, (root, path, before, owner))
    return Change(key, root, path, kind, at, old, new, before, owner, how, told, machine)


def _consolidation(row: Sequence[Json]) -> Consolidation:
    return Consolidation(
        row[0], row[1], json.loads(row[2]), row[3], row[4], row[5], json.loads(row[6]), row[7], row[8],
        bool(row[9]), row[10],
    )  # fmt: skip
