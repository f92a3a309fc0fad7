"""Measures `raccord sync` against the seed's loop and git-machete, side by side in one run.

    python benchmarks/sync.py [--rounds 3] [--worktrees 50] [--files 2000] [--latency 0.4] [--json]

Each contender starts from its own copy of one generated workspace; the order changes with the round; each
result is checked against real rebases. Exits 1 if raccord is wrong anywhere or misses a target that does not
depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import oracle, report, wire
from benchmarks.contenders import Contender, contenders
from benchmarks.hermetic import raccord
from benchmarks.timing import costs, in_scratch, machine, say
from benchmarks.workspaces import Workspace

QUICK_RUNS = 7


def main() -> int:
    """Measure `raccord sync` against the seed's loop and git-machete, over many worktrees."""
    options = _options()
    return in_scratch(lambda scratch: _run(options, scratch))


def _run(options: argparse.Namespace, scratch: Path) -> int:
    say(f"building {options.worktrees} worktrees of {options.files} files in {scratch}")
    built = Workspace.build(
        scratch / "workspace", worktrees=options.worktrees, files=options.files, seed=options.seed
    )
    expected = oracle.expect(built, scratch / "oracle")
    able = []
    for contender in contenders():
        if contender.missing:
            say(f"{contender.name} is left out: {contender.missing}")
        else:
            able.append(contender)
    quick = _quick(built, scratch) if any(contender.name == report.SELF for contender in able) else None
    samples: list[report.Sample] = []
    for setting, number, contender in _schedule(able, options.rounds, options.latency_rounds):
        fresh = built.copy(scratch / "copy")
        if setting == report.DISTANT:
            wire.lay(fresh, options.latency)
        sample = _measured(contender, fresh, expected, setting, number)
        samples.append(sample)
        say(f"  {setting} {number + 1}: {contender.name} {sample.seconds:.2f} s, {len(sample.faults)} wrong")
        for branch, fault in list(sample.faults.items())[:3]:
            say(f"    {branch}: {fault}")
        if sample.faults:
            say("    " + (scratch / "copy.log").read_text(encoding="utf-8", errors="replace")[-500:])
    judged = report.verdicts(samples, quick)
    _show(options, samples, judged, quick)
    return 0 if all(verdict.passed or verdict.absolute for verdict in judged) else 1


def _schedule(able: list[Contender], local: int, distant: int) -> Iterator[tuple[str, int, Contender]]:
    """Interleaved: within a round each contender once, each round beginning with another one."""
    for setting, rounds in ((report.LOCAL, local), (report.DISTANT, distant)):
        for number in range(rounds):
            shift = number % max(1, len(able))
            for contender in able[shift:] + able[:shift]:
                yield setting, number, contender


def _measured(
    contender: Contender, fresh: Workspace, expected: oracle.Expected, setting: str, number: int
) -> report.Sample:
    contender.prepare(fresh)
    os.sync()  # what the copy still has to write is not the contender's to wait for
    cost = _cost(fresh, contender.command(fresh))
    faults = oracle.faults(fresh, expected)
    return report.Sample(
        contender.name, setting, number, **cost, faults=faults, connections=wire.connections(fresh)
    )


def _cost(workspace: Workspace, command: list[str]) -> dict[str, Any]:
    """Run `command` in the main clone through the launcher that counts its time and memory."""
    return costs(command, workspace.main, workspace.environment, workspace.root)


def _quick(built: Workspace, scratch: Path) -> report.Quick:
    fresh = built.copy(scratch / "copy")
    version = [_cost(fresh, raccord("--version"))["seconds"] for _ in range(QUICK_RUNS)]
    status = [_cost(fresh, raccord("status"))["seconds"] for _ in range(QUICK_RUNS)]
    return report.Quick(version, status)


def _show(
    options: argparse.Namespace,
    samples: list[report.Sample],
    judged: list[report.Verdict],
    quick: report.Quick | None,
) -> None:
    if options.json:
        head = {"version": 1, "machine": machine(), "options": vars(options)}
        print(json.dumps(head | report.as_data(samples, judged, quick), indent=2))
        return
    print(f"\n{options.worktrees} worktrees x {options.files} files; {machine()}")
    print(f"latency: {options.latency:g} s for each connection; ratios are paired by round\n")
    print(report.table(samples, options.worktrees), end="\n\n")
    for verdict in judged:
        print(verdict)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds with the remote as a local path")
    parser.add_argument("--latency-rounds", type=int, default=1, help="rounds with a wait per connection")
    parser.add_argument("--worktrees", type=int, default=50)
    parser.add_argument("--files", type=int, default=2000, help="files in each worktree")
    parser.add_argument("--latency", type=float, default=0.4, help="seconds for each connection")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
