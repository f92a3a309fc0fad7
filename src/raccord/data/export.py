"""Writes the rows of a set into an archive, table by table, of one state of the source.

It grows under a name that ends in `.part`. What is known of its tables so far lies in raccord's own state: an
export that was cut off goes on behind the tables whose rows are still what they were. It has its final name
once it was read back. Nothing of an environment is changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.data import container, kinds, manifest
from raccord.data.container import Part, Writer
from raccord.data.export_steps import File, Naming
from raccord.data.leaving import Leaving
from raccord.data.manifest import Came, Made
from raccord.data.masks import Salt
from raccord.data.pairs import Pair
from raccord.data.sealing import Opener, Seal
from raccord.data.spec import Spec
from raccord.database.keeping import new_id
from raccord.database.url import Target
from raccord.errors import CannotRun, UsageError
from raccord.kernel import fs, fs_part
from raccord.kernel.fs_alive import alive
from raccord.model.plan import Json
from raccord.model.text import shown

PART = ".part"
EXPORTS = "exports"  # below raccord's own folder


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of an archive that is not finished.

    Attributes:
        path: its final name.
        id: of the archive.
        key: its sealed key.
        sealed: to whom, in words that tell two of them apart.
        spec: how the set was configured.
        tables: those that are written, as the manifest will have them.
    """

    path: str
    id: str
    key: str
    sealed: Sequence[str]
    spec: Mapping[str, Json]
    tables: Sequence[Mapping[str, Json]] = ()

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        return {
            "path": self.path, "id": self.id, "key": self.key, "sealed": list(self.sealed),
            "spec": dict(self.spec), "tables": [dict(one) for one in self.tables],
        }  # fmt: skip

    @property
    def part(self) -> Path:
        """Where it grows."""
        return Path(self.path + PART)

    @property
    def end(self) -> int:
        """How many bytes of its parts are known to be good."""
        part = self.tables[-1]["part"] if self.tables else None  # a table's last one
        return 0 if part is None else int(part["offset"]) + int(part["stored"])


@dataclass(frozen=True, slots=True)
class Notes:
    """Where it is written down how far exports came.

    Attributes:
        folder: below raccord's own.
    """

    folder: Path

    @classmethod
    def below(cls, state: str | Path) -> Notes:
        """Those of a repository."""
        return cls(Path(state) / EXPORTS)

    def place(self, path: str | Path) -> Path:
        """Where that of one file is."""
        return self.folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"

    def read(self) -> list[Begun]:
        """Every export that was begun and whose part is still there."""
        found = []
        for name in sorted(fs.names(self.folder)):
            if not name.endswith(".json"):
                continue
            try:
                one = Begun(**json.loads(fs.read_or_none(self.folder / name) or b""))
                if fs_part.size_of(one.part) >= one.end:
                    found.append(one)
                    continue
            except (ValueError, TypeError, KeyError):
                pass
            fs.unlink(self.folder / name)
        return found

    def write(self, one: Begun) -> None:
        """Writes down how far an export came."""
        fs.make_dirs(self.folder)
        fs.write_atomic(self.place(one.path), json.dumps(one.document()).encode(), mode=0o600, exact=True)

    def forget(self, one: Begun) -> None:
        """It is finished."""
        fs.unlink(self.place(one.path))


@dataclass(frozen=True, slots=True)
class Order:
    """An export as it is carried out.

    Attributes:
        path: the final name of the archive.
        made: by whom, and of what.
        salt: of the masks.
        sealed: to whom, in words that tell two of them apart.
        seal: makes a seal, where the archive is begun.
        opener: opens what was begun, where it is sealed to a passphrase.
        name: gives the archive its name.
    """

    spec: Spec
    path: Path
    made: Made
    salt: Salt
    sealed: tuple[str, ...]
    seal: Callable[[], Seal]
    opener: Opener
    name: Naming
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """An archive that was written and read back.

    Attributes:
        tables: as its manifest has them.
        resumed: how many of them an earlier call had written.
        size: of the file in bytes.
        sha256: tells it apart from every other.
    """

    path: Path
    tables: tuple[Mapping[str, Json], ...]
    resumed: int
    size: int
    sha256: str


