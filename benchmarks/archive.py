"""Measures `raccord data export` and `import` against the first seed's files of CSV, in one run.

    python benchmarks/archive.py [--rounds 3] [--chunks 200000] [--narrow 0] [--target 16|18] [--json]

Rows go out of one server into a file, and from the file into another server's table, of which every row
differs. Both commands are measured as a person types them: with Python's start, the plan, the backup, the
proof, the journal, of which the CSV way has nothing. Exits 1 if a row is wrong or memory grows; the ratios
are printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.promote import MOST_RSS_KIB, Sample
from benchmarks.promote_pair import SEED, SETTINGS, Load, Pair, loads, schedule
from benchmarks.timing import in_scratch, say, told
from tests import pgkit

OUT, IN = "export", "import"


def command(pair: Pair, *words: str) -> tuple[float, int]:
    """Seconds of a command in a process of its own, and its peak memory in KiB."""
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": str(pair.scratch),
    }  # fmt: skip
    argv = [sys.executable, "-m", "raccord", "-C", str(pair.workspace), "data", *words]
    began = time.perf_counter()
    child = subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read() if child.stderr else b""
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(said.decode())
    return seconds, used.ru_maxrss


def raccord(pair: Pair) -> dict[str, float]:
    """An archive: compared, kept, proved."""
    file = pair.workspace / "e.raccord"
    out, one = command(pair, "export", "all", "--out", str(file))
    size = file.stat().st_size
    into, two = command(pair, "import", str(file), "--to", "prod", "--yes")
    file.unlink()
    return {OUT: out, IN: into, "rss": max(one, two), "size": size}


def seed(pair: Pair) -> dict[str, float]:
    """Out into a file of CSV; DELETE, and in again, without a transaction or constraints."""
    file = pair.scratch / "e.csv"
    began = time.perf_counter()
    words = ["-c", f"\\copy e to '{file}' with csv header"]
    subprocess.run([*pair.words(pair.dev, "psql"), *words], check=True)
    out = time.perf_counter() - began
    size = file.stat().st_size
    again = (
        f"set session_replication_role = replica;\ndelete from e;\n\\copy e from '{file}' with csv header\n"
    )
    began = time.perf_counter()
    subprocess.run([*pair.words(pair.prod, "psql")], input=again, text=True, check=True)
    into = time.perf_counter() - began
    file.unlink()
    return {OUT: out, IN: into, "rss": 0, "size": size}


CONTENDERS: dict[str, Callable[[Pair], dict[str, float]]] = {report.SELF: raccord, SEED: seed}


def measured(pair: Pair, contender: str, number: int) -> list[Sample]:
    """Out and in once: a sample for each, and for both."""
    pair.reset()
    got = CONTENDERS[contender](pair)
    faults, name = pair.wrong(), pair.load.name
    seconds = {OUT: got[OUT], IN: got[IN], f"{OUT} + {IN}": got[OUT] + got[IN]}
    return [
        Sample(
            contender, f"{what} {name}", number, took, 0.0, int(got["rss"]), 0, faults, None,
            {"bytes": got["size"]},
        )
        for what, took in seconds.items()
    ]  # fmt: skip


def table(samples: Sequence[Sample]) -> str:
    """One line for each contender and setting."""
    rows = [("setting", "contender", "median s", "x raccord", "peak RSS", "MB on disk")]
    for setting, contender in dict.fromkeys((one.setting, one.contender) for one in samples):
        runs = [one for one in samples if (one.setting, one.contender) == (setting, contender)]
        times = report.ratio(samples, contender, setting)
        peak = max(one.rss_kib for one in runs)
        rows.append(
            (
                setting, contender, f"{median(one.seconds for one in runs):.2f}",
                "WRONG" if any(one.faults for one in runs) else f"{times:.1f}" if times else "-",
                f"{peak / 1024:.0f} MiB" if peak else "-",
                f"{median(one.parts['bytes'] for one in runs) / 1e6:.0f}",
            )
        )  # fmt: skip
    return report.grid(rows)


def verdicts(samples: Sequence[Sample], settings: Sequence[Load]) -> list[report.Verdict]:
    """What must hold, and the ratios."""
    mine = [one for one in samples if one.contender == report.SELF]
    wrong = sum(bool(one.faults) for one in mine)
    judged = [report.Verdict("every row is right", f"{wrong} wrong", wrong == 0)]
    peak = max(one.rss_kib for one in mine)
    judged.append(
        report.Verdict("peak memory at most 150 MiB", f"{peak / 1024:.0f} MiB", peak <= MOST_RSS_KIB)
    )
    for load in settings:
        for what in (OUT, IN):
            times = report.ratio(samples, SEED, f"{what} {load.name}")
            if times is not None:
                name = f"{load.name}: {what} no slower than the {SEED}"
                judged.append(report.Verdict(name, f"{times:.1f}x as fast", times >= 1, absolute=True))
    return judged


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Build, measure, print; returns the exit status."""
    settings = [load for load in loads(options) if load.rows]
    samples: list[Sample] = []
    with pgkit.own(16, **SETTINGS) as dev, pgkit.own(options.target, **SETTINGS) as prod:
        for load in settings:
            say(f"building {load.rows} rows of {load.name}")
            pair = Pair(load, scratch, dev, prod)
            for number, contender in schedule([*CONTENDERS], options.rounds):
                samples += measured(pair, contender, number)
                last = samples[-1]
                say(f"  {last.setting} {number + 1}: {contender} {last.seconds:.2f} s {last.faults or ''}")
            pair.drop()
    judged = verdicts(samples, settings)
    title = ", ".join(f"{load.rows} rows of {load.name}" for load in settings)
    return told(options, title, samples, judged, table(samples))


def main() -> int:
    """Measure `raccord data export` and `import` against the first seed's files of CSV."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=200_000, help="rows with text, jsonb and an embedding")
    parser.add_argument("--narrow", type=int, default=0, help="narrow rows")
    parser.add_argument(
        "--target", type=int, default=16, choices=(16, 18), help="release of the second server"
    )
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    parser.set_defaults(full=False, vectors=0, mixed=0)
    options = parser.parse_args()
    return in_scratch(lambda scratch: run(options, scratch))


if __name__ == "__main__":
    raise SystemExit(main())
