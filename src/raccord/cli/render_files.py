"""Sets of objects: how they differ between two environments, and what is where."""

from __future__ import annotations

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.cli.render_data import standings
from raccord.cli.render_run import notes
from raccord.model.report_files import FilesDiff, FilesObject, FilesStanding, FilesStatus
from raccord.model.text import grouped, shown, size

STYLES = {"added": "green", "changed": "yellow", "removed": "red"}


def diff(page: Page, report: FilesDiff) -> None:
    """Adds a row for each kind of difference, and names some of the objects below."""
    page.line(Text(shown(report.name), "bold"), f": {shown(report.origin)} to {shown(report.goal)}")
    changed = "differs" if report.mode == "insert" else "changed"
    rows = [
        ("added", "added", report.added),
        ("changed", changed, report.changed),
        ("same", "same", report.same),
        ("removed", f"only in {shown(report.goal)}", report.removed),
    ]
    below = [[one for one in report.objects if one.what == what] for what, _, _ in rows]
    page.table(
        [
            Column("", [Text(said, "bold") for _, said, _ in rows], least=12),
            Column(
                "objects",
                [Text(grouped(n), STYLES.get(what, "") if n else "dim") for what, _, n in rows],
                right=True,
            ),
        ],
        below=[
            [*map(_object, some), *(_more(number - len(some)) if what != "same" else ())]
            for some, (what, _, number) in zip(below, rows, strict=True)
        ],
    )
    page.gap()
    if report.added or report.changed:
        page.line(f"{size(report.bytes)} would travel.")
    elif not report.removed:
        page.line(Text("Nothing differs.", "green"))
    notes(page, report.notes)
    page.command("next", report.next_command)


def _object(one: FilesObject) -> Text:
    old, new = ("" if number is None else size(number) for number in (one.target, one.source))
    return Text(f"{shown(one.key)}  {' → '.join(text for text in (old, new) if text)}", "dim")


def _more(number: int) -> list[Text]:
    return [Text(f"and {grouped(number)} more", "dim")] if number > 0 else []


def status(page: Page, report: FilesStatus) -> None:
    """Adds a row for each set in each environment."""
    sets = report.sets
    if not sets:
        page.line("There is no file set, or no environment with an object store.")
        page.command("next", "raccord init")
        return
    standings(page, sets, "object", [_held(one) for one in sets], [_unread(one) for one in sets])


def _held(one: FilesStanding) -> Text:
    if one.unread:
        return Text("not read", "yellow")
    return Text(f"{count(one.objects, 'object')}, {size(one.bytes)}")


def _unread(one: FilesStanding) -> list[Text]:
    lines = [Text(shown(one.unread), "yellow")] if one.unread else []
    return [*lines, Text(f"next: {shown(one.hint)}", "bold cyan")] if one.hint else lines