def begun(notes: Notes, spec: Spec, folder: Path, sealed: Sequence[str]) -> Begun | None:
    """The export of a set into a folder that was cut off last, if it would be written alike."""
    found = [
        one
        for one in notes.read()
        if Path(one.path).parent == folder
        and list(one.sealed) == list(sealed)
        and one.spec == spec.document()
    ]
    return max(found, key=lambda one: one.id, default=None)


def export(order: Order, notes: Notes, target: Target) -> Done:
    """Writes an archive, or goes on with one that was cut off.

    Raises:
        UsageError: there is a file of that name.
        CannotRun: the source can't be read, or the file not written.
    """
    if fs.signature(order.path) is not None:
        raise UsageError(
            f"{shown(str(order.path))} is there already", hint=f"{order.spec.command} --out OTHER"
        )
    fs.make_dirs(notes.folder)
    lock = notes.place(order.path).with_suffix(".lock")
    with alive(lock, 0.0):
        done = _export(order, notes, target)
        fs.unlink(lock)
        return done


def _export(order: Order, notes: Notes, target: Target) -> Done:
    earlier = next((one for one in notes.read() if one.path == str(order.path)), None)
    if earlier is not None and (
        list(earlier.sealed) != list(order.sealed) or earlier.spec != order.spec.document()
    ):
        earlier = None
    # What is begun anew gets another id, and another key.
    seal = order.opener.reopen(earlier.key) if earlier is not None and earlier.key else order.seal()
    now = earlier or Begun(str(order.path), new_id(), seal.key, order.sealed, order.spec.document())
    with kinds.of(target).leaving(target, order.spec) as rows:
        found = rows.going(order.spec, order.salt)
        if found.refused:
            raise CannotRun(found.refused[0].message, hint=found.refused[0].hint)
        good = _still(rows, found.tables, now.tables)
        resumed = len(good)
        now = replace(now, tables=good)
        start = container.head(now.id, seal)
        fs.make_dirs(order.path.parent)
        notes.write(now)  # a part that is cut off within its first table is to be found as well
        with fs_part.continued(now.part, now.end if good else 0) as file:
            if not good:
                file.write(start)
            writer = Writer(file, seal, start)
            for pair in found.tables[resumed:]:
                now = replace(now, tables=(*now.tables, _table(rows, writer, pair, order.say)))
                notes.write(now)
            said = manifest.manifest(
                now.id, target.kind, order.spec, replace(order.made, server=found.server), now.tables
            )
            sha256 = writer.finish(said)
            size = file.size
    order.say("reading it back")
    container.reread(now.part, seal, manifest.parts(now.tables), sha256)
    counts = {pair.shown: int(one["rows"]) for pair, one in zip(found.tables, now.tables, strict=True)}
    order.name([File.of(order.path, now.part)], counts)
    notes.forget(now)
    return Done(order.path, tuple(now.tables), resumed, size, sha256)


def _still(
    rows: Leaving, tables: Sequence[Pair], written: Sequence[Mapping[str, Json]]
) -> tuple[Mapping[str, Json], ...]:
    """Those of the tables that were written whose rows are still what they were, from the first on."""
    good: list[Mapping[str, Json]] = []
    for pair, one in zip(tables, written, strict=False):
        told = Part.parse(one["outline"]) if one.get("outline") else None
        keys, came = rows.came(pair), Came.parse(one.get("came"))
        if keys != (came and came.digest):
            break
        again = manifest.held(
            pair, one["rows"], rows.digest(pair), Part.parse(one["part"]), one["sequences"], told, came
        )
        if json.loads(json.dumps(again)) != one:
            break
        good.append(one)
    return tuple(good)


def _table(rows: Leaving, writer: Writer, pair: Pair, say: Callable[[str], None]) -> dict[str, Json]:
    done = rows.packed(pair, say, writer.part)
    return manifest.held(
        pair, done.digest.rows, done.digest, done.part, rows.sequences(pair), done.outline, done.came
    )
