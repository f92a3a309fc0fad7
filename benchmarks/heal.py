"""Measures `raccord migrations heal` against the third seed's loop, side by side in one run.

    python benchmarks/heal.py [--rounds 1] [--links 50] [--history 50] [--files 200] [--json]

A chain of revisions lies scattered over as many worktrees, one in each; the database that they share has all
of them, and one worktree has none. Each contender heals that one in its own copy. Exits 1 if raccord is wrong
anywhere or misses a target that does not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.chain import BACKEND, Chain
from benchmarks.heal_probe import SETTLE
from benchmarks.timing import costs, in_scratch, machine, say

ALL, REMOVED = "scattered", "one removed"
"""The two settings: all worktrees are there; one was removed, and only its branch has its revision."""

LOOP = "seed's loop, no limit"
LEAST = 50


@dataclass(frozen=True)
class Contender:
    """A command that is started in the late worktree."""

    name: str
    command: Callable[[Chain], list[str]]


@dataclass(frozen=True)
class Sample(report.Sample):
    """One heal: of `missing` revisions `healed` were there afterwards; `said` is the last line of output."""

    missing: int
    healed: int
    said: str


def main() -> int:
    """Measure `raccord migrations heal` against the third seed's loop."""
    options = _options()
    return in_scratch(lambda scratch: run(options, scratch))


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Build, measure, print; returns the exit status."""
    say(f"building {options.links} worktrees with a revision each in {scratch}")
    built = Chain.lay(
        scratch / "workspace",
        links=options.links,
        history=options.history,
        files=options.files,
        seed=options.seed,
    )
    probed = _probe(built.copy(scratch / "copy"))
    for fault in probed["faults"]:
        say(f"  in process: {fault}")
    samples: list[Sample] = []
    for setting, number, contender in _schedule(options.rounds):
        fresh = built.copy(scratch / "copy")
        if setting == REMOVED:
            # Near the tip, so that the loop comes to it soon.
            fresh.remove(fresh.committed(len(fresh.chain) * 4 // 5))
        samples.append(_measured(contender, fresh, setting, number))
        last = samples[-1]
        say(f"  {setting} {number + 1}: {contender.name} {last.seconds:.2f} s, {_outcome(last)}")
    judged = verdicts(samples, probed)
    _show(options, samples, judged, probed)
    return 0 if all(verdict.passed or verdict.absolute for verdict in judged) else 1


def contenders() -> list[Contender]:
    """raccord, and the loop as it was, repaired, and without its limit."""
    heal = [sys.executable, "-m", "raccord", "migrations", "heal", BACKEND, "--json"]

    def loop(name: str, tries: int, keyerror: int) -> Contender:
        script = ["bash", str(Path(__file__).with_name("copy_loop.sh")), str(tries), str(keyerror), BACKEND]
        return Contender(
            name,
            lambda chain: [*script, *(str(tree) for tree in (chain.main, *chain.trees) if tree.is_dir())],
        )

    return [
        Contender(report.SELF, lambda _: heal),
        loop("seed's loop", 3, 0),
        loop("seed's loop, repaired", 3, 1),
        loop(LOOP, 10_000, 1),
    ]


def verdicts(samples: list[Sample], probed: dict[str, Any]) -> list[report.Verdict]:
    """The targets, and what was measured of them."""
    wrong = sum(len(one.faults) for one in samples if one.contender == report.SELF) + len(probed["faults"])
    judged = [report.Verdict("every file and answer of raccord is right", f"{wrong} wrong", wrong == 0)]
    if (times := report.ratio(samples, LOOP, ALL)) is not None:
        name = f"at least {LEAST}x faster than {LOOP}"
        judged.append(report.Verdict(name, f"{times:.1f}x", times >= LEAST))
    return [
        *judged,
        _within("plan for all worktrees, cold", [probed["cold"]], [probed["cpu"]["cold"]], 1.5),
        _within("plan for all worktrees, warm", probed["warm"], probed["cpu"]["warm"], 0.2),
        _within("nothing to do in a healthy worktree", probed["healthy"], probed["cpu"]["healthy"], 0.1),
    ]


def _within(name: str, seconds: list[float], cpu: list[float], limit: float) -> report.Verdict:
    judged = report.within(name, median(seconds), limit)
    return replace(judged, measured=f"{judged.measured}, {median(cpu):.3f} s of CPU")


def _schedule(rounds: int) -> Iterator[tuple[str, int, Contender]]:
    able = contenders()
    for setting in (ALL, REMOVED):
        for number in range(rounds):
            shift = number % len(able)
            for contender in able[shift:] + able[:shift]:
                yield setting, number, contender


def _measured(contender: Contender, fresh: Chain, setting: str, number: int) -> Sample:
    _settle()
    cost = costs(contender.command(fresh), fresh.late, _environment(fresh), fresh.root)
    missing = fresh.lost(fresh.late)
    faults = fresh.faults(fresh.late)
    there = sum(not any(fault.startswith(one.id) for fault in faults) for one in missing)
    said = fresh.root.with_suffix(".log").read_text(encoding="utf-8", errors="replace").strip()
    return Sample(
        contender.name,
        setting,
        number,
        **cost,
        faults={str(place): fault for place, fault in enumerate(faults)},
        connections=None,
        missing=len(missing),
        healed=there,
        said=said.rpartition("\n")[2] if contender.name != report.SELF else "",
    )


def _probe(fresh: Chain) -> dict[str, Any]:
    _settle()
    probe = [sys.executable, str(Path(__file__).with_name("heal_probe.py")), str(fresh.main), str(fresh.late)]
    done = subprocess.run(probe, env=_environment(fresh), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    found["faults"] += fresh.faults(fresh.late)
    return found


def _settle() -> None:
    """Nothing of the copy is left to be written, and its files are as old as a user's."""
    os.sync()
    time.sleep(SETTLE)


