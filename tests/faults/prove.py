"""`python -m tests.faults.prove`: a thousand kills and two hundred power cuts, and what was lost: nothing.

Each loss is printed with the case that makes it again: `--case 'sync kill-all@17 abort'`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from tests.faults import inject, power
from tests.faults.inject import Fault
from tests.faults.judge import RECOVERIES, judge
from tests.faults.place import Place, environment
from tests.faults.scenarios import SCENARIOS, Reference, Scenario, refer

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@dataclass(frozen=True)
class Case:
    """One fault and what follows it.

    Attributes:
        scenario: its name.
        fault: what goes wrong; a "cut" is one of power.
        recovery: what a person does then.
    """

    scenario: str
    fault: Fault
    recovery: str

    def __str__(self) -> str:
        return f"{self.scenario} {self.fault} {self.recovery}"


def parse(text: str) -> Case:
    """Reads a case back from its text."""
    scenario, fault, recovery = text.split()
    do, _, when = fault.partition("@")
    at = Fault(do, after=float(when[:-1])) if when.endswith("s") else Fault(do, at=int(when))
    return Case(scenario, at, recovery)


@dataclass(frozen=True)
class Result:
    """What came of a case.

    Attributes:
        hit: the program and call that was hit, without the path; "" where the command was over before.
        losses: what was lost.
        litter: temporary files left.
    """

    case: Case
    hit: str
    losses: tuple[str, ...]
    litter: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"LOST {self.case}  ({self.hit})", *(f"  {loss}" for loss in self.losses)]
        return "\n".join([*lines, f"  again: python -m tests.faults.prove --case '{self.case}'"])


class Bench:
    """A worker's workspaces: one place, one template for each scenario.

    Args:
        root: an empty directory of its own.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.known: dict[str, Reference] = {}
        self.places: dict[str, Place] = {}
        self.cutters: dict[str, power.Bench] = {}
        os.environ.update(environment(root / "home"))

    def reference(self, scenario: Scenario) -> Reference:
        """The scenario without a fault; run through on the first call."""
        if scenario.name not in self.known:
            self.places[scenario.name] = place = Place.make(self.root / scenario.name, scenario.served)
            self.known[scenario.name] = refer(scenario, place, self.root / f"{scenario.name}.template")
        return self.known[scenario.name]

    def run(self, case: Case) -> Result:
        """Runs a case. One that hangs is a loss: nobody knows whether raccord did, or what traces it."""
        try:
            return self._run(case)
        except inject.Hung as error:
            return Result(case, "", (str(error),), ())
        except Exception as error:  # noqa: BLE001 - told with its case, and the other cases go on
            where = "".join(traceback.format_exception(error)[-3:]).rstrip()
            return Result(case, "", (f"{type(error).__name__}: {error}\n{where}",), ())

    def _run(self, case: Case) -> Result:
        scenario = BY_NAME[case.scenario]
        if case.fault.do == "cut":
            if case.scenario not in self.cutters:
                self.cutters[case.scenario] = power.Bench(self.root / f"{case.scenario}.power", scenario)
            ran, verdict = self.cutters[case.scenario].cut(case.fault.at, case.recovery)
        else:
            known = self.reference(scenario)
            place = self.places[scenario.name]
            place.reset(known.template)
            ran = place.struck(scenario.argv, scenario.cwd, case.fault)
            verdict = judge(place, known, ran, case.recovery)
        return Result(case, " ".join(ran.hit.split(" /")[:1]).strip(), verdict.losses, verdict.litter)


