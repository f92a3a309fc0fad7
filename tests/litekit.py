"""SQLite files in the place of a server's databases, for the tests of what both kinds do alike."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raccord.database.tables import identifier
from tests.datakit import Two


class Files:
    """A folder of databases, asked as `pgkit.Server` is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.db"

    def url(self, name: str) -> str:
        return f"sqlite:///{self.path(name)}"

    def connect(self, name: str) -> contextlib.closing[sqlite3.Connection]:
        db = sqlite3.connect(self.path(name), isolation_level=None)
        db.text_factory = bytes
        return contextlib.closing(db)

    def run(self, statements: str, name: str) -> list[tuple]:
        """Runs statements; the rows of a single one."""
        with self.connect(name) as db:
            db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            try:
                return db.execute(statements).fetchall()
            except (sqlite3.Warning, sqlite3.ProgrammingError):
                db.executescript(statements)
                return []


class Lite(Two):
    """Two files."""

    def rows(self, name: str, *tables: str) -> dict[str, list[tuple]]:
        """All rows, each value with its class, in one order."""
        server, database = self.ends[name]
        with server.connect(database) as db:
            names = tables or [
                row[0].decode()
                for row in db.execute(
                    "select name from pragma_table_list where schema = 'main' and type = 'table'"
                )
                if not row[0].startswith(b"sqlite_")
            ]
            return {
                table: sorted(
                    tuple(map(repr, row)) for row in db.execute(f"select * from {identifier(table)}")
                )
                for table in names
            }

    def path(self, name: str) -> Path:
        server: Any = self.ends[name][0]
        found: Path = server.path(name)
        return found


@contextlib.contextmanager
def lite(path: Path) -> Iterator[Lite]:
    """Two empty databases."""
    path.mkdir(exist_ok=True)
    files = Files(path)
    for name in ("dev", "prod"):
        with files.connect(name) as db:
            db.execute("vacuum")
    asked: Any = files  # as a server is
    yield Lite(path, (asked, "dev"), (asked, "prod"))
