"""Times the library in one process of its own, and prints the seconds as JSON.

    python heal_probe.py MAIN LATE

First a plan for all worktrees where raccord has no state yet, then a heal of the late one, then that it has
nothing to do there any more, then the plan for all again: the first fills the cache, the others are warm.
Opening the repository is part of every time; importing modules is not. `cpu` is that of this process alone,
which a busy machine stretches less.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

from raccord.model.options import HealOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.workspace import Workspace

RUNS = 7
SETTLE = 2.2
"""Seconds until what was just written is remembered; a user's files are older."""
LAZY = ("raccord.kernel.engine", "raccord.verbs.handlers", "raccord.verbs.migrations", "sqlite3")


def probe(main: Path, late: Path) -> dict[str, object]:
    """Seconds by what was timed, and `faults`: answers that are not as they must be."""
    for module in LAZY:
        importlib.import_module(module)
    faults: list[str] = []
    worked: list[float] = []

    def timed(where: Path, expected: str, *, every: bool = False, dry: bool = False) -> float:
        began, busy = time.perf_counter(), time.process_time()
        workspace = Workspace.open(where)
        answer = workspace.migration_heal(HealOptions(all=every, dry_run=dry))
        seconds = time.perf_counter() - began
        worked.append(time.process_time() - busy)
        said = answer.state if isinstance(answer, RunReport) else f"{_files(answer)} files"
        if said != expected:
            faults.append(f"{'all' if every else where.name}: {said}, not {expected}")
        return seconds

    trees = sum(1 for _ in main.parent.glob("agent-*"))
    links = trees - 1
    # Each of the worktrees misses all but its own; the main one and the late one all of them.
    missing = links * (links - 1) + 2 * links
    cold = timed(main, f"{missing} files", every=True, dry=True)
    heal = timed(late, "done")
    healthy = [timed(late, "nothing") for _ in range(RUNS)]
    time.sleep(SETTLE)
    filling = timed(main, f"{missing - links} files", every=True, dry=True)
    warm = [timed(main, f"{missing - links} files", every=True, dry=True) for _ in range(RUNS)]
    return {
        "cold": cold,
        "heal": heal,
        "healthy": healthy,
        "filling": filling,
        "warm": warm,
        "cpu": {
            "cold": worked[0],
            "heal": worked[1],
            "healthy": worked[2 : 2 + RUNS],
            "warm": worked[-RUNS:],
        },
        "faults": faults,
    }


def _files(plan: Plan) -> int:
    return sum(len(step.payload["changes"]) for step in plan.steps() if step.kind == "migration.files")


if __name__ == "__main__":
    print(json.dumps(probe(Path(sys.argv[1]), Path(sys.argv[2]))))
