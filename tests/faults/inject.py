"""Runs a command with a fault: at its N-th writing system call, or after a time. `tracer.py` counts."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TRACER = Path(__file__).with_name("tracer.py")
FAULTS = ("kill-all", "kill-one", "enospc", "eio")
LIMIT = 120  # seconds; a run that takes longer hangs
LAST_WORDS_S = 5  # until a command that hangs has told where


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


class Hung(Exception):
    """A command that does not end."""


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

    Raises:
        Hung: it doesn't end.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        tracer = [sys.executable, "-S", "-E", str(TRACER), "--report", str(report)]
        tracer += ["--at", str(fault.at), "--after", str(fault.after), "--do", fault.do]
        if image:
            tracer += ["--image", *map(str, image)]
        code, said = ended([*tracer, "--", *argv], cwd, env)
        if code or not report.exists():
            raise RuntimeError(f"the tracer failed ({code}): {said}")
        return Ran(**json.loads(report.read_text()), output=said)


def ended(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Runs a command to its end; returns its exit status and what it said.

    Raises:
        Hung: it doesn't end. What it and its children were waiting for is in the message.
    """
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env={**env, "PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL,
        # A pipe: what the command says into a file would count as writing.
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        try:
            said = child.communicate(timeout=LIMIT)[0]
        except subprocess.TimeoutExpired:
            family = {pid: state_of(pid) for pid in descendants(child.pid)}
            doing = "; ".join(f"{pid} {state}" for pid, state in family.items())
            for pid, state in family.items():
                tracer = pid == child.pid and str(TRACER) in argv
                if "python -m raccord" in state and not tracer:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGABRT)  # it then tells where each of its threads stands
            try:
                said = child.communicate(timeout=LAST_WORDS_S)[0]
            except subprocess.TimeoutExpired:
                child.kill()
                said = child.communicate()[0]
            stacks = said.decode("utf-8", "replace").strip()[-3000:]
            raise Hung(f"no end after {LIMIT} s: {doing}\n{stacks}") from None
        return child.returncode, said.decode("utf-8", "replace")


def descendants(pid: int) -> Iterator[int]:
    """A process and all that it started or traces."""
    parents: dict[int, set[int]] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            words = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
            parents[int(path.parent.name)] = {int(words["PPid"]), int(words["TracerPid"])}
    found, waiting = {pid}, [pid]
    while waiting:
        yield (parent := waiting.pop(0))
        children = [child for child, theirs in parents.items() if parent in theirs and child not in found]
        found.update(children)
        waiting += children


def state_of(pid: int) -> str:
    """What a process is, and what it waits for."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        where = Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return "(gone)"
    return f"({state} in {where}) {' '.join(words)[-160:].strip()}"


def why_not() -> str:
    """Why faults can't be injected here, or "" where they can."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return "the tracer knows Linux on x86-64 and ARM64 only"
    with tempfile.TemporaryDirectory() as folder:
        try:
            ran = run(["touch", f"{folder}/made"], cwd=Path(folder), env=os.environ)
        except (RuntimeError, OSError, Hung) as error:
            return f"no ptrace or seccomp here: {error}"
    return "" if ran.exit == 0 and ran.calls else "ptrace sees no system calls here"


def faults_known() -> tuple[str, ...]:
    """The faults that this machine can inject."""
    return FAULTS if platform.machine() == "x86_64" else FAULTS[:2]
