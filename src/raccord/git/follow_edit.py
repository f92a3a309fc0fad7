"""Writes the index that git's two-way merge would come to, where that is plain: entries replaced, added and
removed, all others copied byte by byte.

Whatever is not plain is left to git itself: `edited` answers None. Format: gitformat-index(5); which paths
git refuses to add: `verify_path` in its read-cache.c.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence

from raccord.git.deltas import Delta
from raccord.git.follow_index import GITLINK, Index, Item

# Git makes these anew where they are missing: hints for reading with threads, and resolved conflicts,
# which git forgets too when it merges.
_FORGOTTEN = frozenset({b"EOIE", b"IEOT", b"REUC"})
_KNOWN = _FORGOTTEN | {b"TREE"}
_ORDINARY = frozenset({b".gitattributes", b".gitignore", b".gitkeep", b".github"})
_LINK = 0o120000
# A name, how many entries it covers (-1: unknown), how many directories follow it, and its id where known.
_TREES = {
    width: re.compile(rb"([^\0]*)\0(?:-1|(\d+)) (\d+)\n(?(2).{%d}|)" % width, re.DOTALL) for width in (20, 32)
}
_BEYOND_ASCII = re.compile(rb"[^\0-\x7f]+")


def edited(index: Index, deltas: Sequence[Delta]) -> Index | None:
    """The index after a move; None where git has to work it out.

    Args:
        index: in which every path is either as in the old commit or already as in the new one.
        deltas: what differs between the two.
    """
    data = index.data
    if not data or int.from_bytes(data[4:8], "big") not in (2, 3):
        return None
    if index.unmerged or index.skipped or index.extensions - _KNOWN:
        return None
    changes: dict[bytes, Delta] = {}
    for delta in deltas:
        name = os.fsencode(delta.path)
        item = index.get(name)
        if not _plain(index, name, delta, item):
            return None
        if (item.mode, item.oid) != (delta.new_mode, delta.new) if item else bool(delta.new):
            changes[name] = delta
    return _spliced(index, changes)


def _plain(index: Index, name: bytes, delta: Delta, item: Item | None) -> bool:
    if GITLINK in (delta.old_mode, delta.new_mode) or (delta.new and not ordinary(name, delta.new_mode)):
        return False
    # Extended flags, such as an intention to add, or assume-unchanged: git knows what becomes of them.
    return item is None or not index.data[index.offsets[name] + 40 + index.width] & 0xC0


def ordinary(name: bytes, mode: int) -> bool:
    """Whether a path is one that no git would ever refuse to add, whatever its settings."""
    if b"\\" in name or b":" in name:
        return False
    lowered = name.lower()
    parts = lowered.split(b"/")
    if not {b"", b".", b".."}.isdisjoint(parts):
        return False
    # Some file systems pass over characters that nobody sees.
    for part in (*parts, *_BEYOND_ASCII.sub(b"", lowered).split(b"/")):
        if part.startswith((b".git", b"git~", b"gi7")) and (part not in _ORDINARY or mode == _LINK):
            return False
    return True


def _spliced(index: Index, changes: dict[bytes, Delta]) -> Index:
    data, width = index.data, index.width
    names, places = list(index.offsets), [*index.offsets.values(), index.end]
    pieces: list[bytes] = []
    offsets: dict[bytes, int] = {}
    length = 12
    begin = 0

    def copy(end: int) -> None:
        nonlocal length
        piece = data[places[begin] : places[end]]
        shift = length - places[begin]
        offsets.update(zip(names[begin:end], [at + shift for at in places[begin:end]], strict=True))
        pieces.append(piece)
        length += len(piece)

    for name in sorted(changes):
        delta = changes[name]
        at = bisect.bisect_left(names, name)
        copy(at)
        begin = at + (at < len(names) and names[at] == name)
        if delta.new:
            pieces.append(_entry(name, delta.new_mode, bytes.fromhex(delta.new)))
            offsets[name] = length
            length += len(pieces[-1])
    copy(len(names))
    head = data[:8] + struct.pack(">I", len(offsets))
    tail = b"".join(_extensions(index, changes))
    body = b"".join((head, *pieces, tail))
    digest = hashlib.sha1(body, usedforsecurity=False) if width == 20 else hashlib.sha256(body)
    kept = index.extensions - _FORGOTTEN
    return Index(body + digest.digest(), width, offsets, (), 0, kept, length)


def _entry(name: bytes, mode: int, oid: bytes) -> bytes:
    """An entry without stat data: git looks into the file."""
    entry = struct.pack(">6I", *[0] * 6) + struct.pack(">I", mode) + bytes(12) + oid
    entry += struct.pack(">H", min(len(name), 0xFFF)) + name
    return entry + bytes(8 - len(entry) % 8)


def _extensions(index: Index, changed: Iterable[bytes]) -> Iterator[bytes]:
    data, at = index.data, index.end
    while at < len(data) - index.width:
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"TREE":
            body = _invalidated(data[at + 8 : at + 8 + size], changed, index.width)
            yield b"TREE" + struct.pack(">I", len(body)) + body
        at += 8 + size


def _invalidated(trees: bytes, changed: Iterable[bytes], width: int) -> bytes:
    """The cache of tree ids, where each directory on the way to a changed path counts as unknown."""
    stale = {b""}
    for name in changed:
        while b"/" in name:
            name = name.rpartition(b"/")[0]
            stale.add(name)
    pieces: list[bytes] = []
    above: list[tuple[bytes, int]] = []  # a directory that is being read, and how many below it are left
    for found in _TREES[width].finditer(trees):
        name, below = found[1], int(found[3])
        path = above[-1][0] + name if above else b""
        if path in stale:
            pieces.append(b"%b\0-1 %d\n" % (name, below))
        else:
            pieces.append(found[0])
        if above:
            above[-1] = (above[-1][0], above[-1][1] - 1)
        if below:
            above.append((path + b"/" if path else b"", below))
        while above and not above[-1][1]:
            above.pop()
    return b"".join(pieces)
