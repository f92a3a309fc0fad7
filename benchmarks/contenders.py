"""The three ways to bring many worktrees in step: raccord, the seed's loop, git-machete."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hermetic import RACCORD, raccord
from benchmarks.workspaces import Workspace

MACHETE = "git-machete==3.46.1"
TRAVERSE = ("traverse", "-W", "-y")
"""Fetch, visit every branch from the root, answer every question with yes."""

SYNC = ("sync", "--all", "--skip-tests", "--reason", "benchmark", "--json")


@dataclass(frozen=True)
class Contender:
    """A command that is started in the main clone, with what has to be laid out before the clock starts."""

    name: str
    command: Callable[[Workspace], list[str]]
    prepare: Callable[[Workspace], None]
    missing: str | None = None


def contenders() -> list[Contender]:
    """All three; one that cannot run says why in `missing`."""
    lost = None if RACCORD.exists() else f"there is no {RACCORD.name} beside {sys.executable}"
    machete = _machete_home() / "bin" / "git-machete"
    return [
        Contender("raccord", lambda _: raccord(*SYNC), _nothing, lost),
        Contender("seed's loop", _loop, _nothing),
        Contender("git-machete", lambda _: [str(machete), *TRAVERSE], _layout, _install(machete)),
    ]


def _nothing(workspace: Workspace) -> None:
    """This contender needs no file of its own."""


def _loop(workspace: Workspace) -> list[str]:
    script = Path(__file__).with_name("loop.sh")
    return ["bash", str(script), *map(str, workspace.trees)]


def _layout(workspace: Workspace) -> None:
    """git-machete's own file: every branch is a child of main."""
    lines = ["main", *(f"    {branch}" for branch in workspace.branches)]
    (workspace.main / ".git" / "machete").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _machete_home() -> Path:
    return Path(tempfile.gettempdir()) / "raccord-benchmarks" / MACHETE.replace("==", "-")


def _install(program: Path) -> str | None:
    """Install git-machete once, in a virtual environment of its own; returns why that failed, if it did."""
    if program.exists():
        return None
    home = program.parent.parent
    venv.create(home, with_pip=True, clear=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*pip, MACHETE], capture_output=True, text=True, check=False)
    return None if program.exists() else f"{MACHETE} could not be installed: {done.stderr.strip()[-200:]}"
