"""Measures `raccord serve` against the second seed's poll, side by side in one run.

    python benchmarks/watch.py [--worktrees 50] [--files 2000] [--saves 200] [--burst 10000] [--json]

Both watch the same worktrees: raccord by events, the seed's way by MD5 sums each 30 seconds. Exits 1 if a
content was missed or recorded twice; times depend on the machine, and are judged only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import Verdict
from benchmarks.serving import WATCHED, Serving, built, written
from benchmarks.timing import in_scratch, machine, say

LIVED_SECONDS = 0.12
POLL = """
import hashlib, json, pathlib, sys, time
paths = [pathlib.Path(one) for one in json.loads(sys.stdin.readline())]
known = {}
while True:
    for path in paths:
        try:
            seen = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        except OSError:
            seen = ""
        if known.setdefault(path, seen) != seen:
            known[path] = seen
            print(json.dumps([time.time(), str(path), seen]))
    print(json.dumps([time.time(), "", ""]), flush=True)
    time.sleep(30)
"""


def main() -> int:
    """Measure `raccord serve` against the seed's poll."""
    options = _options()
    return in_scratch(lambda scratch: run(options, scratch))


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Build, measure, print; returns the exit status."""
    say(f"building {options.worktrees} worktrees of {options.files} files in {scratch}")
    trees = built(scratch, options.worktrees, options.files)
    poll = _Poll([tree / name for tree in trees for name in WATCHED])
    serving = Serving(trees[0], scratch / "serve.log")
    try:
        found = _measured(options, trees, serving, poll)
    finally:
        serving.end()
        poll.end()
    judged = _judged(found)
    if options.json:
        print(json.dumps({"machine": machine(), **found}, indent=2))
    else:
        print(machine())
        for name, value in found.items():
            print(f"{name:32} {value}")
        for one in judged:
            print(f"{'reached' if one.passed else 'MISSED':8} {one.target}: {one.measured}")
    return 0 if all(one.passed or one.absolute for one in judged) else 1


def _measured(
    options: argparse.Namespace, trees: list[Path], serving: Serving, poll: _Poll
) -> dict[str, Any]:
    chance = random.Random(1)
    say(f"idle for {options.idle} s")
    before, began = serving.cpu(), time.monotonic()
    time.sleep(options.idle)
    idle = (serving.cpu() - before) / (time.monotonic() - began)
    say(f"{options.saves} saves, one after the other")
    delays = []
    for number in range(options.saves):
        path = chance.choice(trees) / chance.choice(WATCHED)
        delays.append(serving.save(path, f"save {number}\n"))
    say(f"{options.states} states of one file, each of {LIVED_SECONDS} s")
    place, states = trees[-1] / WATCHED[0], []
    for number in range(options.states):
        states.append(written(place, f"state {number}\n"))
        time.sleep(LIVED_SECONDS)
    serving.wait(lambda: states[-1] in serving.seen)
    say(f"{options.burst} saves of distinct files")
    burst = {}
    began = time.monotonic()
    for number in range(options.burst):
        path = trees[number % len(trees)] / "notes" / f"{number}.md"
        burst[str(path)] = written(path, f"note {number}\n")
    wrote = time.monotonic() - began
    serving.wait(lambda: sum(one in serving.seen for one in burst.values()) == len(burst))
    told = time.monotonic() - began
    say("waiting for the poll")
    rounds = poll.rounds
    serving.wait(lambda: poll.rounds > rounds)
    counts = Counter(serving.changes())
    cuts = quantiles(delays, n=20)
    return {
        "save to stream, p50 ms": round(1000 * median(delays), 1),
        "save to stream, p95 ms": round(1000 * cuts[-1], 1),
        "seed's poll, median wait s": round(median(poll.delays), 1) if poll.delays else None,
        "idle, share of a core": round(idle, 4),
        "memory at most, MiB": round(serving.memory() / 2**20, 1),
        "states of one file": options.states,
        "  raccord saw": len(set(states) & set(serving.seen)),
        "  the poll saw": len({md5 for _, path, md5 in poll.seen if path == str(place)}),
        "burst": options.burst,
        "  recorded once": sum(counts[path, sum_] == 1 for path, sum_ in burst.items()),
        "  written in s": round(wrote, 2),
        "  all told in s": round(told, 2),
    }


def _judged(found: dict[str, Any]) -> list[Verdict]:
    def most(name: str, limit: float) -> Verdict:
        return Verdict(f"{name} at most {limit}", str(found[name]), found[name] <= limit, absolute=True)

    return [
        most("save to stream, p95 ms", 100),
        most("idle, share of a core", 0.01),
        most("memory at most, MiB", 120),
        Verdict(
            "every content of the burst recorded once",
            str(found["  recorded once"]),
            found["  recorded once"] == found["burst"],
        ),
        Verdict(
            f"every state that lived {LIVED_SECONDS} s recorded",
            str(found["  raccord saw"]),
            found["  raccord saw"] == found["states of one file"],
        ),
    ]


class _Poll:
    """The seed's way, in a process of its own."""

    def __init__(self, paths: list[Path]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", POLL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps([str(path) for path in paths]) + "\n")
        self._child.stdin.flush()
        self.seen: list[tuple[float, str, str]] = []
        self.delays: list[float] = []
        self.rounds = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            at, path, md5 = json.loads(line)
            if not path:
                self.rounds += 1
                continue
            self.seen.append((at, path, md5))
            try:
                self.delays.append(at - os.stat(path).st_mtime)
            except OSError:
                continue

    def end(self) -> None:
        """Ends it."""
        self._child.kill()
        self._child.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--worktrees", type=int, default=50)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--saves", type=int, default=200)
    parser.add_argument("--states", type=int, default=50)
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--idle", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
