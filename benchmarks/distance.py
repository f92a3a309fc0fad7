"""Measures what the way through ssh costs: the same rows and the same objects pushed directly and through it.

    python benchmarks/distance.py [--megabytes 100] [--rounds 3] [--json]

A real PostgreSQL server, a SeaweedFS and an sshd on this machine. Exits 1 if prod isn't what dev is; the
ratios are printed, and not judged: both ends of the encryption share this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.timing import in_scratch, machine, say
from tests import datakit, fileskit, pgkit, sshkit

DIRECT, SSH = "directly", "through ssh"
ROW = 8192  # bytes, which nothing can compress
LARGE = 16  # objects that the megabytes are divided into
Ways = dict[str, Callable[[], tuple[float, bool]]]


def rows(scratch: Path, far: sshkit.Host, megabytes: int) -> Ways:
    """Pushes of wide rows into an empty table."""
    server = pgkit.server(buffers="256MB")
    names = [server.create() for _ in range(2)]
    two = datakit.Two(scratch, (server, names[0]), (server, names[1]))
    two.both("create table e (id int primary key, body bytea not null)")
    two.run("dev", "alter table e alter body set storage external")
    piece = "(select string_agg(sha512((g * 1000 + n)::text::bytea), '') from generate_series(1, 128) n)"
    two.run("dev", f"insert into e select g, {piece} from generate_series(1, {megabytes * 10**6 // ROW}) g")
    summed = "select count(*), bit_xor(hashtextextended(md5(body), id)) from e"

    def push(*through: str) -> tuple[float, bool]:
        two.more["prod"] = []
        two.configure()
        two.run("prod", "truncate e")
        two.run("prod", "checkpoint")
        if through:
            two.behind(far, *through)
        began = time.monotonic()
        report = two.push()
        lasted = time.monotonic() - began
        return lasted, report.state == "done" and two.run("dev", summed) == two.run("prod", summed)

    return {DIRECT: push, SSH: lambda: push("prod")}


def objects(scratch: Path, far: sshkit.Host, megabytes: int) -> Ways:
    """Pushes of large objects from a directory into a bucket."""
    data = {f"{number}.bin": os.urandom(megabytes * 10**6 // LARGE) for number in range(LARGE)}
    two = fileskit.Two(scratch, "file", "s3")
    two.put("dev", data)

    def push(*through: str) -> tuple[float, bool]:
        two.take("prod", *data)
        for key in ("ssh", "ssh_config"):
            two.keys["prod"].pop(key, None)
        two.behind(far, *through)
        began = time.monotonic()
        report = two.push(mode="upsert")
        lasted = time.monotonic() - began
        return lasted, report.state == "done" and two.objects("prod") == data

    return {DIRECT: push, SSH: lambda: push("prod")}


def measured(ways: Ways, rounds: int) -> tuple[dict[str, list[float]], bool]:
    """Seconds of each way, in an order that changes with the round, and whether all were right."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    right = True
    for number in range(-1, rounds):
        for name in sorted(ways, reverse=number % 2 == 1):
            seconds, ok = ways[name]()
            right = right and ok
            if number >= 0:  # the first round warms up
                found[name].append(seconds)
    return found, right


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Measures and prints."""
    everything: dict[str, dict[str, list[float]]] = {}
    wrong = []
    with sshkit.host(scratch / "far") as far:
        for name, make in (("rows", rows), ("objects", objects)):
            say(f"{name}: {options.megabytes} MB, {options.rounds} rounds")
            (scratch / name).mkdir()
            everything[name], right = measured(make(scratch / name, far, options.megabytes), options.rounds)
            if not right:
                wrong.append(name)
    if options.json:
        print(json.dumps({"machine": machine(), "seconds": everything, "wrong": wrong}))
        return bool(wrong)
    print(machine())
    for name, found in everything.items():
        ratio = median(two / one for one, two in zip(found[DIRECT], found[SSH], strict=True))
        said = ", ".join(f"{way} {median(times):.2f} s" for way, times in found.items())
        print(f"{name}, {options.megabytes} MB: {said}, ratio {ratio:.2f}{'  WRONG' * (name in wrong)}")
    return bool(wrong)


def main() -> int:
    """Measure pushes of rows and of objects through ssh against the same ones without it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print every sample as JSON")
    options = parser.parse_args()
    return in_scratch(lambda scratch: run(options, scratch))


if __name__ == "__main__":
    raise SystemExit(main())
