"""A repository as FastAPI projects are: `backend/` with what `alembic init` wrote, worktrees, a database."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raccord.cli.main import main
from tests import warm
from tests.gitkit import Repo

MODELS = """\
from sqlalchemy import Column, Integer, MetaData, Table
target_metadata = MetaData()
Table("visits", target_metadata, Column("agent", Integer))
"""
# What a person types to see whether all is well.
PLAIN = ("current", "heads", "history", "check", "upgrade heads")


@functools.cache
def template(kind: str) -> Path:
    """What `alembic init` writes: `alembic.ini` and `migrations/`."""
    folder = Path(tempfile.mkdtemp())
    warm.run("alembic", ("init", "-t", kind, "migrations"), folder).check_returncode()
    return folder


@dataclass
class Team:
    """The repository, and those who work in it.

    Attributes:
        main: its first worktree, on main.
        ask: runs SQL in the shared database.
    """

    path: Path
    main: Repo
    ask: Callable[[str], list[Any]]
    trees: dict[str, Repo] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        path: Path,
        urls: dict[str, str],
        ask: Callable[[str], list[Any]] | None = None,
        *,
        kind: str = "generic",
        ini: Callable[[str], str] = lambda text: text,
        env: Callable[[str], str] = lambda text: text,
        prepare: Callable[[Path], None] = lambda backend: None,
    ) -> Team:
        """A repository with one revision on main, which the database has.

        Args:
            urls: of the database; by the section of alembic.ini that names it.
            ask: needed where it is no SQLite.
            kind: which of alembic's templates.
            ini, env: what a person edits in it.
            prepare: what else a person puts there, before alembic runs for the first time.
        """
        main = Repo.init(path / "shop")
        backend = main.path / "backend"
        shutil.copytree(template(kind), backend)
        text = (backend / "alembic.ini").read_text()
        for section, url in urls.items():
            text = naming(text, section, url)
        (backend / "alembic.ini").write_text(text)
        file = backend / "migrations/env.py"
        file.write_text(env(file.read_text().replace("target_metadata = None", MODELS)))
        main.write(".gitignore", "__pycache__/\n.env\n")
        main.write("backend/app/main.py", "from fastapi import FastAPI\n\napp = FastAPI()\n")
        command = json.dumps([sys.executable, "-m", "alembic"])
        main.write("raccord.toml", f"[migrations]\ncommand = {command}\n")
        team = cls(path, main, ask or asking(next(iter(urls.values()))))
        prepare(backend)
        team.revise(main, "start", body='op.execute("create table visits (agent integer)")')
        (backend / "alembic.ini").write_text(ini(text))
        main.git("add", "-A")
        main.commit(message="start")
        team.alembic(main, "upgrade", "head")
        return team

    def tree(self, name: str, start: str = "main") -> Repo:
        """A worktree on a branch of its own name."""
        self.trees[name] = self.main.worktree(name, name, start)
        return self.trees[name]

    def alembic(self, repo: Repo, *words: str, fails: bool = False) -> str:
        """Plain alembic in a worktree's backend; returns all that it said."""
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = warm.run("alembic", words, repo.path / "backend", env=env, merged=True)
        assert bool(done.returncode) == fails, done.stdout
        return done.stdout

    def fine(self, repo: Repo) -> str:
        """Whether all that a person types goes well, and git sees nothing of what was put there."""
        said = "".join(self.alembic(repo, *words.split()) for words in PLAIN)
        assert repo.git("status", "--porcelain") == ""
        return said

    def revise(self, repo: Repo, message: str, head: str = "head", body: str = "pass") -> str:
        """A revision as alembic writes it; returns its id."""
        said = self.alembic(repo, "revision", "-m", message, "--head", head)
        path = Path(re.search(r"Generating (\S+)", said.replace("\n", " "))[1])  # type: ignore[index]
        path.write_text(path.read_text().replace("    pass", f"    {body}", 1))
        return path.name.split("_")[0]

    def add(self, repo: Repo, message: str, body: str = "pass") -> str:
        """The same, committed and applied."""
        id_ = self.revise(repo, message, body=body)
        repo.git("add", "-A")
        repo.commit(message=message)
        self.alembic(repo, "upgrade", "head")
        return id_

    def raccord(self, repo: Repo, *words: str, code: int = 0) -> str:
        """The program as a person types it; returns what it said."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            ended = main(["-C", str(repo.path), *words])
        assert ended == code, f"exit {ended}: {said.getvalue()}"
        return said.getvalue()

    def heads(self, table: str = "alembic_version") -> set[str]:
        """What the database is at."""
        return {row[0] for row in self.ask(f"select version_num from {table}")}


def naming(text: str, section: str, url: str) -> str:
    """An ini file in which a section names a database."""
    head, line, rest = text.partition(f"\n[{section}]")
    before, key, after = rest.partition("\nsqlalchemy.url = ")
    return "".join((head, line, before, key, url.replace("%", "%%"), "\n", after.partition("\n")[2]))


def asking(url: str) -> Callable[[str], list[Any]]:
    """Runs SQL in a SQLite file."""

    def ask(statement: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
            return db.execute(statement).fetchall()

    return ask
