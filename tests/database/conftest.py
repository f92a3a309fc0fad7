"""The server of this test process, and a database that a test may do anything to."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raccord.database.url import Target, parse
from tests import pgkit


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: SQLite flushes at every commit."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def pg() -> pgkit.Server:
    try:
        return pgkit.server()
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@dataclasses.dataclass
class Place:
    """A fresh database."""

    server: pgkit.Server
    name: str

    @property
    def target(self) -> Target:
        return parse(self.server.url(self.name), "/")

    def run(self, statements: str) -> list[tuple]:
        return self.server.run(statements, self.name)


@pytest.fixture
def place(pg: pgkit.Server) -> Iterator[Place]:
    with pg.lent() as name:
        yield Place(pg, name)


@pytest.fixture
def file(tmp_path: Path) -> Target:
    """A SQLite target whose file isn't there yet."""
    return parse(f"sqlite:///{tmp_path / 'app.db'}", "/")
