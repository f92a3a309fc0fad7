"""Who holds something: a process, named so that a recycled pid or a reboot is never taken for it."""

from __future__ import annotations

import functools
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process on a machine.

    Attributes:
        pid: its number.
        start: when it started, in the system's own unit, or "" where the system does not tell.
        boot: the boot that it belongs to, or the host's name where the system does not tell.
    """

    pid: int
    start: str
    boot: str

    def __str__(self) -> str:
        return f"{self.pid}/{self.start}/{self.boot}"

    @classmethod
    def parse(cls, text: str) -> Owner:
        """Reads `str(owner)` back."""
        pid, start, boot = text.split("/", 2)
        return cls(int(pid), start, boot)

    def alive(self) -> bool:
        """Whether that very process still runs. Unknown counts as alive: a lock is never stolen."""
        if self.boot != boot_id():
            # Another boot of this machine is over; another machine can't be asked.
            return not _same_machine_other_boot()
        if not _exists(self.pid):
            return False
        now = start_time(self.pid)
        return not self.start or not now or now == self.start


def me() -> Owner:
    """This process."""
    return Owner(os.getpid(), start_time(os.getpid()), boot_id())


@functools.cache
def boot_id() -> str:
    """Names this boot of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return socket.gethostname()


def _same_machine_other_boot() -> bool:
    # The state database is always on a local disk, so a boot id that is not ours is an older boot.
    return Path("/proc/sys/kernel/random/boot_id").exists()


def start_time(pid: int) -> str:
    """The kernel's start time of a process in clock ticks since boot, or "" (proc(5), field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    # The command's name may hold spaces and parentheses: fields are counted after the last one.
    fields = stat[stat.rfind(b")") + 2 :].split()
    if fields[:1] == [b"Z"]:
        return "dead"
    return fields[19].decode("ascii")


def age() -> float:
    """Seconds since this process started; 0.0 where the system does not tell."""
    ticks = start_time(os.getpid())
    if not ticks.isdigit() or not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    since_boot = int(ticks) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill(pid, 0) would end it there
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
