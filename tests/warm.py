"""`python -m` without its start: each run is a process, forked from one that has the module loaded.

To load alembic with SQLAlchemy, or all of raccord, takes ten times what most of their commands take. What a
start from nothing has of its own is tested where programs are started themselves.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

LOADED = {
    "alembic": ("alembic.config", "alembic.command", "alembic.autogenerate", "mako.template", "sqlite3",
                "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "psycopg"),
    "raccord": ("raccord.cli.main", "raccord.workspace", "rich.console", "sqlite3"),
}  # fmt: skip
_one_at_a_time = threading.Lock()


@functools.cache
def _child(module: str) -> subprocess.Popen[str]:
    program = [sys.executable, str(Path(__file__).with_name("warm_child.py")), *LOADED[module]]
    made = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(_end, made)
    return made


def _end(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.close()
    child.wait(20)
    child.stdout.close()


def run(
    module: str,
    words: Sequence[str],
    cwd: Path,
    *,
    env: Mapping[str, str] | None = None,
    input: bytes = b"",  # noqa: A002 (subprocess calls it so)
    merged: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module words` to its end.

    Args:
        module: one of `LOADED`.
        env: its whole environment; without it, the test's own.
        merged: whether what it says on both streams is one text, in `stdout`.
    """
    with tempfile.TemporaryDirectory() as folder, _one_at_a_time:
        said = {name: Path(folder, name) for name in ("in", "out", "err")}
        said["in"].write_bytes(input)
        if merged:
            said["err"] = said["out"]
        order = {
            "module": module, "words": list(words), "cwd": str(cwd), "env": dict(env or os.environ),
            **{name: str(path) for name, path in said.items()},
        }  # fmt: skip
        child = _child(module)
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(json.dumps(order) + "\n")
        child.stdin.flush()
        answer = child.stdout.readline()
        assert answer, f"the process that has {module} loaded is gone"
        out, err = (said[name].read_text("utf-8", "replace") for name in ("out", "err"))
    return subprocess.CompletedProcess([module, *words], int(answer), out, "" if merged else err)
