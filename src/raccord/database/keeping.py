"""What is known of a backup and of a restore: frozen data for the journal. Reads and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from raccord.database.contents import Contents
from raccord.kernel.ident import new_id as new_id

DUMP, CLONE, COPY = "dump", "clone", "copy"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was read back.

    Attributes:
        id: its name in the journal.
        kind: "dump", a file of pg_dump's; "clone", another database of the same server; "copy", a SQLite
            file.
        place: the path of the file, or the name of the database.
        bytes: its size.
        digest: of the rows; see `contents.Contents`.
        names: of the objects; see `catalog.Catalog.names`.
        tables, rows: how many.
        note: why it is of this kind, where that isn't plain.
    """

    id: str
    kind: str
    place: str
    bytes: int
    digest: str
    names: str
    tables: int
    rows: int
    note: str = ""

    def document(self) -> dict[str, Any]:
        """Itself for JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Backup:
        """Reads `document` back."""
        return cls(**document)


@dataclass(frozen=True, slots=True)
class Restored:
    """How a database was brought back.

    Attributes:
        how: "swap", the restored database took the name of the other one; "transaction", it was emptied and
            filled in one; "copy", a SQLite file was written over in one; "replace", an unusable one was
            replaced.
        notes: what a person should know.
    """

    how: str
    notes: tuple[str, ...] = ()


def recorded(
    id_: str, kind: str, place: str, size: int, rows: Contents, names: str, note: str = ""
) -> Backup:
    """The record of a backup that was read back."""
    return Backup(id_, kind, place, size, rows.digest, names, len(rows.tables), rows.rows, note)
