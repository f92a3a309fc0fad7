"""Real alembic for tests, as the process that a person would start."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.gitkit import Repo


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
