"""Several machines: clones of one project, each with a real daemon of its own, and one hub in PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import pgkit, warm
from tests.gitkit import Repo, git
from tests.webkit import until

CONFIGURATION = """
[coordination]
hub = "env:RACCORD_HUB"
machine = "env:RACCORD_MACHINE"
threshold = 0
{more}
"""


@dataclass
class Clone:
    """A clone and its daemon.

    Attributes:
        url: of the hub as this machine reaches it.
    """

    path: Path
    url: str
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "RACCORD_HUB": self.url, "RACCORD_MACHINE": self.path.name}

    @property
    def said(self) -> str:
        """What the daemon wrote to its standard error."""
        return self.path.with_suffix(".err").read_text()

    def start(self) -> None:
        """Starts it, and waits until all files were looked at."""
        with open(self.path.with_suffix(".err"), "a") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "raccord", "watch"],
                cwd=self.path, stdout=subprocess.DEVNULL, stderr=err, text=True, env=self.environment,
            )  # fmt: skip
        until(lambda: self.rows("select 1 from roots") and self.rows("select 1 from hub"))

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs raccord here."""
        return warm.run("raccord", words, self.path, env=self.environment)

    def rows(self, sql: str) -> list[tuple]:
        """What its state database has."""
        place = self.path / ".git" / "raccord" / "state.db"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as db:
                return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []

    @property
    def events(self) -> list[tuple]:
        """Every change that it knows of, by whomever."""
        return sorted(self.rows("select uid, path, kind, old, new from changes"))

    @property
    def own(self) -> int:
        """How many changes were seen here."""
        return int(self.rows("select count(*) from changes where machine = ''")[0][0])

    @property
    def waiting(self) -> int:
        """How many things are to go out."""
        return int(self.rows("select count(*) from outgoing")[0][0])


@contextlib.contextmanager
def clones(folder: Path, *urls: str, more: str = "") -> Iterator[list[Clone]]:
    """Clones of one project, one for each URL of the hub; whatever they started is ended."""
    origin = Repo.init(folder / "origin")
    origin.commit({"AGENTS.md": "# Agents\n", "raccord.toml": CONFIGURATION.format(more=more)}, "start")
    made = []
    for number, url in enumerate(urls, 1):
        git(folder, "clone", "-q", "origin", f"m{number}")
        made.append(Clone(folder / f"m{number}", url))
    try:
        yield made
    finally:
        for one in made:
            one.kill()


def entries(server: pgkit.Server, name: str, kind: str = "change") -> list[str]:
    """The uids of what the hub has of a kind, in its order."""
    if server.run("select to_regclass('raccord.entries')", name) == [(None,)]:
        return []
    asked = f"select uid from raccord.entries where kind = '{kind}' order by seq"
    return [row[0] for row in server.run(asked, name)]
