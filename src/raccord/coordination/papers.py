"""Reads and exchanges documents in a worktree, on the condition that they are what was read.

Whoever watches knows beforehand what is about to be there, and takes it for nobody's change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from raccord.coordination.ledger import Ledger
from raccord.coordination.watched import hashed
from raccord.errors import CannotRun, RaccordError, WorldMoved
from raccord.kernel import fs, fs_objects
from raccord.model.coordination import FileState
from raccord.model.text import shown

STAGE = ".raccord-stage"


def read(root: str, path: str, known: Mapping[str, FileState] = {}) -> tuple[bytes, str]:
    """A document and its version; nothing and "" where there is none.

    Args:
        known: files as they were last seen: it has to be what it was then.

    Raises:
        CannotRun: it can't be read, or is no regular file.
        WorldMoved: it is not what it was, or was written to at this very moment.
    """
    try:
        seen = fs_objects.look(root, path)
        if seen is None:
            return b"", ""
        if not seen.is_file:
            raise CannotRun(f"{shown(path)} is no regular file, so no report goes into it")
        version = fs_objects.version(seen)
        with fs_objects.opened(root, path, version) as (_, chunks):
            data = b"".join(chunks)
    except OSError as error:
        raise CannotRun(f"can't read {shown(path)}: {error.strerror}", hint=f"ls -la {path}") from error
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
    _changed(root, path, lambda: fs_objects.put(root, path, [data], version, STAGE))


def remove(ledger: Ledger, root: str, path: str, version: str) -> None:
    """Removes one version of a document; raises as `put`."""
    ledger.writing(root, path, "")
    _changed(root, path, lambda: fs_objects.remove(root, path, version, STAGE))


def _changed(root: str, path: str, change: Callable[[], object]) -> None:
    stage = Path(root) / STAGE
    try:
        fs.self_ignoring(stage)
        change()
        fs.remove_tree(stage)
    except WorldMoved:
        raise
    except (RaccordError, OSError) as error:
        said = error.message if isinstance(error, RaccordError) else error.strerror
        raise CannotRun(f"can't write {shown(path)}: {said}", hint=f"ls -la {shown(path)}") from error
