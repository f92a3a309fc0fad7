"""`raccord status`: every worktree at a glance. Looks only, and works where nothing can be written."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from raccord.code.base import Base, choose_remote, far_side, find_base
from raccord.code.look import key_of, statuses
from raccord.errors import ProcessFailed, RaccordError, UsageError
from raccord.git.graph import Graph, graph
from raccord.git.refs import Refs, read
from raccord.git.snapshot import listing, size
from raccord.git.status import Status
from raccord.git.worktrees import Worktree
from raccord.kernel.journal import Journal
from raccord.model.plan import Finding
from raccord.model.report import LastRun, RunSummary, StatusReport, WorktreeReport
from raccord.verbs import own_reports
from raccord.verbs.own_reports import Own
from raccord.verbs.report import lane_state, summary
from raccord.verbs.room import Room


def status(room: Room) -> StatusReport:
    """Reads the workspace."""
    notes: list[Finding] = []
    refs = read(room.repo.git)
    remote, base = _base(room, refs, notes)
    trees = room.trees
    states = statuses(room.repo.git, trees, room.jobs)
    own = own_reports.found(room, states)
    history = _graph(room, trees, base)
    journal = room.journal()
    last = journal.last_of_lanes() if journal else {}
    here = room.here
    reports = [
        replace(
            _worktree(tree, states.get(key_of(tree)), base, history),
            current=tree is here,
            reports=_reports(own, tree),
        )
        for tree in trees
        if not tree.bare
    ]
    newest, stopped = _runs(journal)
    if journal and (none := journal.unreadable()):
        kept = read(room.repo.git, "refs/raccord/runs").by_name
        notes += [finding for finding in none if finding.data["ref"] in kept]
    cut_off = {run.id for run in stopped if run.state == "interrupted"}
    reports = [replace(one, last_run=_last(last.get(one.path), cut_off)) for one in reports]
    return StatusReport(
        top=str(room.repo.top or room.repo.common),
        worktrees=tuple(reports),
        last_run=newest,
        stopped=stopped,
        disk=_disk(room, notes),
        snapshots=len(listing(room.repo.git)),
        notes=tuple(notes),
        next_command=_next(stopped, reports, _pushes(room, refs, remote, base, reports)),
    )


def _reports(own: Mapping[str, Own], tree: Worktree) -> int:
    return len(own[key_of(tree)].paths) if key_of(tree) in own else 0


def _disk(room: Room, notes: list[Finding]) -> int:
    """What snapshots hold; a damaged repository, where git can't count, is still looked at."""
    try:
        return size(room.repo.git)
    except ProcessFailed as error:
        notes.append(
            Finding("disk.unknown", "unknown", f"what snapshots hold is unknown: {error.message}", "git fsck")
        )
        return 0


def _base(room: Room, refs: Refs, notes: list[Finding]) -> tuple[str, Base | None]:
    """The remote and the base to compare with; what is wrong with them becomes a note."""
    try:
        remote = choose_remote(room.repo.settings, room.config.sync.remote)
        known = room.config.sync.base
        # Looking asks no remote: an unknown default branch is found by the next sync.
        head = _symref(refs, f"refs/remotes/{remote}/HEAD") if remote else None
        if known:
            return remote, find_base(room.repo, refs, remote, known, room.trees)
        asked = (head or "").removeprefix(f"refs/remotes/{remote}/")
        mine = next((tree.branch for tree in room.trees if tree.main and tree.branch), "")
        for name in (asked, "main", "master", mine):
            if name and (name in refs.heads or name in refs.remote(remote)):
                return remote, find_base(room.repo, refs, remote, name, room.trees)
    except UsageError as error:
        notes.append(Finding("base.unknown", "unknown", error.message, error.hint))
    return "", None


def _symref(refs: Refs, name: str) -> str | None:
    found = refs.by_name.get(name)
    return found.symref if found else None


def _last(row: tuple[str, str, str, float] | None, cut_off: Container[str]) -> LastRun | None:
    if row is None:
        return None
    run, verb, state, at = row
    if run in cut_off and state in ("pending", "running"):
        state = "stopped"  # nobody is at work any more
    return LastRun(run, verb, lane_state(state), at)


def _graph(room: Room, trees: Sequence[Worktree], base: Base | None) -> Graph | None:
    tips = {tree.head for tree in trees if tree.head}
    return graph(room.repo.git, sorted(tips | {base.oid})) if base and tips else None


def _worktree(
    tree: Worktree, state: Status | RaccordError | None, base: Base | None, history: Graph | None
) -> WorktreeReport:
    report = WorktreeReport(
        path=key_of(tree),
        name=tree.path.name,
        branch=tree.branch or "",
        operation=tree.operation or "",
        locked=tree.locked is not None,
        missing=tree.missing,
        detached=tree.detached and not tree.branch,
        head=tree.head or "",
    )
    if isinstance(state, Status):
        report = replace(
            report,
            staged=len(state.staged),
            unstaged=len(state.unstaged),
            untracked=len(state.untracked),
            unmerged=len(state.unmerged),
        )
    elif isinstance(state, RaccordError):
        report = replace(report, note=state.message)
    if base is None or history is None or not tree.head:
        return report
    return replace(
        report,
        base=base.name,
        ahead=history.ahead(base.oid, tree.head),
        behind=history.behind(base.oid, tree.head),
    )


def _runs(journal: Journal | None) -> tuple[RunSummary | None, tuple[RunSummary, ...]]:
    if journal is None:
        return None, ()
    newest = [summary(journal, run) for run in journal.newest(1)]
    waiting = tuple(summary(journal, run) for run in journal.unfinished())
    return (newest[0] if newest else None), tuple(run for run in waiting if run.state != "running")


def _pushes(
    room: Room, refs: Refs, remote: str, base: Base | None, reports: Sequence[WorktreeReport]
) -> bool:
    """Whether a sync would find something to push."""
    if base is None:
        return False
    for report in reports:
        if report.branch and report.ahead:
            far = far_side(room.repo.settings, refs, remote, report.branch, base.branch)
            deleted = far.known is None and far.tracked  # a sync does not push it again
            if far.remote and far.known != report.head and not deleted:
                return True
    return False


def _next(stopped: Sequence[RunSummary], reports: Sequence[WorktreeReport], pushes: bool) -> str:
    """The one next command."""
    if stopped:
        return f"raccord continue --run {stopped[-1].id}"
    if any(report.missing and not report.locked for report in reports):
        return "git worktree prune"
    if pushes or any(report.behind for report in reports):
        return "raccord sync --all" if len(reports) > 1 else "raccord sync"
    return ""
