"""Measures `raccord files push` against rclone, into one bucket of SeaweedFS, side by side in one run.

    python benchmarks/files.py [--rounds 3] [--small 2000] [--large 4] [--full] [--json]

Each contender brings a directory into a place of its own: all of it, then nothing, then what changed. Timed
are whole commands, start-up, verification and journal included. Exits 1 if raccord is wrong anywhere, asks
for objects one by one or needs too much memory; the ratios are judged and printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import hermetic, report
from benchmarks.counting import Counting
from benchmarks.timing import costs, in_scratch, say, told
from tests import s3kit

RCLONE, NO_HEAD = "rclone", "rclone, unverified"
CONTENDERS = (report.SELF, RCLONE, NO_HEAD)
TUNED = ("--transfers", "32", "--checkers", "32", "--checksum")
AVERAGE = 16_800  # bytes of a small object
LARGE = 64 << 20
MOST_RSS_KIB = 256 << 10
FULL = {"small": 10_000, "large": 20}
COUNTED = 500  # objects of the run whose requests are counted


@dataclass(frozen=True)
class Load:
    """A directory of objects, and how many times faster than rclone it is to get there."""

    name: str
    root: Path
    least: float

    def files(self) -> dict[str, Path]:
        """By key."""
        return {one.relative_to(self.root).as_posix(): one for one in self.root.rglob("*") if one.is_file()}


def made(root: Path, count: int, size: int, least: float, name: str) -> Load:
    """Writes random files, sizes varying where they are small."""
    chance = random.Random(7)
    for number in range(count):
        path = root / f"{number % 100:02}" / f"object-{number:05}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(size if size == LARGE else int(chance.expovariate(1 / size))))
    return Load(name, root, least)


def change(load: Load, number: int) -> None:
    """Gives every hundredth object other bytes of the same number."""
    for key, path in sorted(load.files().items())[number % 100 :: 100]:
        path.write_bytes(random.Random(f"{number} {key}").randbytes(path.stat().st_size))


class Contender:
    """One of them with a place of its own in the bucket."""

    def __init__(self, name: str, load: Load, endpoint: str, place: str, scratch: Path) -> None:
        self.name, self.scratch = name, Path(tempfile.mkdtemp(prefix="contender", dir=scratch))
        self.place = place
        self.command = self._rclone(load, endpoint) if name != report.SELF else self._raccord(load, endpoint)

    def _rclone(self, load: Load, endpoint: str) -> list[str]:
        program = str(Path(sysconfig.get_path("scripts")) / "rclone")
        asked = ["--s3-no-head"] if self.name == NO_HEAD else []
        return [program, "--config", os.devnull, "--s3-provider", "SeaweedFS", "--s3-endpoint", endpoint,
                "--s3-access-key-id", s3kit.KEY_ID, "--s3-secret-access-key", s3kit.SECRET,
                "--s3-force-path-style", *TUNED, *asked, "copy", str(load.root),
                f":s3:{self.place}"]  # fmt: skip

    def _raccord(self, load: Load, endpoint: str) -> list[str]:
        subprocess.run(["git", "init", "-q", str(self.scratch)], check=True)
        for name, text in (("id", s3kit.KEY_ID), ("key", s3kit.SECRET)):
            (self.scratch / name).write_text(text)
        (self.scratch / "raccord.toml").write_text(
            f"[environments.dev]\nobjects = {json.dumps(load.root.as_uri())}\n"
            f"[environments.prod]\nobjects = {json.dumps(f's3://{self.place}')}\n"
            f"objects_endpoint = {json.dumps(endpoint)}\n"
            f"objects_key_id = {json.dumps(f'file:{self.scratch}/id')}\n"
            f"objects_key = {json.dumps(f'file:{self.scratch}/key')}\n"
            '[files.all]\nmode = "upsert"\n'
        )
        words = ["files", "push", "all", "--to", "prod", "--yes", "--json"]
        return [sys.executable, "-m", "raccord", *words]

    def run(self, environ: dict[str, str]) -> dict[str, Any]:
        """Runs it once; what it says stands in the error where it fails."""
        found = costs(self.command, self.scratch, environ, self.scratch / "cost")
        if found["exit"]:
            raise RuntimeError(f"{self.name}: {(self.scratch / 'cost.log').read_text()[-1000:]}")
        return found


def wrong(load: Load, server: s3kit.Server, place: str, whole: bool) -> dict[str, str]:
    """What is not in the bucket as it is in the directory.

    Args:
        whole: whether to read objects whose etag is no MD5.
    """
    import obstore

    store = server.client(place.partition("/")[2])
    listed = {one["path"]: one for many in obstore.list(store) for one in many}
    there = {key: one for key, one in listed.items() if not key.startswith(".raccord-")}
    files, found = load.files(), {}
    for key in files.keys() ^ there.keys():
        found[key] = "only on one side"
    for key in files.keys() & there.keys():
        data = files[key].read_bytes()
        etag = str(there[key]["e_tag"]).strip('"')
        if there[key]["size"] != len(data):
            found[key] = "another size"
        elif "-" not in etag and etag != hashlib.md5(data, usedforsecurity=False).hexdigest():
            found[key] = "another MD5"
        elif "-" in etag and whole and bytes(obstore.get(store, key).bytes()) != data:
            found[key] = "other bytes"
    return found


def measured(load: Load, rounds: int, scratch: Path, environ: dict[str, str]) -> Iterator[report.Sample]:
    """Each round with a fresh server, which each contender begins another time."""
    for number in range(rounds):
        server = s3kit.server.__wrapped__()
        shift = number % len(CONTENDERS)
        able = [
            Contender(name, load, server.endpoint, server.place(), scratch)
            for name in CONTENDERS[shift:] + CONTENDERS[:shift]
        ]
        for setting in ("all", "nothing", "1 % changed"):
            if setting == "1 % changed":
                if len(load.files()) < 100:
                    continue
                change(load, number)
            for one in able:
                os.sync()
                cost = one.run(environ)
                faults = wrong(load, server, one.place, number == 0 and setting == "all")
                yield report.Sample(one.name, f"{load.name}: {setting}", number, **cost, faults=faults,
                                    connections=None)  # fmt: skip
        for one in able:
            shutil.rmtree(one.scratch)
        server.stop()


def counted(scratch: Path, environ: dict[str, str]) -> dict[str, dict[str, int]]:
    """The requests that each makes for some hundred objects, all of them and again."""
    load = made(scratch / "counted", COUNTED, AVERAGE, 1, "counted")
    server, found = s3kit.server.__wrapped__(), {}
    for name in CONTENDERS:
        place = server.place()
        for setting in ("all", "nothing"):
            with Counting(server.port) as counting:
                one = Contender(name, load, counting.endpoint, place, scratch)
                one.run(environ)
            found[f"{name}: {setting}"] = dict(sorted(counting.counts.items()))
    server.stop()
    return found


def verdicts(
    settings: list[Load], samples: list[report.Sample], counts: dict[str, dict[str, int]]
) -> list[report.Verdict]:
    """The targets, and what was measured of them."""
    mine = [one for one in samples if one.contender == report.SELF]
    faults = sum(len(one.faults) for one in mine)
    judged = [report.Verdict("every object is right", f"{faults} wrong", faults == 0)]
    heads = counts[f"{report.SELF}: all"].get("HEAD", 0)
    said = f"{heads} for {COUNTED} objects"
    judged.append(report.Verdict("at most 10 requests that ask for one object (HEAD)", said, heads <= 10))
    peak = max(one.rss_kib for one in mine)
    judged.append(
        report.Verdict(
            f"peak memory at most {MOST_RSS_KIB >> 10} MiB", f"{peak / 1024:.0f} MiB", peak <= MOST_RSS_KIB
        )
    )
    for load in settings:
        times = report.ratio(samples, RCLONE, f"{load.name}: all")
        if times is not None:
            name = f"{load.name}: at least {load.least:g}x faster than {RCLONE}, tuned"
            judged.append(report.Verdict(name, f"{times:.2f}x", times >= load.least, absolute=True))
        again = [one.seconds for one in mine if one.setting == f"{load.name}: nothing"]
        if again:
            judged.append(report.within(f"{load.name}: nothing to do", median(again), 0.6))
    return judged


def table(samples: list[report.Sample]) -> str:
    """One line for each contender and setting."""
    rows = [("setting", "contender", "median s", "cpu s", "x raccord", "peak RSS")]
    for setting, contender in sorted(
        {(one.setting, one.contender) for one in samples}, key=lambda one: (one[0], CONTENDERS.index(one[1]))
    ):
        runs = [one for one in samples if (one.setting, one.contender) == (setting, contender)]
        times = report.ratio(samples, contender, setting)
        rows.append(
            (
                setting, contender, f"{median(one.seconds for one in runs):.2f}",
                f"{median(one.cpu for one in runs):.2f}",
                "WRONG" if any(one.faults for one in runs) else f"{times:.2f}" if times else "-",
                f"{max(one.rss_kib for one in runs) / 1024:.0f} MiB",
            )
        )  # fmt: skip
    return report.grid(rows)


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Build, measure, print; returns the exit status."""
    hermetic.make_home(scratch / "home")
    environ = hermetic.environment(scratch / "home")
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    number = FULL if options.full else {"small": options.small, "large": options.large}
    settings = []
    for kind, size, least in (("small", AVERAGE, 1.5), ("large", LARGE, 1.2)):
        if number[kind]:
            say(f"writing {number[kind]} {kind} objects")
            name = f"{number[kind]} {kind}"
            settings.append(made(scratch / kind, number[kind], size, least, name))
    counts = counted(scratch, environ)
    for name, found in counts.items():
        say(f"  requests of {name}: {found}")
    samples: list[report.Sample] = []
    for load in settings:
        for sample in measured(load, options.rounds, scratch, environ):
            samples.append(sample)
            say(f"  {sample.setting} {sample.round + 1}: {sample.contender} {sample.seconds:.2f} s,"
                f" {len(sample.faults)} wrong")  # fmt: skip
    judged = verdicts(settings, samples, counts)
    title = ", ".join(load.name for load in settings)
    return told(options, title, samples, judged, table(samples), requests=counts)


def main() -> int:
    """Measure `raccord files push` against rclone, into a bucket."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=2_000, help="objects of some KB; 0 for none")
    parser.add_argument("--large", type=int, default=4, help="objects of 64 MiB; 0 for none")
    parser.add_argument("--full", action="store_true", help="10,000 and 20 of them")
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    options = parser.parse_args()
    return in_scratch(lambda scratch: run(options, scratch))


if __name__ == "__main__":
    raise SystemExit(main())
