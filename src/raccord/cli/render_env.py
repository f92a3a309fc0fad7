"""Environments: what they are, and whether they can be reached."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from raccord.cli.render import GAP, Column, Page
from raccord.model.report_env import EnvironmentCheck, EnvironmentEntry, EnvironmentRun
from raccord.model.text import shown

COLORS = {"pass": "green", "fail": "red", "unknown": "yellow"}


def listing(page: Page, entries: Sequence[EnvironmentEntry]) -> None:
    """Adds a row for each environment."""
    if not entries:
        page.line("There is no environment.")
        page.command("next", "raccord init")
        return
    # What leads somewhere is nothing to be cut or dropped: where it doesn't fit beside it stands below.
    ways = {
        "host": [shown(one.host) for one in entries],
        "container": [shown(one.container) for one in entries],
        "database": [one.database for one in entries],
        "objects": [shown(one.objects) for one in entries],
    }
    known = [
        Column("environment", [Text(shown(one.name), "bold") for one in entries]),
        Column("", [Text("protected" if one.protected else "", "yellow") for one in entries]),
    ]
    beside = [*known, *(Column(what, [Text(said) for said in each]) for what, each in ways.items())]
    filled = [column for column in beside if not column.empty]
    if sum(column.width for column in filled) + GAP * (len(filled) - 1) <= page.width:
        page.table(beside)
        return
    below = [
        [Text.assemble((f"{what}: ", "dim"), each[at]) for what, each in ways.items() if each[at]]
        for at in range(len(entries))
    ]
    page.table(known, below=below)


def checks(page: Page, found: Sequence[EnvironmentCheck]) -> None:
    """Adds a line for each part of each environment."""
    rows = [(one, each) for one in found for each in one.findings]
    if not rows:
        page.line("There is no environment with anything to reach.")
        page.command("next", "raccord init")
        return
    page.table(
        [
            Column("environment", [Text(shown(one.name), "bold") for one, _ in rows], least=11),
            Column("part", [Text(each.name.removeprefix("env.")) for _, each in rows]),
            Column("", [Text(each.status, COLORS[each.status]) for _, each in rows]),
        ],
        below=[
            [
                Text(shown(each.message), "dim" if each.status == "pass" else ""),
                *([Text(f"next: {shown(each.hint)}", "bold cyan")] if each.hint else []),
            ]
            for _, each in rows
        ],
    )


def planned(page: Page, report: EnvironmentRun) -> None:
    """Adds what would run, and where."""
    page.line(Text(shown(report.name), "bold"), f" ({shown(report.place)}) would run:")
    page.line(shown(report.command), indent=2)
