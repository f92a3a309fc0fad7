"""What goes wrong on the way to a remote, told apart by git's own words; and how git connects unattended."""

from __future__ import annotations

import re

from raccord.errors import CannotRun
from raccord.git.repo import Repository
from raccord.kernel import proc
from raccord.model.text import shown


class Offline(CannotRun):
    """The remote can't be reached."""


class Denied(CannotRun):
    """The remote doesn't accept who we are, or we don't accept its host key."""


class Gone(CannotRun):
    """There is no such remote, or no repository there."""


# Said before anything is sent, in the order of looking: ssh's "could not read from remote repository"
# follows all of them.
_DENIED = re.compile(
    r"Permission denied|Authentication failed|could not read (?:Username|Password)|terminal prompts disabled"
    r"|Host key verification failed|returned error: 40[13]|HTTP Basic: Access denied|Permission to .* denied"
)
_GONE = re.compile(
    r"does not appear to be a git repository|[Rr]epository .*not found|returned error: 404|No such remote"
    r"|repository '.*' does not exist|no such repository"
)
_OFFLINE = re.compile(
    r"[Cc]ould not resolve|Name or service not known|name resolution|Connection refused|Connection timed out"
    r"|Operation timed out|Network is unreachable|No route to host|Failed to connect|unable to connect"
    r"|Couldn't connect|Connection closed by .* port"
)
# Our own repository is damaged: the remote has nothing to do with it.
_DAMAGED = re.compile(
    r"bad object|is corrupt|unable to read|missing necessary objects|unable to (?:parse|unpack)"
)
# A push that ends so may have landed.
_DIED = re.compile(
    r"hung up|disconnect|early EOF|Connection reset|Broken pipe|RPC failed|no answer within|returned error: 5"
    r"|[Cc]ould not read from remote repository|unexpected|^fatal: ",
    re.MULTILINE,
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def check(repo: Repository, remote: str) -> None:
    """Refuses a remote that isn't configured, or whose URL would run a program.

    Raises:
        Gone: there is no such remote.
        CannotRun: an `ext::` or `fd::` URL.
    """
    urls = (*repo.settings.urls(remote), *repo.settings.pushurls(remote))
    if not urls:
        raise Gone(f"there is no remote {shown(remote)}", hint="git remote -v")
    for url in urls:
        if url.lower().startswith(("ext::", "fd::")):
            raise CannotRun(
                f"the URL of {shown(remote)} would run a program: {shown(redacted(url))}",
                hint=f"git remote set-url {shown(remote)} <url>",
            )


def environment(repo: Repository) -> dict[str, str]:
    """Variables under which ssh asks nobody, unless the user has set up ssh, or a program that asks."""
    theirs = proc.environment()
    configured = repo.settings.get("core.sshCommand") or repo.settings.get("ssh.variant")
    if configured or not theirs.keys().isdisjoint({"GIT_SSH", "GIT_SSH_COMMAND", "SSH_ASKPASS"}):
        return {}
    return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}


def explain(remote: str, result: proc.Result, *, unsent: bool = False) -> None:
    """Raises what a failed connection means; returns where it did not fail.

    Args:
        unsent: only raise where nothing can have been sent.

    Raises:
        Offline, Denied, Gone, CannotRun: as git's words say.
        ProcessFailed: it failed in another way.
    """
    if not result.returncode:
        return
    said = redacted(result.stderr)
    last = next((line for line in said.splitlines() if line.startswith(("fatal: ", "ssh: ", "ERROR: "))), "")
    what = f": {shown(last.partition(': ')[2])}" if last else ""
    name = shown(remote)
    again = f"git ls-remote {name}"
    if "not allowed" in said and "transport" in said:
        raise CannotRun(
            f"the URL of {name} uses a transport that git may not use{what}", hint="git remote -v"
        )
    if _DENIED.search(said):
        raise Denied(f"{name} does not let us in{what}", hint=again, stderr=said)
    if _GONE.search(said):
        raise Gone(f"{name} is no repository{what}", hint="git remote -v", stderr=said)
    if _OFFLINE.search(said):
        raise Offline(f"{name} can't be reached{what}", hint=again, stderr=said)
    if unsent:
        return
    if _DAMAGED.search(re.sub(r"(?m)^remote:.*", "", said)):
        raise CannotRun(f"git can't fetch from {name} into a damaged repository{what}", hint="git fsck")
    if _DIED.search(said) and not alive(result):
        raise Offline(f"the connection to {name} broke{what}", hint=again, stderr=said)
    proc.Result(result.argv, result.returncode, b"", said).check(hint=again)


def silent(remote: str, timeout: float | None) -> Offline:
    """The error for a remote that did not answer in time."""
    name = shown(remote)
    return Offline(f"{name} gave no answer within {timeout:g} s", hint=f"git ls-remote {name}")


def alive(result: proc.Result) -> bool:
    """Whether nothing that git says hints at a connection that broke."""
    return not _DIED.search(result.stderr)


def redacted(said: str) -> str:
    """Text without the names and passwords of URLs."""
    return _USERINFO.sub("", said)


def remarks(stderr: str) -> str:
    """What the remote's hooks said."""
    lines = (
        line.removeprefix("remote:").strip() for line in stderr.splitlines() if line.startswith("remote:")
    )
    return redacted("\n".join(line for line in lines if line))
