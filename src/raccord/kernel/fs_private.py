"""A folder that this user alone can enter, with a path short enough for sockets, gone when its block ends.

What a killed process left is removed by the next one that asks for such a folder: each is locked as long as
its process lives.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from raccord.errors import CannotRun
from raccord.kernel import fs

try:
    import fcntl
except ImportError:  # Windows
    _fcntl = None
else:
    _fcntl = fcntl

# A socket's path has room for 104 bytes on some systems; names within the folder need the rest.
LONGEST = 48
LOCK = "lock"
PLACES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 (what is made there has a name nobody can guess)


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder below the system's temporary one, where programs may be run.

    Raises:
        CannotRun: there is no place for it.
    """
    if _fcntl is None:
        raise CannotRun("Windows has no sockets of the kind that this needs", hint="use WSL")
    base = _base()
    user = os.getuid()
    _sweep(base, user)
    folder = base / f"raccord-{user}-{secrets.token_hex(4)}"
    with fs.foreseen(f"can't make {folder}"):
        os.mkdir(folder, 0o700)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | fs.NOFOLLOW | fs.CLOEXEC, 0o600)
    try:
        _fcntl.flock(handle, _fcntl.LOCK_EX)
        yield folder
    finally:
        fs.remove_tree(folder)
        os.close(handle)


def _base() -> Path:
    for place in (tempfile.gettempdir(), *PLACES):
        base = os.path.realpath(place)
        if (
            len(os.fsencode(base)) > LONGEST
            or any(mark in base for mark in ' "%:$\\')
            or not base.isprintable()
        ):
            continue  # what ssh would take apart
        with contextlib.suppress(OSError):
            if os.access(base, os.W_OK | os.X_OK) and not os.statvfs(base).f_flag & getattr(
                os, "ST_NOEXEC", 0
            ):
                return Path(base)
    raise CannotRun(
        "there is no temporary folder with a short path where programs may be run", hint="export TMPDIR=/tmp"
    )


def _sweep(base: Path, user: int) -> None:
    """Removes folders of processes that are gone."""
    assert _fcntl is not None
    for name in fs.names(base):
        if not name.startswith(f"raccord-{user}-"):
            continue
        folder = base / name
        with contextlib.suppress(OSError):
            seen = os.lstat(folder)
            if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != user:
                continue
            # Without a lock yet it is being made just now.
            handle = os.open(folder / LOCK, os.O_RDWR | fs.NOFOLLOW | fs.CLOEXEC)
            try:
                _fcntl.flock(handle, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
                fs.remove_tree(folder)
            finally:
                os.close(handle)
