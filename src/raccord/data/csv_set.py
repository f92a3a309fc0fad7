"""Rows in CSV files, a file for each table: `TABLE_20251010_143000.csv`, all of a set with one time.

The database's own kind writes and reads the rows: null and the empty text stay apart, and nothing is lost in
quotes. A set that lacks a table is not complete, and never used.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from raccord.data import csv_origin, seen
from raccord.data.csv_origin import Told
from raccord.data.export_steps import File, Naming
from raccord.data.leaving import Leaving
from raccord.data.loads import Load, Loads, Take, There
from raccord.data.manifest import Made
from raccord.data.masking import listed
from raccord.data.pace import Pace
from raccord.data.pairs import Pair
from raccord.data.personal import is_secret
from raccord.data.spec import Spec
from raccord.database.tables import Name, Table, label
from raccord.errors import CannotRun, WorldMoved
from raccord.kernel import fs, fs_part
from raccord.model.plan import Finding
from raccord.model.text import shown

FORM = "format csv, header"  # as PostgreSQL calls it
STAMP = "%Y%m%d_%H%M%S"
PART = ".part"
BLOCK = 1 << 17
LONGEST_HEADER = 1 << 20
_FILE = re.compile(r"(?P<table>.+)_(?P<stamp>\d{8}_\d{6})\.csv")
# What no name of a file may have, on any system.
_UNFIT = re.compile(r'[/\\:*?"<>|\x00-\x1f]|^\.')


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written and read back.

    Attributes:
        rows: how many it has.
        size: in bytes.
        sha256: of its bytes.
    """

    path: Path
    rows: int
    size: int
    sha256: str


def file_name(name: Name, stamp: str) -> str:
    """The name of a table's file.

    Raises:
        CannotRun: the table has a name that no file may have.
    """
    if _UNFIT.search(label(name)):
        raise CannotRun(
            f"{shown(label(name))} can't be the name of a file", hint="raccord data export, without --format"
        )
    return f"{label(name)}_{stamp}.csv"


def write(
    rows: Leaving,
    kind: str,
    tables: Sequence[Pair],
    folder: Path,
    name: str,
    made: Made,
    named: Naming,
    say: Callable[[str], None],
) -> list[Written]:
    """Writes a set; its files, readable by their owner alone, have their names once all of them are whole.

    Args:
        rows: of one state of the source.
        kind: of that.
        name: of the set.
        made: by whom, of what, and when: the time that the files are named by.
        named: gives them their names.

    Raises:
        CannotRun: the disk can't be written, or a name not be used.
    """
    fs.make_dirs(folder)
    there, now = fs.names(folder), made.at
    while any({name, name + PART} & there for name in _names(tables, stamped(now))):
        now += 1
    stamp = stamped(now)
    parts: list[Path] = []
    try:
        done = []
        for pair in tables:
            path = folder / file_name(pair.id, stamp)
            parts.append(path.with_name(path.name + PART))
            done.append(_written(rows, pair, path, parts[-1], say))
        note = folder / csv_origin.file_name(stamp)
        parts.append(note.with_name(note.name + PART))
        told = {
            pair.shown: Told(one.rows, one.sha256, pair.masked)
            for pair, one in zip(tables, done, strict=True)
        }
        csv_origin.write(parts[-1], csv_origin.written(name, kind, made, told))
        # No file is there without what says where it is from.
        paths = (note, *(one.path for one in done))
        files = [File.of(path, path.with_name(path.name + PART)) for path in paths]
        named(files, {table: one.rows for table, one in told.items()})
        return done
    finally:
        for part in parts:
            fs.unlink(part)


def stamped(now: float) -> str:
    """A time as files are named by it, in seconds since the epoch."""
    return time.strftime(STAMP, time.localtime(now))


def _names(tables: Sequence[Pair], stamp: str) -> list[str]:
    return [csv_origin.file_name(stamp), *(file_name(pair.id, stamp) for pair in tables)]


def _written(rows: Leaving, pair: Pair, path: Path, part: Path, say: Callable[[str], None]) -> Written:
    count: list[int] = []
    pace, digest = Pace(say, f"writing {pair.shown}"), hashlib.sha256()
    with fs_part.continued(part, 0) as file:
        for block in rows.csv(pair, count.append):
            digest.update(block)
            file.write(block)
            pace.add(len(block))
        file.sync()
        size = file.size
    if _sha256(part) != digest.hexdigest():
        raise CannotRun(f"{shown(str(part))} can't be read back as it was written")
    return Written(path, count[0], size, digest.hexdigest())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    seen = fs.signature(path)
    # A link may lead anywhere, and a pipe never ends.
    if seen is None or not seen.is_file:
        raise CannotRun(f"{shown(str(path))} is no file", hint=f"ls -ld {shown(shlex.quote(str(path)))}")
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise CannotRun(
            f"{shown(str(path))} can't be read: {error.strerror}",
            hint=f"ls -l {shown(shlex.quote(str(path)))}",
        ) from None


