"""Runs raccord command lines, each in a process of its own that is forked from one that has it loaded.

Orders come as lines of JSON on standard input, answers go to standard output. Loading once makes a look cost
a third; what differs from a start from nothing is tested apart. It is run under strace, so that one trace
holds every exec of every order.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import pkgutil
import select
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import raccord
from raccord.cli.main import main

GRACE_S = 20.0
SET_CHILD_SUBREAPER = 36  # of prctl(2): what a command line leaves running becomes ours
# Another user may not be allowed to load anything later.
BESIDE = (
    "configparser",
    "difflib",
    "encodings.ascii",
    "encodings.idna",
    "encodings.unicode_escape",
    "encodings.utf_8_sig",
    "getpass",
    "rich.console",
    "tomllib",
)


def load() -> None:
    """Loads all of raccord."""
    for found in pkgutil.walk_packages(raccord.__path__, "raccord."):
        if not found.name.endswith("__main__"):
            import_module(found.name)
    for name in BESIDE:
        import_module(name)


def become(order: dict) -> None:
    """Turns this process into the one that the order asks for."""
    os.setsid()
    os.environ.clear()
    os.environ.update(order["env"])
    for fd, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, order["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, fd)
        os.close(opened)
    if order["uid"]:
        os.setgroups([])
        os.setgid(order["uid"])
        os.setuid(order["uid"])
    os.chdir(order["cwd"])
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (as long as the process)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["raccord", *order["words"]]


def leave(words: list[str]) -> NoReturn:
    """Runs a command line and ends with its exit code.

    To take a whole interpreter down would copy every page of the memory that is shared with the parent, and
    cost more than the command.
    """
    code = 70
    try:
        code = main(words)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 (as the interpreter itself would)
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(pid: int, seconds: float) -> int:
    """The exit status of a child; negative for a signal, -9 where it took too long."""
    fd = os.pidfd_open(pid)
    try:
        if not select.select([fd], [], [], seconds)[0]:
            os.killpg(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(fd)


def orphans() -> list[str]:
    """Ends what a command line left running; the names of those programs."""
    names = []
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    # A git that gave up leaves the far end of its connection, which ends a moment later.
    until = time.monotonic() + GRACE_S
    while children.read_text() and time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
    for pid in map(int, children.read_text().split()):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            names.append(Path(f"/proc/{pid}/comm").read_text().strip())
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return names


def serve() -> None:
    """Takes orders until there are no more."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(order)
            leave(order["words"])
        code = ended(pid, order["seconds"])
        print(json.dumps([code, orphans()]), flush=True)


if __name__ == "__main__":
    load()
    gc.freeze()  # else the children's first collection copies all that is shared
    print(json.dumps(str(Path(sys.executable).resolve())), flush=True)
    serve()
