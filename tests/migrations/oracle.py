"""Asks real alembic, in a process of its own, what it makes of version folders."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).with_name("oracle_child.py")


class Oracle:
    """A running child; each question is answered by alembic from the files on the disk."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, folders: Sequence[str | Path], **more: Any) -> dict[str, Any]:
        """See `oracle_child.answer`; {"error": …, "text": …} where alembic fails."""
        return self._reply({"folders": [os.fspath(one) for one in folders], **more})

    def configured(
        self, ini: Path | None, toml: Path | None = None, section: str = "alembic"
    ) -> dict[str, Any]:
        """See `oracle_child.configured`."""
        return self._reply({"ini": ini and str(ini), "toml": toml and str(toml), "section": section})

    def _reply(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "alembic's process is gone"
        reply: dict[str, Any] = json.loads(line)
        return reply


@contextmanager
def running(folder: Path) -> Iterator[Oracle]:
    """A child in an empty folder, with nothing of this process's environment."""
    if importlib.util.find_spec("alembic") is None:
        pytest.skip("alembic is not installed")
    process = subprocess.Popen(
        [sys.executable, "-I", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8"},
    )
    try:
        yield Oracle(process)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(20)
        process.stdout.close()
