"""Stands in for ssh: counts each connection, waits as a distant server would, then runs git's command here.

Nothing leaves the machine. The stand-in is set as `core.sshCommand` of the clone, where every tool that goes
through git finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.workspaces import Workspace

SCRIPT = """\
#!/bin/sh
# git calls this as: ssh [options] localhost "git-upload-pack '<path>'"
for command; do :; done
printf '%s\\n' "$command" >> '{log}'
sleep {latency}
exec sh -c "$command"
"""


@dataclass(frozen=True)
class Connections:
    """How often the remote was called, by purpose."""

    fetch: int
    push: int

    @property
    def total(self) -> int:
        """All connections."""
        return self.fetch + self.push

    def __str__(self) -> str:
        return f"{self.total} ({self.fetch} fetch, {self.push} push)"


def lay(workspace: Workspace, latency: float) -> None:
    """Put `latency` seconds between the workspace's clone and its remote, for each connection."""
    script = workspace.root / "ssh-stand-in.sh"
    script.write_text(SCRIPT.format(log=_log(workspace), latency=latency), encoding="utf-8")
    script.chmod(0o755)
    workspace.git(workspace.main, "config", "core.sshCommand", f"'{script}'")
    workspace.git(workspace.main, "config", "ssh.variant", "ssh")
    workspace.set_url(f"ssh://localhost{workspace.remote}")


def connections(workspace: Workspace) -> Connections | None:
    """What was counted since `lay`; None where the wire was not laid."""
    if not (workspace.root / "ssh-stand-in.sh").exists():
        return None
    calls = _log(workspace).read_text(encoding="utf-8") if _log(workspace).exists() else ""
    return Connections(calls.count("git-upload-pack"), calls.count("git-receive-pack"))


def _log(workspace: Workspace) -> Path:
    return workspace.root / "connections.log"
