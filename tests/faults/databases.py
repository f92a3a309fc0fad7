"""The databases of a fault's workspace: looked at, and PostgreSQL's server, which is another machine.

A fault strikes the files of a SQLite database as any other; a server goes on, and keeps its power.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests import pgkit

ABSENT = "absent"


def sqlite_content(path: Path) -> str:
    """The fingerprint of all that a SQLite file holds, or `ABSENT`; of a copy, since reading may write."""
    if not path.exists():
        return ABSENT
    with tempfile.TemporaryDirectory() as folder:
        for end in ("", "-journal", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{end}", f"{folder}/copy{end}")
        with contextlib.closing(sqlite3.connect(f"{folder}/copy")) as db:
            return digest("\n".join(db.iterdump()))


def digest(text: str) -> str:
    """A short one."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Server:
    """This process's PostgreSQL server, and the one database of a place on it.

    Attributes:
        name: the database's.
        tools: whether commands find the programs of its release, such as pg_dump.
    """

    name: str
    tools: bool = False

    @property
    def url(self) -> str:
        """Its URL, with the password."""
        return pgkit.server().url(self.name, scheme="postgresql+psycopg")

    def path(self, path: str) -> str:
        """The PATH of commands."""
        return f"{pgkit.server().bin}{os.pathsep}{path}" if self.tools else path

    def make(self) -> None:
        """An empty database."""
        pgkit.server().create(name=self.name)

    def save(self) -> None:
        """Keeps a copy."""
        pgkit.server().run(f"create database {self._kept} template {self.name}")

    def reset(self) -> None:
        """Brings the copy back; what raccord made beside it goes."""
        server = pgkit.server()
        for name in (self.name, *self._others()):
            server.run(f"drop database if exists {pgkit.quoted(name)} with (force)")
        server.run(f"create database {self.name} template {self._kept} strategy file_copy")

    def content(self) -> str:
        """The fingerprint of all that the database holds, or `ABSENT`."""
        server = pgkit.server()
        if not server.run(f"select 1 from pg_database where datname = '{self.name}'"):
            return ABSENT
        words = [str(server.bin / "pg_dump"), "-h", str(server.folder), "-p", str(server.port)]
        env = {**os.environ, "PGUSER": "postgres", "PGPASSWORD": pgkit.PASSWORD}
        said = subprocess.run([*words, self.name], env=env, check=True, capture_output=True, text=True).stdout
        # A word made anew for each dump; and the order of rows says nothing.
        lines = sorted(line for line in said.splitlines() if "restrict " not in line)
        return digest("\n".join(lines))

    def unfinished(self) -> list[str]:
        """What raccord was cut off while making, and left."""
        return [name for name in self._others() if name.startswith("raccord_new_")]

    def _others(self) -> list[str]:
        rows = pgkit.server().run("select datname from pg_database where datname like 'raccord\\_%'")
        return [name for (name,) in rows]

    @property
    def _kept(self) -> str:
        return f"{self.name}_kept"
