"""Changes of watched files and their consolidations, a line each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.model.report_coordination import (
    ChangeReport,
    ConsolidateReport,
    ConsolidationReport,
    HubReport,
    LeaseReport,
)
from raccord.model.text import shown

STYLES = {"created": "green", "modified": "yellow", "deleted": "red", "renamed": "cyan"}


def line(one: ChangeReport) -> str:
    """A change as it is told live."""
    at = datetime.fromtimestamp(one.at).astimezone().strftime("%H:%M:%S")
    before = f" (was {shown(one.before)})" if one.before else ""
    return (
        f"{at}  {one.kind:8}  {shown(Path(one.worktree).name)}: {shown(one.path)}{before}  {shown(one.owner)}"
    )


def changes(page: Page, found: Sequence[ChangeReport]) -> None:
    """Adds the changes, as they come."""
    if not found:
        page.line("No change was seen.")
        page.command("next", "raccord watch")
        return
    page.table(
        [
            Column("when", [Text(page.ago(one.at), "dim") for one in found]),
            Column("what", [Text(one.kind, STYLES[one.kind]) for one in found]),
            Column("file", [_file(one) for one in found], least=12),
            Column("worktree", [Text(shown(Path(one.worktree).name)) for one in found], rank=2, least=8),
            Column("machine", [Text(shown(one.machine)) for one in found], rank=4, least=8),
            Column("owner", [Text(shown(one.owner)) for one in found], rank=1),
            Column("report", [_told(one) for one in found], rank=3),
        ]
    )


def _file(one: ChangeReport) -> Text:
    return Text(f"{shown(one.before)} → {shown(one.path)}" if one.before else shown(one.path), "bold")


def _told(one: ChangeReport) -> Text:
    return Text(one.consolidation, "dim") if one.consolidation else Text("pending", "yellow")


def consolidated(page: Page, report: ConsolidateReport) -> None:
    """Adds what a consolidation by hand came to."""
    one = report.consolidation
    if one is None:
        page.line("Nothing is pending.")
        return
    page.line(f"{count(one.changes, 'change')} of {count(one.files, 'file')} consolidated.")
    if report.error:
        page.line(Text(f"The report waits: {shown(report.error)}", "red"))
        page.command("next", "raccord consolidate")
    else:
        page.line(f"The report is in {shown(page.path(report.document))}.")
    if report.commit:
        page.line(f"It is committed as {report.commit[:10]}.")
    for why in filter(None, (report.uncommitted, report.journals)):
        page.line(Text(f"Tried again after the next one: {shown(why)}", "yellow"))


def consolidations(page: Page, found: Sequence[ConsolidationReport], *, full: bool) -> None:
    """Adds the consolidations, or their reports."""
    if not found:
        page.line("No consolidation yet.")
        page.command("next", "raccord consolidate")
        return
    if full:
        for one in found:
            for text in one.report.splitlines():
                page.line(shown(text))
        return
    page.table(
        [
            Column("consolidation", [Text(one.id, "bold") for one in found]),
            Column("when", [Text(page.ago(one.at), "dim") for one in found]),
            Column("by", [Text(one.trigger) for one in found]),
            Column("machine", [Text(shown(one.machine)) for one in found], rank=4, least=8),
            Column("changes", [Text(str(one.changes)) for one in found]),
            Column("files", [Text(str(one.files)) for one in found], rank=1),
            Column("conditions", [Text(json.dumps(dict(one.conditions)), "dim") for one in found], rank=3),
            Column("document", [_placed(one) for one in found], rank=2),
        ]
    )


def _placed(one: ConsolidationReport) -> Text:
    return Text("in it", "green") if one.placed else Text("waits", "yellow")


def hub(page: Page, report: HubReport) -> None:
    """Adds how this machine stands to its hub, and the other machines."""
    if not report.hub:
        page.line("No hub is configured: set coordination.hub in raccord.toml.")
        return
    since = f" since {page.ago(report.since)}" if report.since else ""
    if report.connected:
        page.line(Text("connected", "green"), f" to {shown(report.hub)}{since}")
    else:
        page.line(Text("not connected", "yellow"), f" to {shown(report.hub)}{since}")
        page.line(shown(report.why) if report.why else "No service runs here: raccord watch, raccord serve.")
    if report.waiting:
        page.line(f"Waiting to be sent: {report.waiting}.")
    if report.machines:
        page.table(
            [
                Column("machine", [Text(shown(one.name), "bold") for one in report.machines], least=8),
                Column("", [Text("this one" if one.own else "", "dim") for one in report.machines]),
                Column("last seen", [Text(page.ago(one.seen)) for one in report.machines]),
                Column("directory", [Text(shown(one.place)) for one in report.machines], rank=2, least=12),
                Column("raccord", [Text(shown(one.release)) for one in report.machines], rank=3),
            ]
        )
    if report.runs:
        page.table(
            [
                Column("run", [Text(shown(one.id)) for one in report.runs], rank=1),
                Column("machine", [Text(shown(one.machine), "bold") for one in report.runs], least=8),
                Column("what", [Text(shown(one.verb)) for one in report.runs]),
                Column("state", [Text(shown(one.state)) for one in report.runs]),
                Column("when", [Text(page.ago(one.started), "dim") for one in report.runs]),
                Column("by", [Text(shown(one.by)) for one in report.runs], rank=2),
            ]
        )


def leases(page: Page, found: Sequence[LeaseReport]) -> None:
    """Adds a row for each lease."""
    if not found:
        page.line("Nothing is leased.")
        return
    page.table(
        [
            Column("paths", [Text(shown(one.pattern), "bold") for one in found], least=12),
            Column("owner", [Text(shown(one.owner)) for one in found]),
            Column("for", [Text(_left(one.ends - page.now)) for one in found]),
            Column("machine", [Text(shown(one.machine)) for one in found], rank=2, least=8),
            Column("worktree", [Text(shown(Path(one.worktree).name)) for one in found], rank=1, least=8),
            Column("token", [Text(str(one.token), "dim") for one in found], rank=3),
        ]
    )


def _left(seconds: float) -> str:
    return f"{max(0, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