def spread(
    scenario: str, calls: Sequence[str], count: int, faults: Sequence[str], dice: random.Random
) -> Iterator[Case]:
    """Cases at half as many places spread evenly over a run, and half evenly over the kinds of calls."""
    even = [int((number + dice.random()) * len(calls) / count) + 1 for number in range((count + 1) // 2)]
    even = [min(2 * place, len(calls)) for place in even]
    kinds: dict[str, list[int]] = {}
    for place, call in enumerate(calls, 1):
        kinds.setdefault(call, []).append(place)
    turns = cycle(dice.sample(sorted(kinds), len(kinds)))
    places = even + [dice.choice(kinds[next(turns)]) for _ in range(count // 2)]
    dice.shuffle(places)
    what, then = cycle(faults), cycle(dice.sample(RECOVERIES, len(RECOVERIES)))
    for place in places:
        yield Case(scenario, Fault(next(what), place), next(then))


def timed(scenario: str, seconds: float, count: int, dice: random.Random) -> Iterator[Case]:
    """Cases that are killed after a random time."""
    for recovery, _ in zip(cycle(RECOVERIES), range(count), strict=False):
        yield Case(scenario, Fault("kill-all", after=round(dice.uniform(0.05, seconds), 4)), recovery)


def cases(
    measured: dict[str, tuple[list[str], float]],
    kills: int,
    cuts: int,
    dice: random.Random,
    known: Sequence[str],
) -> list[Case]:
    """All cases: the kills, a fifth of them by the clock; an eighth as many errors on top; the power cuts.

    Args:
        measured: for each scenario its calls and its seconds.
        known: the faults that can be injected here.
    """
    found: list[Case] = []
    for index, (name, (calls, seconds)) in enumerate(measured.items()):
        share, cut_share = (
            total // len(measured) + (index < total % len(measured)) for total in (kills, cuts)
        )
        by_clock = share // 5
        found += spread(name, calls, share - by_clock, ("kill-all", "kill-all", "kill-one"), dice)
        found += timed(name, seconds, by_clock, dice)
        errors = [fault for fault in known if not fault.startswith("kill")]
        if errors:
            found += spread(name, calls, -(-share // 8), errors, dice)
        found += spread(name, calls, cut_share, ("cut",), dice)
    return found


def every(measured: dict[str, tuple[list[str], float]], text: str) -> list[Case]:
    """A kill at each call whose program and name hold a text, whoever recovers in turn."""
    recoveries = cycle(RECOVERIES)
    return [
        Case(name, Fault("kill-all", at), next(recoveries))
        for name, (calls, _) in measured.items()
        for at, call in enumerate(calls, 1)
        if text in call
    ]


_bench: Bench | None = None


def start(base: str) -> None:
    """Sets a worker process up."""
    global _bench
    _bench = Bench(Path(base, str(os.getpid())))


def work(case: Case) -> Result:
    """Runs a case in a worker process."""
    assert _bench is not None
    return _bench.run(case)


def measure(name: str) -> tuple[list[str], float]:
    """A scenario's calls and seconds, in a worker process."""
    assert _bench is not None
    known = _bench.reference(BY_NAME[name])
    return known.calls, known.seconds


def report(results: Iterable[Result], total: int) -> list[Result]:
    """Prints each loss as it comes, and the figures at the end; returns the losses."""
    lost: list[Result] = []
    count: Counter[tuple[str, str]] = Counter()
    hits: Counter[str] = Counter()
    littered = 0
    since = time.monotonic()
    for number, result in enumerate(results, 1):
        case = result.case
        count[case.scenario, "time" if case.fault.after else case.fault.do] += 1
        hits[result.hit or "over before"] += 1
        littered += bool(result.litter)
        if result.losses:
            lost.append(result)
            print(f"\n{result}", flush=True)
        if number % 50 == 0 or number == total:
            print(f"{number}/{total} in {time.monotonic() - since:.0f} s, {len(lost)} lost", flush=True)
    faults = sorted({fault for _, fault in count})
    print("\n" + "".join(f"{head:>12}" for head in ["scenario", *faults, "lost"]))
    for name in sorted({scenario for scenario, _ in count}):
        row = [str(count[name, fault]) for fault in faults]
        row.append(str(sum(one.case.scenario == name for one in lost)))
        print("".join(f"{cell:>12}" for cell in [name, *row]))
    print("\nhit:")
    for hit, times in hits.most_common():
        print(f"{times:6}  {hit}")
    kills = sum(times for (_, fault), times in count.items() if fault.startswith("kill") or fault == "time")
    cuts = sum(times for (_, fault), times in count.items() if fault == "cut")
    errors = sum(count.values()) - kills - cuts
    print(
        f"\n{kills} kills, {cuts} power cuts, {errors} disk errors: {len(lost)} losses"
        f" ({littered} left a temporary file)"
    )
    return lost


def main(words: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.prove", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--power-cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--scenario", action="append", choices=sorted(BY_NAME), help="only this one; repeatable"
    )
    parser.add_argument("--case", action="append", help="run just this, as a loss was printed; repeatable")
    parser.add_argument(
        "--every", metavar="TEXT", help="kill at every call that holds TEXT ('git push: '), no more"
    )
    parser.add_argument("--keep", action="store_true", help="leave the workspaces for a look")
    args = parser.parse_args(words)
    reason = inject.why_not()
    if reason:
        print(f"nothing proved: {reason}")
        return 1
    cuts = args.power_cuts
    if cuts and (reason := power.why_not()):
        print(f"no power cuts: {reason}")
        cuts = 0
    memory = Path("/dev/shm")
    base = tempfile.mkdtemp(prefix="raccord-faults-", dir=memory if os.access(memory, os.W_OK) else None)
    pool = ProcessPoolExecutor(args.jobs, initializer=start, initargs=(base,))
    try:
        if args.case:
            wanted = [parse(text) for text in args.case]
        else:
            names = args.scenario or sorted(BY_NAME)
            measured = dict(zip(names, pool.map(measure, names), strict=True))
            if args.every is not None:
                wanted = every(measured, args.every)
            else:
                wanted = cases(measured, args.kills, cuts, random.Random(args.seed), inject.faults_known())
        lost = report(pool.map(work, wanted), len(wanted))
    finally:
        pool.shutdown()
        if args.keep:
            print(f"kept: {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
