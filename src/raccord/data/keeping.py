"""Archives of rows in raccord's own state: what a push overwrote or removed, and what it left in their place.

An archive is a folder: `archive.json`, and for each table `N.old`, the rows as they were, and `N.new`, the
keys and hashes of the rows that the push left. Both are as PostgreSQL's COPY gives them. The document is
written last, together with the number of the transaction, and before that commits: from then on only the
server knows whether the push took place.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from raccord.errors import RestoreFailed
from raccord.kernel import fs
from raccord.model.plan import Json
from raccord.model.text import shown

ROWS = "rows"  # below raccord's own folder
DOCUMENT = "archive.json"
VERSION = 1
CHUNK = 1 << 20


@dataclass(slots=True)
class Part:
    """One file of an archive while it is written.

    Attributes:
        rows: how many rows it holds, once somebody knows.
        size: in bytes, so far.
    """

    file: IO[bytes] = field(repr=False)
    name: str
    rows: int = 0
    size: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256, repr=False)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Adds bytes."""
        view = memoryview(data)
        self._digest.update(view)
        self.size += len(view)
        while view:
            view = view[self.file.write(view) :]

    def document(self) -> dict[str, Json]:
        """What is known of it."""
        return {"file": self.name, "rows": self.rows, "bytes": self.size, "sha256": self._digest.hexdigest()}


@dataclass(frozen=True, slots=True)
class Shelf:
    """The archives of a repository.

    Attributes:
        folder: where they are.
    """

    folder: Path

    @classmethod
    def below(cls, state: str | Path) -> Shelf:
        """The one in raccord's own folder."""
        return cls(Path(state) / ROWS)

    def place(self, id_: str) -> Path:
        """The folder of an archive."""
        return self.folder / id_

    def begin(self, id_: str) -> None:
        """Makes room for an archive; what was begun before under this id goes.

        Raises:
            CannotRun: the folder can't be written.
        """
        place = self.place(id_)
        fs.remove_tree(place)
        fs.make_dirs(place)

    @contextlib.contextmanager
    def part(self, id_: str, name: str) -> Iterator[Part]:
        """A file of an archive, on the disk after the block and read back.

        Raises:
            RestoreFailed: it can't be read back as it was written.
        """
        path = self.place(id_) / name
        with fs.opened_new(path, mode=0o600) as file:
            part = Part(file, name)
            yield part
        self._check(path, part.document())

    def finish(self, id_: str, document: Mapping[str, Json]) -> None:
        """Writes the document; the archive is whole from then on."""
        fs.sync_dir(self.place(id_))
        said = json.dumps({"version": VERSION, "id": id_, **document}, indent=1)
        fs.write_atomic(self.place(id_) / DOCUMENT, said.encode("ascii"), mode=0o600, exact=True)

    def document(self, id_: str) -> dict[str, Json] | None:
        """What is known of an archive; None where there is none, or one that was not finished.

        Raises:
            RestoreFailed: it can't be read.
        """
        said = fs.read_or_none(self.place(id_) / DOCUMENT)
        if said is None:
            return None
        try:
            found = json.loads(said)
            if found["version"] == VERSION and found["id"] == id_:
                return dict(found)
        except (ValueError, KeyError, TypeError):
            pass
        raise RestoreFailed(
            f"what is known of the kept rows {id_} can't be read",
            hint=f"ls -l {shown(str(self.place(id_)))}",
        )

    def needed(self, id_: str) -> dict[str, Json]:
        """The document of an archive that must be there.

        Raises:
            RestoreFailed: it isn't, or can't be read.
        """
        found = self.document(id_)
        if found is None:
            raise RestoreFailed(f"the kept rows {id_} are gone", hint=f"ls -l {shown(str(self.folder))}")
        return found

    def read(self, id_: str, part: Mapping[str, Json]) -> Iterator[bytes]:
        """The bytes of a file, once they were found to be those that were written.

        Raises:
            RestoreFailed: they aren't.
        """
        path = self.place(id_) / str(part["file"])
        self._check(path, part)
        with open(path, "rb") as file:
            while data := file.read(CHUNK):
                yield data

    def _check(self, path: Path, part: Mapping[str, Json]) -> None:
        digest = hashlib.sha256()
        try:
            with open(path, "rb") as file:
                while data := file.read(CHUNK):
                    digest.update(data)
        except OSError as error:
            raise RestoreFailed(f"{shown(str(path))} can't be read: {error.strerror}") from error
        if digest.hexdigest() != part["sha256"]:
            raise RestoreFailed(f"{shown(str(path))} is not what was written into it")

    def ids(self) -> list[str]:
        """Every archive, finished or not."""
        return sorted(fs.names(self.folder))

    def forget(self, id_: str) -> None:
        """Removes an archive."""
        fs.remove_tree(self.place(id_))
