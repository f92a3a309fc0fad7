"""Any schema, rows and mode, between SQLite files: a push makes of the target what the model says; undo gives
back the old."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import event, given, seed, settings
from hypothesis import strategies as st

from raccord.data import on_sqlite, plan
from raccord.data.job import Job
from raccord.data.masks import Salt
from raccord.data.spec import Spec
from raccord.database.url import Target, parse
from raccord.errors import HeldBack
from raccord.model.handler import Position

NUMBERS = itertools.count()
TEXT = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=4),
    st.sampled_from(["a", "A", "a ", "1", "1.0", "\0", "a\0b", "é", "É"]),
)
# What a column of any type may hold: a value's class counts.
ANY = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from([2**63 - 1, -(2**63), 0.5, 1.0, -0.0, 1e300, float("inf"), float("-inf")]),
    TEXT,
    st.binary(max_size=3),
)
TYPES = ("integer", "text", "real", "numeric", "blob", "varchar(3)", "", "text collate nocase", "boolean")
KEYS = {
    "integer": st.integers(-3, 12),
    "int": st.integers(-3, 12),
    "text": TEXT,
    "text collate nocase": TEXT,
    "text collate rtrim": TEXT,
    "blob": st.one_of(st.integers(-2, 2), st.sampled_from([1.0, 0.5]), TEXT, st.binary(max_size=2)),
    "numeric": st.sampled_from([1, 2, 2.5, 1e20, "x", -7]),
}


UNIQUES = ("", "text unique", "text not null unique", "text unique collate nocase")


@dataclass(frozen=True)
class Made:
    """A table: the type of its key, "" for none, its other columns, its parent, and how it is made.

    Attributes:
        unique: the type of a unique column, "" for none.
        itself: whether it refers to itself.
        waits: when its foreign keys are checked.
    """

    name: str
    key: str
    columns: tuple[str, ...]
    parent: Made | None
    unique: str
    without: bool
    cascade: str
    itself: bool
    waits: str

    @property
    def create(self) -> str:
        parts = [f"k {self.key} not null primary key" if self.key else "k"]
        if self.parent:
            kind = self.parent.key.split()[0]
            parts.append(f"up {kind} references {quoted(self.parent.name)} {self.cascade} {self.waits}")
        parts += [f"c{at} {kind}" for at, kind in enumerate(self.columns)]
        parts += [f"one {self.unique}"] if self.unique else []
        if self.itself:
            parts.append(
                f"me {self.key.split()[0]} references {quoted(self.name)} {self.cascade} {self.waits}"
            )
        parts += ["size as (length(k))"] * (len(self.columns) == 1)
        return f"create table {quoted(self.name)} ({', '.join(parts)}){' without rowid' * self.without}"

    @property
    def names(self) -> list[str]:
        found = ["k"] + ["up"] * (self.parent is not None)
        found += [f"c{at}" for at, _ in enumerate(self.columns)] + ["one"] * bool(self.unique)
        return found + ["me"] * self.itself


@dataclass(frozen=True)
class World:
    tables: tuple[Made, ...]
    dev: dict[str, list[tuple]]
    prod: dict[str, list[tuple]]


@st.composite
def worlds(draw, *, keyless: bool, inserted: bool = False) -> World:
    tables: list[Made] = []
    names = draw(st.sampled_from(["abc", ["A \"é'", "select", "t"], ["p", "g", "main"]]))
    for name in names[: draw(st.integers(1, 3))]:
        parents = [one for one in tables if one.key]
        keyed = not keyless or draw(st.integers(0, 3)) > 0
        key = draw(st.sampled_from(sorted(KEYS))) if keyed else ""
        columns = tuple(draw(st.lists(st.sampled_from(TYPES), max_size=3)))
        tables.append(
            Made(
                name, key, columns, draw(st.sampled_from([None, *parents])),
                draw(st.sampled_from(UNIQUES)),
                bool(key) and draw(st.booleans()),
                draw(st.sampled_from(["", "on delete cascade", "on delete set null", "on delete restrict"])),
                # The model of an insert takes one row after the other.
                bool(key) and not inserted and draw(st.booleans()),
                draw(st.sampled_from(["", "deferrable initially deferred"])),
            )
        )  # fmt: skip
    return World(tuple(tables), draw(_rows(tables)), draw(_rows(tables)))


@st.composite
def _rows(draw, tables: list[Made]) -> dict[str, list[tuple]]:
    found: dict[str, list[tuple]] = {}
    for table in tables:
        keys = KEYS[table.key] if table.key else st.integers(1, 3)
        rows = []
        for key in draw(st.lists(keys, max_size=6)):
            row = [key]
            if table.parent:
                row.append(draw(st.sampled_from([None, *(one[0] for one in found[table.parent.name])])))
            row += [draw(ANY) for _ in table.columns]
            if table.unique:
                row.append(draw(st.none() | st.sampled_from("pqrstuvPQ")))
            rows.append(tuple(row))
        if table.itself:
            rows = [(*row, draw(st.sampled_from([None, *(one[0] for one in rows)]))) for row in rows]
        found[table.name] = rows
    return found


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


class Files:
    """Two files, and a third in which the model is made by SQLite itself."""

    def __init__(self, folder: Path, modes: dict[str, str]) -> None:
        self.folder = folder
        self.modes = modes

    def target(self, where: str) -> Target:
        return parse(f"sqlite:///{self.folder}/{where}.db", "/")

    def connect(self, where: str) -> sqlite3.Connection:
        db = sqlite3.connect(self.folder / f"{where}.db", isolation_level=None)
        db.execute("pragma foreign_keys = on")
        return db

    def make(self, where: str, world: World, rows: dict[str, list[tuple]]) -> None:
        """What SQLite refuses of these rows is not there."""
        db = self.connect(where)
        db.execute(f"pragma encoding = '{self.modes['encoding'] if where == 'dev' else 'UTF-8'}'")
        db.execute(f"pragma journal_mode = {self.modes[where]}")
        for table in world.tables:
            db.execute(table.create)
            names, of = ", ".join(table.names), quoted(table.name)
            db.execute("pragma foreign_keys = off")
            for row in rows[table.name]:
                if not table.parent or row[1] is None or _there(db, table, row[1]):
                    marks = ", ".join("?" * len(row))
                    db.execute(f"insert or ignore into {of} ({names}) values ({marks})", row)
            if table.itself:
                # A row that refers to itself in another spelling SQLite takes from nobody.
                there = f"exists (select 1 from {of} o where o.k = {of}.me and o.k = {of}.me collate binary)"
                db.execute(f"update {of} set me = null where not {there}")
        assert db.execute("pragma foreign_key_check").fetchall() == []
        db.close()

    def rows(self, where: str, world: World) -> dict[str, list[str]]:
        db = self.connect(where)
        found = {
            table.name: sorted(map(repr, db.execute(f"select * from {quoted(table.name)}").fetchall()))
            for table in world.tables
        }
        db.close()
        return found

    def expected(self, world: World, mode: str) -> dict[str, list[str]] | None:
        """What prod is afterwards; None where constraints forbid it."""
        if mode in ("replace", "mirror"):
            return self.rows("dev", world)
        db = self.connect("prod")
        # The model is plain: one row after the other, in a transaction that is taken back.
        db.execute("begin")
        db.execute("pragma defer_foreign_keys = on")
        source = self.connect("dev")
        found = self._merged(db, source, world, mode)
        source.close()
        db.close()
        return found

    def _merged(
        self, db: sqlite3.Connection, source: sqlite3.Connection, world: World, mode: str
    ) -> dict[str, list[str]] | None:
        for table in world.tables if mode == "upsert" else ():
            # Rows may exchange what is unique.
            rows = source.execute(f"select k from {quoted(table.name)}").fetchall() if table.unique else ()
            for at, row in enumerate(rows):
                db.execute(f"update {quoted(table.name)} set one = ? where k = ?", (f"free {at}", *row))
        for table in world.tables:
            names, of = ", ".join(table.names), quoted(table.name)
            for row in source.execute(f"select {names} from {of}").fetchall():
                marks = ", ".join("?" * len(row))
                there = db.execute(f"select 1 from {of} where k = ?", row[:1]).fetchone()
                try:
                    if there and mode == "upsert":
                        sets = ", ".join(f"{name} = ?" for name in table.names)
                        db.execute(f"update {of} set {sets} where k = ?", (*row, row[0]))
                    elif not there:
                        if table.parent and row[1] is not None and not _there(db, table, row[1]):
                            continue
                        db.execute(f"insert into {of} ({names}) values ({marks})", row)
                except sqlite3.IntegrityError:
                    if mode == "insert":
                        continue
                    return None
        return {
            table.name: sorted(map(repr, db.execute(f"select * from {quoted(table.name)}").fetchall()))
            for table in world.tables
        }


def _there(db: sqlite3.Connection, table: Made, value: object) -> bool:
    assert table.parent
    return (
        db.execute(f"select 1 from {quoted(table.parent.name)} where k = ?", [value]).fetchone() is not None
    )


def pushed(files: Files, world: World, mode: str) -> Job:
    spec = Spec("all", "dev", "prod", tuple(table.name for table in world.tables), mode=mode)
    with on_sqlite.looked(files.target("dev"), files.target("prod"), spec, Salt.of(b"")) as look:
        assert not look.seen.refused and not look.seen.hindered, look.seen
        found, made = look.decided()
    expected = {each.pair.id: plan.expect(spec, each, one) for each, one in zip(found, made, strict=True)}
    expected = {name: plan.Expected.parse(one.document()) for name, one in expected.items()}
    job = Job(spec, files.folder / "state", f"push-{next(NUMBERS)}", expected)
    on_sqlite.carry_out(job, files.target("dev"), files.target("prod"))
    return job


def check(world: World, mode: str, modes: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder), modes)
        files.make("dev", world, world.dev)
        files.make("prod", world, world.prod)
        before = files.rows("prod", world)
        wanted = files.expected(world, mode)
        target = files.target("prod")
        try:
            job = pushed(files, world, mode)
        except HeldBack:
            assert files.rows("prod", world) == before
            assert wanted is None
            event("refused")
            return
        assert wanted is not None
        after = files.rows("prod", world)
        assert after == wanted
        assert list(Path(folder).glob("*.db-*")) == []
        same = after == before
        document = job.shelf.needed(job.id)
        assert on_sqlite.position(job, target, document) is Position.AFTER
        back = replace(job, id="back", expected={})
        on_sqlite.take_back(back, target, job.id)
        assert files.rows("prod", world) == before
        assert same or on_sqlite.position(job, target, document) is Position.BEFORE
        on_sqlite.take_back(replace(back, id="again"), target, "back")
        assert files.rows("prod", world) == after
        event(mode)


MODES = st.sampled_from(["replace", "mirror", "insert", "upsert"])
JOURNALS = st.fixed_dictionaries(
    {
        "dev": st.sampled_from(["wal", "delete"]),
        "prod": st.sampled_from(["wal", "delete"]),
        "encoding": st.sampled_from(["UTF-8", "UTF-8", "UTF-16le"]),
    }
)


def some_world(mode: str) -> st.SearchStrategy[World]:
    return worlds(keyless=mode in ("replace", "mirror"), inserted=mode == "insert")


@settings(max_examples=25)
@given(data=st.data())
def test_any(data):
    mode = data.draw(MODES)
    check(data.draw(some_world(mode)), mode, data.draw(JOURNALS))


@pytest.mark.long
@pytest.mark.parametrize("part", range(100))
def test_two_thousand_times(part):
    @seed(part)
    @settings(max_examples=20, derandomize=False, database=None)
    @given(data=st.data())
    def some(data):
        mode = data.draw(MODES)
        check(data.draw(some_world(mode)), mode, data.draw(JOURNALS))

    some()
