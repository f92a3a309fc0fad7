"""Values that must stay where they are, and a look at everything that raccord says and writes for them.

A canary is planted; what a command printed, all bytes below `.git` (git's own objects unpacked, the kept rows
aside) and what other processes can see of raccord's are then searched for every spelling of it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import quote

from raccord.cli.main import main
from raccord.data import archived
from raccord.data.keeping import DOCUMENT
from raccord.data.sealing import Opener
from raccord.errors import CannotRun

ROOT = Path(__file__).resolve().parents[1]
LOOK_SECONDS = 0.05


def spellings(value: str) -> set[bytes]:
    """How a value may come back."""
    raw = value.encode()
    return {
        raw,
        raw.hex().encode(),
        base64.b64encode(raw).rstrip(b"=")[:-1],
        quote(value, safe="").encode(),
        json.dumps(value)[1:-1].encode(),
        ascii(value)[1:-1].encode(),
    }


def unpacked(path: Path) -> bytes:
    """An archive as it lies there; of one in clear also all that is packed in it."""
    parts = [path.read_bytes()]
    with contextlib.suppress(CannotRun), archived.opened(path, Opener()) as found:
        parts.append(json.dumps(found.reader.manifest, ensure_ascii=False).encode())
        for one in found.manifest.tables:
            found.reader.read(one.part, parts.append)
    return b"\0".join(parts)


class Cage:
    """A repository in which canaries were planted.

    Attributes:
        said: all that commands printed.
        seen: command lines of all processes that began meanwhile, and environments of those that the command
            started.
    """

    def __init__(self, path: Path, canaries: Mapping[str, str]) -> None:
        self.path = path
        self.canaries = dict(canaries)
        self.said: list[str] = []
        self.seen: set[bytes] = set()

    def run(self, *words: str) -> tuple[int, str]:
        """Runs a command in this process, and keeps all that it prints."""
        with tempfile.TemporaryFile() as file:
            with _printed(file):
                code = main(["-C", str(self.path), *words])
            file.seek(0)
            return code, self._keep(file.read())

    def watched(self, *words: str, module: str = "raccord", **env: str) -> tuple[int, str]:
        """The same in a process of its own, whose family is looked at meanwhile (Linux)."""
        others = {*os.listdir("/proc")}
        child = subprocess.Popen(
            [sys.executable, "-m", module, "-C", str(self.path), *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **env},
        )
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(child.pid, others, over))
        watcher.start()
        out, _ = child.communicate(timeout=120)
        over.set()
        watcher.join()
        return child.returncode, self._keep(out)

    def _keep(self, out: bytes) -> str:
        self.said.append(out.decode("utf-8", "surrogateescape"))
        return self.said[-1]

    def _watch(self, pid: int, others: set[str], over: threading.Event) -> None:
        while not over.wait(LOOK_SECONDS):
            for entry in os.listdir("/proc"):
                if entry.isdigit() and entry not in others:
                    with contextlib.suppress(OSError):
                        self._look(Path("/proc", entry), pid)

    def _look(self, place: Path, pid: int) -> None:
        self.seen.add((place / "cmdline").read_bytes())
        if (place / "stat").read_text().rpartition(")")[2].split()[1] == str(pid):
            self.seen.add((place / "environ").read_bytes())

    def written(self) -> bytes:
        """All bytes below .git, but for the kept rows, which are their owner's alone: what is said of those
        counts."""
        parts = [
            subprocess.run(
                ["git", "-C", self.path, "cat-file", "--batch", "--batch-all-objects"],
                check=True,
                capture_output=True,
            ).stdout
        ]
        for folder, _, names in os.walk(self.path / ".git"):
            for name in names:
                found = Path(folder, name)
                if "/raccord/rows/" in str(found) and name != DOCUMENT:
                    assert found.stat().st_mode & 0o077 == 0, found
                elif found.is_file():
                    parts.append(found.read_bytes())
        return b"\0".join(parts)

    def sing(self) -> dict[str, list[str]]:
        """Which canaries got out, and where. Archives count below `exports/`."""
        said = "\n".join(self.said)
        places = {
            # A value that was cut in two by a table's edge counts as well.
            "said": (said + re.sub(r"[\s│┃|]+", "", said)).encode("utf-8", "surrogateescape"),
            "git": self.written(),
            "processes": b"\0".join(self.seen),
            "archives": b"\0".join(map(unpacked, sorted((self.path / "exports").glob("*.raccord*")))),
        }
        return {
            name: found
            for name, value in self.canaries.items()
            if (
                found := [
                    place for place, text in places.items() if any(one in text for one in spellings(value))
                ]
            )
        }


@contextlib.contextmanager
def _printed(file: IO[bytes]) -> Iterator[None]:
    """What is written to standard output and error, by whatever way, goes to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    text = io.TextIOWrapper(file, "utf-8", "surrogateescape", line_buffering=True)
    try:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            yield
        text.flush()
        text.detach()
    finally:
        for number, saved in zip((1, 2), kept, strict=True):
            os.dup2(saved, number)
            os.close(saved)
