"""Pushes or compares once, in a process of its own, and prints as JSON what each part of it took.

python benchmarks/promote_probe.py WORKSPACE diff|push|mirror
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from raccord.data import back, change, observe, push, sequences, transaction
from raccord.database import aside_postgres, pump
from raccord.model.options_data import DataDiffOptions, DataPushOptions
from raccord.model.report import RunReport
from raccord.workspace import Workspace

# All that brings the rows there is the transfer: the copy, indexes, foreign keys, the exchange, the commit.
PARTS: tuple[tuple[Any, str, str], ...] = (
    (observe, "difference", "compare"),
    (push, "again", "compare"),
    (push, "digest", "compare"),
    (push, "staged", "transfer"),
    (change, "carry_out", "transfer"),
    (sequences, "moves", "transfer"),
    (push, "ready", "transfer"),
    (push, "exchange", "transfer"),
    (push, "keep", "keep"),
    (push, "_demand", "verify"),
    (push, "left", "verify"),
    (back, "moved", "verify"),
    (push, "gather", "analyze"),
    (transaction, "analyze", "analyze"),
    # Of the transfer:
    (pump, "across", "copy"),
    (aside_postgres, "index", "index"),
)


def main(workspace: str, verb: str) -> dict[str, Any]:
    """Each part in seconds; `rss_kib` is the peak of this process."""
    spent: dict[str, float] = dict.fromkeys((part for _, _, part in PARTS), 0.0)
    for module, name, part in PARTS:
        setattr(module, name, _timed(getattr(module, name), part, spent))
    spent["commit"] = 0.0
    push.transaction = _committed(push.transaction, spent)
    opened = Workspace.open(workspace)
    began, cpu = time.perf_counter(), time.process_time()
    if verb == "diff":
        said = opened.data_diff(DataDiffOptions("all", "prod"))
        counts = [sum(getattr(one, name) for one in said.tables) for name in ("added", "changed", "removed")]
        answer = f"{counts}"
    else:
        report = opened.data_push(DataPushOptions("few" if verb == "mirror" else "all", "prod"))
        assert isinstance(report, RunReport)
        answer = report.state
    spent["transfer"] += spent["commit"]
    found: dict[str, Any] = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "answer": answer,
        "parts": spent,
    }
    return found


def _committed(manager: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    """The same, and `commit` is how long it took to leave it."""

    @contextlib.contextmanager
    def timed(*words: Any, **more: Any) -> Iterator[Any]:
        began = 0.0
        with manager(*words, **more) as got:
            yield got
            began = time.perf_counter()
        spent["commit"] += time.perf_counter() - began

    return timed


_INNER = ("copy", "index")
_outer: list[str] = []


def _timed(function: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*words: Any, **more: Any) -> Any:
        if part not in _INNER and _outer:
            return function(*words, **more)  # a part of another one
        began = time.perf_counter()
        if part not in _INNER:
            _outer.append(part)
        try:
            return function(*words, **more)
        finally:
            spent[part] += time.perf_counter() - began
            if part not in _INNER:
                _outer.pop()

    return timed


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