def _environment(chain: Chain) -> dict[str, str]:
    """For commands that are looked for beside this interpreter, and import what it would."""
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join([beside, chain.environment.get("PATH", "")])
    return chain.environment | {"PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _outcome(sample: Sample) -> str:
    right = f"{sample.healed}/{sample.missing}"
    if not sample.faults:
        return right
    return f"{right}, {'WRONG' if sample.contender == report.SELF else 'FAILED'}: {sample.said[:90]}"


def table(samples: list[Sample]) -> str:
    """One line for each contender and setting."""
    rows = [("setting", "contender", "median s", "cpu s", "x raccord", "peak RSS", "healed")]
    for setting, contender in dict.fromkeys((one.setting, one.contender) for one in samples):
        runs = [one for one in samples if (one.setting, one.contender) == (setting, contender)]
        worst = min(runs, key=lambda one: one.healed)
        times = report.ratio(samples, contender, setting)
        rows.append(
            (
                setting,
                contender,
                f"{median(one.seconds for one in runs):.2f}",
                f"{median(one.cpu for one in runs):.2f}",
                # To fail sooner is not to be faster.
                "-" if worst.faults or times is None else f"{times:.1f}",
                f"{max(one.rss_kib for one in runs) / 1024:.0f} MiB",
                _outcome(worst),
            )
        )
    return report.grid(rows)


def _show(
    options: argparse.Namespace, samples: list[Sample], judged: list[report.Verdict], probed: dict[str, Any]
) -> None:
    if options.json:
        head = {"version": 1, "machine": machine(), "options": vars(options)}
        measured = {
            "samples": [asdict(one) for one in samples],
            "in_process": probed,
            "targets": [asdict(one) for one in judged],
        }
        print(json.dumps(head | measured, indent=2))
        return
    print(f"\nchain of {options.links} over {options.links} worktrees, {options.history} revisions below it;")
    print(f"{machine()}\n")
    print(table(samples), end="\n\n")
    for verdict in judged:
        print(verdict)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--links", type=int, default=50, help="worktrees, and revisions in the chain")
    parser.add_argument("--history", type=int, default=50, help="revisions that every worktree has")
    parser.add_argument("--files", type=int, default=200, help="other files in each worktree")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
