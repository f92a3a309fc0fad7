"""Git LFS: tells a pointer from a content, and finds the content in its local store.

Downloads nothing unasked; where a person asks, git-lfs itself does.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from raccord.errors import CannotRun
from raccord.git import connect
from raccord.git.gitdir import content
from raccord.git.repo import Repository
from raccord.model.text import shown

POINTER = b"version https://git-lfs.github.com/spec/v1\n"
LARGEST_POINTER = 1024  # bytes, as git-lfs has it
ABSENT = "Git LFS object"  # how a reason begins that a fetch would take away
POINTS = "a Git LFS pointer to a content"  # how a reason begins that a checkout would take away
CHECK_OUT = "git lfs pull"
FETCH = "raccord migrations heal --fetch-lfs"
FAILURES = 3  # after so many the server is taken to be out of reach
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
        return f"{ABSENT} {what.oid}, {what.size} bytes, is not in {shown(os.path.dirname(path))}"
    if len(data) != what.size or hashlib.sha256(data).hexdigest() != what.oid:
        return f"{ABSENT} {what.oid} is damaged"
    return data


def fetch(repo: Repository, pointers: Iterable[bytes]) -> int:
    """Lets git-lfs download contents into its local store, from where its configuration says.

    Args:
        pointers: the bytes of each pointer.

    Returns:
        How many were downloaded.

    Raises:
        CannotRun: git-lfs is not installed, or can download none of them.
    """
    wanted = list(dict.fromkeys(pointers))
    if not wanted:
        return 0
    # What a checkout leaves out for its size is asked for here.
    told = {**connect.environment(repo), "GIT_LFS_SKIP_SMUDGE": "0"}
    git = replace(
        repo.git.ordered().using(**told), settings=("-c", "lfs.fetchexclude=", "-c", "lfs.fetchinclude=")
    )
    if git.run("lfs", "version", trusted=True).returncode:
        raise CannotRun("git-lfs is not installed", hint=f"install git-lfs, then: {FETCH}")
    failures: list[str] = []
    got = 0
    for one in wanted:
        done = git.run("lfs", "smudge", stdin=one, trusted=True)
        if not done.returncode and done.stdout != one:
            got += 1
            continue
        said = [line for line in done.stderr.splitlines() if line.strip()]
        failures.append(shown(connect.redacted(said[-1] if said else f"it ended with {done.returncode}")))
        if len(failures) == FAILURES:
            break
    if failures and not got:
        raise CannotRun(
            f"Git LFS can download nothing: {failures[0]}", hint="git lfs env, and: git lfs fetch --all"
        )
    return got
