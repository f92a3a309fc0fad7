"""What each content says of itself, read once: by the object id of its bytes, kept in raccord's cache.

Nothing of a content is executed; what only running it could tell is `Unread`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice

from raccord.git.repo import Repository
from raccord.git.snapshot_write import object_id
from raccord.migrations import lfs
from raccord.migrations.cache import Cache
from raccord.migrations.objects import Objects
from raccord.migrations.revision import Revision, Unread, read
from raccord.model.plan import Json

Header = Revision | Unread | None

LIMIT = 2 << 20  # bytes; a longer file is no migration that a person wrote
# A new number where `revision.read` comes to another answer for the same bytes.
SPACE = "migration.blob/1"
SAID = f"{SPACE}/said"  # the same, by the digest of the bytes and the name of the file
# Where a whole repository is looked through, only what has this is parsed.
MARK = b"down_revision"
# Before alembic 0.2 such a name was the id, so the name belongs to the content.
_BY_NAME = re.compile(r"[a-f0-9]+\.py")
_ANY_NAME = "_.py"
_MANY = 20_000


class Headers:
    """The headers of contents that were looked at so far."""

    def __init__(self, repo: Repository, objects: Objects, cache: Cache) -> None:
        self.repo, self.objects, self.cache = repo, objects, cache
        self._known: dict[str, Header] = {}
        self._contents: dict[str, Revision] = {}  # by their own digest
        self._named: dict[tuple[str, str], Revision | Unread] = {}

    def get(self, blob: str, name: str) -> Header:
        """The header of a content that was looked at, under the name that its file has here."""
        named = self._named.get((blob, name))
        if named is None and (header := self._known.get(_key(blob, name))) is not None:
            named = self._named[blob, name] = _named(header, name)
        return named

    def seen(self, blob: str, name: str) -> bool:
        """Whether it was looked at."""
        return _key(blob, name) in self._known

    def look(self, files: Iterable[tuple[str, str]], *, marked: bool = False) -> None:
        """Looks at contents that git holds.

        Args:
            files: object id and base name.
            marked: those without `MARK` are passed by, and not remembered in the cache.
        """
        rest = iter(self.recall(files))
        while some := {_key(*pair): pair for pair in islice(rest, _MANY)}:
            self._read(some, marked=marked)

    def _read(self, some: dict[str, tuple[str, str]], *, marked: bool) -> None:
        keys: dict[str, list[str]] = {}
        for key, (blob, _) in some.items():
            keys.setdefault(blob, []).append(key)
        new: dict[str, Json] = {}
        for blob, data in self.objects.read(keys, LIMIT):
            for key in keys[blob]:
                name = some[key][1] if key != blob else _ANY_NAME
                if marked and isinstance(data, bytes) and not marks(data):
                    self._known[key] = None
                    continue
                header, lasting = self._judged(data, name)
                self._keep(key, header)
                if lasting:
                    new[key] = plain(header)
        self.cache.put(SPACE, new)

    def recall(self, files: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of the contents, by object id and base name, that nobody looked at yet."""
        unknown = {_key(*pair): pair for pair in files}
        unknown = {key: pair for key, pair in unknown.items() if key not in self._known}
        for key, value in self.cache.get(SPACE, unknown).items():
            self._keep(key, header_of(value))
        return {pair for key, pair in unknown.items() if key not in self._known}

    def offer(self, files: Mapping[tuple[str, str], bytes]) -> None:
        """Looks at contents that are at hand: object id and base name to the bytes of the file."""
        new: dict[str, Json] = {}
        for pair in self.recall(files):
            key = _key(*pair)
            name = pair[1] if key != pair[0] else _ANY_NAME
            header, lasting = self._judged(files[pair], name)
            self._keep(key, header)
            if lasting:
                new[key] = plain(header)
        self.cache.put(SPACE, new)

    def _keep(self, key: str, header: Header) -> None:
        self._known[key] = header
        if isinstance(header, Revision):
            self._contents[header.digest] = header

    def oid(self, data: bytes) -> str:
        """The object id of a blob with these bytes, in git or not."""
        return object_id(data, len(self.repo.zero) // 2)

    def content(self, data: bytes) -> bytes | str:
        """The bytes themselves, or those that they point to in the LFS store, or why there are none."""
        pointer = lfs.pointer(data)
        return data if pointer is None else lfs.resolve(self.repo, pointer, LIMIT)

    def _judged(self, data: bytes | str, name: str) -> tuple[Header, bool]:
        """The header, and whether it stays true whatever happens to the repository."""
        if isinstance(data, str):
            return Unread(name, 0, data), False
        if len(data) > LIMIT:
            return Unread(name, 0, f"{len(data)} bytes: more than {LIMIT}"), False
        content = self.content(data)
        if isinstance(content, str):
            # A worktree may have checked out what LFS's own store lacks.
            pointer = lfs.pointer(data)
            return self._contents.get(pointer.oid if pointer else "", Unread(name, 0, content)), False
        return read(content, name), content is data


def marks(data: bytes) -> bool:
    """Whether a file of a whole repository is worth parsing."""
    return MARK in data or data.startswith(lfs.POINTER)


def _key(blob: str, name: str) -> str:
    return f"{blob}/{name}" if _BY_NAME.fullmatch(name) else blob


def _named(header: Revision | Unread, name: str) -> Revision | Unread:
    if isinstance(header, Unread):
        return Unread(name, header.line, header.reason)
    return Revision(
        header.id,
        header.down,
        header.depends_on,
        header.labels,
        name,
        header.digest,
        header.message,
        header.created,
        header.unclear,
    )


def plain(header: Header) -> Json:
    """A header as JSON, without its name."""
    if header is None:
        return None
    if isinstance(header, Unread):
        return [header.line, header.reason]
    return [
        header.id,
        list(header.down),
        list(header.depends_on),
        list(header.labels),
        header.digest,
        header.message,
        header.created,
        list(header.unclear),
    ]


def header_of(value: Json) -> Header:
    """What `plain` made JSON of."""
    if value is None:
        return None
    if len(value) == 2:
        return Unread(_ANY_NAME, value[0], value[1])
    identity, down, depends_on, labels, digest, message, created, unclear = value
    return Revision(
        identity,
        tuple(down),
        tuple(depends_on),
        tuple(labels),
        _ANY_NAME,
        digest,
        message,
        created,
        tuple(unclear),
    )
