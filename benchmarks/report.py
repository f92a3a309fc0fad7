"""Turns samples into the table and the verdicts that `sync.py` prints. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.wire import Connections

LOCAL, DISTANT = "local", "latency"
"""The two settings: the remote as a path; the remote behind a wait for each connection."""

SELF = "raccord"


@dataclass(frozen=True)
class Sample:
    """One run of one contender. `seconds` is wall time, `cpu` user and system time of all its processes."""

    contender: str
    setting: str
    round: int
    seconds: float
    cpu: float
    rss_kib: int
    exit: int
    faults: dict[str, str]
    connections: Connections | None


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured; `absolute` ones depend on the machine and do not fail the run."""

    target: str
    measured: str
    passed: bool
    absolute: bool = False

    def __str__(self) -> str:
        return f"{'PASS' if self.passed else 'FAIL'}  {self.target}: {self.measured}"


@dataclass(frozen=True)
class Quick:
    """Seconds of the short commands."""

    version: list[float]
    status: list[float]


def ratio(samples: Iterable[Sample], contender: str, setting: str) -> float | None:
    """How many times longer than raccord it took: each round is paired with itself, then the median."""
    rounds: dict[int, dict[str, float]] = {}
    for sample in samples:
        if sample.setting == setting:
            rounds.setdefault(sample.round, {})[sample.contender] = sample.seconds
    both = [times for times in rounds.values() if contender in times and SELF in times]
    pairs = [times[contender] / times[SELF] for times in both]
    return median(pairs) if pairs else None


def table(samples: Sequence[Sample], worktrees: int) -> str:
    """One line for each contender and setting."""
    header = ("setting", "contender", "median s", "cpu s", "x raccord", "connections", "right", "peak RSS")
    rows = [header]
    for setting, contender in dict.fromkeys((sample.setting, sample.contender) for sample in samples):
        runs = _of(samples, contender, setting)
        times = ratio(samples, contender, setting)
        counted = next((str(run.connections) for run in runs if run.connections), "-")
        wrong = max(len(run.faults) for run in runs)
        rows.append(
            (
                setting,
                contender,
                f"{median(run.seconds for run in runs):.2f}",
                f"{median(run.cpu for run in runs):.2f}",
                f"{times:.1f}" if times else "-",
                counted,
                f"{worktrees - wrong}/{worktrees}" + (f" ({wrong} WRONG)" if wrong else ""),
                f"{max(run.rss_kib for run in runs) / 1024:.0f} MiB",
            )
        )
    return grid(rows)


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines, each column as wide as its widest."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join(f"{{:{width}}}" for width in widths)
    return "\n".join(form.format(*row).rstrip() for row in rows)


def verdicts(samples: Sequence[Sample], quick: Quick | None) -> list[Verdict]:
    """The targets, for what was measured of them."""
    judged: list[Verdict] = []
    mine = [sample for sample in samples if sample.contender == SELF]
    if mine:
        wrong = sum(len(sample.faults) for sample in mine)
        judged.append(Verdict("every worktree is right after every run", f"{wrong} wrong", wrong == 0))
    calls = [sample.connections.total for sample in mine if sample.connections]
    if calls:
        judged.append(Verdict("at most 2 connections", f"{max(calls)}", max(calls) <= 2))
    for contender, least in (("seed's loop", 20), ("git-machete", 15)):
        times = ratio(samples, contender, DISTANT)
        if times is not None:
            name = f"at least {least}x faster than {contender}, with latency"
            judged.append(Verdict(name, f"{times:.1f}x", times >= least))
    if local := _of(mine, SELF, LOCAL):
        judged.append(within("sync, local path", median(run.seconds for run in local), 1.5))
    if quick:
        judged.append(within("raccord --version", median(quick.version), 0.15))
        judged.append(within("raccord status", median(quick.status), 0.7))
    return judged


def as_data(samples: Sequence[Sample], judged: Sequence[Verdict], quick: Quick | None) -> dict[str, object]:
    """Everything measured, ready for JSON."""
    return {
        "samples": [asdict(sample) for sample in samples],
        "quick": asdict(quick) if quick else None,
        "targets": [asdict(verdict) for verdict in judged],
    }


def _of(samples: Iterable[Sample], contender: str, setting: str) -> list[Sample]:
    return [sample for sample in samples if (sample.contender, sample.setting) == (contender, setting)]


def within(name: str, seconds: float, limit: float) -> Verdict:
    """A time that depends on the machine, against its limit."""
    return Verdict(f"{name} within {limit:g} s", f"{seconds:.3f} s", seconds <= limit, absolute=True)
