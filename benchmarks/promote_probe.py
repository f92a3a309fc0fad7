"""Pushes or compares once, in a process of its own, and prints as JSON what each part of it took.

python benchmarks/promote_probe.py WORKSPACE diff|push
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from raccord.data import change, observe, push, steps, transaction
from raccord.model.options_data import DataDiffOptions, DataPushOptions
from raccord.model.report import RunReport
from raccord.workspace import Workspace

PARTS: tuple[tuple[Any, str, str], ...] = (
    (observe, "difference", "compare"),
    (push, "again", "compare"),
    (push, "staged", "transfer"),
    (change, "carry_out", "transfer"),
    (push, "keep", "keep"),
    (push, "digest", "verify"),
    (push, "left", "verify"),
    (steps.back, "moved", "verify"),
    (transaction, "analyze", "analyze"),
)


def main(workspace: str, verb: str) -> dict[str, Any]:
    """Each part in seconds; `rss_kib` is the peak of this process."""
    spent: dict[str, float] = dict.fromkeys((part for _, _, part in PARTS), 0.0)
    for module, name, part in PARTS:
        setattr(module, name, _timed(getattr(module, name), part, spent))
    opened = Workspace.open(workspace)
    began, cpu = time.perf_counter(), time.process_time()
    if verb == "diff":
        said = opened.data_diff(DataDiffOptions("all", "prod"))
        counts = [sum(getattr(one, name) for one in said.tables) for name in ("added", "changed", "removed")]
        answer = f"{counts}"
    else:
        report = opened.data_push(DataPushOptions("all", "prod"))
        assert isinstance(report, RunReport)
        answer = report.state
    found: dict[str, Any] = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "answer": answer,
        "parts": spent,
    }
    return found


def _timed(function: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*words: Any, **more: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*words, **more)
        finally:
            spent[part] += time.perf_counter() - began

    return timed


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
