"""Who holds something: a process, named so that a recycled pid or a reboot is never taken for it.

No wall clock is looked at: start times count from the boot, so a clock that jumps changes nothing.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from raccord.kernel import fs_beacon

BEACON = "alive"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process on this machine. What the system does not tell is "".

    Attributes:
        pid: its number, in its own pid namespace.
        start: when it started, in clock ticks since the boot.
        boot: names the boot that it belongs to.
        space: the pid namespace that it is in: containers share the kernel and not the numbers.
        beacon: the byte that it holds locked in the file `alive` of `folder`, or 0.
        folder: where the state database is, which this process may see at another path than its owner.
    """

    pid: int
    start: str
    boot: str
    space: str = ""
    beacon: int = 0
    folder: Path | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.pid}/{self.start}/{self.boot}/{self.space}/{self.beacon}"

    @classmethod
    def parse(cls, text: str, folder: Path) -> Owner:
        """Reads `str(owner)` back."""
        pid, start, boot, space, beacon = text.split("/")
        return cls(int(pid), start, boot, space, int(beacon), folder)

    def alive(self) -> bool:
        """Whether that very process still runs. Unknown counts as alive: a lock is never stolen."""
        if self.boot != boot_id():
            # The state is on a local disk: another boot of this machine is over. A system that names no
            # boot, sharing the folder with one that does, can't be asked.
            return not (self.boot and boot_id())
        if self.space != space_id():
            lit = None if self.folder is None else fs_beacon.lit(self.folder / BEACON, self.beacon)
            return lit is not False
        return self._runs()

    def _runs(self) -> bool:
        state, start = _stat(self.pid)
        if state in ("Z", "X"):  # it ended, and its parent has not asked how
            return False
        if not start or not self.start:
            return _exists(self.pid)
        return start == self.start

    @property
    def elsewhere(self) -> bool:
        """Whether its number means nothing here: it is in another container, or on another system."""
        return (self.boot, self.space) != (boot_id(), space_id())


def me(folder: Path) -> Owner:
    """This process, as the owner of something in the state database of a folder."""
    pid = os.getpid()
    beacon = fs_beacon.light(folder / BEACON)
    return Owner(pid, _stat(pid)[1], boot_id(), space_id(), beacon, folder)


@functools.cache
def boot_id() -> str:
    """Names this boot of this machine; "" where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


@functools.cache
def space_id() -> str:
    """Names the pid namespace of this process; "" where there is no such thing."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return ""


def age() -> float:
    """Seconds since this process started; 0.0 where the system does not tell."""
    start = _stat(os.getpid())[1]
    if not start or not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - int(start) / os.sysconf("SC_CLK_TCK"))


def _stat(pid: int) -> tuple[str, str]:
    """A process's state and start time (proc(5), fields 3 and 22); "" and "" where they can't be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return "", ""
    # The command's name may hold spaces and parentheses: fields are counted after the last one.
    fields = stat[stat.rfind(b")") + 2 :].decode("ascii").split()
    return fields[0], fields[19]


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
