"""Real alembic for tests, in a process as a person would start one."""

from __future__ import annotations

import os

from tests import warm
from tests.gitkit import Repo

ENV = """\
from alembic import context
from sqlalchemy import create_engine
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def alembic(repo: Repo, *words: str) -> str:
    """Runs it in a worktree's `backend`, where it must go well; returns what it printed."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = warm.run("alembic", words, repo.path / "backend", env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
