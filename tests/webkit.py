"""A real server on a free port over a workspace of two worktrees, and a client of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from raccord.coordination.served import FOLDER, SCRAPE, TOKEN
from raccord.web.serve import Server, bound
from raccord.workspace import Workspace
from tests.gitkit import Repo


@dataclass
class Site:
    """A running server.

    Attributes:
        main: the top of the main worktree.
        other: that of another worktree.
        client: sends the token.
        stranger: knows nothing.
    """

    server: Server
    main: Path
    other: Path
    token: str
    scrape: str
    client: httpx.Client
    stranger: httpx.Client

    @property
    def host(self) -> str:
        return self.server.url.removeprefix("http://").rstrip("/")


@contextlib.contextmanager
def site(folder: Path, *, dev: bool = False, configuration: str = "") -> Iterator[Site]:
    """Runs a server while the block lasts."""
    repo = Repo.init(folder / "main")
    repo.commit({"AGENTS.md": "# Agents\n", "raccord.toml": configuration}, "start")
    other = folder / "claude-1"
    repo.git("worktree", "add", "-q", str(other), "-b", "claude-1")
    with Workspace.open(repo.path) as workspace:
        known = workspace.coordination
        service, state = known.serving(), known.state
        server = bound(workspace, workspace.again, service, 0, dev=dev)
        thread = threading.Thread(target=server.run)
        thread.start()
        token = (state / FOLDER / TOKEN).read_text().strip()
        scrape = (state / FOLDER / SCRAPE).read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        with (
            httpx.Client(base_url=server.url, headers=headers, timeout=30) as client,
            httpx.Client(base_url=server.url, timeout=30) as stranger,
        ):
            try:
                until(lambda: _ready(stranger))
                yield Site(server, repo.path, other, token, scrape, client, stranger)
            finally:
                server.stop()
                thread.join()


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def until(holds, seconds: float = 30.0):
    """Waits for something to hold; what it came to."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "never happened"
        time.sleep(0.01)
    return found


def save(path: Path, text: str) -> None:
    """Writes a file as careful editors do: no reader sees it half."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)
