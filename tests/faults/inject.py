"""Runs a command with a fault: at its N-th writing system call, or after a time. `tracer.py` counts."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TRACER = Path(__file__).with_name("tracer.py")
FAULTS = ("kill-all", "kill-one", "enospc", "eio")
LIMIT = 120  # seconds; a run that takes longer hangs


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    Attributes:
        do: one of `FAULTS`, "cut" or "none". "kill-one" kills only the process that is about to write.
        at: before which writing system call; 0 for none.
        after: after how many seconds, for "kill-all"; 0 for never.
    """

    do: str = "none"
    at: int = 0
    after: float = 0.0

    def __str__(self) -> str:
        return f"{self.do}@{self.after:.4f}s" if self.after else f"{self.do}@{self.at}"


@dataclass(frozen=True)
class Ran:
    """How a command with a fault ended.

    Attributes:
        hit: the process and call that the fault hit, or "" where it was over before.
        exit: its exit status, None where it was killed.
        calls: the writing system calls that it came to, each with its program, in order.
        output: what it said.
    """

    hit: str
    exit: int | None
    calls: list[str]
    output: str


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    fault: Fault = Fault(),
    image: tuple[Path, Path] | None = None,
) -> Ran:
    """Runs a command to its end, or to the fault's.

    Args:
        env: its whole environment.
        image: for a "cut", the image of the disk, and where its copy goes.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        tracer = [sys.executable, "-S", "-E", str(TRACER), "--report", str(report)]
        tracer += ["--at", str(fault.at), "--after", str(fault.after), "--do", fault.do]
        if image:
            tracer += ["--image", *map(str, image)]
        done = subprocess.run(
            [*tracer, "--", *argv],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            # A pipe: what the command says into a file would count as writing.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
        said = done.stdout.decode("utf-8", "replace")
        if done.returncode or not report.exists():
            raise RuntimeError(f"the tracer failed ({done.returncode}): {said}")
        return Ran(**json.loads(report.read_text()), output=said)


def why_not() -> str:
    """Why faults can't be injected here, or "" where they can."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return "the tracer knows Linux on x86-64 and ARM64 only"
    with tempfile.TemporaryDirectory() as folder:
        try:
            ran = run(["touch", f"{folder}/made"], cwd=Path(folder), env=os.environ)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            return f"no ptrace or seccomp here: {error}"
    return "" if ran.exit == 0 and ran.calls else "ptrace sees no system calls here"


def faults_known() -> tuple[str, ...]:
    """The faults that this machine can inject."""
    return FAULTS if platform.machine() == "x86_64" else FAULTS[:2]
