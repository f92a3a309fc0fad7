"""What the programs that measure `raccord serve` share: worktrees to watch, and the server as a process."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.timing import say

WATCHED = ("AGENTS.md", "AGENT_SYNC.md", "docs/passation.md")
CONFIGURATION = f"""language = "en"
[coordination]
watch = {json.dumps([*WATCHED, "notes/*.md"])}
threshold = 0
"""


def built(scratch: Path, worktrees: int, files: int) -> list[Path]:
    """Worktrees of one repository, the main one first."""
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


def written(path: Path, text: str) -> str:
    """Writes a file; the checksum of its content."""
    path.write_text(text)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Serving:
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
        checksum = written(path, text)
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
        """Seconds of CPU that it used, and the programs that it ran."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

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
