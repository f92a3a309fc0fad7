"""Measures the routes of `raccord serve` at 100 requests a second, as an open loop.

    python benchmarks/api.py [--worktrees 50] [--changes 4000] [--seconds 30] [--rate 100] [--json]

Requests are sent when they are due, whether or not earlier ones were answered, and an answer's time counts
from then: what waits in a queue shows. Measured twice: while nothing changes, and while files do. Times
depend on the machine, and are judged only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import Verdict, grid
from benchmarks.serving import WATCHED, Serving, built, written
from benchmarks.timing import in_scratch, machine, say
from raccord.workspace import Workspace

ROUTES = (
    "/api/sync/status",
    "/api/sync/pending-changes",
    "/api/sync/checksums",
    "/api/sync/history",
    "/api/sync/activity",
    "/api/worktrees",
    "/api/runs",
    "/metrics",
)
REPORTS = 20
WARM_SECONDS = 3
ALL = "all routes"


def main() -> int:
    """Measure the routes of `raccord serve`."""
    options = _options()
    return in_scratch(lambda scratch: run(options, scratch))


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Build, measure, print; returns the exit status."""
    say(f"building {options.worktrees} worktrees with {options.changes} changes in {scratch}")
    trees = built(scratch, options.worktrees, options.files)
    _filled(trees, options.changes)
    serving = Serving(trees[0], scratch / "serve.log")
    try:
        found = {
            "nothing changes": _measured(options, serving, ()),
            f"{options.saves:g} saves a second": _measured(options, serving, trees),
        }
    finally:
        serving.end()
    if options.json:
        print(json.dumps({"machine": machine(), **found}, indent=2))
    else:
        _print(found)
    return 0


def _filled(trees: Sequence[Path], changes: int) -> None:
    """Has raccord record changes of every worktree; a quarter of them stays pending."""
    chance = random.Random(1)
    with Workspace.open(trees[0]) as workspace:
        keeper = workspace.coordination.watching().keeper
        keeper.look()
        done = 0
        while done < changes:
            for tree in trees:
                written(tree / chance.choice(WATCHED), f"# Notes\n\n{done} of {chance.random()}\n")
            done += len(keeper.look())
            if done < changes * 3 / 4 and chance.random() < REPORTS * len(trees) / changes * 4 / 3:
                keeper.consolidate()


def _measured(options: argparse.Namespace, serving: Serving, trees: Sequence[Path]) -> dict[str, Any]:
    ended = threading.Event()
    saving = threading.Thread(target=_saves, args=(ended, trees, options.saves))
    saving.start()
    try:
        asyncio.run(_asked(serving, WARM_SECONDS * options.rate, options.rate))
        before, began = serving.cpu(), time.monotonic()
        say(f"{options.seconds * options.rate} requests" + (" while files change" if trees else ""))
        answers = asyncio.run(_asked(serving, options.seconds * options.rate, options.rate))
        cpu, took = serving.cpu() - before, time.monotonic() - began
    finally:
        ended.set()
        saving.join()
    by_route: dict[str, list[float]] = {ALL: []}
    for route, seconds in answers:
        by_route.setdefault(route, []).append(seconds)
        by_route[ALL].append(seconds)
    return {
        "requests": len(answers),
        "requests a second": round(len(answers) / took, 1),
        "ms of CPU a request": round(1000 * cpu / len(answers), 2),
        "share of a core": round(cpu / took, 2),
        "ms": {route: _cuts(times) for route, times in by_route.items()},
    }


def _cuts(times: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(times, n=100)
    return {f"p{at}": round(1000 * cuts[at - 1], 1) for at in (50, 95, 99)}


def _saves(ended: threading.Event, trees: Sequence[Path], rate: float) -> None:
    chance, number = random.Random(2), 0
    while trees and not ended.wait(1 / rate):
        number += 1
        written(chance.choice(trees) / chance.choice(WATCHED), f"# Notes\n\nsave {number}\n")


async def _asked(serving: Serving, number: int, rate: float) -> list[tuple[str, float]]:
    """Each request's route, and how many seconds after it was due its answer was there."""
    import httpx

    chance = random.Random(3)
    # At random, as people and programs come that know nothing of each other (Poisson).
    due, plan = 0.0, []
    for _ in range(number):
        due += chance.expovariate(rate)
        plan.append((due, chance.choice(ROUTES)))
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(
        base_url=f"http://{serving.host}", headers=serving.headers, timeout=120, limits=limits
    ) as client:
        start = time.monotonic() + 0.1

        async def one(at: float, route: str) -> tuple[str, float]:
            await asyncio.sleep(start + at - time.monotonic())
            (await client.get(route)).raise_for_status()
            return route, time.monotonic() - start - at

        return list(await asyncio.gather(*(one(at, route) for at, route in plan)))


def _print(found: Mapping[str, Mapping[str, Any]]) -> None:
    print(machine())
    for name, one in found.items():
        print(
            f"\n{name}: {one['requests']} requests, {one['requests a second']} a second,"
            f" {one['ms of CPU a request']} ms of CPU each, {one['share of a core']} of a core"
        )
        rows = [("ms", "p50", "p95", "p99")]
        rows += [(route, *map(str, cuts.values())) for route, cuts in sorted(one["ms"].items())]
        print(grid(rows))
        worst = one["ms"][ALL]["p95"]
        print(Verdict("p95 of all routes at most 50 ms", f"{worst} ms", worst <= 50, absolute=True))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--worktrees", type=int, default=50)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--changes", type=int, default=4000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--saves", type=float, default=2.0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
