"""Writes the rows of a set into an archive, table by table, of one state of the source.

It grows under a name that ends in `.part`. What is known of its tables so far lies in raccord's own state: an
export that was cut off goes on behind the tables whose rows are still what they were. It has its final name
once it was read back. Nothing of an environment is changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raccord.data import container, manifest, observe, outline
from raccord.data.compare import digest
from raccord.data.container import Part, Writer
from raccord.data.export_steps import File, Naming
from raccord.data.fit import unfit
from raccord.data.manifest import Made
from raccord.data.masks import Salt
from raccord.data.obstacles import guarded, unread
from raccord.data.order import ordered
from raccord.data.pace import Pace
from raccord.data.pairs import Pair, pairs
from raccord.data.scope import scope
from raccord.data.sealing import Opener, Seal
from raccord.data.spec import REPLACE, Spec
from raccord.data.stage import one_row
from raccord.data.transaction import looking
from raccord.database import postgres, pump
from raccord.database.keeping import new_id
from raccord.database.tables import identifier
from raccord.database.types_postgres import portable
from raccord.database.url import Target
from raccord.errors import CannotRun, UsageError
from raccord.kernel import fs, fs_part
from raccord.kernel.fs_alive import alive
from raccord.model.plan import Finding, Json
from raccord.model.text import shown

PART = ".part"
EXPORTS = "exports"  # below raccord's own folder


@dataclass(frozen=True, slots=True)
class Seen:
    """What would be exported.

    Attributes:
        tables: each as a pair with itself, in the order in which they are filled.
        refused: what speaks against it.
        server: what runs there.
    """

    tables: tuple[Pair, ...]
    refused: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    server: str

    @property
    def secret(self) -> list[str]:
        """Columns that would travel and may hold secrets."""
        return [
            f"{pair.shown}.{name}"
            for pair in self.tables
            for name in pair.columns
            if name in pair.secret and name not in pair.masks
        ]


def seen(db: postgres.Connection, spec: Spec, salt: Salt) -> Seen:
    """What a set has where it comes from. Its masks are tried."""
    tables, unmatched = observe.sources(db, spec)
    # Any mode may be chosen when the archive is read.
    found = pairs(replace(spec, mode=REPLACE), tables, tables, salt)
    refused = [*unmatched, *found.refused]
    for pair in found.tables:
        refused += unread(spec, pair)
        if pair.source.policies:
            refused.append(guarded(pair.source, spec.origin))
    if not refused:
        refused += unfit(db, db, found.tables)
    by_name = {pair.id: pair for pair in found.tables}
    listed = tuple(by_name[one] for one in ordered([pair.source for pair in found.tables]).tables)
    server = f"PostgreSQL {one_row(db, 'show server_version')[0]}"
    return Seen(tuple(map(_carried, listed)), tuple(refused), found.notes, server)


def _carried(pair: Pair) -> Pair:
    # Nobody knows yet how another server numbers its types.
    return replace(pair, binary=all(portable(pair.column(name).binary) for name in pair.columns))


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
                if fs_part.size_of(one.part) >= one.end > 0:
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
    with postgres.connected(target, name=postgres.ROWS) as db, looking(db, target, order.spec):
        found = seen(db, order.spec, order.salt)
        if found.refused:
            raise CannotRun(found.refused[0].message, hint=found.refused[0].hint)
        good = _still(db, found.tables, now.tables)
        resumed = len(good)
        now = replace(now, tables=good)
        start = container.head(now.id, seal)
        fs.make_dirs(order.path.parent)
        with fs_part.continued(now.part, now.end if good else 0) as file:
            if not good:
                file.write(start)
            writer = Writer(file, seal, start)
            for pair in found.tables[resumed:]:
                now = replace(now, tables=(*now.tables, _table(db, writer, pair, order.say)))
                notes.write(now)
            said = manifest.manifest(now.id, order.spec, replace(order.made, server=found.server), now.tables)
            sha256 = writer.finish(said)
            size = file.size
    order.say("reading it back")
    container.reread(now.part, seal, manifest.parts(now.tables), sha256)
    rows = {pair.shown: int(one["rows"]) for pair, one in zip(found.tables, now.tables, strict=True)}
    order.name([File.of(order.path, now.part)], rows)
    notes.forget(now)
    return Done(order.path, tuple(now.tables), resumed, size, sha256)


def _still(
    db: postgres.Connection, tables: Sequence[Pair], written: Sequence[Mapping[str, Json]]
) -> tuple[Mapping[str, Json], ...]:
    """Those of the tables that were written whose rows are still what they were, from the first on."""
    good: list[Mapping[str, Json]] = []
    for pair, one in zip(tables, written, strict=False):
        told = Part.parse(one["outline"]) if one.get("outline") else None
        again = manifest.held(
            pair, one["rows"], digest(db, pair, source=True), Part.parse(one["part"]), one["sequences"], told
        )
        if json.loads(json.dumps(again)) != one:
            break
        good.append(one)
    return tuple(good)


def _table(
    db: postgres.Connection, writer: Writer, pair: Pair, say: Callable[[str], None]
) -> dict[str, Json]:
    say(f"summing up {pair.shown}")
    found = outline.outlined(db, pair)
    sums = digest(db, pair, source=True) if found is None else found.sums.digest
    said = outline.packed(found) if found is not None else b""
    told = writer.part(iter([said])) if said else None
    pace = Pace(say, f"writing {pair.shown}", sums.rows)
    count: list[int] = []

    def blocks() -> Iterator[bytes]:
        listed = ", ".join(f"r.{identifier(name)}" for name in pair.columns)
        query = f"select {listed} from {scope(pair, source=True)} r"
        for block in pump.given(db, query, pump.BINARY if pair.binary else "", count.append):
            pace.add(len(block))
            yield block

    part = writer.part(blocks())
    if count != [sums.rows]:
        raise CannotRun(f"{pair.shown} gave {count} rows, and was counted with {sums.rows}")
    return manifest.held(pair, sums.rows, sums, part, _sequences(db, pair), told)


def _sequences(db: postgres.Connection, pair: Pair) -> dict[str, int]:
    found = {}
    for name in pair.columns:
        sequence = pair.column(name).sequence
        if sequence is not None:
            # The view has no number where there is none yet, or where the role may not see it.
            asked = db.execute(
                "select last_value from pg_sequences where (schemaname, sequencename) = (%s, %s)", sequence
            ).fetchone()
            if asked is not None and asked[0] is not None:
                found[name] = int(asked[0])
    return found