@dataclass(slots=True)
class CsvSet:
    """The files of one set, as a source of rows.

    Attributes:
        folder: where they are.
        stamp: which of them; "" for the newest complete ones.
        sha256: of each table's file, by the table's name for a person; {} where it isn't known yet.
        notes: what a person should know, once the files were looked at.
        made: by whom, and of what, once they were; None where nothing says so.
        again: the command to type when they changed meanwhile.
    """

    folder: Path
    stamp: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Finding, ...] = ()
    made: Made | None = None
    again: str = ""

    def loads(self, there: There, spec: Spec) -> Loads:
        """See `loads.Source`. Which tables there are is the target's to say."""
        every = there.listed()
        numbers, refused = seen.chosen(spec, spec.goal, every)
        if refused:
            raise CannotRun(refused[0].message, hint=refused[0].hint)
        names = {number: name for number, name, *_ in every}
        tables = there.named(names[number] for number in numbers)
        if not self.stamp:
            self.stamp, self.notes = chosen(self.folder, tables, spec.name)
        paths = {name: self.folder / file_name(name, self.stamp) for name in tables}
        known = dict(self.sha256) or {label(name): _sha256(path) for name, path in paths.items()}
        self.sha256 = known
        origin = csv_origin.read(self.folder, self.stamp, known)
        self.made, self.notes = origin.made, (*self.notes, *origin.notes)
        return {
            name: replace(
                _load(spec, table, paths[name], known.get(label(name), ""), self.again),
                masked=origin.masked.get(label(name), ()),
                exact=label(name) in origin.exact,
            )
            for name, table in tables.items()
        }


def chosen(folder: Path, names: Iterable[Name], name: str) -> tuple[str, tuple[Finding, ...]]:
    """The time of the newest files that are complete, and what is to be said of newer ones.

    Args:
        name: of the set.

    Raises:
        CannotRun: there are none.
    """
    wanted = {label(name) for name in names}
    found: dict[str, set[str]] = {}
    for file in fs.names(folder):
        if known := _FILE.fullmatch(file):
            found.setdefault(known["stamp"], set()).add(known["table"])
    notes: list[Finding] = []
    for stamp in sorted((one for one, tables in found.items() if tables & wanted), reverse=True):
        missing = wanted - found[stamp]
        if not missing:
            return stamp, tuple(notes)
        said = f"the files of {stamp} are not complete: {', '.join(map(shown, sorted(missing)))} missing"
        notes.append(Finding("data.incomplete", "note", said))
    raise CannotRun(
        f"{shown(str(folder))} has no complete set of {', '.join(map(shown, sorted(wanted)))}"
        + (f"; {notes[0].message}" if notes else ""),
        hint=f"raccord data export {name} --format csv --out {shown(shlex.quote(str(folder)))}",
    )


def _load(spec: Spec, table: Table, path: Path, sha256: str, again: str) -> Load:
    header = _header(path)
    unknown = [name for name in header if table.column(name) is None]
    if unknown or len({*header}) != len(header):
        said = (
            f"has the column {shown(unknown[0])}, which {table.shown} has not"
            if unknown
            else "names a column twice"
        )
        raise CannotRun(f"{shown(str(path))} {said}", hint=f"head -n 1 {shown(shlex.quote(str(path)))}")
    secrets = spec.secrets == "exclude"
    # Where columns stay behind, secrets among them, an export has left them out.
    kept = [
        one.name
        for one in table.columns
        if one.name not in header
        and (listed(spec.exclude, table, one.name) or (secrets and is_secret(table, one)))
    ]
    there = tuple(column for column in table.columns if column.name in {*header, *kept})
    size = max(0, fs_part.size_of(path))
    return Load(
        Table(table.schema, table.name, table.kind, there, table.uniques), tuple(header), FORM,
        lambda take: _fed(path, sha256, take, again), kept=tuple(kept), size=size, file=str(path),
    )  # fmt: skip


def _header(path: Path) -> list[str]:
    start = b"".join(_first(path))
    first = start.partition(b"\n")[0]
    quoted = shown(shlex.quote(str(path)))
    if b"\0" in first or start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise CannotRun(f"{shown(str(path))} is not in UTF-8; nothing was changed", hint=f"file {quoted}")
    try:
        # Only the first line is read: a value further on may end anywhere.
        return next(csv.reader(io.StringIO(start.decode("utf-8-sig", "ignore"), newline="")))
    except (StopIteration, csv.Error):
        raise CannotRun(f"{shown(str(path))} has no header", hint=f"head -n 1 {quoted}") from None


def _first(path: Path) -> Iterator[bytes]:
    left = LONGEST_HEADER
    for block in _blocks(path):
        yield block
        left -= len(block)
        if left <= 0:
            return


def _fed(path: Path, sha256: str, take: Take, again: str) -> None:
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
        take(block)
    if digest.hexdigest() != sha256:
        raise WorldMoved(f"{shown(str(path))} is another file by now", hint=again)
