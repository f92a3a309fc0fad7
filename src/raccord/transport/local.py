"""This machine, as a transport like the others."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from raccord.kernel import proc
from raccord.kernel.fs_private import private_folder
from raccord.kernel.proc import OUTPUT_LIMIT, Child, Result
from raccord.transport.door import Door, joined
from raccord.transport.model import SECONDS, Words


class Local:
    """This machine.

    Args:
        top: where commands run.
    """

    key = ""
    shown = "this machine"

    def __init__(self, top: Path) -> None:
        self._top = top

    def run(
        self, words: Words, *, stdin: bytes = b"", timeout: float | None = SECONDS, limit: int = OUTPUT_LIMIT
    ) -> Result:
        """See `Transport`."""
        return proc.run(_argv(words), cwd=self._top, stdin=stdin, timeout=timeout, limit=limit)

    def started(
        self, words: Words, *, stdin: int | IO[bytes], stdout: int | IO[bytes], stderr: int | IO[bytes]
    ) -> AbstractContextManager[Child]:
        """See `Transport`."""
        return proc.started(_argv(words), cwd=self._top, stdin=stdin, stdout=stdout, stderr=stderr)

    def check(self, status: int) -> None:
        """This machine isn't lost."""

    @contextlib.contextmanager
    def forwarded(self, host: str, port: int, *, name: str = "s") -> Iterator[Path]:
        """See `Transport`."""

        def serve(made: socket.socket) -> None:
            with contextlib.suppress(OSError), _connected(host, port) as goal:
                joined(made, goal)

        with private_folder() as folder:
            door = Door.at(folder / name, serve)
            try:
                yield folder / name
            finally:
                door.close()

    def said(self) -> str:
        """Nothing: here a server that isn't reached says why itself."""
        return ""

    def close(self) -> None:
        """Nothing stays open."""


def _argv(words: Words) -> list[str]:
    return ["/bin/sh", "-c", words] if isinstance(words, str) else list(words)


def _connected(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port), timeout=None)
    made = socket.socket(socket.AF_UNIX)
    made.connect(host)
    return made
