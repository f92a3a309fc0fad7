"""Finds what runs alembic for a worktree: the project's own Python. Looks at files only, and runs nothing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from raccord.database.url import Target, masked
from raccord.errors import CannotRun
from raccord.kernel import proc
from raccord.migrations.project import Database, Project
from raccord.migrations.settings import MAIN
from raccord.model.text import shown

ENVIRONMENTS = (".venv", "venv")
TAIL = 20  # lines of what alembic said that go into a finding
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


def absence(project: Project) -> tuple[str, str]:
    """What is said where no alembic was found, and the next command."""
    said = (
        f"no alembic to run: none in .venv or venv of {shown(str(project.backend))} "
        "or of the worktree's top, none on the PATH, and no [migrations] command in raccord.toml"
    )
    return said, "python -m venv .venv, then: .venv/bin/pip install alembic"


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


def command(start: Sequence[str], database: Database, *rest: str) -> tuple[str, ...]:
    """A command of alembic; which configuration file is meant says `variables`."""
    section = ("-n", database.section) if database.section != MAIN else ()
    return (*start, *section, *rest)


def words(start: Sequence[str], database: Database, revision: str) -> tuple[str, ...]:
    """The command that upgrades to one revision."""
    return command(start, database, "upgrade", revision)


def variables(project: Project) -> dict[str, str]:
    """What the command's environment says besides: without it the person's own would count.

    Every child that may run an env.py asks for it.

    Raises:
        CannotRun: an env.py is missing, or what alembic reads is a pipe or a device, for which it would wait.
    """
    scripts = dict.fromkeys(database.script for database in project.databases)
    read = [project.backend / "pyproject.toml", *(script / "script.py.mako" for script in scripts)]
    odd = [path for path in read if path.exists() and not path.is_file()]
    odd += [path for script in scripts if not (path := script / "env.py").is_file()]
    if odd:
        said = f"{shown(str(odd[0]))} is {'no regular file' if os.path.lexists(odd[0]) else 'not there'}"
        raise CannotRun(
            f"{said}, so alembic is not run", hint=f"ls -l {shown(shlex.quote(str(odd[0].parent)))}"
        )
    # What it compiles would be files of nobody in the worktree.
    return {"ALEMBIC_CONFIG": str(project.ini), "PYTHONDONTWRITEBYTECODE": "1"}


def reason(output: str, targets: Iterable[Target]) -> tuple[str, list[str]]:
    """The line of alembic's output that says why it failed, and the last lines; no secret is in them.

    Args:
        targets: the databases that it worked on.
    """
    targets = list(targets)
    secrets = {secret for one in targets for secret in one.secrets}
    names = {name for one in targets for name in (one.name, one.user, one.host)}
    lines = masked(output, secrets, names).splitlines()
    tail = [shown(line) for line in lines if line.strip()][-TAIL:]
    last = tail[-1] if tail else ""
    return next((line for line in reversed(tail) if "Error" in line or "FAILED" in line), last), tail


def misread(revision: str) -> bool:
    """Whether alembic's command line would take an id for something else."""
    return not revision or _MISREAD.fullmatch(revision) is not None or revision in ("head", "heads", "base")
