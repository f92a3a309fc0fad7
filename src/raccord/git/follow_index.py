"""Reads a git index file, and writes new stat data into a copy of its bytes: versions 2, 3 and 4, SHA-1 and
SHA-256.

After a file was renamed into its place its ctime is another than the one that git noted; with the right one
in the index the next `git status` needs not read the file. Format: gitformat-index(5). Never touches a
file.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from raccord.errors import CannotRun

GITLINK = 0o160000
_STAT = struct.Struct(">10I")
_WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the index.

    Attributes:
        mode: as git keeps it: 0o100644, 0o100755, 0o120000, 0o160000.
        oid: the object's name in hexadecimal.
        skip: whether it has the skip-worktree bit.
        valid: whether it has the assume-unchanged bit.
        stat: ctime, mtime (seconds, nanoseconds each), dev, ino, mode, uid, gid, size; of 32 bits each.
    """

    mode: int
    oid: str
    skip: bool
    valid: bool
    stat: tuple[int, ...]

    def matches(self, found: os.stat_result) -> bool:
        """Whether the stat data say that the file was not written since git looked at it."""
        if not same_mode(self.mode, found.st_mode):
            return False
        mine = self.stat
        theirs = _stat_data(found)
        return mine[:4] == theirs[:4] and mine[5] == theirs[5] and mine[7:] == theirs[7:]

    @property
    def mtime_ns(self) -> int:
        """The modification time that git noted."""
        return self.stat[2] * 1_000_000_000 + self.stat[3]


@dataclass(frozen=True, slots=True)
class Index:
    """A parsed index file.

    Attributes:
        data: its bytes.
        width: bytes of an object's name.
        offsets: where the entry of a path begins; merged entries only.
        unmerged: paths in conflict.
        skipped: how many entries have the skip-worktree bit.
        extensions: the signatures of its extensions.
        end: where its entries end and its extensions begin.
    """

    data: bytes
    width: int
    offsets: dict[bytes, int] = field(repr=False)
    unmerged: tuple[bytes, ...] = ()
    skipped: int = 0
    extensions: frozenset[bytes] = frozenset()
    end: int = 0

    def get(self, path: bytes) -> Item | None:
        """The entry of a path."""
        at = self.offsets.get(path)
        if at is None:
            return None
        stat = _STAT.unpack_from(self.data, at)
        flags_at = at + 40 + self.width
        high = self.data[flags_at]
        return Item(
            stat[6],
            self.data[at + 40 : flags_at].hex(),
            bool(high & 0x40 and self.data[flags_at + 2] & 0x40),
            bool(high & 0x80),
            stat,
        )

    @property
    def split(self) -> bool:
        """Whether most of its entries are in another file (`core.splitIndex`)."""
        return b"link" in self.extensions

    @property
    def sparse(self) -> bool:
        """Whether it holds whole directories as one entry (`index.sparse`)."""
        return b"sdir" in self.extensions


def same_mode(mode: int, found: int) -> bool:
    """Whether a file's `st_mode` is what git's mode says."""
    if mode & 0o170000 == 0o100000:
        return found & 0o170000 == 0o100000 and bool(found & 0o100) == (mode == 0o100755)
    return mode & 0o170000 == found & 0o170000


def parse(data: bytes, width: int) -> Index:
    """Reads the bytes of an index file; no bytes are an empty index.

    Args:
        width: bytes of an object's name in this repository: 20 or 32.

    Raises:
        CannotRun: it is not an index that raccord knows.
    """
    if not data:
        return Index(b"", width, {})
    try:
        return _parse(data, width)
    except (IndexError, struct.error, ValueError) as error:
        raise CannotRun(f"the git index is damaged: {error}", hint="git fsck") from error


def _parse(data: bytes, width: int) -> Index:
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise CannotRun(f"the git index has an unknown format (version {version})")
    offsets: dict[bytes, int] = {}
    unmerged: dict[bytes, None] = {}
    skipped = 0
    flag_at = 40 + width
    at = 12
    name = b""
    for _ in range(count):
        high = data[at + flag_at]
        begin = at + flag_at + 2
        if high & 0x40:
            skipped += data[begin] >> 6 & 1
            begin += 2
        if version == 4:
            strip, begin = _varint(data, begin)
            end = data.index(0, begin)
            name = name[: len(name) - strip] + data[begin:end]
            following = end + 1
        else:
            length = (high & 0xF) << 8 | data[at + flag_at + 1]
            end = begin + length if length < 0xFFF else data.index(0, begin)
            name = data[begin:end]
            following = at + ((end - at + 8) & ~7)
        if high & 0x30:
            unmerged[name] = None
        else:
            offsets[name] = at
        at = following
    extensions: list[bytes] = []
    entries_end = at
    while at < len(data) - width:
        extensions.append(data[at : at + 4])
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    if at != len(data) - width:
        raise ValueError("its parts don't add up")
    return Index(data, width, offsets, tuple(unmerged), skipped, frozenset(extensions), entries_end)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that git's offset encoding holds, and where it ends."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = (value + 1) << 7 | byte & 0x7F
    return value, at + 1


def restat(index: Index, files: Iterable[tuple[bytes, os.stat_result]]) -> bytes:
    """The bytes of the index with the stat data of files that are known to hold what their entries say."""
    data = bytearray(index.data)
    for path, found in files:
        at = index.offsets[path]
        # Newer git writes another size than older for a multiple of 4 GiB: leave it to git.
        if found.st_size and not found.st_size & _WORD:
            continue
        stat = list(_stat_data(found))
        stat[6] = _STAT.unpack_from(data, at)[6]
        _STAT.pack_into(data, at, *stat)
    end = len(data) - index.width
    if any(data[end:]):  # all zero where `index.skipHash` is set
        digest = hashlib.sha1(usedforsecurity=False) if index.width == 20 else hashlib.sha256()
        digest.update(memoryview(data)[:end])
        data[end:] = digest.digest()
    return bytes(data)


def _stat_data(found: os.stat_result) -> tuple[int, ...]:
    ctime, mtime = divmod(found.st_ctime_ns, 10**9), divmod(found.st_mtime_ns, 10**9)
    numbers = (
        *ctime,
        *mtime,
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_size,
    )
    return tuple(number & _WORD for number in numbers)


def blob_oid(chunks: Iterable[bytes], size: int, width: int) -> str:
    """The name of the git blob with these bytes."""
    digest = hashlib.sha1(usedforsecurity=False) if width == 20 else hashlib.sha256()
    digest.update(b"blob %d\0" % size)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
