"""What the moves of one repository have in common, read once: the same base brings the same files to every
worktree.

Differences and contents are named by object ids, and so never grow old. Safe to share between threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence

from raccord.git import deltas
from raccord.git.config import Settings
from raccord.git.deltas import Delta, Pair
from raccord.git.follow_blobs import sizes
from raccord.git.follow_index import Index
from raccord.git.run import Git, strings

KEPT_BYTES = 64 * 1024 * 1024
KEPT_EACH = 1024 * 1024
# Settings under which git writes a file otherwise than its blob's bytes, or doesn't write it at all.
_CHANGING = {
    "core.autocrlf": ("", "false", "no", "off", "0", "input"),
    "core.eol": ("", "lf"),
    "core.sparsecheckout": ("", "false", "no", "off", "0"),
    "core.symlinks": ("", "true", "yes", "on", "1"),
}
_CONVERSIONS = ("eol", "filter", "ident", "working-tree-encoding")


class Shared:
    """What is known so far.

    Args:
        settings: the repository's configuration.
    """

    def __init__(self, settings: Settings) -> None:
        self._literal = os.name == "posix" and not _changing(settings)
        self._lock = threading.Lock()
        self._expected: dict[Pair, None] = {}
        self._deltas: dict[Pair, list[Delta]] = {}
        self._contents: dict[str, bytes] = {}
        self._kept = 0
        self._attributes: dict[tuple[tuple[bytes, str], ...], dict[str, bool]] = {}

    def expect(self, pairs: Iterable[Pair]) -> None:
        """Names commits, old and new, whose differences will be asked for: they are read together."""
        self._expected.update(dict.fromkeys(pairs))

    def differences(self, git: Git, old: str, new: str) -> Sequence[Delta]:
        """The paths that differ between two commits or trees.

        Raises:
            ProcessFailed: git can't read one of them.
        """
        with self._lock:
            if (old, new) in self._expected:
                self._deltas |= deltas.together(git, self._expected)
                self._expected.clear()
            known = self._deltas.get((old, new))
        return deltas.differences(git, old, new) if known is None else known

    def contents(self, git: Git, blobs: Collection[str]) -> Mapping[str, bytes]:
        """The bytes of those among these blobs that are small enough to be kept.

        Raises:
            ProcessFailed: git failed.
        """
        with self._lock:
            missing = {blob for blob in blobs if blob not in self._contents}
            found = {blob: self._contents[blob] for blob in blobs if blob not in missing}
            if missing:
                found |= self._read(git, missing)
            return found

    def _read(self, git: Git, missing: Collection[str]) -> dict[str, bytes]:
        wanted: list[tuple[str, int]] = []
        room = KEPT_BYTES - self._kept
        for blob, size in sizes(git, missing).items():
            if size <= min(KEPT_EACH, room):
                wanted.append((blob, size))
                room -= size
        listed = "".join(f"{blob}\n" for blob, _ in wanted).encode()
        output = git.out("cat-file", "--batch", stdin=listed) if wanted else b""
        found: dict[str, bytes] = {}
        at = 0
        for blob, size in wanted:
            begin = output.index(b"\n", at) + 1
            found[blob] = output[begin : begin + size]
            at = begin + size + 1
        self._contents |= found
        self._kept = KEPT_BYTES - room
        return found

    def literal(self, git: Git, index: Index, paths: Collection[str]) -> bool:
        """Whether git would write the very bytes of the blobs: no filter, no other end of lines or encoding.

        Args:
            git: at the worktree, with this index.

        Raises:
            ProcessFailed: git failed.
        """
        if not self._literal:
            return False
        # Attributes come from files of the index, and from some that all worktrees share.
        sources = [name for name in index.offsets if name.endswith(b".gitattributes")]
        items = [(name, index.get(name)) for name in sources]
        key = tuple((name, item.oid) for name, item in items if item is not None)
        with self._lock:
            known = self._attributes.setdefault(key, {})
            if asked := [path for path in paths if path not in known]:
                listed = b"".join(os.fsencode(path) + b"\0" for path in asked)
                said = strings(
                    git.out("check-attr", "--cached", "-z", "--stdin", *_CONVERSIONS, stdin=listed)
                )
                known.update(dict.fromkeys(asked, True))
                for path, name, value in zip(said[0::3], said[1::3], said[2::3], strict=True):
                    if value == "crlf" if name == "eol" else value not in ("unspecified", "unset"):
                        known[path] = False
            return all(known[path] for path in paths)


def _changing(settings: Settings) -> bool:
    """Whether configuration alone may change what is written, in any worktree."""
    for entry in (*settings.entries, *settings.elsewhere):
        # What is included under a condition may hold in one worktree and not in another.
        if entry.key.startswith("includeif.onbranch:") or "worktrees" in entry.key:
            return True
        if entry.value.lower() not in _CHANGING.get(entry.key, (entry.value.lower(),)):
            return True
    return False
