"""raccord's own store of migrations: every content that was seen or applied, safe from gc and from edits.

A commit under `refs/raccord/migrations` holds `<revision>/<sha256>.py` for each content, and `meta.json`:
where each was first seen, and which content was last applied to which database. Adding is conditional and
tried again, so that raccords at the same time lose nothing of each other. Never touches any other ref.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from raccord.errors import ProcessFailed, RaccordError, WorldMoved
from raccord.git import leftover
from raccord.git.repo import Repository
from raccord.git.snapshot import batch, sync_refs
from raccord.git.snapshot_write import Tip, importing, object_id
from raccord.migrations.contents import Candidate, Origin, Sighting

REF = "refs/raccord/migrations"
META = "meta.json"
FORMAT = 1
TRIES = 60
PAUSE_S = 0.02  # grows with each try, up to fifty times as much
# What git says where somebody else moved the ref, or is just about to.
_MOVED = re.compile(r"Not updating|cannot lock ref|Unable to create .*\.lock|but expected|already exists")


@dataclass(frozen=True, slots=True)
class Content:
    """A content to remember.

    Attributes:
        revision: its id.
        name: the file's base name.
        origin: where it was found; None where that is not known.
    """

    revision: str
    name: str
    source: bytes
    origin: Origin | None = None

    @classmethod
    def of(cls, found: Candidate) -> Content:
        """What a search found."""
        return cls(found.revision.id, found.revision.name, found.source, found.origins[0])


@dataclass(frozen=True, slots=True)
class Kept:
    """A content that is in the store.

    Attributes:
        blob: its object id.
        seen: Unix seconds when raccord first saw it.
    """

    revision: str
    name: str
    blob: str
    seen: float
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class Shelf:
    """The store as it was in one reading.

    Attributes:
        commit: that holds it, "" where there is none.
        contents: by the SHA-256 of the bytes.
        applied: by database and revision: digest, and Unix seconds when it was applied.
    """

    commit: str = ""
    contents: Mapping[str, Kept] = field(default_factory=dict)
    applied: Mapping[str, Mapping[str, tuple[str, float]]] = field(default_factory=dict)

    def digests(self, database: str) -> dict[str, str]:
        """The content of each revision that was applied to a database and not taken back since."""
        return {revision: digest for revision, (digest, _) in self.applied.get(database, {}).items()}

    def ever_applied(self, digest: str) -> str | None:
        """A database that a content was applied to."""
        for database, revisions in self.applied.items():
            if any(digest == one for one, _ in revisions.values()):
                return database
        return None


def sightings(shelf: Shelf) -> list[Sighting]:
    """What is in the store, as a source of a search."""
    return [
        Sighting("archive", REF, kept.name, kept.blob, *_provenance(kept)) for kept in shelf.contents.values()
    ]


class Archive:
    """The store of one repository."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def read(self) -> Shelf:
        """What is in the store, in one process.

        Raises:
            RaccordError: the ref is none of ours, or a newer raccord's.
            ProcessFailed: git failed.
        """
        found, document = batch(self._repo.git, [f"{REF}^{{commit}}", f"{REF}:{META}"])
        if found is None:
            return Shelf()
        try:
            return _read(found[0], json.loads(document[1] if document else b""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RaccordError(
                f"{REF} holds no migrations that this raccord can read", hint=f"git show {REF}:{META}"
            ) from error

    def applied(self, database: str, revision: str) -> str | None:
        """The SHA-256 of the content that was last applied to a database; None where nobody recorded it."""
        return self.read().digests(database).get(revision)

    def contents(self, digests: Iterable[str]) -> list[Content]:
        """Contents of the store, by the SHA-256 of their bytes; those that are not in it are left out."""
        kept = self.read().contents
        found = [kept[digest] for digest in digests if digest in kept]
        blobs = batch(self._repo.git, [one.blob for one in found])
        return [
            Content(one.revision, one.name, said[1], one.origin)
            for one, said in zip(found, blobs, strict=True)
            if said is not None
        ]

    def remember(self, contents: Iterable[Content], *, applied_to: str = "", at: float | None = None) -> int:
        """Adds contents, durably; returns how many were new.

        Args:
            applied_to: the database that they were just applied to, "" where they were only seen.
            at: Unix seconds; now by default.

        Raises:
            WorldMoved: others write to the store all the time.
            CannotRun: the disk is full.
            RaccordError: the ref is none of ours.
            ProcessFailed: git failed.
        """
        when = time.time() if at is None else at
        given = {hashlib.sha256(one.source).hexdigest(): one for one in contents}

        def change(shelf: Shelf) -> Shelf:
            kept = dict(shelf.contents)
            for digest, one in given.items():
                blob = object_id(one.source, len(self._repo.zero) // 2)
                kept.setdefault(digest, Kept(one.revision, one.name, blob, when, one.origin))
            applied = {database: dict(revisions) for database, revisions in shelf.applied.items()}
            if applied_to and given:
                there = applied.setdefault(applied_to, {})
                there.update({one.revision: (digest, when) for digest, one in given.items()})
            return Shelf(shelf.commit, kept, applied)

        before, after = self._changed(change, {digest: one.source for digest, one in given.items()})
        return len(after.contents) - len(before.contents)

    def applied_again(self, database: str, digests: Mapping[str, str]) -> None:
        """Notes that contents of the store are applied to a database again; raises as `remember`.

        Args:
            digests: by revision.
        """
        when = time.time()

        def change(shelf: Shelf) -> Shelf:
            there = {**shelf.applied.get(database, {}), **{one: (digests[one], when) for one in digests}}
            return Shelf(shelf.commit, shelf.contents, {**shelf.applied, database: there})

        self._changed(change, {})

    def copied(self, database: str, to: str) -> None:
        """Notes that a database was made of another one, which all is applied to; raises as `remember`."""

        def change(shelf: Shelf) -> Shelf:
            there = shelf.applied.get(database)
            if not there:
                return shelf
            return Shelf(shelf.commit, shelf.contents, {**shelf.applied, to: dict(there)})

        self._changed(change, {})

    def gone(self, database: str) -> None:
        """Notes that a database is no more; raises as `remember`."""

        def change(shelf: Shelf) -> Shelf:
            left = {name: applied for name, applied in shelf.applied.items() if name != database}
            return Shelf(shelf.commit, shelf.contents, left)

        self._changed(change, {})

    def taken_back(self, database: str, revisions: Iterable[str]) -> None:
        """Notes that revisions are no longer applied to a database; raises as `remember`."""
        gone = frozenset(revisions)

        def change(shelf: Shelf) -> Shelf:
            applied = {name: dict(applied) for name, applied in shelf.applied.items()}
            left = {one: what for one, what in applied.get(database, {}).items() if one not in gone}
            return Shelf(
                shelf.commit, shelf.contents, {**applied, database: left} if database in applied else applied
            )

        self._changed(change, {})

    def _changed(self, change: Callable[[Shelf], Shelf], sources: Mapping[str, bytes]) -> tuple[Shelf, Shelf]:
        """The store before and after; what somebody else adds meanwhile stays."""
        for tried in range(TRIES):
            before = self.read()
            after = change(before)
            if after == before:
                return before, after
            try:
                self._write(before, after, sources)
            except ProcessFailed as error:
                # A git that somebody killed may live the next time.
                if not _MOVED.search(error.stderr) and (tried or error.returncode >= 0):
                    raise
                time.sleep(random.uniform(0.2, 1) * PAUSE_S * min(tried + 1, 50))  # noqa: S311
            else:
                return before, after
        raise WorldMoved(f"{REF} was changed by others {TRIES} times in a row", hint="try again")

    def _write(self, before: Shelf, after: Shelf, sources: Mapping[str, bytes]) -> None:
        repo = self._repo
        with leftover.watched(repo), importing(repo.git, repo.common, len(repo.zero) // 2) as to:
            files: dict[bytes, tuple[str, str]] = {}
            for digest, kept in after.contents.items():
                held = digest in before.contents
                name = kept.blob if held else to.blob(sources[digest])[0]
                files[b"%s/%s.py" % (_folder(kept.revision), digest.encode())] = ("100644", name)
            document = json.dumps(_plain(after), sort_keys=True, separators=(",", ":")).encode("ascii")
            files[META.encode()] = ("100644", to.blob(document)[0])
            parents = [before.commit] if before.commit else []
            to.commit(Tip(REF, parents, b"raccord migrations\n", time.time(), files))
            to.finish()
        sync_refs(repo.common, REF)


def _folder(revision: str) -> bytes:
    """A folder's name for a revision id, whatever is in it."""
    return (
        quote(revision.encode("utf-8", "surrogateescape"), safe="")
        .replace(".", "%2E")
        .replace("~", "%7E")
        .encode()
    )


def _provenance(kept: Kept) -> tuple[str, str, float]:
    origin = kept.origin
    return (origin.commit, origin.author, origin.time) if origin else ("", "", kept.seen)


def _plain(shelf: Shelf) -> dict[str, object]:
    return {
        "format": FORMAT,
        "contents": {
            digest: {
                "revision": kept.revision,
                "name": kept.name,
                "blob": kept.blob,
                "seen": kept.seen,
                "origin": None if kept.origin is None else _origin(kept.origin),
            }
            for digest, kept in shelf.contents.items()
        },
        "applied": shelf.applied,
    }


def _origin(one: Origin) -> list[object]:
    return [one.kind, one.where, one.path, one.commit, one.author, one.time, one.digest]


def _read(commit: str, said: dict[str, object]) -> Shelf:
    """Reads `meta.json`; raises what `Archive.read` catches."""
    if said["format"] != FORMAT:
        raise ValueError(said["format"])
    contents, applied = said["contents"], said["applied"]
    if not isinstance(contents, dict) or not isinstance(applied, dict):
        raise TypeError(META)
    return Shelf(
        commit,
        {
            digest: Kept(
                kept["revision"],
                kept["name"],
                kept["blob"],
                kept["seen"],
                Origin(*kept["origin"]) if kept["origin"] else None,
            )
            for digest, kept in contents.items()
        },
        {
            database: {revision: (digest, at) for revision, (digest, at) in revisions.items()}
            for database, revisions in applied.items()
        },
    )
