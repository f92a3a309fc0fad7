"""Migrations: every worktree against its database, drawn histories, and where a revision is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.cli.render_run import notes
from raccord.model.migration_report import (
    MigrationFind,
    MigrationList,
    MigrationOrigin,
    MigrationRow,
    MigrationSite,
    MigrationStatus,
)
from raccord.model.plan import Json
from raccord.model.text import shown

MARKS = {"applied": "green", "copy": "dim", "head": "cyan", "missing": "red"}
SHORT = 12
WORKTREES = 4
PLACES = {
    "archive": "raccord's own store",
    "worktree": "worktree",
    "directory": "directory",
    "index": "index of",
    "ref": "",
    "history": "history of",
    "stash": "",
    "reflog": "reflog",
    "dangling": "an object that no ref leads to",
}
REFS = (("refs/heads/", "branch"), ("refs/remotes/", "remote branch"), ("refs/tags/", "tag"))
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
    every = [one for site in sites for one in site.findings]
    told = [one for at, one in enumerate(every) if one not in every[:at]]
    for one in told:
        where = [page.path(site.worktree) for site in sites if one in site.findings]
        # What is missing is in the table; the command at the end puts it back wherever it is missing.
        hint = "" if one.name == "migration.missing" else one.hint
        places = where if len(where) < len(sites) else []
        said = f"{', '.join(places[:WORKTREES])}{' …' if len(places) > WORKTREES else ''}: " if places else ""
        notes(page, [replace(one, message=f"{said}{one.message}", hint=hint)])
    notes(page, report.notes)
    if report.counts:
        page.line(Text(f"so far: {_so_far(report.counts)}", "dim"))
    page.command("next", report.next_command)


def _database(site: MigrationSite, several: bool, apart: bool) -> str:
    """Which database a worktree uses, as far as that tells it from others."""
    name = site.url.partition("?")[0].rpartition("/")[2] if apart else ""
    parts = (site.database if several else "", name, "(a fork)" if site.fork and site.fork.used else "")
    return shown(" ".join(filter(None, parts)))


def _so_far(counts: Mapping[str, Json]) -> str:
    named = ["heals", "revisions_copied", "upgrades", "revisions_applied"]
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in named if counts.get(name))


def _ids(ids: Sequence[str]) -> str:
    # Two in a narrow column would be cut to what looks like one.
    return (shown(ids[0][:SHORT]) if ids else "") + (f" +{len(ids) - 1}" if len(ids) > 1 else "")


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
        return Text(f"{site.pending} to apply", "yellow")
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


def _origin(page: Page, origin: MigrationOrigin) -> str:
    """One place that holds a content."""
    words = PLACES[origin.kind]
    if origin.kind in ("archive", "dangling"):
        return words
    place = page.path(origin.where) if os.path.isabs(origin.where) else shown(origin.where)
    for beginning, name in REFS:
        place = f"{name} {place.removeprefix(beginning)}" if place.startswith(beginning) else place
    return f"{words} {place}".strip()


def _commit(origin: MigrationOrigin) -> str:
    """Who brought it there, and when."""
    by = f" by {shown(origin.author)}" if origin.author else ""
    when = f"{datetime.fromtimestamp(origin.time, UTC):%Y-%m-%d %H:%M} UTC" if origin.time else ""
    commit = f"commit {origin.commit[:SHORT]}" if origin.commit else ""
    return ", ".join(filter(None, (f"{commit}{by}".strip(), when)))


def find(page: Page, report: MigrationFind) -> None:
    """Adds each content of a revision with the places that hold it."""
    number = len(report.contents)
    page.line(Text(shown(report.revision), "bold"), f": {count(number, 'content')}")
    for one in report.contents:
        why = Text(f"  {one.trusted}", "green") if one.trusted else Text("  not vouched for", "yellow")
        path = next((origin.path for origin in one.origins if origin.kind != "archive"), "")
        page.line(Text(one.digest[:SHORT], "yellow"), f" {shown(path or one.name)}", why, indent=2)
        if one.message:
            page.line(Text(shown(one.message)), indent=4)
        if one.parents:
            page.line(Text(f"stands on {', '.join(map(shown, one.parents))}", "dim"), indent=4)
        commit = ""
        for origin in one.origins[:ORIGINS]:
            said = _origin(page, origin)
            if origin.path not in (path, "") and origin.kind != "archive":
                said += f" as {shown(origin.path)}"
            brought = _commit(origin)
            page.line(
                Text(f"{page.sign('dot')} ", "dim"),
                said,
                Text("" if brought == commit else f"  {brought}", "dim"),
                indent=4,
            )
            commit = brought
        if len(one.origins) > ORIGINS:
            page.line(Text(f"and {len(one.origins) - ORIGINS} more places", "dim"), indent=4)
        for line in one.diff.splitlines():
            style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
            page.line(Text(shown(line), style), indent=4)
    notes(page, report.notes)
    if number > 1:
        chosen = f"{report.revision}={report.contents[0].digest[:SHORT]}"
        page.command("next", f"raccord migrations heal --choose {chosen}")
