"""Where a running server says how it is reached, and whether it is still there. Looks only."""

from __future__ import annotations

import json
import os
import shlex
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from raccord.kernel import fs
from raccord.model.advice import Advice
from raccord.model.language import message

FOLDER = "serve"  # below raccord's own state
RECORD = "server.json"
TOKEN, SCRAPE = "token", "scrape-token"
PORT = 8000
SECONDS = 1.0


def server(state: Path) -> str:
    """The URL of the server that runs; "" where none answers.

    Args:
        state: raccord's own folder.
    """
    try:
        said = json.loads(fs.read_or_none(state / FOLDER / RECORD) or b"")
        place, url = str(said["socket"]), str(said["url"])
    except (ValueError, KeyError, TypeError):
        return ""
    if not hasattr(socket, "AF_UNIX"):  # Windows, where no server runs either
        return ""
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(SECONDS)
        try:
            made.connect(place)
        except (OSError, ValueError):
            return ""
    return url


def service(state: Path, port: int = PORT) -> Iterator[Advice]:
    """Whether a server runs, whether one died, and who has the port."""
    url = server(state)
    record = state / FOLDER / RECORD
    if url:
        yield Advice("service.running", "ok", message("a server runs at {url}", url=url))
        return
    if record.exists():
        what = message("a server was killed: {place} is still there", place=str(record))
        yield Advice("service.running", "warning", what, message("the next one replaces it"), "raccord serve")
    else:
        yield Advice("service.running", "ok", message("no server runs"))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.settimeout(SECONDS)
        taken = made.connect_ex(("127.0.0.1", port)) == 0
    if taken:
        what = message("port {port} is somebody else's", port=port)
        why = message("raccord serve does not start on it")
        yield Advice("service.port", "warning", what, why, "raccord serve --port 0")
    else:
        yield Advice("service.port", "ok", message("port {port} is free", port=port))


def secrets(state: Path) -> Iterator[Advice]:
    """Tokens that others can read."""
    for place in (state / FOLDER / TOKEN, state / FOLDER / SCRAPE):
        try:
            seen = os.lstat(place)
        except OSError:
            continue
        if not stat.S_ISREG(seen.st_mode) or seen.st_mode & 0o077:
            what = message("{place} can be read by others", place=str(place))
            why = message("whoever has the token may do all that the page can")
            yield Advice("service.token", "problem", what, why, f"rm {shlex.quote(str(place))}")
