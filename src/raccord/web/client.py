"""Talks to the server that runs over a workspace, through a socket that is this user's alone."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from raccord.coordination.served import FOLDER, RECORD
from raccord.errors import CannotRun
from raccord.kernel import fs

SECONDS = 10.0
HOST = "raccord"  # what a request through the socket names


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__(HOST, timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


def running(state: Path) -> str:
    """Where browsers find the server that runs.

    Args:
        state: raccord's own folder.

    Raises:
        CannotRun: none does.
    """
    return str(_record(state)["url"])


def asked(state: Path, method: str, path: str) -> Any:
    """What the running server answers.

    Args:
        state: raccord's own folder.

    Raises:
        CannotRun: no server runs, or it refuses.
    """
    connection = _Connection(str(_record(state)["socket"]))
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _none() from error
    finally:
        connection.close()
    if answer.status != 200:
        raise CannotRun(f"the server refused ({answer.status}): {found.get('detail', '')}")
    return found


def _record(state: Path) -> dict[str, Any]:
    said = fs.read_or_none(state / FOLDER / RECORD)
    try:
        found = json.loads(said or b"")
        return {"url": found["url"], "socket": found["socket"]}
    except (ValueError, KeyError, TypeError) as error:
        raise _none() from error


def _none() -> CannotRun:
    return CannotRun("no server runs over this workspace", hint="raccord serve")
