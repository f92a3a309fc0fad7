"""Schemas and rows drawn at random, and what a push of each mode is to make of them: the model."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

TYPES = """
create extension if not exists vector;
create type mood as enum ('sad', 'it''s ok');
create domain small as int check (value < 1000);
create type pair as (a int, b text);
"""
ODD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
NUMBERS = st.integers(-3, 40)
VALUES = {
    "text": ODD,
    "int": NUMBERS.map(str),
    "small": NUMBERS.map(str),
    "numeric": st.sampled_from(["1", "1.0", "1.00", "-0.5", "NaN", "1e30"]),
    "float8": st.sampled_from(["0", "-0", "1.5", "NaN", "Infinity"]),
    "jsonb": st.sampled_from(["null", '{"a": 1}', '{"a": 1.0}', "[]", '"\\"x"']),
    "json": st.sampled_from(["null", '{"a":1}', '{"a": 1}']),
    "bytea": st.binary(max_size=4).map(lambda data: "\\x" + data.hex()),
    "text[]": st.sampled_from(["{}", "{NULL}", '{"NULL",a}', '{"a,b","\\\\"}', "{{a},{b}}"]),
    "mood": st.sampled_from(["sad", "it's ok"]),
    "mood[]": st.sampled_from(["{}", "{sad,NULL}"]),
    "timestamptz": st.sampled_from(["2020-01-01 00:00+00", "infinity", "2020-01-01 00:00:00.000001+00"]),
    "interval": st.sampled_from(["1 day", "24:00", "1 mon -1 day"]),
    "vector(2)": st.sampled_from(["[1,2]", "[0,-0]", "[1e-30,3]"]),
    "pair": st.sampled_from(["(1,a)", '(,"")', "(1,)"]),
    "int4range": st.sampled_from(["[1,5)", "empty", "(,)"]),
    "bool": st.sampled_from(["t", "f"]),
}
KEYS = {
    "int": NUMBERS.map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "text": ODD,
    "uuid": st.integers(0, 30).map(lambda n: f"00000000-0000-4000-8000-{n:012x}"),
    "numeric": st.sampled_from(["1", "2", "2.5", "1e20", "-7"]),
    "mood": st.sampled_from(["sad", "it's ok"]),
}
Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Made:
    """A table: its key, its parent, whether the last column is unique."""

    name: str
    key: str
    columns: tuple[str, ...]
    parent: Made | None
    unique: bool

    @property
    def create(self) -> str:
        parts = [f"k {self.key} primary key"] if self.key else ["k int"]
        if self.parent:
            parts.append(f"up {self.parent.key} references {self.parent.name}")
        parts += [f"c{at} {kind}" for at, kind in enumerate(self.columns)]
        parts += ["one text unique"] * self.unique
        return f"create table {self.name} ({', '.join(parts)});"

    @property
    def width(self) -> int:
        return 1 + (self.parent is not None) + len(self.columns) + self.unique


@dataclass(frozen=True)
class World:
    """Tables, and the rows of dev and prod."""

    tables: tuple[Made, ...]
    dev: dict[str, list[Row]]
    prod: dict[str, list[Row]]


@st.composite
def worlds(draw, *, keyless: bool) -> World:
    tables: list[Made] = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        with_key = [one for one in tables if one.key]
        last = not keyless or draw(st.integers(0, 3)) > 0
        tables.append(
            Made(
                name,
                draw(st.sampled_from(sorted(KEYS))) if last else "",
                tuple(draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3))),
                draw(st.sampled_from([None, *with_key])) if with_key else None,
                draw(st.booleans()),
            )
        )
    return World(tuple(tables), draw(_rows(tables)), draw(_rows(tables)))


@st.composite
def _rows(draw, tables: list[Made]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for table in tables:
        if table.key:
            keys = draw(st.lists(KEYS[table.key], max_size=6, unique=True))
        else:
            keys = draw(st.lists(st.integers(1, 3).map(str), max_size=6))
        taken: set[str] = set()
        rows = []
        for key in keys:
            row: list[str | None] = [key]
            if table.parent:
                parents = [one[0] for one in found[table.parent.name]]
                row.append(draw(st.sampled_from([None, *parents])))
            row += [draw(st.none() | VALUES[kind]) for kind in table.columns]
            if table.unique:
                value = draw(st.none() | st.sampled_from("pqrstuv"))
                row.append(None if value in taken else value)
                taken |= {value} if value else set()
            rows.append(tuple(row))
        found[table.name] = rows
    return found


def expected(world: World, mode: str) -> dict[str, list[Row]] | None:
    """What prod is afterwards; None where constraints forbid it."""
    if mode in ("replace", "mirror"):
        return world.dev
    after: dict[str, list[Row]] = {}
    for table in world.tables:
        there = {row[0]: row for row in world.prod[table.name]}
        if mode == "upsert":
            merged = there | {row[0]: row for row in world.dev[table.name]}
            if table.unique:
                values = [row[-1] for row in merged.values() if row[-1] is not None]
                if len(values) != len(set(values)):
                    return None
            after[table.name] = list(merged.values())
            continue
        taken = {row[-1] for row in there.values()} - {None} if table.unique else set()
        for row in world.dev[table.name]:
            orphan = (
                table.parent is not None
                and row[1] is not None
                and row[1] not in {one[0] for one in after[table.parent.name]}
            )
            if row[0] not in there and not orphan and not (table.unique and row[-1] in taken):
                there[row[0]] = row
        after[table.name] = list(there.values())
    return after
