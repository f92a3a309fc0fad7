"""Reads small regular files, and stops at no pipe, device or endless file in their place."""

from __future__ import annotations

import os
import stat

from raccord.kernel.fs_look import BINARY, CLOEXEC

# Opening a pipe would wait for its writer.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)


def regular(path: str | os.PathLike[str], limit: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file, links followed, and its status from just before they were read.

    Args:
        limit: bytes.

    Raises:
        OSError: it can't be read, is no regular file, or is longer.
    """
    handle = os.open(path, os.O_RDONLY | _NONBLOCK | CLOEXEC | BINARY)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        if status.st_size > limit:
            raise OSError(too_large(status.st_size, limit))
        parts = [os.read(handle, status.st_size + 1)]
        while parts[-1] and sum(map(len, parts)) != status.st_size:
            parts.append(os.read(handle, limit))
            if sum(map(len, parts)) > limit:
                raise OSError(too_large(sum(map(len, parts)), limit))
        return b"".join(parts), status
    finally:
        os.close(handle)


def too_large(size: int, limit: int) -> str:
    """Why a file of that many bytes is not read."""
    return f"{size} bytes: raccord reads up to {limit} here"
