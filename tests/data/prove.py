"""`python -m tests.data.prove`: five hundred pushes, imports, restores, undos struck, and what was lost.

Each loss is printed with the case that makes it again: `--case 'swap-replace target@0.5000 continue'`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.data.strikes import FAULTS, Case, Result, drawn
from tests.data.struck import Bench
from tests.faults.place import environment
from tests.pgkit import NoServer


def table(results: Sequence[Result]) -> str:
    """How many of each fault struck each scenario, and how many landed."""
    count = Counter((one.case.scenario, one.case.fault) for one in results)
    faults = [fault for fault in FAULTS if any(fault == one.case.fault for one in results)]
    lines = ["".join(f"{head:>15}" for head in ("scenario", *faults, "landed", "lost"))]
    for name in sorted({one.case.scenario for one in results}):
        own = [one for one in results if one.case.scenario == name]
        row = [str(count[name, fault]) for fault in faults]
        row += [str(sum(one.landed for one in own)), str(sum(bool(one.losses) for one in own))]
        lines.append("".join(f"{cell:>15}" for cell in (name, *row)))
    said = Counter(one.said for one in results)
    lines.append(
        "the push itself ended: " + ", ".join(f"{what} {times}" for what, times in said.most_common())
    )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.data.prove", description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", action="append", help="run just this, as a loss was printed; repeatable")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin no case later; 0 for no limit")
    args = parser.parse_args(words)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="raccord-pushes-") as folder:
        os.environ.update(environment(Path(folder, "home")) | {"PYTHONPATH": os.pathsep.join(sys.path)})
        root = Path(folder, "places")
        root.mkdir()
        try:
            bench = Bench(root)
        except NoServer as error:
            print(f"nothing proved: {error}")
            return 1
        try:
            faults = tuple(one for one in FAULTS if one != "full" or bench.disk.there)
            if len(faults) < len(FAULTS):
                print("no full disk: nothing can be mounted here")
            wanted = [Case.parse(one) for one in args.case or ()] or drawn(args.count, args.seed, faults)
            since = time.monotonic()
            for number, case in enumerate(wanted, 1):
                if args.seconds and time.monotonic() - since > args.seconds:
                    break
                results.append(result := bench.run(case))
                for loss in result.losses:
                    print(f"LOST {case} ({result.said}): {loss}", flush=True)
                if result.losses:
                    print(f"  again: python -m tests.data.prove --case '{case}'", flush=True)
                if number % 20 == 0 or number == len(wanted):
                    lost = sum(bool(one.losses) for one in results)
                    passed = time.monotonic() - since
                    print(f"{number}/{len(wanted)} in {passed:.0f} s, {lost} lost", flush=True)
        finally:
            bench.close()
    print(table(results))
    lost = sum(bool(one.losses) for one in results)
    polls = sum(one.polls for one in results)
    print(f"\n{len(results)} runs struck, {polls} looks of a reader: {lost} losses")
    return 1 if lost or not results else 0


if __name__ == "__main__":
    sys.exit(main())
