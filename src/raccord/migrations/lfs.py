"""Git LFS: tells a pointer from a content, and finds the content in its local store. Downloads nothing."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from raccord.git.gitdir import content
from raccord.git.repo import Repository
from raccord.model.text import shown

POINTER = b"version https://git-lfs.github.com/spec/v1\n"
LARGEST_POINTER = 1024  # bytes, as git-lfs has it
ABSENT = "Git LFS object"  # how a reason begins that a fetch would take away
_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(rb"^size ([0-9]{1,18})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pointer:
    """What stands in git for a file that LFS stores.

    Attributes:
        oid: the SHA-256 of the content, in hex; "" where the pointer doesn't tell.
        size: bytes.
    """

    oid: str
    size: int


def pointer(data: bytes) -> Pointer | None:
    """Reads a pointer; None where the bytes are none."""
    if not data.startswith(POINTER) or len(data) > LARGEST_POINTER:
        return None
    oid, size = _OID.search(data), _SIZE.search(data)
    # An extension transforms the content: its oid isn't that of the bytes.
    if oid is None or size is None or b"\next-" in data:
        return Pointer("", 0)
    return Pointer(oid[1].decode(), int(size[1]))


def resolve(repo: Repository, what: Pointer, limit: int) -> bytes | str:
    """The content of a pointer, or why it can't be had."""
    if not what.oid:
        return "a Git LFS pointer that names no content"
    if what.size > limit:
        return f"Git LFS stores {what.size} bytes: more than {limit}"
    root = repo.settings.get("lfs.storage") or "lfs"
    path = os.path.join(repo.common, root, "objects", what.oid[:2], what.oid[2:4], what.oid)
    data = content(path, limit + 1)
    if data is None:
        return f"{ABSENT} {what.oid} is not in {shown(os.path.dirname(path))}"
    if len(data) != what.size or hashlib.sha256(data).hexdigest() != what.oid:
        return f"{ABSENT} {what.oid} is damaged"
    return data
