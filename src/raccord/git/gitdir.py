"""Where git keeps its files, read without a spawn; a pipe or an endless file in their place stops nothing."""

from __future__ import annotations

import os
import stat

SMALL = 1 << 16


def gitdir_at(top: str) -> str | None:
    """The real path of the git directory that `<top>/.git` is or leads to; None where it leads nowhere."""
    link = os.path.join(top, ".git")
    if os.path.isdir(link):
        return os.path.realpath(link)
    said = content(link, SMALL)
    if said is None or not said.startswith(b"gitdir: "):
        return None
    target = os.path.realpath(os.path.join(top, os.fsdecode(said[8:].rstrip(b"\r\n"))))
    return target if os.path.isdir(target) else None


def common_of(gitdir: str) -> str:
    """The git directory that all worktrees share, of one worktree's."""
    said = text(os.path.join(gitdir, "commondir"))
    return os.path.realpath(os.path.join(gitdir, said)) if said else gitdir


def text(path: str) -> str | None:
    """The content of one of git's small files without its line end, None where it can't be read."""
    said = content(path, SMALL)
    return None if said is None else os.fsdecode(said).rstrip("\r\n")


def content(path: str, limit: int | None = None) -> bytes | None:
    """The content of a regular file, its first `limit` bytes at most; None where it can't be read."""
    try:
        # To open a pipe would wait for its writer.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):  # a name with a NUL is a ValueError
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        try:
            return file.read() if limit is None else file.read(limit)
        except OSError:
            return None
