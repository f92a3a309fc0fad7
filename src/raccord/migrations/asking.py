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
from raccord.model.text import shown


def told(unit: Sequence[Site], how: Interpreter) -> list[Site]:
    """The sites with what env.py says of their databases; those that are known stay.

    Args:
        unit: the databases of one section of a configuration.

    Raises:
        CannotRun: it can't be asked, or says nothing of one of them.
        DatabaseError: it connects through a URL that is none.
    """
    if all(site.target is not None and not site.database.unclear for site in unit):
        return list(unit)
    site = unit[0]
    answers = asked(how, site.project, site.database)
    return [_completed(one, _of(one, answers)) for one in unit]


def _of(site: Site, answers: Sequence[Asked]) -> Asked:
    found = [one for one in answers if one.engine == site.database.engine] or list(answers)
    if len({(one.url, one.version_table, one.version_schema) for one in found}) != 1:
        engines = ", ".join(shown(one.engine or one.database or one.dialect) for one in answers)
        raise CannotRun(
            f"env.py connects to several databases ({engines}), and none is named"
            f" {shown(site.database.name)}",
            hint="name them in alembic.ini: databases = …",
        )
    return found[0]


def _completed(site: Site, answer: Asked) -> Site:
    target = parse(answer.url, site.project.backend)
    database = replace(
        site.database,
        url=answer.url,
        url_unclear="",
        version_table=answer.version_table,
        version_schema=answer.version_schema,
        unclear=(),
    )
    unread = f"raccord does not speak {target.scheme}" if target.kind == OTHER else ""
    return replace(
        site,
        database=database,
        target=target,
        heads=frozenset(answer.heads),
        unread=unread,
        unread_hint="",
    )
