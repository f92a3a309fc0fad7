"""What the benchmark programs share: a command's cost, the machine in a line, and what is said meanwhile."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
