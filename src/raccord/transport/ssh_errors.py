"""What ssh says when it fails, as raccord's own errors: what, where, the next command. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from raccord.errors import HostKeyChanged, HostKeyUnknown, TransportError
from raccord.model.text import shown
from raccord.transport.askpass import HostKey

_OFFENDING = re.compile(r"Offending (?:key for IP in|(\S+) key in|key in) (\S.*):(\d+)\s*$", re.MULTILINE)
_CHANGED = re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed|REVOKED HOST KEY")
_SHOWN_KEY = re.compile(
    r"fingerprint for the (\S+) key sent by the remote host is\s+(\S+?)\.?$", re.MULTILINE
)
# What ssh says, and what it means for a person.
SAYS: tuple[tuple[str, str, str], ...] = (
    (
        r"Could not resolve hostname",
        "its name leads nowhere",
        "correct the host in raccord.toml, or its alias in ~/.ssh/config",
    ),
    (r"Connection refused", "nobody listens there", "see that its ssh server runs, and its port"),
    (
        r"timed out|No route to host|Network is unreachable|Host is down",
        "it doesn't answer",
        "see that the machine is up, and the network between",
    ),
    (
        r"Too many authentication failures",
        "it was offered too many keys",
        "set IdentityFile and IdentitiesOnly for it in ~/.ssh/config",
    ),
    (r"[Bb]ad configuration", "ssh doesn't take its configuration", "{login} -G"),
    (
        r"no matching (host key|key exchange|cipher|MAC)",
        "it and the ssh here have no algorithm in common",
        "{login} -v true",
    ),
    (
        r"kex_exchange_identification|Connection (reset|closed)",
        "it closed the connection",
        "look at the log of its ssh server",
    ),
)


def unreachable(
    where: str,
    login: str,
    said: str,
    *,
    unknown: Sequence[HostKey] = (),
    asked: bool = False,
    refused: Sequence[str] = (),
) -> TransportError:
    """Why a host can't be reached.

    Args:
        where: the host, as a person knows it.
        login: what a person types to log in there.
        said: what ssh said on its standard error.
        unknown: keys of hosts that nobody vouched for.
        asked: whether a password was given.
        refused: what nobody answered.
    """
    said = said.replace("\r", "")
    command = f"{login} true"
    if _CHANGED.search(said):
        return _changed(where, said)
    if unknown:
        return _unknown(where, command, unknown[0])
    if "Permission denied" in said:
        what, hint = (
            "it lets nobody in with the keys that were offered",
            f"{command}, or set ssh_password",
        )
        if asked:
            what, hint = "it refuses the password", "correct what ssh_password leads to"
        elif refused:
            what = f"it asks, and nobody is there to answer: {shown(' '.join(refused[-1].split()))}"
            hint = f"run it on a terminal, or {hint}"
        return TransportError(f"{where} can't be logged in to: {what}", hint=hint)
    for pattern, what, hint in SAYS:
        if re.search(pattern, said):
            return TransportError(
                f"{where} can't be reached: {what} ({_last(said)})", hint=hint.format(login=login)
            )
    return TransportError(f"{where} can't be reached: {_last(said) or 'ssh says nothing'}", hint=command)


def _unknown(where: str, command: str, key: HostKey) -> HostKeyUnknown:
    return HostKeyUnknown(
        f"{where} can't be logged in to: the key of {shown(key.host) or 'a host'} is not known: "
        f"{key.kind} {key.fingerprint}",
        hint=f"compare it with what its owner says, then accept it there: {command}",
        host=key.host,
        kind=key.kind,
        fingerprint=key.fingerprint,
    )


def _changed(where: str, said: str) -> HostKeyChanged:
    line, sent = _OFFENDING.search(said), _SHOWN_KEY.search(said)
    at = f", and {shown(line[2])}:{line[3]} has another" if line else ""
    now = f": it shows {sent[1]} {sent[2]}{at}" if sent else at.replace(", and", ":", 1)
    hint = "ask its owner whether the key was changed; if nobody did, somebody stands between"
    if line:
        hint += f"; if so: sed -i {line[3]}d {shlex.quote(line[2])}"
    return HostKeyChanged(
        f"the key of {where} has changed{now}; nothing was sent",
        hint=hint,
        file=line[2] if line else "",
        line=int(line[3]) if line else 0,
        fingerprint=sent[2] if sent else "",
    )


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return shown(lines[-1]) if lines else ""
