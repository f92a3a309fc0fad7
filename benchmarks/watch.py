"""Measures `raccord serve` against the second seed's poll, side by side in one run.

    python benchmarks/watch.py [--worktrees 50] [--files 2000] [--saves 200] [--burst 10000] [--json]

Both watch the same worktrees: raccord by events, the seed's way by MD5 sums each 30 seconds. Exits 1 if a
content was missed or recorded twice; times depend on the machine, and are judged only.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import Verdict
from benchmarks.timing import machine, say

WATCHED = ("AGENTS.md", "AGENT_SYNC.md", "docs/passation.md")
CONFIGURATION = f"""language = "en"
[coordination]
watch = {json.dumps([*WATCHED, "notes/*.md"])}
threshold = 0
"""
LIVED_SECONDS = 0.12
POLL = """
import hashlib, json, pathlib, sys, time
paths = [pathlib.Path(one) for one in json.loads(sys.stdin.readline())]
known = {}
while True:
    for path in paths:
        try:
            seen = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        except OSError:
            seen = ""
        if known.setdefault(path, seen) != seen:
            known[path] = seen
            print(json.dumps([time.time(), str(path), seen]), flush=True)
    time.sleep(30)
"""


def main() -> int:
    """Measure `raccord serve` against the seed's poll."""
    options = _options()
    scratch = Path(tempfile.mkdtemp(prefix="raccord-benchmark-"))
    try:
        return run(options, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def run(options: argparse.Namespace, scratch: Path) -> int:
    """Build, measure, print; returns the exit status."""
    say(f"building {options.worktrees} worktrees of {options.files} files in {scratch}")
    trees = _build(scratch, options.worktrees, options.files)
    poll = _Poll([tree / name for tree in trees for name in WATCHED])
    serving = _Serving(trees[0], scratch / "serve.log")
    try:
        found = _measured(options, trees, serving, poll)
    finally:
        serving.end()
        poll.end()
    judged = _judged(found)
    if options.json:
        print(json.dumps({"machine": machine(), **found}, indent=2))
    else:
        print(machine())
        for name, value in found.items():
            print(f"{name:32} {value}")
        for one in judged:
            print(f"{'reached' if one.passed else 'MISSED':8} {one.target}: {one.measured}")
    return 0 if all(one.passed or one.absolute for one in judged) else 1


def _measured(
    options: argparse.Namespace, trees: list[Path], serving: _Serving, poll: _Poll
) -> dict[str, Any]:
    chance = random.Random(1)
    say(f"idle for {options.idle} s")
    before, began = serving.cpu(), time.monotonic()
    time.sleep(options.idle)
    idle = (serving.cpu() - before) / (time.monotonic() - began)
    say(f"{options.saves} saves, one after the other")
    delays = []
    for number in range(options.saves):
        path = chance.choice(trees) / chance.choice(WATCHED)
        delays.append(serving.save(path, f"save {number}\n"))
    say(f"{options.states} states of one file, each of {LIVED_SECONDS} s")
    place, states = trees[-1] / WATCHED[0], []
    for number in range(options.states):
        states.append(_written(place, f"state {number}\n"))
        time.sleep(LIVED_SECONDS)
    serving.wait(lambda: states[-1] in serving.seen)
    say(f"{options.burst} saves of distinct files")
    burst = {}
    began = time.monotonic()
    for number in range(options.burst):
        path = trees[number % len(trees)] / "notes" / f"{number}.md"
        burst[str(path)] = _written(path, f"note {number}\n")
    wrote = time.monotonic() - began
    serving.wait(lambda: sum(one in serving.seen for one in burst.values()) == len(burst))
    told = time.monotonic() - began
    say("100 requests a second")
    api = asyncio.run(_requests(serving, options.requests))
    counts = Counter(serving.changes())
    cuts = quantiles(delays, n=20)
    requests = quantiles(api, n=20)
    return {
        "save to stream, p50 ms": round(1000 * median(delays), 1),
        "save to stream, p95 ms": round(1000 * cuts[-1], 1),
        "seed's poll, median wait s": round(median(poll.delays), 1) if poll.delays else None,
        "idle, share of a core": round(idle, 4),
        "memory at most, MiB": round(serving.memory() / 2**20, 1),
        "states of one file": options.states,
        "  raccord saw": len(set(states) & set(serving.seen)),
        "  the poll saw": len({md5 for _, path, md5 in poll.seen if path == str(place)}),
        "burst": options.burst,
        "  recorded once": sum(counts[path, sum_] == 1 for path, sum_ in burst.items()),
        "  written in s": round(wrote, 2),
        "  all told in s": round(told, 2),
        "requests, p50 ms": round(1000 * median(api), 1),
        "requests, p95 ms": round(1000 * requests[-1], 1),
    }


def _judged(found: dict[str, Any]) -> list[Verdict]:
    def most(name: str, limit: float) -> Verdict:
        return Verdict(f"{name} at most {limit}", str(found[name]), found[name] <= limit, absolute=True)

    return [
        most("save to stream, p95 ms", 100),
        most("idle, share of a core", 0.01),
        most("memory at most, MiB", 120),
        most("requests, p95 ms", 50),
        Verdict(
            "every content of the burst recorded once",
            str(found["  recorded once"]),
            found["  recorded once"] == found["burst"],
        ),
        Verdict(
            f"every state that lived {LIVED_SECONDS} s recorded",
            str(found["  raccord saw"]),
            found["  raccord saw"] == found["states of one file"],
        ),
    ]


def _build(scratch: Path, worktrees: int, files: int) -> list[Path]:
    main = scratch / "main"
    for folder in ("docs", "notes"):
        (main / folder).mkdir(parents=True)
    for number in range(files):
        path = main / "src" / f"p{number % 40}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"x = {number}\n" * (number % 50))
    for name in WATCHED:
        (main / name).write_text("start\n")
    (main / "notes" / "0.txt").write_text("keeps the folder\n")
    (main / "raccord.toml").write_text(CONFIGURATION)
    git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.org", "-C", str(main)]
    subprocess.run(["git", "init", "-q", "-b", "main", str(main)], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "start"], check=True)
    trees = [main]
    for number in range(worktrees - 1):
        trees.append(scratch / f"claude-{number}")
        subprocess.run([*git, "worktree", "add", "-q", str(trees[-1])], check=True)
    return trees


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class _Poll:
    """The seed's way, in a process of its own."""

    def __init__(self, paths: list[Path]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", POLL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps([str(path) for path in paths]) + "\n")
        self._child.stdin.flush()
        self.seen: list[tuple[float, str, str]] = []
        self.delays: list[float] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            at, path, md5 = json.loads(line)
            self.seen.append((at, path, md5))
            try:
                self.delays.append(at - os.stat(path).st_mtime)
            except OSError:
                continue

    def end(self) -> None:
        """Ends it."""
        self._child.kill()
        self._child.wait()


class _Serving:
    """`raccord serve` as a process, with a listener on its stream."""

    def __init__(self, where: Path, log: Path) -> None:
        self._log = log.open("wb")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "raccord", "serve", "--port", "0", "--json"],
            cwd=where,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._child.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            text += self._child.stdout.readline()
        self.host = json.loads(text)["url"].removeprefix("http://").rstrip("/")
        token = (where / ".git" / "raccord" / "serve" / "token").read_text().strip()
        self.headers = {"Authorization": f"Bearer {token}"}
        self.seen: dict[str, float] = {}
        self._listening = threading.Event()
        while self.ask("/health", quiet=True) is None:
            time.sleep(0.1)
        threading.Thread(target=self._listen, daemon=True).start()
        self._listening.wait(30)

    def ask(self, path: str, *, quiet: bool = False) -> Any:
        """What a route answers; None where nobody listens yet."""
        try:
            connection = http.client.HTTPConnection(self.host, timeout=30)
            connection.request("GET", path, headers=self.headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
        except OSError:
            if quiet:
                return None
            raise
        return json.loads(body) if answer.status == 200 else None

    def _listen(self) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=600)
        connection.request("GET", "/api/events", headers=self.headers)
        for line in self._lines(connection.getresponse()):
            self._listening.set()
            if line.startswith(b'data: {"id"'):
                self.seen.setdefault(json.loads(line[6:])["new_checksum"] or "", time.time())

    @staticmethod
    def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
        rest = b""
        while piece := answer.read1():
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines

    def save(self, path: Path, text: str) -> float:
        """Seconds from a save to the event on the stream."""
        text += str(path)
        checksum = _written(path, text)
        began = time.time()
        self.wait(lambda: checksum in self.seen)
        return max(0.0, self.seen[checksum] - began)

    def wait(self, holds: Callable[[], bool], seconds: float = 120.0) -> None:
        """Waits for something to hold."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                say("  something never arrived")
                return
            time.sleep(0.002)

    def changes(self) -> Iterator[tuple[str, str]]:
        """Every change in the store, as path and checksum."""
        after = 0
        while True:
            got = self.ask(f"/api/sync/changes?after={after}&limit=1000&oldest=true")["changes"]
            if not got:
                return
            for one in got:
                yield f"{one['worktree']}/{one['file_path']}", one["new_checksum"]
            after = got[-1]["id"]

    def cpu(self) -> float:
        """Seconds of CPU that it used."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes that it held at most."""
        for line in Path(f"/proc/{self._child.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0

    def end(self) -> None:
        """Ends it."""
        self._child.terminate()
        self._child.wait(30)
        self._log.close()


async def _requests(serving: _Serving, number: int) -> list[float]:
    """Seconds that answers took, from when they were due: an open loop at 100 requests a second."""
    import httpx

    paths = ("/api/sync/status", "/api/sync/pending-changes", "/api/sync/history", "/api/runs")
    async with httpx.AsyncClient(
        base_url=f"http://{serving.host}", headers=serving.headers, timeout=60
    ) as client:
        start = time.monotonic() + 0.1

        async def one(at: int) -> float:
            due = start + at / 100
            await asyncio.sleep(due - time.monotonic())
            (await client.get(paths[at % len(paths)])).raise_for_status()
            return time.monotonic() - due

        return await asyncio.gather(*(one(at) for at in range(number)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--worktrees", type=int, default=50)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--saves", type=int, default=200)
    parser.add_argument("--states", type=int, default=50)
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--idle", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
