"""The journal, the snapshots and what was removed, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.cli.render_run import STATES, notes
from raccord.model.report import RemovalReport, RunSummary, SnapshotReport
from raccord.model.text import shown, size


def log(page: Page, runs: Sequence[RunSummary]) -> None:
    """Adds the runs, as they come."""
    if not runs:
        page.line("No run yet.")
        page.command("next", "raccord sync --dry-run")
        return
    page.table(
        [
            Column("run", [Text(shown(run.id), "bold") for run in runs]),
            Column("verb", [Text(shown(run.verb)) for run in runs]),
            Column("state", [_state(run) for run in runs], least=8),
            Column("lanes", [_lanes(run) for run in runs], rank=2),
            Column("when", [Text(page.ago(run.started), "dim") for run in runs], rank=1),
            Column("by", [Text(shown(run.by), "dim") for run in runs], rank=3, least=6),
        ]
    )


def snapshots(page: Page, found: Sequence[SnapshotReport]) -> None:
    """Adds the snapshots, as they come."""
    if not found:
        page.line("No snapshot yet.")
        page.command("next", "raccord snapshot")
        return
    page.table(
        [
            Column("snapshot", [Text(shown(one.id), "bold") for one in found]),
            Column("worktree", [Text(page.path(one.worktree)) for one in found], least=10),
            Column("branch", [Text(shown(one.branch)) for one in found], rank=2, least=8),
            Column("taken", [Text(page.ago(one.taken), "dim") for one in found]),
            Column("with", [Text("ignored files" if one.ignored else "", "dim") for one in found], rank=4),
            Column("message", [Text(shown(one.message)) for one in found], rank=3, least=10),
        ]
    )


def removal(page: Page, report: RemovalReport) -> None:
    """Adds what was removed, or would be."""
    verb = "would be removed" if report.dry_run else "removed"
    freed = f", {size(report.freed)}" if report.freed else ""
    if report.removed:
        page.line(Text(f"{verb}: {count(len(report.removed), 'thing')}{freed}", "bold"))
        for line in report.removed:
            page.line(f"{page.sign('dot')} {shown(line)}", indent=2)
    else:
        page.line("There is nothing to remove.")
    if report.kept:
        page.line(Text(f"{report.kept} kept", "dim"))
    notes(page, report.notes)


def _state(run: RunSummary) -> Text:
    style, words = STATES[run.state]
    if run.undone_by:
        return Text(f"undone by {shown(run.undone_by)}", "dim")
    of = f", took back {shown(run.undo_of)}" if run.undo_of else ""
    return Text.assemble((words, style), of)


def _lanes(run: RunSummary) -> Text:
    if not run.held:
        return Text(str(run.lanes) if run.lanes else "", "dim")
    return Text.assemble((f"{run.lanes - run.held}/{run.lanes}", "yellow"))
