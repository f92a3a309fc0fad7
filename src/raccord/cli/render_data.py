"""Data sets: how they differ between two environments, and what is where."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.cli.render_run import notes
from raccord.model.report_data import (
    DataBackup,
    DataBackups,
    DataDiff,
    DataExport,
    DataPush,
    DataRow,
    DataStanding,
    DataStatus,
    DataTable,
    DataWithout,
    PendingHook,
)
from raccord.model.report_files import FilesStanding
from raccord.model.text import grouped, shown, size

COMMIT = 10


def diff(page: Page, report: DataDiff) -> None:
    """Adds a row for each table, and some of the rows that differ below."""
    page.line(Text(shown(report.name), "bold"), f": {shown(report.origin)} to {shown(report.goal)}")
    tables = report.tables
    if tables:
        page.table(
            [
                Column("table", [Text(shown(one.table), "bold") for one in tables], least=12),
                Column(shown(report.origin), [_number(one.source) for one in tables], rank=2, right=True),
                Column(shown(report.goal), [_number(one.target) for one in tables], rank=2, right=True),
                Column("added", [_number(one.added, "green") for one in tables], right=True),
                Column("changed", [_number(one.changed, "yellow") for one in tables], right=True),
                Column("removed", [_number(one.removed, "red") for one in tables], right=True),
            ],
            below=[[line for row in one.rows for line in _row(one, row)] for one in tables],
        )
    if report.equal:
        page.line(Text("Nothing differs.", "green"))
    page.gap()
    notes(page, (*report.refused, *report.notes))
    page.command("next", report.next_command)


def export(page: Page, report: DataExport) -> None:
    """Adds a row for each table, and where it is."""
    sealed = {"none": "in clear", "passphrase": "sealed to a passphrase", "age": "sealed to keys"}
    words = ["would be written" if report.dry_run else "written", sealed[report.sealed]]
    words += ["masked"] if report.masked else []
    page.line(Text(shown(report.name), "bold"), f" of {shown(report.origin)}: {', '.join(words)}")
    tables = report.tables
    page.table(
        [
            Column("table", [Text(shown(one.table), "bold") for one in tables], least=12),
            Column("rows", [Text("" if one.rows < 0 else _about(report, one.rows)) for one in tables]),
            Column("size", [Text(size(one.size) if one.size else "", "dim") for one in tables], rank=1),
        ],
        below=[[Text(shown(one.file), "dim")] if one.file else [] for one in tables],
    )
    if report.secret:
        page.line(Text(f"with secrets: {', '.join(map(shown, report.secret))}", "yellow"))
    if report.resumed:
        page.line(f"{count(report.resumed, 'table')} had been written before, and are as they were")
    whole = "" if report.dry_run else f": {size(report.size)}"
    page.line(shown(report.path), Text(whole, "dim"))
    if report.run:
        page.line(Text(f"journalled as {report.run}", "dim"))
    notes(page, report.notes)
    page.command("next", report.next_command)


def backups(page: Page, report: DataBackups) -> None:
    """Adds a row for each backup."""
    found = report.backups
    if not found:
        page.line("No rows are kept.")
        page.command("next", "raccord data status")
        return
    page.table(
        [
            Column("run", [Text(shown(one.run), "bold") for one in found]),
            Column("verb", [Text(shown(one.verb)) for one in found], rank=3),
            Column("set", [Text(shown(one.name)) for one in found], least=8),
            Column("where", [Text(shown(one.environment)) for one in found]),
            Column("rows", [Text("" if one.unread else grouped(one.rows)) for one in found]),
            Column("size", [Text(size(one.size) if one.size else "", "dim") for one in found], rank=2),
            Column("when", [Text(page.ago(one.at), "dim") for one in found], rank=1),
            Column("kept until", [Text(_day(one.until), "dim") for one in found], rank=1),
        ],
        below=[_backup(one) for one in found],
    )
    page.line(Text(f"the newest {report.keep_last} runs are kept longer", "dim"))
    page.command(
        "next", f"raccord data restore {found[0].run} --to {found[0].environment or 'ENV'} --dry-run"
    )


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))


def _backup(one: DataBackup) -> list[Text]:
    if one.unread:
        return [Text(shown(one.unread), "yellow")]
    said = [Text(", ".join(map(shown, one.tables)), "dim")]
    return [*said, Text(f"taken back by {shown(one.undone_by)}", "dim")] if one.undone_by else said


def _about(report: DataExport, rows: int) -> str:
    return f"about {grouped(rows)}" if report.dry_run else grouped(rows)


def _number(number: int, style: str = "") -> Text:
    return Text(grouped(number), style if number else "dim")


def _row(table: DataTable, row: DataRow) -> list[Text]:
    key = ", ".join(f"{name} {value}" for name, value in zip(table.key, row.key, strict=True))
    lines = [Text(shown(key), "dim")]
    for cell in row.cells:
        old, new = (shown("null" if one is None else one) for one in (cell.target, cell.source))
        lines.append(Text.assemble(f"  {shown(cell.column)}: ", (old, "red"), " → ", (new, "green")))
    return lines


def status(page: Page, report: DataStatus) -> None:
    """Adds a row for each set in each environment."""
    sets = report.sets
    if not sets:
        page.line("There is no data set, or no environment with a database.")
        page.command("next", "raccord init")
        return
    standings(page, sets, "row", [_rows(one) for one in sets], [_tables(one) for one in sets])
    waiting(page, report.pending)


def waiting(page: Page, hooks: Sequence[PendingHook]) -> None:
    """Adds the hooks that wait."""
    for one in hooks:
        page.line(Text(f"{page.sign('stop')} ", "yellow"), "waits: ", Text(shown(one.why), "yellow"))
        page.command("next", one.next_command, indent=2)


def standings(
    page: Page,
    sets: Sequence[DataStanding] | Sequence[FilesStanding],
    unit: str,
    held: list[Text],
    below: list[list[Text]],
) -> None:
    """Adds the table of what is where, of rows and of objects alike.

    Args:
        unit: what is pushed, in the singular.
        held: what each set holds there.
        below: what is said of each.
    """
    page.table(
        [
            Column("set", [Text(shown(one.name), "bold") for one in sets], least=12),
            Column("where", [Text(shown(one.environment)) for one in sets]),
            Column(f"{unit}s", held),
            Column(
                "last push",
                [pushed(page, one.push, unit) for one in sets],
                brief=Column("last push", [pushed(page, one.push, unit, brief=True) for one in sets]),
            ),
            Column("by", [Text(shown(one.push.by) if one.push else "") for one in sets], rank=2),
            Column(
                "commit", [Text(one.push.commit[:COMMIT] if one.push else "", "dim") for one in sets], rank=1
            ),
        ],
        below=below,
    )


def _rows(one: DataStanding) -> Text:
    return Text("not read", "yellow") if one.unread else Text(grouped(sum(one.rows.values())))


def _tables(one: DataStanding) -> list[Text]:
    if one.unread:
        lines = [Text(shown(one.unread), "yellow")]
        return [*lines, Text(f"next: {shown(one.hint)}", "bold cyan")] if one.hint else lines
    said = ", ".join(f"{shown(name)} {grouped(number)}" for name, number in one.rows.items())
    return [*([Text(said, "dim")] if said else []), *map(_without, one.without)]


def _without(one: DataWithout) -> Text:
    said = f"{shown(one.table)} without {shown(one.other)}: "
    if one.rows is None:
        return Text(f"{said}unknown, {shown(one.why)}", "yellow")
    return Text(f"{said}{grouped(one.rows)}", "yellow" if one.rows else "dim")


def pushed(page: Page, push: DataPush | None, what: str, *, brief: bool = False) -> Text:
    """The last push, and how many of what it moved; `brief` leaves out how and from where."""
    if push is None:
        return Text("")
    total = push.added + push.changed + push.removed
    back = ", taken back" if push.undone_by else ""
    how = "" if brief else f" {push.mode} from {shown(push.origin)},"
    return Text(f"{page.ago(push.at)},{how} {count(total, what)}{back}")
