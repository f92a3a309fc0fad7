"""Runs one command as its only child and writes down what it cost, as JSON.

    python -I measure.py RESULT LOG COMMAND...

A process of its own: the kernel counts the memory of whoever starts a child as the child's peak, and this
one is small. Imports only the standard library.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

LONGEST = 900.0
"""Seconds after which a command that hangs is ended, with everything that it started."""


def measure(result: str, log: str, command: list[str]) -> None:
    """Run `command` in the current directory; its output goes to `log`."""
    with open(log, "wb") as output:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = child.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
        seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "rss_kib": used.ru_maxrss, "exit": code}
    with open(result, "w", encoding="utf-8") as written:
        json.dump(cost, written)


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2], sys.argv[3:])
