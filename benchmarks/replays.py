"""Replays windows of a real history in memory and compares each with a real `git rebase`.

    python -m benchmarks.replays REPOSITORY [--count N] [--seed N]

Works in a clone of its own, below a temporary directory; never writes into the repository.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.hermetic import environment, make_home
from tests.code.windows import clone, compare, windows


def main() -> int:
    """Print what agrees and what does not; 1 when anything does not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        home = Path(made, "home")
        make_home(home)
        kept = environment(home)
        os.environ.clear()
        os.environ.update(kept)
        repo = clone(given.repository.resolve(), Path(made, "clone"))
        found = windows(repo, given.count, given.seed)
        since = time.perf_counter()
        report = compare(repo, Path(made, "scratch"), found)
        took = time.perf_counter() - since
    for name, number in sorted(report.agreed.items()):
        print(f"{number:6} agree    {name}")
    for name, number in sorted(report.refused.items()):
        print(f"{number:6} no answer from git: {name}")
    for key, why in report.wrong.items():
        print(f"DISAGREES {key}: {why}")
    print(f"{sum(report.agreed.values())} of {len(found)} agree, {len(report.wrong)} don't; {took:.1f} s")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
