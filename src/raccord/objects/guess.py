"""The content type that a file's name stands for, where a store keeps none."""

from __future__ import annotations

import functools
import mimetypes
import posixpath

LONGEST = 16  # characters of an ending that is known


def attributes(key: str) -> dict[str, str]:
    """What a directory says of a file as a bucket would; nothing where its name doesn't tell."""
    # The ending alone tells: a whole name would be read as a URL, and `data:text/html,x` as one that says so.
    ending = posixpath.splitext(key)[1]
    kind = _kind(ending) if len(ending) <= LONGEST else ""
    return {"Content-Type": kind} if kind else {}


@functools.lru_cache(1024)
def _kind(ending: str) -> str:
    kind, encoding = _types().guess_type(f"a{ending}")
    return kind if kind and not encoding else ""


@functools.cache
def _types() -> mimetypes.MimeTypes:
    # Only what Python itself knows: the same on every machine.
    return mimetypes.MimeTypes()
