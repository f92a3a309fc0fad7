"""Changes, consolidations and runs as documents that machines tell each other, and back into the database.

What comes from elsewhere is read with suspicion: an entry that is not as it should be is left out, alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import get_args

from raccord.kernel.store import Connection, dumps
from raccord.model.coordination import Kind, Trigger
from raccord.model.hub import Entry, Read, Unreadable
from raccord.model.plan import Json

# Columns of the tables, in the order in which they are selected.
CHANGE = ("root", "path", "kind", "at", "old", "new", "before", "owner", "how")
CONSOLIDATION = (
    "id", "trigger_type", "conditions", "at", "changes", "files", "report", "language", "took", "placed",
)  # fmt: skip
# The store has these as JSON.
_JSON = frozenset({"root", "path", "before", "owner", "conditions", "report"})


def change(row: Sequence[Json]) -> Mapping[str, Json]:
    """A row of changes as a document."""
    return _named(CHANGE, row)


def consolidation(row: Sequence[Json], told: Sequence[str]) -> Mapping[str, Json]:
    """A row of consolidations as a document, with the uids of the changes that it tells of."""
    return {**_named(CONSOLIDATION, row), "told": list(told)}


def _named(columns: Sequence[str], row: Sequence[Json]) -> dict[str, Json]:
    return {
        name: json.loads(value) if name in _JSON else value for name, value in zip(columns, row, strict=True)
    }


def take(db: Connection, entry: Entry, own: str) -> None:
    """Takes an entry in, unless it is here already.

    Args:
        own: the id of this machine. What it said before its state was lost comes back as another's.

    Raises:
        Unreadable: it is not what its kind should be.
    """
    if not entry.machine:
        raise Unreadable("it is no machine's")
    taken = {"change": _change, "consolidation": _consolidation}
    if entry.kind in taken:
        taken[entry.kind](db, entry, Read.of(entry.document))
    elif entry.kind == "run" and entry.machine != own:
        _run(db, entry, Read.of(entry.document))


def _change(db: Connection, entry: Entry, said: Read) -> None:
    db.execute(
        "insert into changes"
        " (root, path, kind, at, old, new, before, owner, how, consolidation, machine, uid)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?) on conflict (uid) do nothing",
        (
            dumps(said.text("root")),
            dumps(said.text("path")),
            said.text("kind", get_args(Kind)),
            said.number("at"),
            said.word("old"),
            said.word("new"),
            dumps(said.text("before")),
            dumps(said.text("owner")),
            said.word("how"),
            entry.machine,
            entry.uid,
        ),
    )


def _consolidation(db: Connection, entry: Entry, said: Read) -> None:
    key, told = said.word("id"), said.words("told")
    # What was told once is told, also where this machine lost the memory of having done so.
    db.execute(
        "insert into consolidations"
        " (id, trigger_type, conditions, at, changes, files, report, language, took, placed, machine)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set placed = excluded.placed"
        " where machine <> ''",
        (
            key,
            said.text("trigger_type", get_args(Trigger)),
            dumps(dict(said.table("conditions"))),
            said.number("at"),
            said.whole("changes"),
            said.whole("files"),
            dumps(said.text("report")),
            said.word("language"),
            said.number("took"),
            int(bool(said.whole("placed"))),
            entry.machine,
        ),
    )
    db.executemany(
        "update changes set consolidation = ? where uid = ? and consolidation = ''",
        [(key, uid) for uid in told],
    )


def _run(db: Connection, entry: Entry, said: Read) -> None:
    run = {
        **{name: said.word(name) for name in ("id", "verb", "state", "undo_of")},
        "by": said.text("by"),
        **{name: said.whole(name) for name in ("lanes", "held")},
        "started": said.number("started"),
        "ended": None if said.document.get("ended") is None else said.number("ended"),
    }
    db.execute(
        "insert or replace into far_runs (machine, run, document) values (?, ?, ?)",
        (entry.machine, run["id"], dumps(run)),
    )
