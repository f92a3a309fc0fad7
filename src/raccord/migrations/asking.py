"""Completes what a configuration leaves open by asking env.py itself: which database, which version table.

It is the person's own worktree whose env.py runs, with no migration and nothing written; see `driving.asked`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raccord.database.url import OTHER, parse
from raccord.errors import CannotRun
from raccord.migrations.driving import Asked, Interpreter, asked
from raccord.migrations.observe import Site
from raccord.migrations.project import Database, Project
from raccord.model.text import shown


def told(unit: Sequence[Site], how: Interpreter) -> list[Site]:
    """The sites with what env.py says of their databases; those that are known stay.

    Args:
        unit: the databases of one section of a configuration.

    Raises:
        CannotRun: it can't be asked, or says nothing of one of them.
        DatabaseError: it connects through a URL that is none.
    """
    if not any(site.target is None or site.database.unclear for site in unit):
        return list(unit)
    found = filled(unit[0].project, [site.database for site in unit], how)
    return [_completed(site, *answer) for site, answer in zip(unit, found, strict=True)]


def filled(
    project: Project, databases: Sequence[Database], how: Interpreter
) -> list[tuple[Database, frozenset[str]]]:
    """The databases of one section as env.py connects to them, and the ids in their version tables.

    Raises:
        CannotRun: as `told`.
    """
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
