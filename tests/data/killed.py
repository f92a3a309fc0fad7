"""A push that is killed: python -m tests.data.killed WORKSPACE WHERE, with what SIGKILL ends it at.

WHERE is a number: before so many exchanges with a server; or `commit`, `committed` and `told`: with the
archive's document written and nothing committed yet, right after the commit, and with that journalled.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import psycopg

from raccord.data import push
from raccord.kernel import engine
from raccord.model.options_data import DataPushOptions
from raccord.workspace import Workspace


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(module: Any, name: str) -> None:
    """Dies once a function has returned."""
    function = getattr(module, name)

    def last(*words: Any, **more: Any) -> None:
        function(*words, **more)
        die()

    setattr(module, name, last)


def arm(where: str) -> None:
    if where in ("commit", "committed"):
        after(push, "conclude" if where == "commit" else "push")
        return
    if where == "told":
        after(engine, "run_stage")
        return
    left = [int(where)]
    exchange = psycopg.Connection.wait

    def counted(self: Any, *words: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            die()
        return exchange(self, *words, **more)

    setattr(psycopg.Connection, "wait", counted)  # noqa: B010 - a method can't be assigned


if __name__ == "__main__":
    arm(sys.argv[2])
    Workspace.open(sys.argv[1]).data_push(DataPushOptions("all", "prod"))
