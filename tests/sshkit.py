"""Real ssh servers on ports of this machine, each with keys of its own, and the files of who logs in there.

They run as whoever runs the tests, and end with the process that started them, however that ends. The home
directory is never looked at: ssh takes it from the system, not from HOME.
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PASSWORD = 's3cr€t "p@ss\\ #1'
HASH = "$6$raccord$4MjA16GhzUhmV38GSKBk.7o9TWDltVBd2voU..PJoVGEZo5YJ3033AllUCf8ApWi6HgtohR.bZ0dy/gc3aQ3l1"


class NoSshd(Exception):
    """There is no ssh server, or it doesn't start here."""


@dataclass
class Host:
    """A running ssh server.

    Attributes:
        folder: of its keys, its log, and the files of who logs in: `config`, `known_hosts`, `id`.
        alias: what it is called in `config`.
    """

    folder: Path
    alias: str
    port: int
    process: subprocess.Popen[bytes]
    options: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> str:
        """ssh's configuration that knows it."""
        return str(self.folder / "config")

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def fingerprint(self, kind: str = "ed25519") -> str:
        done = subprocess.run(
            ["ssh-keygen", "-lf", str(self.folder / f"host_{kind}.pub")],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()[1]

    def know(self) -> None:
        """Lets who logs in know its key."""
        key = (self.folder / "host_ed25519.pub").read_text().split()
        with self.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{self.port} {key[0]} {key[1]}\n")

    def alias_lines(self, **more: str) -> str:
        """Its block of a configuration."""
        said = {
            "HostName": "127.0.0.1",
            "Port": str(self.port),
            "User": getpass.getuser(),
            "IdentityFile": str(self.folder / "id"),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "none",
        } | more
        return (
            "\n".join([f"Host {self.alias}", *(f"  {name} {value}" for name, value in said.items())]) + "\n"
        )

    def configure(self, *others: Host, **more: str) -> None:
        """Writes the configuration, with blocks of other hosts as well."""
        text = self.alias_lines(**more) + "".join(one.alias_lines() for one in others)
        (self.folder / "config").write_text(text)

    def kill(self) -> None:
        """Ends it at once, with every connection to it: the machine is gone."""
        for pid in reversed(family(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def family(pid: int) -> list[int]:
    """A process and all that came from it, as far as the system tells (Linux)."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text("utf-8", "replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def mentioning(text: str) -> list[int]:
    """The processes in whose arguments a text is (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found


@contextlib.contextmanager
def host(
    folder: Path,
    alias: str = "far",
    *,
    path: str = "",
    known: bool = True,
    password: bool = False,
    **options: str,
) -> Iterator[Host]:
    """An ssh server that takes the key `id`.

    Args:
        path: folders that its commands find programs in first.
        known: whether its key is known to who logs in.
        password: whether it takes `PASSWORD` as well, from accounts that nobody else sees.
        options: of sshd_config.

    Raises:
        NoSshd: there is none.
    """
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin")
    if program is None:
        raise NoSshd("there is no program sshd")
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    for name in ("host_ed25519", "id"):
        subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "id.pub", folder / "authorized_keys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = {
        "AuthorizedKeysFile": str(folder / "authorized_keys"),
        "HostKey": str(folder / "host_ed25519"),
        "KbdInteractiveAuthentication": "no",
        "ListenAddress": f"127.0.0.1:{port}",
        "LogLevel": "VERBOSE",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
        "PidFile": "none",
        "StrictModes": "no",
        "Subsystem": "sftp internal-sftp",
        "UsePAM": "no",
    } | options
    # A bash that sshd starts reads the .bashrc of whoever runs the tests, unless it is not the first.
    said["SetEnv"] = "SHLVL=1" + (f' PATH="{path}:/usr/local/bin:/usr/bin:/bin"' if path else "")
    words = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
    if password:
        said |= {"PasswordAuthentication": "yes"} | options
        words = [*_with_accounts(folder), *words]
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in said.items()))
    with contextlib.suppress(OSError):
        Path("/run/sshd").mkdir(exist_ok=True)  # it wants that, as root
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )  # fmt: skip
    made = Host(folder, alias, port, process)
    made.configure()
    if known:
        made.know()
    try:
        _wait(made)
        yield made
    finally:
        made.kill()


def _with_accounts(folder: Path) -> list[str]:
    """The words before a program that sees accounts of its own: a name space of mounts, which root may make.

    Raises:
        NoSshd: not root, or the system lets nobody do that.
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        raise NoSshd("only root can give a server accounts of its own")
    user = pwd.getpwuid(0)
    places = {
        "/etc/shadow": f"{user.pw_name}:{HASH}:19000:0:99999:7:::\n",
        "/etc/pam.d/sshd": "auth required pam_unix.so\naccount required pam_permit.so\n"
        "session required pam_permit.so\n",
    }
    mounts = []
    for number, (place, text) in enumerate(places.items()):
        (folder / f"mount{number}").write_text(text)
        mounts.append(f"mount --bind {shlex.quote(str(folder / f'mount{number}'))} {place}")
    words = ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh"]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        raise NoSshd("the system has no mounts of one process alone, or no PAM")
    return words


def _wait(made: Host) -> None:
    until = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", made.port), 1) as probe:
            if probe.recv(4) == b"SSH-":
                return
        if made.process.poll() is not None or time.monotonic() > until:
            raise NoSshd(made.log)
        time.sleep(0.02)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
