"""What rules found in revisions: a line for each finding, then a table of the rules with what to do."""

from __future__ import annotations

from collections import Counter

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.cli.render_run import notes
from raccord.model.lint import LintFinding, LintReport
from raccord.model.text import shown


def lint(page: Page, report: LintReport) -> None:
    """Adds what is new, and counts what is not."""
    new = [one for one in report.findings if one.state == "new"]
    for one in new:
        _finding(page, one)
    if new:
        page.gap()
        _rules(page, report)
    tally = Counter(one.state for one in report.findings)
    style = "red" if report.failed else "green"
    said = [f"{count(tally['new'], 'finding')}"]
    said += [f"{tally['old']} in the baseline"] if tally["old"] else []
    said += [f"{tally['ignored']} ignored, with a reason"] if tally["ignored"] else []
    page.line(f"{count(report.revisions, 'revision')}: ", Text(", ".join(said), style))
    for gone in report.stale:
        page.line(Text(shown(gone), "yellow"))
    notes(page, report.notes)
    page.command("next", report.next_command)


def _finding(page: Page, one: LintFinding) -> None:
    where = f"{page.path(one.file)}:{one.line}" if one.line else page.path(one.file)
    style = "red" if one.status == "fail" else "yellow"
    page.line(Text(where, "bold"), " ", Text(shown(one.rule), style), " ", shown(one.message), hang=4)


def _rules(page: Page, report: LintReport) -> None:
    """A row for each rule that found something new, and what to do below it."""
    found = [one for one in report.findings if one.state == "new"]
    tally = Counter(one.rule for one in found)
    rules = sorted(tally)
    fixes = [next(one.fix for one in found if one.rule == rule) for rule in rules]
    page.table(
        [
            Column("rule", [Text(shown(rule)) for rule in rules]),
            Column("findings", [Text(str(tally[rule])) for rule in rules]),
            Column("revisions", [Text(str(_revisions(found, rule))) for rule in rules], rank=1),
        ],
        below=[[Text(shown(fix), "dim")] for fix in fixes],
    )
    page.gap()


def _revisions(found: list[LintFinding], rule: str) -> int:
    return len({one.file for one in found if one.rule == rule})
