"""Green results of gates, by what they depend on: tree, command, declared environment, toolchain.

Red results are never kept: a flaky test deserves its second chance. A key holds hashes only, no value.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from raccord.checks.observe import program
from raccord.model.plan import Json

SPACE = "gate"
# Files of a worktree that git doesn't see and that change what a test finds. Sorted.
LOCAL = (
    ".env",
    ".node-version",
    ".nvmrc",
    ".python-version",
    ".tool-versions",
    ".venv/pyvenv.cfg",
    "node_modules/.modules.yaml",
    "node_modules/.package-lock.json",
    "node_modules/.yarn-integrity",
)
PACKAGES = (".venv/lib/python*/site-packages", ".venv/Lib/site-packages")


class Shelf(Protocol):
    """Where results are kept; `kernel.store.Store` is one."""

    def cache_get(self, space: str, key: str) -> Json:
        """The value, or None."""

    def cache_put(self, space: str, key: str, value: Json) -> None:
        """Keeps a value."""


def key(worktree: Path, tree: str, argv: Sequence[str], env: Mapping[str, str | None], path: str) -> str:
    """The name of a result.

    Args:
        worktree: where the command runs.
        tree: the id of the tree that it tests.
        env: the declared variables; None for one that is not set.
        path: the PATH on which the command finds what it starts.
    """
    parts = [tree, list(argv), sorted(env.items()), path, fingerprint(worktree, argv[0])]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def fingerprint(worktree: Path, name: str) -> list[Json]:
    """What the command's programs and the worktree's installed packages look like; a few `stat` calls."""
    found: list[Json] = []
    resolved = program(worktree, name)
    if resolved is not None:
        real = os.path.realpath(resolved)
        found += [resolved, _state(real)]
        interpreter = _interpreter(worktree, real)
        if interpreter:
            found.append(_state(os.path.realpath(interpreter)))
    found += [_state(os.path.join(worktree, path)) for path in LOCAL]
    # An installed or removed package changes the folder's own time.
    for pattern in PACKAGES:
        found += [
            _state(folder) for folder in sorted(glob.glob(os.path.join(glob.escape(str(worktree)), pattern)))
        ]
    return found


def _state(path: str) -> Json:
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return [path, seen.st_size, seen.st_mtime_ns]


def _interpreter(worktree: Path, script: str) -> str | None:
    """The program that a script's first line names; npm's is node."""
    try:
        with open(script, "rb") as file:
            line = file.readline(256)
    except OSError:
        return None
    words = os.fsdecode(line).removeprefix("#!").split() if line.startswith(b"#!") else []
    if len(words) > 1 and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return program(worktree, words[0]) if words else None
