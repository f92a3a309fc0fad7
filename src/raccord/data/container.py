"""The archive file: parts one after the other, then a manifest that has the hash of each, then the end.

    "raccord archive 1\\n", the length of the head in four bytes, the head: JSON with id, cipher, sealed key
    the parts: each packed by zstandard, and sealed where the archive is
    the manifest: JSON, packed and sealed as a part is
    the length of that in eight bytes, the SHA-256 of what is before the parts, the manifest and its length,
    "raccord archive end\\n"

Every byte is under a hash, nothing lies between the parts, and no name is ever a path. What a part becomes
is never more than the manifest says. Knows nothing of tables.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import stat
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from raccord.data.sealing import (
    CLEAR,
    KEY_FILE,
    PASSPHRASE,
    RECIPIENTS,
    Damaged,
    Locked,
    Opener,
    Seal,
    sealed_key,
    unseal,
)
from raccord.errors import CannotRun
from raccord.kernel.extras import install
from raccord.kernel.fs_part import Partial
from raccord.model.plan import Json
from raccord.model.text import shown

MAGIC, VERSION = b"raccord archive ", 1
ANOTHER = "use another copy of it, or export it again"
END = b"raccord archive end\n"
TAIL = struct.Struct(f">Q32s{len(END)}s")
HEAD = struct.Struct(">I")
MOST_HEAD = 1 << 16
MOST_MANIFEST = 1 << 26
MOST_WINDOW = 1 << 23  # of zstandard, bytes: what a hostile part may make us hold
LEVEL = 1  # the next ones take twice the time for a few per cent
THREADS = 2  # that pack, while a server is read from
BLOCK = 1 << 17


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part lies.

    Attributes:
        offset, stored: where it begins, and how many bytes it takes in the file.
        size: how many it has once it is unpacked.
        sha256: of the stored bytes.
    """

    offset: int
    stored: int
    size: int
    sha256: str

    @classmethod
    def parse(cls, said: Mapping[str, Json]) -> Part:
        """Reads `asdict` back.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        numbers = [said[name] for name in ("offset", "stored", "size")]
        if any(type(one) is not int or not 0 <= one < 1 << 62 for one in numbers):
            raise ValueError("number")
        return cls(numbers[0], numbers[1], numbers[2], str(said["sha256"]))


def packer() -> Any:
    """The module zstandard.

    Raises:
        CannotRun: it is not installed.
    """
    try:
        import zstandard
    except ImportError:
        raise CannotRun("archives need the package zstandard", hint=install("archives")) from None
    return zstandard


@dataclass(slots=True)
class Writer:
    """Writes parts into a file, one after the other.

    Attributes:
        head: what the file begins with.
    """

    file: Partial
    seal: Seal
    head: bytes

    def part(self, blocks: Iterator[bytes]) -> Part:
        """Packs and seals blocks; they are on the disk afterwards."""
        offset, sizes = self.file.size, [0]
        hashed = _Hashed(self.file)
        self.seal.seal(_packed(blocks, sizes), hashed)
        self.file.sync()
        return Part(offset, self.file.size - offset, sizes[0], hashed.digest.hexdigest())

    def finish(self, manifest: Mapping[str, Json]) -> str:
        """Writes the manifest and the end; returns what tells this archive apart from every other."""
        said = json.dumps(manifest).encode()
        if len(said) > MOST_MANIFEST:
            raise CannotRun("the set has more tables and columns than an archive can name")
        kept = _Kept(self.file)
        self.seal.seal(_packed(iter([said]), [0]), kept)
        digest = _tail_digest(self.head, kept.data)
        self.file.write(TAIL.pack(len(kept.data), digest, END))
        self.file.sync()
        return digest.hex()


def head(id_: str, seal: Seal) -> bytes:
    """What an archive begins with.

    Args:
        id_: names it.
    """
    said = json.dumps({"id": id_, "cipher": seal.cipher, "key": seal.key}).encode()
    return MAGIC + str(VERSION).encode() + b"\n" + HEAD.pack(len(said)) + said


def _tail_digest(start: bytes, manifest: bytes) -> bytes:
    return hashlib.sha256(start + manifest + struct.pack(">Q", len(manifest))).digest()


def _packed(blocks: Iterator[bytes], sizes: list[int]) -> Iterator[bytes]:
    """What blocks become; their size is added up on the way."""
    work = packer().ZstdCompressor(level=LEVEL, write_checksum=True, threads=THREADS).compressobj()
    for block in blocks:
        sizes[0] += len(block)
        if done := work.compress(block):
            yield done
    yield work.flush()


@dataclass(slots=True)
class _Hashed:
    file: Partial
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.file.write(data)


@dataclass(slots=True)
class _Kept:
    file: Partial
    data: bytes = b""

    def write(self, data: bytes) -> None:
        self.data += data
        self.file.write(data)


@dataclass(slots=True)
class Reader:
    """An archive that was found to be whole, as far as its head, its manifest and its end say.

    Attributes:
        manifest: what it says of itself; made by whoever wrote it.
        sha256: tells it apart from every other.
    """

    path: Path
    manifest: Mapping[str, Json]
    sha256: str
    _file: IO[bytes] = field(repr=False)
    _identities: list[Any] = field(repr=False)

    def tiles(self, parts: Sequence[Part]) -> None:
        """Makes sure that parts follow each other and leave no byte over.

        Raises:
            Damaged: they don't.
        """
        at = self._start
        for part in parts:
            if part.offset != at:
                raise damaged(self.path, "its parts don't follow each other")
            at += part.stored
        if at != self._end:
            raise damaged(self.path, "it holds what its manifest doesn't name")

    _start: int = 0
    _end: int = 0

    def check(self, part: Part) -> None:
        """Makes sure that a part has the bytes that were written; unpacks nothing.

        Raises:
            Damaged: it hasn't.
        """
        for _ in self._stored(part):
            pass

    def read(self, part: Part, take: Callable[[bytes], object]) -> None:
        """Gives what a part holds to whoever takes it, block by block.

        Raises:
            Damaged: it isn't what was written, by now or from the start.
        """
        limit = _Limited(take, part.size)
        with _opening(self.path), packer().ZstdDecompressor(max_window_size=MOST_WINDOW).stream_writer(
            limit, write_size=BLOCK, closefd=False
        ) as unpacked:  # fmt: skip
            unseal(self._identities, self._stored(part), unpacked)
        if limit.left:
            raise damaged(self.path, "a part is shorter than its manifest says")

    def _stored(self, part: Part) -> Iterator[bytes]:
        digest = hashlib.sha256()
        self._file.seek(part.offset)
        left = part.stored
        while left:
            block = self._file.read(min(left, BLOCK))
            if not block:
                raise damaged(self.path, "it is cut off")
            digest.update(block)
            left -= len(block)
            yield block
        if digest.hexdigest() != part.sha256:
            raise damaged(self.path, "a part is not what was written")


@dataclass(slots=True)
class _Limited:
    """Takes no more than was declared: what a few bytes unpack to has no other limit."""

    take: Callable[[bytes], object]
    left: int

    def write(self, data: bytes) -> int:
        self.left -= len(data)
        if self.left < 0:
            raise Damaged("a part is longer than its manifest says")
        if data:
            self.take(bytes(data))
        return len(data)


@contextlib.contextmanager
def opened(path: Path, opener: Opener) -> Iterator[Reader]:
    """An archive, its head, manifest and end verified.

    Raises:
        CannotRun: it isn't there, is of a newer release, or takes a key that was not given.
        Damaged: it is none, or not as it was written.
    """
    name = shown(str(path))
    try:
        # A pipe would never answer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CannotRun(f"{name} is no file", hint=f"ls -ld {shown(shlex.quote(str(path)))}")
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise CannotRun(
            f"{name} can't be read: {error.strerror}", hint=f"ls -l {shown(shlex.quote(str(path.parent)))}"
        ) from None
    with file:
        start, said = _head(path, file)
        stored, first, digest = _tail(path, file, start)
        try:
            identities = opener.identities(said["cipher"], said["key"])
            manifest = _manifest(path, identities, stored)
        except Locked as error:
            # Its ends are as they were written, so the key is the wrong one.
            raise Locked(
                damaged(path, error.message).message,
                hint=error.hint or opener.hint(KEY_FILE),
            ) from None
        if manifest.get("id") != said["id"]:
            raise damaged(path, "its manifest is of another archive")
        yield Reader(path, manifest, digest.hex(), file, identities, len(start), first)


def reread(path: Path, seal: Seal, parts: Sequence[Part], sha256: str) -> None:
    """Makes sure that an archive is on the disk as it was written: all of it is read, and unpacked where its
    writer can do that.

    Raises:
        Damaged: it isn't.
    """
    with open(path, "rb") as file:
        start, _ = _head(path, file)
        _, first, digest = _tail(path, file, start)
        if digest.hex() != sha256:
            raise damaged(path, "its end is not what was written")
        identities = seal.opens
        reader = Reader(path, {}, sha256, file, identities or [], len(start), first)
        reader.tiles(parts)
        for part in parts:
            if identities is None:
                reader.check(part)
            else:
                reader.read(part, len)


def _tail(path: Path, file: IO[bytes], start: bytes) -> tuple[bytes, int, bytes]:
    """The manifest as it is stored, where it begins, and the hash of both ends."""
    size = os.fstat(file.fileno()).st_size
    if size < len(start) + TAIL.size:
        raise damaged(path, "it is cut off")
    file.seek(size - TAIL.size)
    length, digest, end = TAIL.unpack(file.read(TAIL.size))
    first = size - TAIL.size - length
    if end != END or length > MOST_MANIFEST or first < len(start):
        raise damaged(path, "it is cut off, or was never finished")
    file.seek(first)
    stored = file.read(length)
    if _tail_digest(start, stored) != digest:
        raise damaged(path, "its head or its manifest is not what was written")
    return stored, first, digest


def _head(path: Path, file: IO[bytes]) -> tuple[bytes, dict[str, str]]:
    line = file.readline(len(MAGIC) + 16)
    number = line[len(MAGIC) : -1]
    if not line.startswith(MAGIC) or line[-1:] != b"\n" or not number.isdigit():
        raise damaged(path, "it is no archive of raccord's")
    if int(number) != VERSION:
        raise CannotRun(
            f"{shown(str(path))} has version {int(number)} of the format, and this raccord reads {VERSION}",
            hint="pip install -U raccord",
        )
    length = file.read(HEAD.size)
    if len(length) < HEAD.size or HEAD.unpack(length)[0] > MOST_HEAD:
        raise damaged(path, "its head can't be read")
    text = file.read(HEAD.unpack(length)[0])
    try:
        said = json.loads(text)
        if said["cipher"] not in (CLEAR, PASSPHRASE, RECIPIENTS):
            raise ValueError("cipher")
        found = {"id": str(said["id"]), "cipher": said["cipher"], "key": sealed_key(said["key"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged(path, "its head can't be read") from None
    return line + length + text, found


def _manifest(path: Path, identities: list[Any], stored: bytes) -> dict[str, Json]:
    parts: list[bytes] = []
    limit = _Limited(parts.append, MOST_MANIFEST)
    with _opening(path), packer().ZstdDecompressor(max_window_size=MOST_WINDOW).stream_writer(
        limit, write_size=BLOCK, closefd=False
    ) as unpacked:  # fmt: skip
        unseal(identities, iter([stored]), unpacked)
    try:
        found = json.loads(b"".join(parts))
        if not isinstance(found, dict):
            raise ValueError("manifest")
    except (ValueError, RecursionError):
        raise damaged(path, "its manifest can't be read") from None
    return found


@contextlib.contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except packer().ZstdError:
        raise damaged(path, "a part can't be unpacked") from None
    except Locked as error:
        raise Locked(damaged(path, error.message).message) from None
    except Damaged as error:
        raise damaged(path, error.message) from None


def damaged(path: Path, why: str) -> Damaged:
    """An archive that can't be used."""
    name = shown(str(path))
    if why.startswith(name):
        return Damaged(why)
    return Damaged(f"{name}: {why}; nothing was changed", hint=ANOTHER)


def document(part: Part) -> dict[str, Json]:
    """A part for JSON."""
    return asdict(part)
