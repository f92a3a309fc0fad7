"""Lets the project's own alembic write a revision, and takes what it wrote from a scratch folder.

Alembic runs as a child: its template, hooks and env.py are the project's. raccord imports none of it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.database.url import Target
from raccord.errors import CannotRun, RaccordError
from raccord.kernel import fs, proc
from raccord.migrations import loading, scratch
from raccord.migrations.loading import Loaded
from raccord.migrations.observe import Site
from raccord.migrations.revision import Revision, read
from raccord.migrations.runner import command, reason, variables
from raccord.model.text import shown

LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A revision to be.

    Attributes:
        id: nobody has it yet.
        message: what it is for.
        parent: the revision that it stands on, "" for none.
        splice: whether others stand on that parent already, as far as alembic sees.
        label: of the branch that begins with it, or "".
        depends_on: ids or labels.
        autogenerate: whether alembic compares the models with the database.
    """

    id: str
    message: str
    parent: str
    splice: bool = False
    label: str = ""
    depends_on: tuple[str, ...] = ()
    autogenerate: bool = False

    def words(self) -> tuple[str, ...]:
        """The command of alembic that makes it; a value may begin with a dash."""
        return (
            "revision",
            *(("--autogenerate",) if self.autogenerate else ()),
            f"--message={self.message}",
            f"--rev-id={self.id}",
            f"--head={self.parent or 'base'}",
            *(("--splice",) if self.splice else ()),
            *((f"--branch-label={self.label}",) if self.label else ()),
            *(f"--depends-on={one}" for one in self.depends_on),
        )


@dataclass(frozen=True, slots=True)
class Made:
    """A file that alembic wrote.

    Attributes:
        path: relative to the worktree, where it belongs.
        source: its bytes.
    """

    path: str
    source: bytes
    revision: Revision


def render(site: Site, start: Sequence[str], wanted: Wanted, home: str, state: Path) -> list[Made]:
    """What the project's alembic writes, no files where it finds nothing to write.

    Args:
        start: the words that start alembic.
        home: the version folder that the file is for, relative to the worktree.
        state: raccord's own folder.

    Raises:
        CannotRun: alembic failed, or what it wrote is no revision.
    """
    project, database = site.project, site.database
    before = {one.path for one in _loaded(site).files}
    with scratch.opened(state, project, database, home) as place:
        # An ini file and a pyproject.toml count together.
        both = ("-c", str(place.ini), "-c", str(project.ini)) if project.ini.name == "pyproject.toml" else ()
        argv = command((*start, *both), database, *wanted.words(), f"--version-path={place.versions}")
        env = variables(project)
        if not both:
            env["ALEMBIC_CONFIG"] = str(place.ini)
        try:
            ended = proc.run(argv, cwd=project.backend, env=env, timeout=LIMIT_S)
            found = [
                _made(os.path.join(home, path), fs.read(place.versions / path))
                for path in _files(place.versions)
            ]
        finally:
            strays = _strays(site, wanted, before)
    if ended.returncode:
        raise _failed(site, command(start, database, *wanted.words()), ended)
    return found + strays


def _files(top: Path) -> list[str]:
    """What alembic wrote, below a folder."""
    found = []
    for folder, _, names in os.walk(top):
        below = os.path.relpath(folder, top)
        found += [os.path.normpath(os.path.join(below, name)) for name in names if name.endswith(".py")]
    return sorted(found)


def _made(path: str, source: bytes) -> Made:
    back = read(source, os.path.basename(path))
    if not isinstance(back, Revision):
        why = back.reason if back is not None else "it sets no revision"
        raise CannotRun(f"what the project's template makes can't be read as a revision: {why}")
    return Made(path, source, back)


def _loaded(site: Site) -> Loaded:
    one = site.database
    return loading.load(one.versions, recursive=one.recursive, sourceless=one.sourceless)


def _strays(site: Site, wanted: Wanted, before: set[str]) -> list[Made]:
    """Takes back what a directive of env.py has put into the project's own folders."""
    top = os.path.realpath(site.tree.path)
    found = []
    for one in _loaded(site).files:
        if one.path not in before and _ours(one.revision, wanted):
            found.append(_made(os.path.relpath(os.path.realpath(one.path), top), fs.read(one.path)))
            fs.unlink(one.path)
    return found


def _ours(one: Revision, wanted: Wanted) -> bool:
    """Whether a revision that appeared is the one that was asked for; env.py may give it another id."""
    said = one.message == wanted.message.strip().splitlines()[0].strip()
    return one.id == wanted.id or (said and one.down == ((wanted.parent,) if wanted.parent else ()))


def _failed(site: Site, argv: Sequence[str], ended: proc.Result) -> RaccordError:
    targets = [site.target] if isinstance(site.target, Target) else []
    output = ended.stderr + ended.stdout.decode("utf-8", "replace")
    last, tail = reason(output, targets)
    how = (
        f"failed ({ended.returncode})" if ended.returncode > 0 else f"was ended by signal {-ended.returncode}"
    )
    return CannotRun(
        f"alembic {how}: {last}" if last else f"alembic {how}",
        hint=f"cd {shown(shlex.quote(str(site.project.backend)))} && {shown(shlex.join(argv))}",
        tail=tail,
        status=ended.returncode,
    )
