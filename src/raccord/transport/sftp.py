"""Files on another host, by SFTP: looked at, listed, read, written and renamed. Decides nothing."""

from __future__ import annotations

import contextlib
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future

from raccord.errors import TransportError
from raccord.kernel.fs_look import Signature
from raccord.kernel.proc import Child
from raccord.transport.sftp_wire import Answer, Fields, Wire, answered, packed

OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = 3, 4, 5, 6, 7, 8, 9, 10
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, STAT, RENAME = 11, 12, 13, 14, 15, 17, 18
HANDLE, DATA, NAME, ATTRS, REPLY = 102, 103, 104, 105, 201
FOR_READING, FOR_NEW = 0x01, 0x02 | 0x08 | 0x20
SIZE, OWNER, MODE, TIMES, MORE = 0x01, 0x02, 0x04, 0x08, 0x80000000
EVERYWHERE = 32 << 10  # bytes that every server reads or writes at once
MOST = 255 << 10
AHEAD = 2 << 20  # bytes of one file that are on their way
NEED = SIZE | MODE | TIMES

POSIX_RENAME, FSYNC = b"posix-rename@openssh.com", b"fsync@openssh.com"
LIMITS, COPY = b"limits@openssh.com", b"copy-data"


class Sftp:
    """The files of a host.

    Every method may raise `TransportError` where the connection is lost, `FileNotFoundError`,
    `PermissionError`, and `OSError` for what else the server refuses.

    Args:
        child: the subsystem, started with pipes.
        lost: makes the error for a connection that ended.
    """

    def __init__(self, child: Child, lost: Callable[[str], TransportError]) -> None:
        self._wire = Wire(child, lost)
        self._read_most = self._write_most = EVERYWHERE
        if LIMITS in self._wire.offered:
            said = answered(self._wire.extended(LIMITS, b""), REPLY)
            said.long()
            read, write = said.long(), said.long()
            self._read_most = min(read or EVERYWHERE, MOST)
            self._write_most = min(write or EVERYWHERE, MOST)

    @property
    def ended(self) -> bool:
        """Whether the connection is over."""
        return self._wire.ended

    @property
    def replaces(self) -> bool:
        """Whether a file can take another's place in one step."""
        return POSIX_RENAME in self._wire.offered

    def look(self, path: str, *, follow: bool = False) -> Signature | None:
        """What is at a path, with neither inode nor ctime; None where nothing is."""
        try:
            return _signature(self._wire.ask(STAT if follow else LSTAT, packed(_raw(path)), ATTRS))
        except FileNotFoundError:
            return None

    def names(self, path: str) -> list[tuple[str, Signature]]:
        """What is in a directory."""
        found: list[tuple[str, Signature | None]] = []
        with self._handle(OPENDIR, packed(_raw(path))) as handle:
            while True:
                try:
                    said = self._wire.ask(READDIR, packed(handle), NAME)
                except EOFError:
                    break
                for _ in range(said.number()):
                    raw = said.text()
                    said.text()  # what `ls -l` would say of it
                    seen = _signature_or_none(said)
                    if raw in (b".", b".."):
                        continue
                    if b"/" in raw or b"\0" in raw or not raw:
                        raise OSError("it names a file that can't be one")
                    found.append((raw.decode("utf-8", "surrogateescape"), seen))
        known = []
        for name, seen in found:
            if seen is None:
                seen = self.look(f"{path}/{name}")
            if seen is not None:
                known.append((name, seen))
        return known

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[tuple[Signature, Iterator[bytes]]]:
        """A file, and its bytes: fewer than it had if it became shorter."""
        with self._handle(OPEN, packed(_raw(path), FOR_READING, 0)) as handle:
            seen = _signature(self._wire.ask(FSTAT, packed(handle), ATTRS))
            yield seen, self._chunks(handle, seen.size)

    def _chunks(self, handle: bytes, size: int) -> Iterator[bytes]:
        waiting: deque[tuple[int, int, Future[Answer]]] = deque()
        asked = 0
        while asked < size or waiting:
            while asked < size and len(waiting) * self._read_most < AHEAD:
                count = min(self._read_most, size - asked)
                waiting.append((asked, count, self._asked(handle, asked, count)))
                asked += count
            at, count, answer = waiting.popleft()
            while count:
                try:
                    data = answered(answer, DATA).text()
                except EOFError:
                    return
                if not 0 < len(data) <= count:
                    raise OSError("it answers with other bytes than were asked for")
                yield data
                at, count = at + len(data), count - len(data)
                if count:  # a server may give less than it was asked for
                    answer = self._asked(handle, at, count)

    def _asked(self, handle: bytes, at: int, count: int) -> Future[Answer]:
        return self._wire.send(READ, packed(handle, at >> 32, at & 0xFFFFFFFF, count))

    def write(self, path: str, data: Iterable[bytes], mode: int | None) -> Signature:
        """Writes a new file, durably where the server knows how.

        Args:
            mode: its permissions; None for those that the server gives.

        Returns:
            What it is then.
        """
        with self._handle(OPEN, packed(_raw(path), FOR_NEW, 0), written=True) as handle:
            if mode is not None:
                self._wire.ask(FSETSTAT, packed(handle, MODE, mode))
            waiting: deque[Future[Answer]] = deque()
            at = 0
            for chunk in data:
                view = memoryview(chunk)
                while view:
                    part, view = view[: self._write_most], view[self._write_most :]
                    body = packed(handle, at >> 32, at & 0xFFFFFFFF, len(part))
                    waiting.append(self._wire.send(WRITE, body, part))
                    at += len(part)
                    while len(waiting) * self._write_most > AHEAD:
                        answered(waiting.popleft())
            return self._written(handle, waiting)

    def _written(self, handle: bytes, waiting: Iterable[Future[Answer]]) -> Signature:
        synced = self._wire.extended(FSYNC, packed(handle)) if FSYNC in self._wire.offered else None
        looked = self._wire.send(FSTAT, packed(handle))
        for one in waiting:
            answered(one)
        if synced is not None:
            answered(synced)
        return _signature(answered(looked, ATTRS))

    def copy(self, path: str, to: str) -> tuple[Signature, Signature]:
        """Copies a file to a new one, on the server where it knows how; returns what both are then."""
        if COPY not in self._wire.offered:
            with self.opened(path) as (seen, chunks):
                return seen, self.write(to, chunks, None)
        with (
            self._handle(OPEN, packed(_raw(path), FOR_READING, 0)) as source,
            self._handle(OPEN, packed(_raw(to), FOR_NEW, 0), written=True) as goal,
        ):
            # From the beginning (64 bits), to the end (0, 64 bits), to the beginning (64 bits).
            answered(self._wire.extended(COPY, packed(source, 0, 0, 0, 0, goal, 0, 0)))
            made = self._written(goal, ())
            return _signature(self._wire.ask(FSTAT, packed(source), ATTRS)), made

    def date(self, path: str, seconds: int) -> None:
        """Sets a file's times, in seconds since the epoch."""
        self._wire.ask(SETSTAT, packed(_raw(path), TIMES, seconds, seconds))

    def place(self, path: str, to: str) -> None:
        """Gives a file a name that nothing has.

        Raises:
            OSError: among others, where something has it.
        """
        self._wire.ask(RENAME, packed(_raw(path), _raw(to)))

    def put_over(self, path: str, to: str) -> None:
        """Gives a file a name in one step, whatever had it."""
        answered(self._wire.extended(POSIX_RENAME, packed(_raw(path), _raw(to))))

    def drop(self, path: str) -> None:
        """Removes a file."""
        self._wire.ask(REMOVE, packed(_raw(path)))

    def make_folder(self, path: str) -> None:
        """Makes a directory."""
        self._wire.ask(MKDIR, packed(_raw(path), 0))

    def drop_folder(self, path: str) -> None:
        """Removes a directory, which must be empty."""
        self._wire.ask(RMDIR, packed(_raw(path)))

    @contextlib.contextmanager
    def _handle(self, kind: int, body: bytes, *, written: bool = False) -> Iterator[bytes]:
        handle = self._wire.ask(kind, body, HANDLE).text()
        whole = False
        try:
            yield handle
            whole = True
        finally:
            with contextlib.nullcontext() if whole else contextlib.suppress(TransportError):
                closed = self._wire.send(CLOSE, packed(handle))
        if written:
            answered(closed)  # some servers tell only now that the disk is full


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _signature_or_none(said: Fields) -> Signature | None:
    flags = said.number()
    size = said.long() if flags & SIZE else 0
    if flags & OWNER:
        said.long()
    mode = said.number() if flags & MODE else 0
    if flags & TIMES:
        said.number()
    mtime = said.number() if flags & TIMES else 0
    for _ in range(said.number() if flags & MORE else 0):
        said.text()
        said.text()
    if flags & NEED != NEED or not stat.S_IFMT(mode):
        return None
    return Signature(ino=0, size=size, mtime_ns=mtime * 10**9, ctime_ns=0, mode=mode)


def _signature(said: Fields) -> Signature:
    found = _signature_or_none(said)
    if found is None:
        raise OSError("it tells neither type, size nor time of a file")
    return found
