"""A directory on another host as an object store, by SFTP. Links below it are not followed.

A version is a file's time, in seconds, and its size: SFTP tells no more. A new file takes a free name or
none; one that replaces another was looked at just before.
"""

from __future__ import annotations

import contextlib
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from raccord.errors import ObjectsError, RaccordError, UnsafePath, WorldMoved
from raccord.kernel.fs_look import Signature, split
from raccord.model.text import shown
from raccord.objects import guess
from raccord.objects.local import STAGE
from raccord.objects.model import ASIDE, IRREGULAR, LINK, PATH, Entry, Listing, Reading, Written
from raccord.objects.place import Place
from raccord.objects.reach import Files

JOBS = 16  # requests of one listing, or one removal, at once


class Far:
    """A directory on another host."""

    def __init__(self, place: Place) -> None:
        """Opens it; asks nothing."""
        assert place.way is not None
        self.place, self._way = place, place.way
        self._root = place.prefix.rstrip("/")
        self._folders: set[str] = set()  # that were seen to be directories
        self._mutex = threading.Lock()

    @property
    def shown(self) -> str:
        """Its URL."""
        return self.place.shown

    @property
    def keeps_attributes(self) -> bool:
        """No."""
        return False

    @property
    def longest(self) -> int:
        """What Linux takes for a path, less where it begins and what a copy is kept below."""
        return PATH - len(self.place.prefix.encode(errors="surrogateescape")) - ASIDE

    @property
    def _files(self) -> Files:
        return self._way.sftp()

    def listing(self, below: str = "") -> Listing:
        """Every file; links, pipes and their like are named as left."""
        below = below.strip("/")
        entries: dict[str, Entry] = {}
        left: dict[str, str] = {}
        with self._foreseen("list"):
            root = self._files.look(self._root or "/", follow=True)
            if root is None or not root.is_dir:
                hint = f"ssh {self._way.shown} mkdir {shown(self._root)}"
                raise ObjectsError(f"{self.shown} is no directory", hint=hint)
            try:
                self._check_above(f"{below}/x" if below else "x")
            except (FileNotFoundError, WorldMoved):
                return Listing({})
            folders = [below]
            with ThreadPoolExecutor(JOBS) as pool:
                while folders:
                    further = []
                    for at, found in zip(folders, pool.map(self._names, folders), strict=True):
                        for name, seen in found:
                            key = f"{at}/{name}" if at else name
                            if seen.is_dir:
                                further.append(key)
                            elif seen.is_file:
                                entries[key] = _entry(key, seen)
                            else:
                                left[key] = LINK if seen.is_link else IRREGULAR
                    folders = further
        return Listing(entries, left)

    def _names(self, at: str) -> list[tuple[str, Signature]]:
        try:
            return self._files.names(f"{self._root}/{at}" if at else self._root or "/")
        except FileNotFoundError:
            return []  # gone since it was named

    def find(self, key: str) -> Entry | None:
        """One file."""
        with self._foreseen("look at", key):
            try:
                seen = self._look(key)
            except (FileNotFoundError, WorldMoved):
                return None
        return _entry(key, seen) if seen is not None and seen.is_file else None

    @contextlib.contextmanager
    def read(self, key: str, etag: str, version: str = "") -> Iterator[Reading]:
        """One version of a file, and no older one; its content type is guessed from its name."""
        with contextlib.ExitStack() as open_:
            with self._foreseen("read", key):
                self._expect(key, etag)
                seen, chunks = open_.enter_context(self._files.opened(self._at(key)))
                if _version(seen) != etag:
                    raise _moved(key)
            yield Reading(_entry(key, seen), self._chunks(key, chunks, etag), guess.attributes(key))

    def _chunks(self, key: str, chunks: Iterator[bytes], etag: str) -> Iterator[bytes]:
        with self._foreseen("read", key):
            yield from chunks
            self._expect(key, etag)

    def write(
        self, key: str, data: Iterable[bytes], size: int, attributes: Mapping[str, str], expected: str
    ) -> Written:
        """Writes a file beside, flushes it, and renames it."""
        mode = stat.S_IMODE(self._expect(key, expected).mode) if expected else None
        with self._staged() as temporary, self._foreseen("write", key):
            seen = self._files.write(temporary, data, mode)
            if expected:
                seen = self._dated(temporary, seen, expected)
                self._expect(key, expected)
                self._files.put_over(temporary, self._at(key))
            else:
                self._placed(temporary, key)
        return Written(_version(seen), False)

    def _dated(self, temporary: str, seen: Signature, expected: str) -> Signature:
        """A file that could not be told from the one that it replaces, written in the same second, gets the
        next."""
        if _version(seen) != expected:
            return seen
        seen = replace(seen, mtime_ns=seen.mtime_ns + 10**9)
        self._files.date(temporary, seen.mtime_ns // 10**9)
        return seen

    def copy(self, entry: Entry, to: str) -> None:
        """Copies a file, on the server where it can."""
        with self._staged() as temporary, self._foreseen("copy", entry.key):
            self._expect(entry.key, entry.etag)
            source, made = self._files.copy(self._at(entry.key), temporary)
            if _version(source) != entry.etag or made.size != source.size:
                raise _moved(entry.key)
            self._expect(entry.key, entry.etag)
            self._make_above(to)
            self._files.put_over(temporary, self._at(to))

    def remove(self, entries: Sequence[tuple[str, str]]) -> list[str]:
        """Removes files: each is renamed, looked at, and given its name back where it is another."""

        def gone(one: tuple[str, str]) -> bool:
            try:
                self._removed(*one)
            except WorldMoved:
                return False
            return True

        with ThreadPoolExecutor(JOBS) as pool:
            went = list(pool.map(gone, entries))
        return [key for (key, _), did in zip(entries, went, strict=True) if not did]

    def _removed(self, key: str, etag: str) -> None:
        with self._foreseen("remove", key):
            self._expect(key, etag)
            aside = self._aside()
            self._files.place(self._at(key), aside)
            seen = self._files.look(aside)
            if seen is None or _version(seen) != etag:
                self._files.place(aside, self._at(key))
                raise _moved(key)
            self._files.drop(aside)
        with contextlib.suppress(OSError):
            while key := key.rpartition("/")[0]:
                self._files.drop_folder(self._at(key))
                with self._mutex:
                    self._folders.discard(key)

    def conditional(self, key: str) -> bool:
        """Not where a file replaces another: SFTP has no such condition.

        Raises:
            ObjectsError: it can't be written to, or a file can't replace another in one step.
        """
        with self._foreseen("write", key):
            if not self._files.replaces:
                raise ObjectsError(
                    f"{self.shown} can't be written to: its server can't replace a file in one step",
                    hint="it needs posix-rename@openssh.com, which OpenSSH's server has",
                )
            with self._staged() as temporary:
                self._files.write(temporary, [b""], None)
                self._files.drop(temporary)
        return False

    def _aside(self) -> str:
        """A path of raccord's own that nothing has."""
        stage = f"{STAGE}/{secrets.token_hex(8)}"
        with self._foreseen("write", stage):
            self._make_above(stage)
        return self._at(stage)

    @contextlib.contextmanager
    def _staged(self) -> Iterator[str]:
        """The same; what has it is removed where the block fails."""
        path = self._aside()
        try:
            yield path
        except BaseException:
            with contextlib.suppress(OSError, RaccordError):
                self._files.drop(path)
            raise

    def _placed(self, temporary: str, key: str) -> None:
        """Gives a file a name that nothing has."""
        for last in (False, True):
            self._make_above(key)
            try:
                self._files.place(temporary, self._at(key))
            except FileNotFoundError:
                # A directory above was empty, and removed.
                with self._mutex:
                    self._folders.clear()
                if last:
                    raise
            except OSError:
                if self._files.look(self._at(key)) is not None:
                    raise _moved(key) from None
                raise
            else:
                return

    def _at(self, key: str) -> str:
        return f"{self._root}/{'/'.join(split(key))}"

    def _look(self, key: str) -> Signature | None:
        self._check_above(key)
        return self._files.look(self._at(key))

    def _expect(self, key: str, etag: str) -> Signature:
        with self._foreseen("look at", key):
            seen = self._look(key)
        if seen is None or not seen.is_file or _version(seen) != etag:
            raise _moved(key)
        return seen

    def _check_above(self, key: str) -> None:
        """Sees that what is above a key are directories, and no links.

        Raises:
            FileNotFoundError: one is missing.
            UnsafePath: one is a link.
            WorldMoved: one is a file.
        """
        for at in _above(key):
            with self._mutex:
                if at in self._folders:
                    continue
            seen = self._files.look(self._at(at))
            if seen is None:
                raise FileNotFoundError(at)
            if seen.is_link:
                raise UnsafePath(f"{shown(at)} is a link, which is not followed", path=at)
            if not seen.is_dir:
                raise _moved(key)
            with self._mutex:
                self._folders.add(at)

    def _make_above(self, key: str) -> None:
        for at in _above(key):
            try:
                self._check_above(f"{at}/x")
            except FileNotFoundError:
                with contextlib.suppress(OSError):  # somebody was faster, or the next look tells
                    self._files.make_folder(self._at(at))
                self._check_above(f"{at}/x")

    @contextlib.contextmanager
    def _foreseen(self, doing: str, key: str = "") -> Iterator[None]:
        what = f"can't {doing} {shown(key) + ' in ' if key else ''}{self.shown}"
        try:
            yield
        except FileNotFoundError:
            raise _moved(key) from None
        except PermissionError:
            hint = f"give {self._way.shown} the right to do this"
            raise ObjectsError(f"{what}: the server gives no right to", hint=hint) from None
        except OSError as error:
            hint = "see whether its disk is full"
            raise ObjectsError(f"{what}: the server says {error}", hint=hint) from None


def _above(key: str) -> list[str]:
    parts = split(key)[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _version(seen: Signature) -> str:
    return f"{seen.mtime_ns // 10**9:x}-{seen.size:x}"


def _entry(key: str, seen: Signature) -> Entry:
    return Entry(key, seen.size, _version(seen))


def _moved(key: str) -> WorldMoved:
    return WorldMoved(f"{shown(key)} is not as it was", path=key)
