"""Reports as a workspace would give them, of every state at least one, with names that try to misbehave."""

from __future__ import annotations

from typing import Any

from raccord.model.plan import Finding, Lane, Plan, Stage, Step, Waiver
from raccord.model.report import (
    LaneReport,
    LastRun,
    RemovalReport,
    RunReport,
    RunSummary,
    SnapshotReport,
    StatusReport,
    StepReport,
    WorktreeReport,
)

NOW = 1_800_000_000.0
TOP = "/home/ada/shop"
# A colour, a link, markup, a right-to-left override, a byte that is no UTF-8, a newline.
HOSTILE = "\x1b[31mred\x1b]8;;http://x\x07[bold]b[/bold]\u202e\udcff\n:smile:"


def tree(name: str, **values: Any) -> WorktreeReport:
    """A clean worktree, but for the values given."""
    known: dict[str, Any] = {
        "branch": name,
        "base": "origin/main",
        "ahead": 0,
        "behind": 0,
        "head": "a1b2c3d4" * 5,
    }
    known |= {"staged": 0, "unstaged": 0, "untracked": 0, "unmerged": 0}
    return WorktreeReport(path=f"/home/ada/trees/{name}", name=name, **(known | values))


STATUS = StatusReport(
    top=TOP,
    worktrees=(
        WorktreeReport(
            path=TOP,
            name="shop",
            branch="main",
            base="origin/main",
            ahead=0,
            behind=5,
            staged=0,
            unstaged=0,
            untracked=0,
            unmerged=0,
            current=True,
            last_run=LastRun("r7", "sync", "done", NOW - 300),
        ),
        tree("basket", ahead=3, behind=5, staged=2, unstaged=1, untracked=14),
        tree(
            "checkout-redesign-with-a-rather-long-name",
            branch="feature/checkout-redesign-of-the-whole-shop",
            ahead=12,
        ),
        tree(
            "payments",
            behind=112,
            unmerged=2,
            operation="rebase",
            last_run=LastRun("r6", "sync", "stopped", NOW - 86_400 * 3),
        ),
        tree("spike", branch="", base="", ahead=None, behind=None, detached=True, head="c0ffee12" * 5),
        tree("gone", missing=True, staged=None, unstaged=None, untracked=None, unmerged=None),
        tree(
            "usb",
            locked=True,
            note="merged by squash: git worktree remove ../trees/usb",
            last_run=LastRun("r5", "sync", "held", NOW - 7200),
        ),
        tree(
            "odd",
            staged=None,
            unstaged=None,
            untracked=None,
            unmerged=None,
            note="git says: bad index",
        ),
    ),
    last_run=RunSummary("r7", "sync", "partial", NOW - 300, NOW - 298, lanes=6, held=1),
    stopped=(RunSummary("r6", "sync", "stopped", NOW - 86_400 * 3, None, lanes=2, held=1),),
    disk=3_412_000,
    snapshots=12,
    notes=(Finding("remote", "note", "origin was fetched 4 min ago"),),
    next_command="raccord continue",
)

RUN = RunReport(
    id="r8",
    verb="sync",
    state="partial",
    started=NOW - 4,
    ended=NOW - 1.5,
    by="ada",
    waivers=(Waiver("clean", "ada", "the spike's notes may stay where they are"),),
    lanes=(
        LaneReport(
            "basket",
            "basket (basket)",
            "done",
            steps=(
                StepReport("tree.snapshot", "keep the worktree's state", "done"),
                StepReport("worktree.follow", "replay 3 commits", "done", "3 commits replayed"),
                StepReport("gate.run", "run pytest -q", "done", "tests passed (cached)"),
                StepReport("push", "push basket to origin", "done", "pushed"),
            ),
        ),
        LaneReport(
            "payments",
            "payments (payments)",
            "held",
            finding=Finding(
                "replay.conflict",
                "fail",
                "conflicts with origin/main in src/payments/api.py, src/payments/models.py and 2 more",
                "raccord -C ../trees/payments sync --resolve-by-hand",
            ),
            steps=(StepReport("worktree.follow", "replay 2 commits on origin/main", "pending"),),
        ),
        LaneReport("main", "shop (main)", "nothing", notes=(Finding("base", "note", "is the base itself"),)),
        LaneReport(
            "search",
            "search (search)",
            "failed",
            finding=Finding("gate", "fail", "pytest -q failed (1): 2 failed, 48 passed", "raccord show r8"),
        ),
        LaneReport("usb", "usb (usb)", "skipped"),
        LaneReport(
            "hand",
            "hand (hand)",
            "stopped",
            finding=Finding("resolve", "fail", "the rebase is open in hand", "raccord continue hand"),
        ),
    ),
    next_command="raccord continue",
)

PLAN = Plan(
    verb="sync",
    waivers=(Waiver("tests", "ada", "they need a database that is down"),),
    notes=(Finding("fetch", "note", "origin was fetched 2 s ago, and is not fetched again"),),
    stages=(
        Stage(
            "replay",
            (
                Lane(
                    "basket",
                    "basket (basket)",
                    (
                        Step("tree.snapshot", 1, "keep the worktree's state", backs_up=True),
                        Step("worktree.follow", 1, "replay 3 commits on origin/main", destroys=True),
                    ),
                    then=("push, once the tests are green",),
                ),
                Lane(
                    "payments",
                    "payments (payments)",
                    held=Finding(
                        "replay.conflict",
                        "fail",
                        "conflicts with origin/main in src/payments/api.py and 3 more",
                        "raccord -C ../trees/payments sync --resolve-by-hand",
                    ),
                ),
            ),
        ),
        Stage("push", (Lane("basket", "basket (basket)", (Step("push", 1, "push basket to origin"),)),)),
    ),
)

LOG = (
    RunSummary("r8", "sync", "partial", NOW - 60, NOW - 55, lanes=6, held=1, by="ada"),
    RunSummary("r7", "undo", "done", NOW - 4000, NOW - 3999, lanes=1, undo_of="r5", by="ada"),
    RunSummary("r6", "sync", "stopped", NOW - 86_400 * 3, None, lanes=2, held=1, by="a-machine-of-long-name"),
    RunSummary("r5", "sync", "done", NOW - 86_400 * 90, NOW - 86_400 * 90, lanes=50, undone_by="r7"),
)

SNAPSHOTS = (
    SnapshotReport("s3", "/home/ada/trees/basket", "basket", "a" * 40, NOW - 30, "before the demo", "r8"),
    SnapshotReport("s2", TOP, "main", "b" * 40, NOW - 7200, "", "r6", ignored=True),
)

REMOVAL = RemovalReport(
    "gc", True, ("backup s1 of basket, 45 d old", "backup s0 of shop, 60 d old"), kept=12, freed=1_200_000
)
