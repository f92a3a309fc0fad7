"""The workspace at a glance: a row for each worktree, and whatever must not be missed below it."""

from __future__ import annotations

from rich.text import Text

from raccord.cli.render import Column, Page, count
from raccord.cli.render_run import STATES, notes
from raccord.model.report import StatusReport, WorktreeReport
from raccord.model.text import shown, size


def status(page: Page, report: StatusReport) -> None:
    """Adds the status."""
    trees = report.worktrees
    here = [Text(page.sign("here"), "green") if tree.current else Text(" ") for tree in trees]
    marked = [_distance(page, tree) for tree in trees]
    marks = page.sign("ahead") + page.sign("behind")
    columns = [
        Column("", here),
        Column(
            "worktree",
            [Text(page.path(tree.path), "bold") for tree in trees],
            brief=Column("worktree", [Text(shown(tree.name), "bold") for tree in trees], least=12),
        ),
        Column(
            "branch",
            [_branch(tree) for tree in trees],
            rank=1,
            brief=Column("branch", [_branch(tree, brief=True) for tree in trees], rank=1, least=12),
        ),
        Column("base", [Text(shown(tree.base), "dim") for tree in trees], rank=3, least=8),
        Column("ahead/behind", marked, brief=Column(marks, marked)),
        Column(
            "changes",
            [_changes(tree) for tree in trees],
            brief=Column("changes", [_changes(tree, brief=True) for tree in trees]),
        ),
        Column("last run", [_last(page, tree) for tree in trees], rank=4),
    ]
    page.table(columns, below=[_below(page, tree) for tree in trees])
    page.gap()
    if report.snapshots:
        page.line(Text(f"{count(report.snapshots, 'snapshot')}, {size(report.disk)}", "dim"))
    for run in report.stopped:
        page.line(
            Text(f"{page.sign('stop')} ", "yellow"),
            f"{shown(run.verb)} {shown(run.id)} {STATES[run.state][1]}, {page.ago(run.started)}",
        )
    notes(page, report.notes)
    page.command("next", report.next_command)


def _branch(tree: WorktreeReport, *, brief: bool = False) -> Text:
    if tree.detached:
        head = shown(tree.head[:8])
        return Text(
            f"({head})" if brief and head else f"detached at {head}" if head else "detached", "yellow"
        )
    return Text(shown(tree.branch))


def _distance(page: Page, tree: WorktreeReport) -> Text:
    if tree.ahead is None or tree.behind is None:
        return Text("?" if tree.base else "", "yellow")
    text = Text()
    if tree.ahead:
        text.append(f"{page.sign('ahead')}{tree.ahead}", "green")
    if tree.behind:
        text.append(" " * bool(tree.ahead) + f"{page.sign('behind')}{tree.behind}", "yellow")
    return text if text.plain else Text("in step" if tree.base else "", "dim")


def _changes(tree: WorktreeReport, *, brief: bool = False) -> Text:
    if tree.missing:
        return Text("missing", "red")
    if tree.clean is None:
        return Text("unknown", "yellow")
    if tree.clean:
        return Text("clean", "dim")
    parts = [
        (tree.unmerged, "!", "conflict" if tree.unmerged == 1 else "conflicts", "red"),
        (tree.staged, "+", "staged", "green"),
        (tree.unstaged, "~", "edited", "yellow"),
        (tree.untracked, "?", "new", ""),
    ]
    if brief:
        return Text(" ").join(Text(f"{sign}{number}", style) for number, sign, _, style in parts if number)
    return Text(", ").join(Text(f"{number} {word}", style) for number, _, word, style in parts if number)


def _last(page: Page, tree: WorktreeReport) -> Text:
    last = tree.last_run
    if last is None:
        return Text()
    style, words = STATES[last.state]
    said = "" if last.state == "done" else f" {words}"
    return Text.assemble(f"{shown(last.verb)}", (said, style), (f" {page.ago(last.at)}", "dim"))


def _below(page: Page, tree: WorktreeReport) -> list[Text]:
    lines = []
    if tree.operation:
        lines.append(Text(f"{page.sign('stop')} {shown(tree.operation)} in progress", "yellow"))
    if tree.locked:
        lines.append(Text("locked", "yellow"))
    if tree.note:
        lines.append(Text(shown(tree.note), "yellow"))
    if tree.reports:
        said = f"{count(tree.reports, 'file')} of it: raccord's own report, which holds no sync back"
        lines.append(Text(said, "dim"))
    return lines
