"""Writes histories as one `git fast-import` stream: a single spawn, whatever the number of commits.

The format is the one of git-fast-import(1). Never touches a work tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.hermetic import git

Changes = Mapping[str, bytes | None]
"""Paths and their new content; None deletes the path."""

AUTHOR = "Ada Example <ada@example.invalid>"


class Stream:
    """Collects commits, then hands them all to git."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._mark = 0

    def commit(self, ref: str, message: str, changes: Changes, *, parent: str | None, when: int) -> str:
        """Add a commit to `ref` on top of `parent` (a mark or a revision) and return its mark.

        `when` is in seconds since the epoch, UTC. Files that end in `.sh` are executable.
        """
        self._mark += 1
        self._line(f"commit {ref}")
        self._line(f"mark :{self._mark}")
        self._line(f"committer {AUTHOR} {when} +0000")
        self._data(message.encode())
        if parent is not None:
            self._line(f"from {parent}")
        for path, content in changes.items():
            if content is None:
                self._line(f"D {path}")
            else:
                mode = "100755" if path.endswith(".sh") else "100644"
                self._line(f"M {mode} inline {path}")
                self._data(content)
        return f":{self._mark}"

    def write(self, repository: Path, environ: Mapping[str, str]) -> None:
        """Import what was collected into `repository`."""
        git(repository, ["fast-import", "--quiet"], environ, stdin=b"".join(self._parts))

    def _line(self, text: str) -> None:
        self._parts.append(text.encode() + b"\n")

    def _data(self, content: bytes) -> None:
        self._parts += [b"data %d\n" % len(content), content, b"\n"]
