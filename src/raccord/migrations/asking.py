"""Completes what a configuration leaves open by asking env.py itself: which database, which version table.

It is the person's own worktree whose env.py runs, with no migration and nothing written; see `driving.asked`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from raccord.database.url import OTHER, parse
from raccord.errors import CannotRun, RaccordError
from raccord.kernel import fs, proc
from raccord.migrations.driving import Asked, Interpreter, asked, interpreter
from raccord.migrations.observe import Site, Unfound
from raccord.migrations.project import Database, Project
from raccord.migrations.runner import runner
from raccord.model.text import shown

SECONDS = 30.0  # that an answer is good for
_said: dict[tuple[Path, str, str, Interpreter], tuple[object, float, Database]] = {}


def completed(
    found: Sequence[Site | Unfound], top: Path, configured: Sequence[str] | None
) -> list[Site | Unfound]:
    """The same with what one worktree's env.py, the person's own, says of what its configuration leaves open.

    Args:
        top: that worktree.
        configured: what runs alembic, see `runner`.
    """
    units: dict[str, list[Site]] = {}
    for one in found:
        if isinstance(one, Site) and one.tree.path == top:
            units.setdefault(one.database.section, []).append(one)
    answers: dict[str, Site] = {}
    for unit in units.values():
        if not any(site.open for site in unit):
            continue
        try:
            sites = told(unit, runner(unit[0].project, configured))
        except RaccordError as error:
            said, hint = f"; {error.message}", error.hint
            sites = [
                replace(one, unread=one.unread + said, unread_hint=hint or one.unread_hint)
                if one.unread
                else one
                for one in unit
            ]
        answers |= {one.key: one for one in sites}
    return [answers.get(one.key, one) if isinstance(one, Site) else one for one in found]


def told(unit: Sequence[Site], start: Sequence[str]) -> list[Site]:
    """The sites with what env.py says of their databases; those that are known stay.

    Args:
        unit: the databases of one section of a configuration.
        start: the words that start alembic.

    Raises:
        CannotRun: it can't be asked, or says nothing of one of them.
        DatabaseError: it connects through a URL that is none.
    """
    if not any(site.target is None or site.database.unclear for site in unit):
        return list(unit)
    found = filled(unit[0].project, [site.database for site in unit], interpreter(start))
    full = [_completed(site, *answer) for site, answer in zip(unit, found, strict=True)]
    return [replace(site, start=tuple(start)) for site in full]


def known(project: Project, database: Database, how: Interpreter) -> Database:
    """A database as env.py connects to it: as it said a moment ago, if nothing near it was changed since.

    Each step of a run looks for its database, and to ask takes a second.

    Raises:
        CannotRun: as `told`.
    """
    key = (project.ini, database.section, database.engine, how)
    kept = _said.get(key)
    if kept is not None and kept[0] == _stamps(project, database) and time.monotonic() < kept[1]:
        return kept[2]
    ((full, _),) = filled(project, [database], how)
    return full


def _stamps(project: Project, database: Database) -> object:
    """What tells whether a file was changed that env.py is likely to read, such as env files and settings."""
    seen = [fs.signature(database.script / "env.py")]
    for folder in (project.backend, project.root):
        there = [fs.signature(folder / name) for name in sorted(fs.names(folder))]
        seen += [one for one in there if one is not None and not one.is_dir]
    return seen, proc.environment()


def filled(
    project: Project, databases: Sequence[Database], how: Interpreter
) -> list[tuple[Database, frozenset[str]]]:
    """The databases of one section as env.py connects to them, and the ids in their version tables.

    Raises:
        CannotRun: as `told`.
    """
    stamps = _stamps(project, databases[0])
    answers = asked(how, project, databases[0])
    found = []
    for database in databases:
        answer = _of(database, answers)
        full = replace(
            database,
            url=answer.url,
            url_unclear="",
            version_table=answer.version_table,
            version_schema=answer.version_schema,
            unclear=(),
        )
        found.append((full, frozenset(answer.heads)))
        _said[project.ini, database.section, database.engine, how] = stamps, time.monotonic() + SECONDS, full
    return found


def _of(database: Database, answers: Sequence[Asked]) -> Asked:
    found = [one for one in answers if one.engine == database.engine] or list(answers)
    if len({(one.url, one.version_table, one.version_schema) for one in found}) != 1:
        engines = ", ".join(shown(one.engine or one.database or one.dialect) for one in answers)
        raise CannotRun(
            f"env.py connects to several databases ({engines}), and none is named {shown(database.name)}",
            hint="name them in alembic.ini: databases = …",
        )
    return found[0]


def _completed(site: Site, database: Database, heads: frozenset[str]) -> Site:
    assert database.url is not None
    target = parse(database.url, site.project.backend)
    unread = f"raccord does not speak {target.scheme}" if target.kind == OTHER else ""
    return replace(site, database=database, target=target, heads=heads, unread=unread, unread_hint="")
