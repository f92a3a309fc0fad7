"""Asks a worktree's database which of several contents it was upgraded with.

Reads its catalog once, and writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from raccord.database.catalog import catalog
from raccord.database.heads import heads
from raccord.database.url import Target
from raccord.errors import DatabaseError
from raccord.migrations.choose import Schema
from raccord.migrations.contents import Candidate
from raccord.migrations.evidence import Book, Facts, Proof, Text, prove
from raccord.migrations.observe import Site
from raccord.migrations.regular import regular
from raccord.migrations.revision import LARGEST
from raccord.migrations.sources import Sources


class Schemas:
    """What databases say; each is read when it is first asked.

    Args:
        sources: where revisions were searched, for what else was applied.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._facts: dict[str, Facts | str] = {}

    def of(self, site: Site) -> Schema:
        """The question to a worktree's database."""

        def told(revision: str, pool: Sequence[Candidate], past: Sequence[Candidate]) -> Proof:
            if site.heads is None or site.target is None:
                return Proof(None, "")
            if site.target.key not in self._facts:
                self._facts[site.target.key] = _read(site, site.target)
            facts = self._facts[site.target.key]
            if isinstance(facts, str):
                return Proof(None, facts)
            return prove(revision, pool, past, Book(self._texts(site), site.heads), facts)

        return told

    def _texts(self, site: Site) -> dict[str, list[Text]]:
        """Every content that could be found of every revision, and the files of the worktree itself."""
        found = {
            one: [Text(each.revision, each.source) for each in contents]
            for one, contents in self._sources.everything().items()
        }
        for file in site.loaded.files:
            one = file.revision
            if all(one.digest != each.revision.digest for each in found.get(one.id, ())):
                source = _source(file.path)
                if hashlib.sha256(source).hexdigest() == one.digest:
                    found.setdefault(one.id, []).append(Text(one, source))
        return found


def _source(path: str) -> bytes:
    try:
        return regular(path, LARGEST)[0]
    except OSError:
        return b""


def _read(site: Site, target: Target) -> Facts | str:
    try:
        facts = Facts(catalog(target))
        # Somebody may have upgraded it since it was looked at.
        now = heads(target, site.database.version_table, site.database.version_schema) or frozenset()
    except DatabaseError as error:
        return f"its schema can't be read: {error.message}"
    return facts if now == site.heads else "the database was upgraded just now"
