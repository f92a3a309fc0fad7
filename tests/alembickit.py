"""Real alembic for tests, as the process that a person would start."""

from __future__ import annotations

import os
import subprocess
import sys

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
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=repo.path / "backend",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
