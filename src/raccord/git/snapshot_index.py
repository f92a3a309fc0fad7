"""Reads git's index file as data (gitformat-index(5), versions 2 to 4) and strips what goes stale.

Never writes and never asks git: a snapshot must not need `index.lock`, nor refresh anything.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from raccord.errors import CannotRun

# The cached trees and the end-of-index table name objects and offsets that may be gone when the index comes
# back; the fsmonitor and untracked caches describe a past state of the directories. Git rebuilds all five.
STALE = frozenset({b"TREE", b"FSMN", b"UNTR", b"EOIE", b"IEOT"})
SPLIT = b"link"
RESOLVED = b"REUC"
GITLINK = 0o160000
DIRECTORY = 0o040000
_ASSUME_VALID, _EXTENDED, _STAGES = 0x8000, 0x4000, 0x3000
_SKIP_WORKTREE, _INTENT_TO_ADD = 0x4000, 0x2000
_STAT = 40  # bytes of times, ids, mode, owner and size before the object id
_MODE_AT = 24


class Entry(NamedTuple):
    """One line of the index; `flags`: "v" assume-unchanged, "s" skip-worktree, "n" intent-to-add."""

    path: str
    mode: int
    oid: str
    stage: int
    flags: str


@dataclass(frozen=True, slots=True)
class Index:
    """The bytes of an index file, and where its extensions lie.

    Attributes:
        data: the whole file.
        hash_size: bytes of an object id, 20 or 32.
        hidden: the entries whose changes `git status` doesn't see: assume-unchanged and skip-worktree.
        extensions: signature, start of its data, end of its data.
    """

    data: bytes = field(repr=False)
    hash_size: int
    hidden: tuple[Entry, ...]
    extensions: tuple[tuple[bytes, int, int], ...]

    @property
    def split(self) -> bool:
        """Whether the entries are in another file (`core.splitIndex`)."""
        return any(name == SPLIT for name, _, _ in self.extensions)

    def entries(self) -> Iterator[Entry]:
        """Every entry, in the order of the file."""
        for path, at, flags, extended, _ in _walk(self.data, self.hash_size):
            yield _entry(self.data, self.hash_size, path, at, flags, extended)

    def modes(self) -> Iterator[tuple[bytes, int]]:
        """Path and mode of every entry that is in no conflict; faster than `entries`."""
        mode_of = struct.Struct(">I").unpack_from
        for path, at, flags, _, _ in _walk(self.data, self.hash_size):
            if not flags & _STAGES:
                yield path, mode_of(self.data, at + _MODE_AT)[0]

    def resolved(self) -> Iterator[str]:
        """The objects that `git checkout -m` needs to bring a resolved conflict back."""
        for name, at, end in self.extensions:
            if name != RESOLVED:
                continue
            while at < end:
                *modes, at = self._modes(at)
                for mode in modes:
                    if mode:
                        if mode != GITLINK:
                            yield self.data[at : at + self.hash_size].hex()
                        at += self.hash_size

    def content(self) -> tuple[tuple[Entry, ...], bytes]:
        """All but the stat data, to be compared: the entries, and the conflicts that can be brought back."""
        resolved = (self.data[at:end] for name, at, end in self.extensions if name == RESOLVED)
        return tuple(self.entries()), b"".join(resolved)

    def _modes(self, at: int) -> tuple[int, int, int, int]:
        at = self.data.index(b"\0", at) + 1
        modes = []
        for _ in range(3):
            end = self.data.index(b"\0", at)
            modes.append(int(self.data[at:end], 8))
            at = end + 1
        return modes[0], modes[1], modes[2], at

    def stripped(self) -> bytes:
        """The same index without its caches, and with a checksum that fits."""
        if not any(name in STALE for name, _, _ in self.extensions):
            return self.data
        first = min(at for _, at, _ in self.extensions) - 8
        kept = [self.data[at - 8 : end] for name, at, end in self.extensions if name not in STALE]
        body = self.data[:first] + b"".join(kept)
        return body + digest(body, self.hash_size)


def parse(data: bytes, hash_size: int) -> Index:
    """Finds its way through an index file.

    Args:
        data: the file's bytes; none where there is no index yet.
        hash_size: bytes of an object id in this repository.

    Raises:
        CannotRun: the file is torn or of a version that raccord does not know.
    """
    if not data:
        data = empty(hash_size)
    try:
        if data[:4] != b"DIRC" or not 2 <= struct.unpack_from(">I", data, 4)[0] <= 4:
            raise ValueError("unknown version")
        hidden, found, at = [], [], 12
        for path, start, flags, extended, end in _walk(data, hash_size):
            at = end
            if flags & _ASSUME_VALID or extended & _SKIP_WORKTREE:
                hidden.append(_entry(data, hash_size, path, start, flags, extended))
        last = len(data) - hash_size
        while at < last:
            size = struct.unpack_from(">I", data, at + 4)[0]
            found.append((data[at : at + 4], at + 8, at + 8 + size))
            at += 8 + size
        if at != last:
            raise ValueError("too short")
        # `index.skipHash` leaves zeros.
        if any(data[last:]) and digest(data[:last], hash_size) != data[last:]:
            raise ValueError("its checksum does not fit")
    except (ValueError, struct.error, IndexError) as error:
        raise CannotRun(f"the index is damaged: {error}", hint="git status") from error
    return Index(data, hash_size, tuple(hidden), tuple(found))


def empty(hash_size: int) -> bytes:
    """An index of nothing, which is what a missing file stands for."""
    body = b"DIRC" + struct.pack(">II", 2, 0)
    return body + digest(body, hash_size)


def digest(data: bytes, hash_size: int) -> bytes:
    """The repository's hash of some bytes."""
    if hash_size == 32:
        return hashlib.sha256(data).digest()
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _entry(data: bytes, hash_size: int, path: bytes, at: int, flags: int, extended: int) -> Entry:
    mode = struct.unpack_from(">I", data, at + _MODE_AT)[0]
    oid = data[at + _STAT : at + _STAT + hash_size].hex()
    marks = ""
    if flags & _ASSUME_VALID:
        marks += "v"
    if extended & _SKIP_WORKTREE:
        marks += "s"
    if extended & _INTENT_TO_ADD:
        marks += "n"
    return Entry(path.decode("utf-8", "surrogateescape"), mode, oid, flags >> 12 & 3, marks)


def _walk(data: bytes, hash_size: int) -> Iterator[tuple[bytes, int, int, int, int]]:
    """Path, start, flags, extended flags and end of every entry."""
    version, count = struct.unpack_from(">II", data, 4)
    flags_at = _STAT + hash_size
    two_bytes = struct.Struct(">H").unpack_from
    at, path = 12, b""
    for _ in range(count):
        (flags,) = two_bytes(data, at + flags_at)
        name = at + flags_at + 2
        extended = 0
        if flags & _EXTENDED:
            (extended,) = two_bytes(data, name)
            name += 2
        if version == 4:
            name, drop = _varint(data, name)
            end = data.index(b"\0", name)
            path = path[: len(path) - drop] + data[name:end]
            after = end + 1
        else:
            end = name + (flags & 0xFFF)
            if flags & 0xFFF == 0xFFF:
                end = data.index(b"\0", name)
            path = data[name:end]
            after = at + ((end - at) // 8 + 1) * 8
        yield path, at, flags, extended, after
        at = after


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Where it ends, and the number: the encoding of pack offsets."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = (value + 1 << 7) + (byte & 0x7F)
    return at + 1, value
