"""An archive as a source of rows: opened and verified before anything of it is used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raccord.data import container, manifest, outline
from raccord.data.container import Reader, damaged
from raccord.data.loads import Came, Load, Loads, There
from raccord.data.manifest import Held, Manifest
from raccord.data.outline import LARGEST, Outline
from raccord.data.sealing import Opener
from raccord.data.spec import Spec
from raccord.database import pump


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that was found to be whole."""

    reader: Reader
    manifest: Manifest

    @property
    def sha256(self) -> str:
        """Tells it apart from every other."""
        return self.reader.sha256

    def loads(self, there: There, spec: Spec) -> Loads:
        """See `loads.Source`."""
        return {one.id: self._load(one) for one in self.manifest.tables}

    def _load(self, one: Held) -> Load:
        return Load(
            one.table, one.columns, pump.BINARY if one.binary else "",
            lambda take: self.reader.read(one.part, take),
            kept=one.kept, rows=one.rows, size=one.part.size, digest=one.digest, keyed=bool(one.key),
            where=one.where, masked=tuple(one.masked), outline=lambda: self._outline(one),
            came=self._came(one),
        )  # fmt: skip

    def _came(self, one: Held) -> Came | None:
        came = one.came
        if came is None:
            return None
        return Came(one.key, came.digest.rows, lambda take: self.reader.read(came.part, take))

    def _outline(self, one: Held) -> Outline | None:
        if one.outline is None:
            return None
        if one.outline.size > LARGEST:
            raise damaged(self.reader.path, "what it says of its blocks is too long")
        blocks: list[bytes] = []
        self.reader.read(one.outline, blocks.append)
        try:
            return outline.parse(b"".join(blocks))
        except ValueError:
            raise damaged(self.reader.path, "what it says of its blocks can't be read") from None


@contextlib.contextmanager
def opened(path: Path, opener: Opener) -> Iterator[Archive]:
    """An archive, verified as far as its head, its manifest and its end say.

    Raises:
        CannotRun: it can't be read, or takes a key that was not given.
        Damaged: it is not as it was written.
    """
    with container.opened(path, opener) as reader:
        try:
            known = manifest.parse(reader.manifest)
        except ValueError as error:
            raise damaged(path, f"its manifest can't be read: {error}") from None
        reader.tiles([part for one in known.tables for part in one.parts])
        yield Archive(reader, known)


def verify(archive: Archive) -> None:
    """Reads all of it, and makes sure that every byte is what was written; unpacks nothing.

    Raises:
        Damaged: one isn't.
    """
    for one in archive.manifest.tables:
        for part in one.parts:
            archive.reader.check(part)
