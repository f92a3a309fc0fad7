"""The content type that a file's name stands for, where a store keeps none."""

from __future__ import annotations

import functools
import mimetypes


def attributes(key: str) -> dict[str, str]:
    """What a directory says of a file as a bucket would; nothing where its name doesn't tell."""
    kind, encoding = _types().guess_type(key)
    return {"Content-Type": kind} if kind and not encoding else {}


@functools.cache
def _types() -> mimetypes.MimeTypes:
    # Only what Python itself knows: the same on every machine.
    return mimetypes.MimeTypes()
