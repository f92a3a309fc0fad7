"""What the benchmark programs share: a command's cost, the machine in a line, and what is said meanwhile."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Verdict

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LAUNCHER = Path(__file__).with_name("measure.py")


def costs(command: Sequence[str], where: Path, environ: Mapping[str, str], beside: Path) -> dict[str, Any]:
    """Run `command` in `where` through the launcher that counts its time and memory.

    What the command says is in `<beside>.log` then.
    """
    result = beside.with_suffix(".json")
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
    outputs = [str(result), str(beside.with_suffix(".log"))]
    subprocess.run([*launcher, *outputs, *command], cwd=where, env=dict(environ), check=True)
    cost: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return cost


def machine() -> str:
    """Cores, load and versions."""
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, {git}, Python {platform.python_version()}"


def say(text: str) -> None:
    """Tell what is going on."""
    print(text, file=sys.stderr, flush=True)


def in_scratch(run: Callable[[Path], int]) -> int:
    """What `run` returns, given a folder that goes when it ends."""
    scratch = Path(tempfile.mkdtemp(prefix="raccord-benchmark-"))
    try:
        return run(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def told(
    options: argparse.Namespace, title: str, samples: Sequence[DataclassInstance], judged: Sequence[Verdict],
    table: str, **more: object,
) -> int:  # fmt: skip
    """Print what was measured, as JSON where it was asked for; returns the exit status.

    Args:
        more: what the JSON has besides.
    """
    if options.json:
        said = {"samples": [asdict(one) for one in samples], "targets": [asdict(one) for one in judged]}
        head = {"version": 1, "machine": machine(), "options": vars(options)}
        print(json.dumps(head | more | said, indent=2))
    else:
        print(f"\n{title}; {machine()}\n")
        print(table, end="\n\n")
        for verdict in judged:
            print(verdict)
    return 0 if all(verdict.passed or verdict.absolute for verdict in judged) else 1
