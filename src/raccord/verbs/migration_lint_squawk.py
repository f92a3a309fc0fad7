"""What squawk adds to `raccord migrations lint`: the project's alembic prints the SQL, squawk judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raccord.errors import CannotRun
from raccord.migrations.lint import squawk
from raccord.migrations.lint.examine import Examined
from raccord.migrations.lint.remarks import Remark
from raccord.migrations.observe import Site
from raccord.migrations.runner import runner
from raccord.model.language import message
from raccord.model.text import shown
from raccord.verbs.migration_lint_look import Look, may_be_postgres

SQL_SHOWN = 120  # characters of a statement


def squawked(look: Look) -> Mapping[str, Sequence[Remark]]:
    """What squawk finds beyond raccord's own rules, by the path of the file; what it can't judge is noted."""
    wanted = {}
    for site in filter(may_be_postgres, look.sites):
        paths = {file.path for file in site.loaded.files}
        wanted[site.key] = [one for one in look.examined if one.changes_schema and one.path in paths]
    if not any(wanted.values()) or all(look.off(f"{squawk.PREFIX}{rule}") for rule in squawk.LOCKS):
        return {}
    start = squawk.program(look.config.squawk)
    if not start:
        said = message("squawk is not installed: only raccord's own rules looked for locks of PostgreSQL")
        look.note("squawk", said, "pip install squawk-cli")
        return {}
    found: dict[str, Sequence[Remark]] = {}
    for site in look.sites:
        if some := wanted.get(site.key):
            found |= _judged(look, site, some, start)
    return found


def _judged(
    look: Look, site: Site, examined: Sequence[Examined], start: Sequence[str]
) -> dict[str, Sequence[Remark]]:
    if site.database.engine:
        # Such an env.py writes its SQL into files beside it.
        look.note("squawk", message("an env.py for several databases can't print SQL for squawk"))
        return {}
    alembic = runner(site.project, look.room.config.migrations.command)
    if not alembic:
        look.note("squawk", message("there is no alembic to print SQL for squawk"), "pip install alembic")
        return {}
    by_id = {one.revision.id: one for one in examined}
    found: dict[str, Sequence[Remark]] = {}
    for chain in squawk.chains(site.graph, tuple(by_id)):
        printed = squawk.printed(site.project, site.database, alembic, site.graph, chain)
        for rev, why in printed.failed.items():
            said = message(
                "squawk did not see {revision}: alembic can't print its SQL: {reason}",
                revision=shown(rev),
                reason=shown(why),
            )
            look.note("squawk", said, status="unknown")
        for rev, sql in printed.sql.items():
            try:
                told = squawk.judged(start, sql, look.tree.path)
            except CannotRun as error:
                look.note("squawk", message("{said}", said=error.message), error.hint, status="unknown")
                return found
            one = by_id[rev]
            found[one.path] = tuple(_remark(one, each) for each in told if not _known(one, each))
    return found


def _known(one: Examined, violation: squawk.Violation) -> bool:
    """Whether a rule of raccord's own says it already, and on its very line."""
    same = squawk.LOCKS[violation.rule]
    return any(
        remark.rule == same and (not remark.table or remark.table in violation.sql.lower())
        for remark in one.remarks
    )


def _remark(one: Examined, violation: squawk.Violation) -> Remark:
    sql = violation.sql if len(violation.sql) <= SQL_SHOWN else f"{violation.sql[:SQL_SHOWN]} …"
    said = message("{said} In: {sql}", said=violation.said, sql=sql)
    fix = message("{said}", said=violation.help or violation.said)
    line = one.script.upgrade.line
    return Remark(f"{squawk.PREFIX}{violation.rule}", line, line, said, fix)
