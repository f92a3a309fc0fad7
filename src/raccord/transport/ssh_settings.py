"""What ssh is told: the person's own configuration, with that overruled which would weaken it. Pure, mostly.

What stands first in a configuration of OpenSSH counts (ssh_config(5)), and a jump host is reached by an ssh
that is given the same file (`-F`): so a file of ours begins, and then includes the person's.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from raccord.model.text import shown

CONNECT_SECONDS = 15
ALIVE_SECONDS = 15
ALIVE_COUNT = 4

OVERRULED = {
    "BatchMode": "no",  # our askpass answers, and for nobody but who is asked
    "CheckHostIP": "no",
    "ClearAllForwardings": "yes",
    "Compression": "no",  # a tenth of the speed
    "ConnectTimeout": str(CONNECT_SECONDS),
    "ControlMaster": "no",
    "ControlPath": "none",
    "ControlPersist": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "INFO",
    "NoHostAuthenticationForLocalhost": "no",
    "NumberOfPasswordPrompts": "1",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ServerAliveCountMax": str(ALIVE_COUNT),
    "ServerAliveInterval": str(ALIVE_SECONDS),
    # A key that is unknown is asked about, which our askpass answers; one that changed is refused.
    "StrictHostKeyChecking": "ask",
    "TCPKeepAlive": "yes",
    "Tunnel": "no",
    "UpdateHostKeys": "no",
    "VerifyHostKeyDNS": "no",
}
OWN = ("~/.ssh/config", "/etc/ssh/ssh_config")


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """A host, and who logs in there.

    Attributes:
        destination: a name, an alias, USER@HOST or ssh://….
        user: "" for the one that the destination or ssh's configuration says.
        config: another configuration file of ssh's, or "".
        password: gives the password; None for keys and agents alone.
    """

    destination: str
    user: str = ""
    config: str = ""
    password: Callable[[], str] | None = None

    @property
    def shown(self) -> str:
        """Who, and where."""
        return f"{self.user}@{self.destination}" if self.user else self.destination

    @property
    def command(self) -> str:
        """What a person types to log in there."""
        other = ["-F", self.config] if self.config else []
        user = ["-l", self.user] if self.user else []
        return shown(shlex.join(["ssh", *other, *user, self.destination]))

    @property
    def key(self) -> str:
        """Tells places apart."""
        return f"ssh:{self.shown}"

    @property
    def words(self) -> list[str]:
        """What ends the arguments of ssh, before the command."""
        return [*(["-l", self.user] if self.user else []), "--", self.destination]


def config_file(other: str) -> str:
    """The text of the configuration that ssh is given.

    Args:
        other: the file to include instead of ssh's own two, or "".
    """
    lines = ["Host *", *(f"  {name} {value}" for name, value in OVERRULED.items())]
    lines += [f'  Include "{name}"' for name in ([other] if other else OWN)]
    return "\n".join(lines) + "\n"


def settings(said: str) -> dict[str, str]:
    """What `ssh -G` says, by lower-case name; of a name that is there more than once the first."""
    found: dict[str, str] = {}
    for line in said.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, value)
    return found


def valid_destination(text: str) -> bool:
    """Whether ssh takes it for a destination, and for nothing else."""
    return re.fullmatch(
        r"(?!-)[^\s\x00-\x1f\x7f'\"`$\\;|&<>(){}]+", text
    ) is not None and not text.startswith("-")
