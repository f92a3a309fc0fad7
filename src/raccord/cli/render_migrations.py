"""Migrations: every worktree against its database, drawn histories, and where a revision is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.cli.render_run import notes
from raccord.model.migration_report import (
    MigrationFind,
    MigrationList,
    MigrationRow,
    MigrationSite,
    MigrationStatus,
)
from raccord.model.text import shown

MARKS = {"applied": "green", "head": "cyan", "missing": "red"}
SHORT = 12
ORIGINS = 6


def status(page: Page, report: MigrationStatus) -> None:
    """Adds a row for each worktree, and what is wrong in it below."""
    sites = report.sites
    several = len({site.database for site in sites}) > 1
    apart = len({site.url for site in sites}) > 1
    databases = [Text(_database(site, several, apart), "dim") for site in sites]
    page.table(
        [
            Column("worktree", [Text(page.path(site.worktree), "bold") for site in sites], least=12),
            Column("branch", [Text(shown(site.branch)) for site in sites], rank=2, least=8),
            Column("database", databases, rank=1, least=8),
            Column("files", [Text(str(site.revisions)) for site in sites], rank=3),
            Column("heads", [Text(_ids(site.heads)) for site in sites], rank=1, least=10),
            Column("applied", [_applied(site) for site in sites], least=10),
            Column("state", [_state(site) for site in sites], least=10),
        ]
    )
    page.gap()
    told = []
    for site in sites:
        for one in site.findings:
            if one not in told:
                told.append(one)
    notes(page, [*told, *report.notes])
    page.command("next", report.next_command)


def _database(site: MigrationSite, several: bool, apart: bool) -> str:
    """Which database a worktree uses, as far as that tells it from others."""
    name = site.url.partition("?")[0].rpartition("/")[2] if apart else ""
    parts = (site.database if several else "", name, "(a fork)" if site.fork and site.fork.used else "")
    return shown(" ".join(filter(None, parts)))


def _ids(ids: Sequence[str]) -> str:
    return ", ".join(shown(one[:SHORT]) for one in ids[:3]) + (f" +{len(ids) - 3}" if len(ids) > 3 else "")


def _applied(site: MigrationSite) -> Text:
    if site.applied is None:
        return Text("?", "yellow")
    return Text(_ids(site.applied)) if site.applied else Text("nothing", "dim")


def _state(site: MigrationSite) -> Text:
    if site.missing:
        return Text(f"{len(site.missing)} missing", "red")
    if any(one.status == "fail" for one in site.findings):
        return Text("damaged", "red")
    if site.applied is None:
        return Text("not read", "yellow")
    if site.pending:
        return Text(f"{count(site.pending, 'revision')} to apply", "yellow")
    return Text("in step", "green")


def lists(page: Page, reports: Sequence[MigrationList]) -> None:
    """Adds histories, drawn."""
    for report in reports:
        page.line(Text(shown(report.title), "bold"))
        for row in report.rows:
            page.line(*_row(row))
        if not report.rows:
            page.line(Text("none", "dim"))
        notes(page, report.notes)


def _row(row: MigrationRow) -> list[Text]:
    line = [Text(f"{row.art} " if row.art else "  ", "dim")]
    if not row.id:
        return line
    line.append(Text(shown(row.id), "red" if "missing" in row.marks else "yellow"))
    line += [Text(f" {shown(mark)}", MARKS.get(mark, "")) for mark in row.marks]
    line.append(Text(f" {shown(row.message)}" if row.message else ""))
    places = [shown(one) for one in (*row.worktrees[:4], *(row.refs[:2] if not row.worktrees else ()))]
    left = len(row.worktrees) - 4
    if places:
        more = f" +{left}" if left > 0 else ""
        line.append(Text(f"  [{', '.join(places)}{more}]", "dim"))
    return line


def find(page: Page, report: MigrationFind) -> None:
    """Adds each content of a revision with the places that hold it."""
    number = len(report.contents)
    page.line(Text(shown(report.revision), "bold"), f": {count(number, 'content')}")
    for one in report.contents:
        why = Text(f"  {one.trusted}", "green") if one.trusted else Text("  not vouched for", "yellow")
        page.line(Text(one.digest[:SHORT], "yellow"), f" {shown(one.name)}", why, indent=2)
        if one.message:
            page.line(Text(shown(one.message)), indent=4)
        if one.parents:
            page.line(Text(f"stands on {', '.join(map(shown, one.parents))}", "dim"), indent=4)
        for origin in one.origins[:ORIGINS]:
            page.line(Text(f"{page.sign('dot')} ", "dim"), shown(origin.said), indent=4)
        if len(one.origins) > ORIGINS:
            page.line(Text(f"and {len(one.origins) - ORIGINS} more places", "dim"), indent=4)
        for line in one.diff.splitlines():
            style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
            page.line(Text(shown(line), style), indent=4)
    notes(page, report.notes)
    if number > 1:
        chosen = f"{report.revision}={report.contents[0].digest[:SHORT]}"
        page.command("next", f"raccord migrations heal --choose {chosen}")
