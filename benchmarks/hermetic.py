"""Runs git and other commands without the settings of the person who runs the benchmark.

HOME points into the generated workspace, so that a child that drops every GIT_* variable still finds the same
identity. Never reads or writes the real home directory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

GITCONFIG = """\
[user]
    name = Ada Example
    email = ada@example.invalid
[init]
    defaultBranch = main
[advice]
    detachedHead = false
[commit]
    gpgSign = false
[gc]
    auto = 0
[maintenance]
    auto = false
"""


RACCORD = Path(sys.executable).parent / "raccord"
"""The console script that belongs to the interpreter that runs this."""


def raccord(*arguments: str) -> list[str]:
    """The command line of raccord."""
    return [str(RACCORD), *arguments]


def make_home(home: Path) -> None:
    """Write the only user configuration that the commands will see."""
    home.mkdir(parents=True)
    (home / ".gitconfig").write_text(GITCONFIG, encoding="utf-8")


def environment(home: Path) -> dict[str, str]:
    """The environment for every child: the caller's, less GIT_* and the user's own directories."""
    dropped = ("GIT_", "XDG_", "PYTHON", "RACCORD_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "true",
        "LC_ALL": "C.UTF-8",
    }


def git(
    where: Path,
    arguments: Iterable[str],
    environ: Mapping[str, str],
    stdin: bytes | None = None,
) -> str:
    """Run one git command in `where` and return its output; a failure raises with what git said."""
    command = ["git", "-C", str(where), *arguments]
    done = subprocess.run(command, env=dict(environ), input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise RuntimeError(f"{' '.join(command)} exited {done.returncode}: {said}")
    return done.stdout.decode("utf-8", "surrogateescape")
