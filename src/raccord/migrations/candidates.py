"""Turns sightings into contents: their bytes, verified, each with every place that holds them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from raccord.migrations.contents import ORDER, Candidate, Origin, Sighting, Trouble
from raccord.migrations.file_sources import reread
from raccord.migrations.git_history import Row
from raccord.migrations.git_history import named as named_commits
from raccord.migrations.headers import LIMIT, Headers
from raccord.migrations.revision import Revision
from raccord.migrations.sightings import Sightings

RANK = {kind: number for number, kind in enumerate(ORDER)}
_TODAY = frozenset({"worktree", "directory", "index", "ref"})
_SLUG = re.compile(r"\w+", re.ASCII)
LONGEST_SLUG = 40


class Candidates:
    """The contents of revisions, built once until more is sighted.

    Attributes:
        brought: the commit that first brought each blob, as far as that is known.
        troubles: what was sighted and could not be read when it was needed.
    """

    def __init__(self, seen: Sightings, headers: Headers) -> None:
        self._seen, self._headers = seen, headers
        self.brought: dict[str, Row] = {}
        self.troubles: list[Trouble] = []
        self._bytes: dict[str, bytes] = {}
        self._named: dict[str, str] = {}
        self._built: dict[str, tuple[Candidate, ...]] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Takes in what commits brought."""
        for row in rows:
            first = self.brought.get(row.blob)
            if first is None or row.time < first.time:
                self.brought[row.blob] = row

    def stale(self) -> None:
        """More was sighted."""
        self._built.clear()

    def of(self, ids: Iterable[str]) -> dict[str, tuple[Candidate, ...]]:
        """The contents of each revision, in the order of the sources; ids that nobody can read left out."""
        ids = list(ids)
        todo = [one for one in ids if one not in self._built]
        self._load(one for id_ in todo for one, _ in self._seen.of(id_))
        self._name(one for id_ in todo for one, _ in self._seen.of(id_))
        for id_ in todo:
            self._built[id_] = tuple(self._contents(id_))
        return {one: self._built[one] for one in ids if self._built[one]}

    def _load(self, wanted: Iterable[Sighting]) -> None:
        """The bytes of contents: from git where it has them, else from the files."""
        places: dict[str, list[Sighting]] = {}
        for one in wanted:
            if one.blob not in self._bytes:
                places.setdefault(one.blob, []).append(one)
        read = dict(self._headers.objects.read(places, LIMIT)) if places else {}
        for blob, sightings in places.items():
            data = read.get(blob)
            for one in sightings:
                if isinstance(data, bytes):
                    break
                if one.kind in ("worktree", "directory"):
                    data = reread(one.where, one.path, one.kind)
                    data = data if data is not None and self._headers.oid(data) == blob else None
            content = self._headers.content(data) if isinstance(data, bytes) else None
            if isinstance(content, bytes):
                self._bytes[blob] = content

    def _name(self, wanted: Iterable[Sighting]) -> None:
        """Refs that lead to commits which were reached before a ref moved on."""
        lost = {one.commit for one in wanted if one.kind == "history" and not one.where}
        self._named.update(named_commits(self._headers.objects.git, sorted(lost - self._named.keys())))

    def _contents(self, revision: str) -> Iterator[Candidate]:
        groups: dict[str, list[Sighting]] = {}
        headers: dict[str, Revision] = {}
        for one, header in sorted(self._seen.of(revision), key=lambda seen: RANK[seen[0].kind]):
            groups.setdefault(header.digest, []).append(one)
            headers.setdefault(header.digest, header)
        for digest, group in groups.items():
            first = group[0]
            blob = next((one.blob for one in group if self._digest(one.blob) == digest), None)
            if blob is None:
                reason = "it was there and can't be read any more"
                self.troubles.append(Trouble(first.kind, first.where, first.path, reason))
                continue
            header = headers[digest]
            header = replace(header, name=next((one.name for one in group if one.name), named(header)))
            origins = tuple(self._origin(one, digest) for one in group)
            yield Candidate(header, blob, self._bytes[blob], origins)

    def _digest(self, blob: str) -> str:
        data = self._bytes.get(blob)
        return "" if data is None else hashlib.sha256(data).hexdigest()

    def _origin(self, one: Sighting, digest: str) -> Origin:
        brought: Mapping[str, Row] = self.brought if one.kind in _TODAY else {}
        row = brought.get(one.blob)
        if row is not None:
            return Origin(one.kind, one.where, one.path, row.commit, row.author, row.time, digest)
        # At the tip of a ref it may be for long; who brought it there is not known then.
        commit = "" if one.kind == "ref" else one.commit
        where = one.where or self._named.get(one.commit, "")
        return Origin(one.kind, where, one.path, commit, one.author, one.time, digest)


def named(header: Revision) -> str:
    """A file name for a content that lost its own, as alembic makes one."""
    slug = "_".join(_SLUG.findall(header.message.lower()))[:LONGEST_SLUG].rstrip("_")
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", header.id)
    return f"{plain}_{slug}.py" if slug else f"{plain}_.py"
