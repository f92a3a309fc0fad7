"""Runs functions in forked children: processes of their own that cost a millisecond each."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Sequence


def forked(work: Callable[[], object]) -> int:
    """Starts a child that does the work and ends, with 0 if nothing was raised; returns its pid."""
    with warnings.catch_warnings():
        # The runner has a thread of its own, which holds nothing that the child needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - shown, and told by the status
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    """Waits for a child; its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def together(works: Sequence[Callable[[], object]]) -> list[int]:
    """Runs them all, each in its own process, started at the same moment; their exit statuses."""
    reader, writer = os.pipe()

    def started(work: Callable[[], object]) -> object:
        os.close(writer)
        os.read(reader, 1)  # ends when the parent closes its end
        return work()

    pids = [forked(lambda work=work: started(work)) for work in works]  # type: ignore[misc] # bound early
    os.close(writer)
    os.close(reader)
    return [ended(pid) for pid in pids]
