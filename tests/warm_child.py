"""Forks a process for each `python -m` that is asked for, from one that has the module loaded; see `warm.py`.

Orders come as lines of JSON on standard input, exit statuses go to standard output.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import sys
import time
import traceback
from importlib import import_module
from typing import NoReturn


def become(order: dict) -> None:
    """Turns this process into the one that the order asks for."""
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    for fd, (path, flags) in enumerate(
        (
            (order["in"], os.O_RDONLY),
            (order["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
            (order["err"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        )
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, fd)
        os.close(opened)
    os.chdir(order["cwd"])
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (as long as the process)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.dont_write_bytecode = bool(order["env"].get("PYTHONDONTWRITEBYTECODE"))
    sys.path[0] = order["cwd"]
    sys.argv = [order["module"], *order["words"]]


def work(module: str) -> int:
    """Runs a module as `python -m` does; its exit status."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return int(end.code or 0)
    return 0


def leave(module: str) -> NoReturn:
    """Runs it, and ends: to take the interpreter down would copy all memory that is shared."""
    code = 1
    try:
        code = work(module)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 (as the interpreter itself would)
        traceback.print_exc()
    finally:
        os._exit(code)


def serve(loaded: list[str]) -> None:
    """Takes orders until there are no more."""
    for name in loaded:
        import_module(name)
    gc.freeze()  # else the children's first collection copies all that is shared
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(order)
            leave(order["module"])
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1:])
