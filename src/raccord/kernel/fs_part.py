"""A file that grows over several calls, under a name that says that it isn't whole; see `fs.py`.

Never puts a file in the place of another: whole, it takes a name that is free.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from raccord.kernel import fs
from raccord.kernel.fs_look import BINARY, CLOEXEC, NOFOLLOW, foreseen
from raccord.kernel.fs_rename import place
from raccord.model.text import shown


@dataclass(slots=True)
class Partial:
    """A part of a file, open for more.

    Attributes:
        size: in bytes, so far.
    """

    path: Path
    size: int
    _file: IO[bytes] = field(repr=False)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Adds bytes; returns how many."""
        view = memoryview(data)
        with foreseen(f"can't write {shown(str(self.path))}"):
            while view:
                done = self._file.write(view)
                self.size += done
                view = view[done:]
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def sync(self) -> None:
        """Makes what was written durable."""
        with foreseen(f"can't write {shown(str(self.path))}"):
            os.fsync(self._file.fileno())


@contextlib.contextmanager
def continued(path: str | Path, size: int) -> Iterator[Partial]:
    """A partial file of raccord's own, readable by its owner alone: cut to what is known to be good of it, or
    made where it isn't there. It stays, whatever happens in the block.

    Args:
        size: in bytes, what is good of it.

    Raises:
        CannotRun: the disk is full or read-only, or less is there.
    """
    with foreseen(f"can't write {shown(str(path))}"):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | NOFOLLOW | CLOEXEC | BINARY, 0o600)
        with open(handle, "r+b", buffering=0) as file:
            if hasattr(os, "fchmod"):
                os.fchmod(handle, 0o600)
            file.truncate(size)
            file.seek(size)
            yield Partial(Path(path), size, file)


def publish(part: str | Path, path: str | Path) -> None:
    """Gives a file, durable by now, its final name.

    Raises:
        FileExistsError: something has that name; nothing was done.
    """
    with foreseen(f"can't write {shown(str(path))}"):
        place(str(part), str(path))
    fs.sync_dir(Path(path).parent)


def modified(path: str | Path) -> int:
    """When a file was written last, in nanoseconds since the epoch; 0 where there is none."""
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0


def size_of(path: str | Path) -> int:
    """The size in bytes of a regular file, -1 where there is none."""
    seen = fs.signature(path)
    return seen.size if seen is not None and seen.is_file else -1
