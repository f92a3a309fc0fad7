"""Runs a command and strikes at the N-th system call that writes, of itself or of all that it starts.

A seccomp filter stops each process before such a call; whatever the strike then does, no other process of
the command writes meanwhile. The far side of a push or fetch is another machine: it is neither counted nor
struck. Run as a program of its own: its tracees must be its only children. Linux on x86-64 or ARM64; errors
on x86-64 only.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import platform
import signal
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

TRACEME, CONT, SETOPTIONS, GETEVENTMSG, GETREGSET, SETREGSET, GET_SYSCALL_INFO = (
    0, 7, 0x4200, 0x4201, 0x4204, 0x4205, 0x420E,
)  # fmt: skip
FORK, VFORK, CLONE, EXEC, SECCOMP = 1, 2, 3, 4, 7
OPTIONS = 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100000  # these five events, and EXITKILL
WALL = 0x40000000
NT_PRSTATUS = 1
RAX, ORIG_RAX, REGISTERS = 10, 15, 27
NO_NEW_PRIVS, SET_SECCOMP, SECCOMP_FILTER = 38, 22, 2
ALLOW, TRACE = 0x7FFF0000, 0x7FF00000
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06

X86 = {
    "write": 1, "open": 2, "pwrite64": 18, "writev": 20, "sendfile": 40, "fsync": 74, "fdatasync": 75,
    "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86,
    "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91, "openat": 257, "mkdirat": 258, "unlinkat": 263,
    "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "utimensat": 280, "fallocate": 285,
    "pwritev": 296, "renameat2": 316, "copy_file_range": 326,
}  # fmt: skip
ARM = {
    "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "truncate": 45,
    "ftruncate": 46, "fallocate": 47, "fchmod": 52, "fchmodat": 53, "openat": 56, "write": 64, "writev": 66,
    "pwrite64": 68, "pwritev": 70, "sendfile": 71, "fsync": 82, "fdatasync": 83, "utimensat": 88,
    "renameat2": 276, "copy_file_range": 285,
}  # fmt: skip
# The calls, the audit architecture, the number of tkill.
MACHINES = {"x86_64": (X86, 0xC000003E, 200), "aarch64": (ARM, 0xC00000B7, 130)}
FLAGS_AT = {"open": 1, "openat": 2}  # which argument holds the flags of an opening
MAKES = os.O_CREAT | os.O_TRUNC
ON_A_FILE = {
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "sendfile",
    "fsync",
    "fdatasync",
}  # or on a pipe or socket
# What fails on a full disk, and what on a broken one. Removing and renaming away must go on working.
WRITING = {"write", "pwrite64", "writev", "pwritev"}
MAKING = {"mkdir", "mkdirat", "symlink", "symlinkat", "openat", "open", "link", "linkat", "fallocate"}
FAILS = {
    "enospc": (WRITING | MAKING | {"copy_file_range"}, errno.ENOSPC),
    "eio": (WRITING | {"fsync", "fdatasync", "rename", "renameat", "renameat2"}, errno.EIO),
}
QUIET_S = 0.3  # how long nothing happens before a child that nobody claims is looked at
SERVERS = ("receive-pack", "upload-pack")

CALLS, ARCH, TKILL = MACHINES.get(platform.machine(), (X86, 0, 0))
NAMES = {number: name for name, number in CALLS.items()}
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request: int, tid: int, address: int = 0, data: int = 0) -> int:
    """Calls ptrace(2); -1 where the tracee is gone."""
    return int(libc.ptrace(request, tid, address, data))


def program() -> bytes:
    """The seccomp filter: stop before each call of `CALLS`; of openings, before those that make or empty."""

    def line(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("HBBI", code, yes, no, k)

    lines = [line(LOAD, 4), line(EQUAL, ARCH, 1, 0), line(RETURN, ALLOW), line(LOAD, 0)]
    for name, number in CALLS.items():
        if name in FLAGS_AT:
            lines += [
                line(EQUAL, number, 0, 4),
                line(LOAD, 16 + 8 * FLAGS_AT[name]),
                line(ANY_BIT, MAKES, 0, 1),
            ]
            lines += [line(RETURN, TRACE), line(RETURN, ALLOW)]
        else:
            lines += [line(EQUAL, number, 0, 1), line(RETURN, TRACE)]
    return b"".join([*lines, line(RETURN, ALLOW)])


def start(argv: list[str]) -> int:
    """Starts the command as a tracee."""
    code = program()
    buffer = ctypes.create_string_buffer(code, len(code))
    table = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer)))
    pid = os.fork()
    if pid:
        os.waitpid(pid, WALL)
        ptrace(SETOPTIONS, pid, 0, OPTIONS)
        ptrace(CONT, pid)
        return pid
    ptrace(TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        SET_SECCOMP, SECCOMP_FILTER, ctypes.c_void_p(ctypes.addressof(table)), 0, 0
    ):
        os.write(2, b"tracer: no seccomp filter here\n")
        os._exit(125)
    try:
        os.execvp(argv[0], argv)
    except OSError:
        os._exit(127)


@dataclass
class Tracee:
    """A thread of the command or of the far side."""

    server: bool = False
    label: str = ""
    started: bool = False  # past the stop with which each tracee begins


class Tracer:
    """Follows a command to its end.

    Args:
        at: which call to strike at; 0 for none.
        do: "kill-all", "kill-one", "cut", "enospc" or "eio".
        image: for a cut, the disk's image and where its copy goes.
    """

    def __init__(self, at: int, do: str, image: tuple[str, str] | None) -> None:
        self.at = at
        self.do = do
        self.image = image
        self.events = 0
        self.calls: list[str] = []  # the program and name of each, in order
        self.tracees: dict[int, Tracee] = {}
        self.hit = ""
        self.ending = False
        self.held: list[tuple[int, int]] = []  # stops that came in while the world stood still
        self.early: set[int] = set()  # children that stopped before their parent's fork was reported
        self.info = ctypes.create_string_buffer(88)

    def follow(self, pid: int) -> int | None:
        """Returns the command's wait status, None where it was struck dead."""
        self.tracees[pid] = Tracee(label="raccord", started=True)
        status: int | None = None
        while True:
            try:
                tid, seen = self.held.pop(0) if self.held else self.wait()
            except ChildProcessError:
                return status
            if os.WIFSTOPPED(seen):
                self.stopped(tid, seen)
                continue
            self.tracees.pop(tid, None)
            self.early.discard(tid)
            if tid == pid:
                status = None if os.WIFSIGNALED(seen) and self.hit else seen

    def wait(self) -> tuple[int, int]:
        """The next thing that happens to a tracee."""
        while self.early:
            until = time.monotonic() + QUIET_S
            while time.monotonic() < until:
                tid, status = os.waitpid(-1, WALL | os.WNOHANG)
                if tid:
                    return tid, status
                time.sleep(0.001)
            for tid in [tid for tid in self.early if parent_of(tid) not in self.tracees]:
                self.orphaned(tid)
        return os.waitpid(-1, WALL)

    def orphaned(self, tid: int) -> None:
        """Lets a child go on whose parent was killed before the fork was told: it stood still for ever."""
        self.early.remove(tid)
        if self.ending:
            self.kill(tid)
            return
        self.tracees[tid] = Tracee(label="?", started=True)
        ptrace(CONT, tid)

    def time_up(self) -> None:
        """Strikes by the clock, between any two lines of what else goes on: it neither raises nor waits."""
        if not self.ending:
            self.hit = self.hit or "time"
            self.kill_all()

    def stopped(self, tid: int, status: int) -> None:
        """Handles one stop and lets the tracee go on."""
        event, sign = status >> 16, os.WSTOPSIG(status)
        tracee = self.tracees.get(tid)
        if tracee is None:
            self.early.add(tid)
            return
        deliver = 0
        if self.ending and not tracee.server:
            self.kill(tid)
            return
        if event in (FORK, VFORK, CLONE):
            message = ctypes.c_ulong()
            if ptrace(GETEVENTMSG, tid, 0, ctypes.addressof(message)) or not message.value:
                return  # killed by somebody else meanwhile, and the child is an orphan
            self.tracees[message.value] = Tracee(tracee.server, tracee.label)
            if message.value in self.early:
                self.early.remove(message.value)
                self.stopped(message.value, signal.SIGSTOP << 8 | 0x7F)
        elif event == EXEC:
            tracee.label, server = identify(tid)
            tracee.server = tracee.server or server
        elif event == SECCOMP:
            if not tracee.server and not self.passed(tid, tracee):
                return
        elif not event and (tracee.started or sign != signal.SIGSTOP):
            deliver = sign
        tracee.started = True
        ptrace(CONT, tid, 0, deliver)

    def passed(self, tid: int, tracee: Tracee) -> bool:
        """Counts a call, and strikes when its number is up; whether the tracee shall go on."""
        ptrace(GET_SYSCALL_INFO, tid, len(self.info), ctypes.addressof(self.info))
        number, *arguments = struct.unpack_from("7Q", self.info, 24)
        name = NAMES.get(number, str(number))
        where = ""
        if name in ON_A_FILE:
            where = link(f"/proc/{tid}/fd/{arguments[0]}")
            if not where.startswith("/") or where == "/dev/null":
                return True
        self.events += 1
        self.calls.append(f"{tracee.label}: {name}")
        if not self.at or self.events < self.at:
            return True
        if self.do in FAILS:
            calls, error = FAILS[self.do]
            # A full disk stays full; a bad sector is met once.
            if name in calls and (self.do == "enospc" or not self.hit):
                self.hit = self.hit or f"{tracee.label}: {name} {where}".strip()
                fail(tid, error)
            return True
        if self.hit:
            return True
        self.hit = f"{tracee.label}: {name} {where}".strip()
        if self.do == "kill-one":
            self.kill(tid)
            return False
        if self.do == "cut":
            self.freeze(tid)
            assert self.image is not None
            copy_sparse(*self.image)
        self.kill_all()
        return False

    def kill(self, tid: int) -> None:
        """Ends the process of a thread."""
        try:
            os.kill(tid, signal.SIGKILL)
        except ProcessLookupError:
            self.tracees.pop(tid, None)

    def kill_all(self) -> None:
        """Ends all but the far side."""
        self.ending = True
        for tid, tracee in list(self.tracees.items()):
            if not tracee.server:
                self.kill(tid)

    def freeze(self, but: int) -> None:
        """Waits until every thread of the command stands still."""
        running = {tid for tid, tracee in self.tracees.items() if not tracee.server and tid != but}
        for tid in running:
            libc.syscall(TKILL, tid, signal.SIGSTOP)
        until = time.monotonic() + 0.3
        while running and time.monotonic() < until:  # one that waits for its vfork's child does not answer
            tid, status = os.waitpid(-1, WALL | os.WNOHANG)
            if tid:
                self.held.append((tid, status))
                running.discard(tid)
            else:
                time.sleep(0.001)


