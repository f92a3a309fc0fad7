"""What the doctor found: problems first, a line each, why, and the next command."""

from __future__ import annotations

from rich.text import Text

from raccord.cli.render import Page, count
from raccord.model.report_doctor import DoctorReport
from raccord.model.text import shown

STYLES = {"problem": "red", "warning": "yellow", "ok": "green"}
ORDER = tuple(STYLES)


def doctor(page: Page, report: DoctorReport, *, every: bool) -> None:
    """Adds the findings.

    Args:
        every: also those that are well.
    """
    wanted = [one for one in report.findings if every or one.state != "ok"]
    for one in sorted(wanted, key=lambda one: ORDER.index(one.state)):
        page.line(Text(f"{one.state:8}", STYLES[one.state]), Text(shown(one.what)))
        if one.why:
            page.line(Text(shown(one.why), "dim"), indent=8)
        if one.next:
            page.line(Text(f"next: {shown(one.next)}", "bold cyan"), indent=8)
    well = len(report.findings) - report.problems - report.warnings
    parts = [count(report.problems, "problem"), count(report.warnings, "warning"), f"{well} well"]
    page.line(Text(", ".join(parts), "dim"))
