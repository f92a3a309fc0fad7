"""Finds what runs alembic for a worktree: the project's own Python. Looks at files only, and runs nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from raccord.kernel import proc
from raccord.migrations.project import Database, Project
from raccord.migrations.settings import MAIN

ENVIRONMENTS = (".venv", "venv")
# What alembic would take for something else than an id: a relative step, a branch, a range, an option.
_MISREAD = re.compile(r"-.*|.*[@:+].*|\w*-\d.*", re.DOTALL)


def runner(project: Project, configured: Sequence[str] | None) -> tuple[str, ...]:
    """The words that start alembic; none where nothing was found.

    Args:
        configured: what the configuration says, or None.
    """
    if configured:
        name, *rest = configured
        # A relative program lies where alembic is run.
        return (str(project.backend / name) if "/" in name else name, *rest)
    for folder in dict.fromkeys((project.backend, project.root)):
        for name in ENVIRONMENTS:
            if (python := _python(folder / name)) is not None:
                return (python, "-m", "alembic")
    # No relative entry of PATH: a repository's own `alembic` would run.
    found = shutil.which("alembic", path=proc.environment().get("PATH", os.defpath))
    return (found,) if found else ()


def _python(environment: Path) -> str | None:
    """The Python of a virtual environment that has alembic."""
    for python, libraries in (
        ("bin/python", "lib/*/site-packages"),
        ("Scripts/python.exe", "Lib/site-packages"),
    ):
        path = environment / python
        if path.is_file() and any(_alembic(environment, libraries)):
            return str(path)
    return None


def _alembic(environment: Path, libraries: str) -> Iterator[bool]:
    try:
        yield from ((one / "alembic" / "__init__.py").is_file() for one in environment.glob(libraries))
    except OSError:
        return


def words(start: Sequence[str], database: Database, revision: str) -> tuple[str, ...]:
    """The command that upgrades to one revision; which configuration file is meant says `variables`."""
    section = ("-n", database.section) if database.section != MAIN else ()
    return (*start, *section, "upgrade", revision)


def variables(project: Project) -> dict[str, str]:
    """What the command's environment says besides: without it the person's own would count."""
    return {"ALEMBIC_CONFIG": str(project.ini)}


def misread(revision: str) -> bool:
    """Whether alembic's command line would take an id for something else."""
    return not revision or _MISREAD.fullmatch(revision) is not None or revision in ("head", "heads", "base")