def fail(tid: int, error: int) -> None:
    """Makes the call that a tracee is about to do fail."""
    registers = (ctypes.c_uint64 * REGISTERS)()
    vector = struct.pack("QQ", ctypes.addressof(registers), ctypes.sizeof(registers))
    buffer = ctypes.create_string_buffer(vector, len(vector))
    ptrace(GETREGSET, tid, NT_PRSTATUS, ctypes.addressof(buffer))
    registers[ORIG_RAX] = 2**64 - 1
    registers[RAX] = 2**64 - error
    ptrace(SETREGSET, tid, NT_PRSTATUS, ctypes.addressof(buffer))


def identify(tid: int) -> tuple[str, bool]:
    """A process's name for the figures, and whether it is the far side."""
    try:
        words = Path(f"/proc/{tid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return "?", False
    name = os.path.basename(words[0])
    # Also as the line that a shell is given: git-receive-pack '/path'.
    if any(word.removeprefix("git-").split(" ")[0] in SERVERS for word in words[:3]):
        return name, True
    rest = iter(words[1:])
    for word in rest:
        if word == "-c":
            next(rest, "")
        elif name == "git" and not word.startswith("-"):
            return f"git {word}", False
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else "raccord"
    return module if name.startswith("python") else name, False


def parent_of(tid: int) -> int:
    """The process that a process was started by, or that a thread belongs to; 0 where there is none."""
    try:
        lines = Path(f"/proc/{tid}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return 0
    known = dict(line.split(":\t", 1) for line in lines if line.startswith(("Tgid:", "PPid:")))
    group = int(known["Tgid"])
    return int(known["PPid"]) if group == tid else group


def link(path: str) -> str:
    """What a symbolic link says, or ""."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def copy_sparse(source: str, target: str) -> None:
    """Copies a file without its holes."""
    with open(source, "rb") as old, open(target, "wb") as new:
        size = os.fstat(old.fileno()).st_size
        os.ftruncate(new.fileno(), size)
        at = 0
        while at < size:
            try:
                at = os.lseek(old.fileno(), at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            end = os.lseek(old.fileno(), at, os.SEEK_HOLE)
            while at < end:
                data = os.pread(old.fileno(), min(end - at, 1 << 20), at)
                at += os.pwrite(new.fileno(), data, at)


def main() -> NoReturn:
    """The program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--do", default="kill-all")
    parser.add_argument("--after", type=float, default=0.0, help="kill all after so many seconds")
    parser.add_argument("--image", nargs=2)
    parser.add_argument("--report", required=True)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    tracer = Tracer(args.at, args.do, tuple(args.image) if args.image else None)

    pid = start(args.command)
    if args.after:
        signal.signal(signal.SIGALRM, lambda sign, frame: tracer.time_up())
        signal.setitimer(signal.ITIMER_REAL, args.after)
    status = tracer.follow(pid)
    signal.setitimer(signal.ITIMER_REAL, 0)  # Python's end puts the handler away: an alarm would kill us
    code = None if status is None else os.waitstatus_to_exitcode(status)
    report = {"hit": tracer.hit, "exit": code, "calls": tracer.calls}
    Path(args.report).write_text(json.dumps(report))
    sys.exit(0)


if __name__ == "__main__":
    main()
