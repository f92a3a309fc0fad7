"""Reads and exchanges documents in a worktree, on the condition that they are what was read.

Whoever watches knows beforehand what is about to be there, and takes it for nobody's change.
"""

from __future__ import annotations

from collections.abc import Mapping

from raccord.coordination.ledger import Ledger
from raccord.coordination.watched import hashed
from raccord.errors import WorldMoved
from raccord.kernel import fs_objects
from raccord.model.coordination import FileState
from raccord.model.text import shown


def read(root: str, path: str, known: Mapping[str, FileState] = {}) -> tuple[bytes, str]:
    """A document and its version; nothing and "" where there is none.

    Args:
        known: files as they were last seen: it has to be what it was then.

    Raises:
        CannotRun: it can't be read, or is no regular file.
        WorldMoved: it is not what it was, or was written to at this very moment.
    """
    data, version = fs_objects.content(root, path)
    last = known.get(path)
    if last is not None and not last.error and last.checksum != hashed(data):
        raise WorldMoved(f"{shown(path)} changed since it was looked at")
    return data, version


def put(ledger: Ledger, root: str, path: str, data: bytes, version: str) -> None:
    """Writes a document whole, in the place of one version of it.

    Raises:
        WorldMoved: another version is there, which stays.
        CannotRun: it can't be written.
    """
    ledger.writing(root, path, hashed(data))
    fs_objects.exchange(root, path, data, version)


def remove(ledger: Ledger, root: str, path: str, version: str) -> None:
    """Removes one version of a document; raises as `put`."""
    ledger.writing(root, path, "")
    fs_objects.exchange(root, path, None, version)
