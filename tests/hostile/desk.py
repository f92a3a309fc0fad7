"""Where command lines are typed, for a person and for a program, and what comes of them is judged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.house import Driver, House, Outcome, wrong_output

RACCORD = (sys.executable, "-m", "raccord")


@dataclass
class Desk:
    """Where command lines are typed, and judged.

    Attributes:
        house: the workspace.
        env: variables on top of the test's own.
        uid: as whom, 0 for whoever runs the tests.
    """

    driver: Driver
    house: House
    env: dict[str, str]
    uid: int = 0

    def types(self, *words: str, at: Path | None = None) -> Outcome:
        """What comes of a command line."""
        return self.driver.run(words, at or self.house.at, {**os.environ, **self.env}, uid=self.uid)

    def refused(self, code: int, says: str, hint: str, *words: str, at: Path | None = None) -> dict:
        """Types it for a person and for a program: both are told the same, and nothing changes."""
        before = self.house.said_of()
        found = self.types(*words, at=at)
        assert wrong_output(words, found) == []
        assert found.code == code, found
        told, then = found.err.decode().splitlines()
        assert re.search(says, told), told
        assert re.search(hint, then), then
        data = self.types(*words, "--json", at=at)
        assert wrong_output([*words, "--json"], data) == []
        assert data.code == code
        error = json.loads(data.out)["error"]
        assert stable(told) == stable(f"raccord: {error['message']}")
        assert then == f"next: {error['hint']}"
        assert self.house.said_of() == before
        return error

    def answered(self, code: int, *words: str, at: Path | None = None) -> str:
        """Types it; it works."""
        found = self.types(*words, at=at)
        assert wrong_output(words, found) == []
        assert found.code == code, found
        return found.text


def program(
    words: Sequence[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
) -> Outcome:
    """Starts a program from nothing."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=150,
    )
    return Outcome(done.returncode, done.stdout or b"", done.stderr)


def stable(line: str) -> str:
    """A line without what differs at each call: made-up names, times."""
    return re.sub(r"[0-9a-f]{16}|after \d+ ms", "…", line)
