"""Schemas and rows drawn at random, and what a push of each mode is to make of them: the model.

Tables refer to each other, to themselves and in circles, with whatever a key does by itself; keys have one
column, several or none; unique values rotate; columns are generated, numbered by the server, left behind or
masked; tables are parted; names need quotes, or are those that raccord's own SQL has; a condition leaves
rows out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

TYPES = """
create extension if not exists vector;
create type mood as enum ('sad', 'it''s ok');
create domain small as int check (value < 1000);
create type pair as (a int, b text);
create type deep as (m mood, s small, p pair[]);
create domain tags as text[] check (array_ndims(value) = 1);
"""
ODD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
NUMBERS = st.integers(-3, 40)
VALUES = {
    "text": ODD,
    "int": NUMBERS.map(str),
    "bigint": st.sampled_from(["-1", "4294967295", "0"]),
    "small": NUMBERS.map(str),
    "numeric": st.sampled_from(["1", "1.0", "1.00", "-0.5", "NaN", "1e30"]),
    "float8": st.sampled_from(["0", "-0", "1.5", "NaN", "Infinity"]),
    "jsonb": st.sampled_from(
        ["null", '{"a": 1}', '{"a": 1.0}', "[]", '"\\"x"', '{"": 0, "\\u00e9\\n\\"k": [null]}']
    ),
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
    "varchar(3)": st.sampled_from(["", "a  ", "abc"]),
    "char(3)": st.sampled_from(["", "a", "abc"]),
    "numeric(8,2)": st.sampled_from(["1", "-7.25", "NaN"]),
    "date": st.sampled_from(["2020-02-29", "infinity", "0044-03-15 BC"]),
    "timetz": st.sampled_from(["12:00+00", "13:00+01"]),
    "tstzrange": st.sampled_from(["empty", "[2020-01-01 00:00+00,)"]),
    "int8multirange": st.sampled_from(["{}", "{[1,3),[5,9)}"]),
    "inet": st.sampled_from(["10.0.0.1", "::1/64"]),
    "point": st.sampled_from(["(0,-0)", "(1.5,2)"]),
    "small[]": st.sampled_from(["{}", "{1,NULL}"]),
    "pair[]": st.sampled_from(["{}", '{"(1,a)",NULL}']),
    "bit(2)": st.sampled_from(["01", "10"]),
    "tsvector": st.sampled_from(["", "'a':1 'b'"]),
    "xid8": st.sampled_from(["1", "99"]),
    "regclass": st.sampled_from(["pg_class"]),
    "halfvec(2)": st.sampled_from(["[1,2]", "[0,-0]", "[0.1,65504]"]),
    "sparsevec(3)": st.sampled_from(["{}/3", "{1:1.5,3:-2}/3"]),
    "deep": st.sampled_from(["(sad,1,)", '("it\'s ok",,"{""(1,a)"",NULL}")', "(,,{})"]),
    "deep[]": st.sampled_from(["{}", '{"(sad,1,)"}']),
    "tags": st.sampled_from(["{a}", "{NULL}"]),
    "timestamp": st.sampled_from(["-infinity", "infinity", "4713-01-01 00:00 BC", "2020-02-29 12:00"]),
    "time": st.sampled_from(["24:00", "00:00:00.000001"]),
    "float4": st.sampled_from(["-0", "1e-45", "-Infinity", "0.1"]),
    "numeric[]": st.sampled_from(["{1,1.0,NaN}", "{{1,2},{3,4}}", "[0:1]={1,2}"]),
    "jsonb[]": st.sampled_from(["{}", '{"{\\"\\": null}",NULL}']),
    'text collate "C"': ODD,
    "name": st.sampled_from(["", "n"]),
    '"char"': st.sampled_from(["", "x"]),
    "jsonpath": st.sampled_from(['$."a b"[*]']),
    "money": st.sampled_from(["1.50", "-0.01"]),
    "macaddr8": st.sampled_from(["08:00:2b:01:02:03:04:05"]),
    "varbit": st.sampled_from(["", "0101"]),
    "box": st.sampled_from(["(1,1),(0,-0)"]),
    "polygon": st.sampled_from(["((0,0),(1,0),(0,1))"]),
    "pg_lsn": st.sampled_from(["0/0", "16/B374D848"]),
    "tsquery": st.sampled_from(["", "'a' & !'b'"]),
    "datemultirange": st.sampled_from(["{}", "{[2020-01-01,infinity)}"]),
}
KEYS = {
    "int": NUMBERS.map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "text": ODD,
    "uuid": st.integers(0, 30).map(lambda n: f"00000000-0000-4000-8000-{n:012x}"),
    "numeric": st.sampled_from(["1", "2", "2.5", "1e20", "-7"]),
    "mood": st.sampled_from(["sad", "it's ok"]),
    'text collate "C"': ODD,
    "bytea": st.binary(max_size=2).map(lambda data: "\\x" + data.hex()),
    "date": st.sampled_from(["-infinity", "infinity", "2020-02-29", "0044-03-15 BC"]),
    "timestamptz": st.sampled_from(["-infinity", "infinity", "2020-01-01 00:00:00.000001+00"]),
    "varchar(3)": st.sampled_from(["", "a", "a ", "é"]),
    "small": NUMBERS.map(str),
    "bool": st.sampled_from(["t", "f"]),
}
# Names of columns: plain, in need of quotes, and those that raccord's own SQL has.
SPELLED = (
    str,
    lambda name: {"c0": "select", "k0": "Ké ", "up0": 'U"p""0', "me0": "me%s0"}.get(name, f"{name} É\\"),
    lambda name: {
        "k0": "k1", "k1": "k0", "c0": "h", "c1": "tid", "c2": "rel", "one": "n", "up0": "t", "me0": "p",
        "w": "b", "mk": "r", "ex": "g", "num": "put", "no": "x", "gen": "s", "down0": "c",
    }.get(name, name),
)  # fmt: skip
TABLES_SPELLED = (str, lambda name: f"{name.upper()} \"é'", lambda name: {"a": "t", "b": "p", "c": "x"}[name])
# What a foreign key may do by itself, and when it is checked.
ACTS = ("", " on delete cascade", " on delete set null", " on delete restrict", " on update cascade")
WAITS = ("", " deferrable", " deferrable initially deferred")
UNIQUES = {
    "": "text unique",
    "solid": "text not null unique",
    "nulls": "text unique nulls not distinct",
    "waits": "text unique deferrable",
}
Row = tuple[str | None, ...]
IN_SCOPE = 20  # `w` of rows that belong to the set is below it
EXTRAS = ("excluded", "generated", "identity", "masked", "numbered", "parted", "solid", "where")


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Made:
    """A table.

    Attributes:
        key: the types of its key's columns; () for none.
        columns: the types of its values.
        parent: the table that it refers to.
        itself: whether it refers to itself.
        unique: whether it has a column of unique values.
        extras: what else is odd: some of `EXTRAS`.
        sole: of which kind that column is, of `UNIQUES`.
        spelled: how its names are, of `SPELLED`.
    """

    plain: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    parent: Made | None
    itself: bool
    unique: bool
    extras: frozenset[str]
    sole: str = ""
    spelled: int = 0

    @property
    def name(self) -> str:
        """Its name."""
        return str(TABLES_SPELLED[self.spelled](self.plain))

    @property
    def sql(self) -> str:
        """Its name as SQL."""
        return quoted(self.name)

    def column(self, name: str) -> str:
        """What a column is called."""
        return str(SPELLED[self.spelled](name))

    def listed(self, names: list[str]) -> str:
        """Columns as SQL."""
        return ", ".join(quoted(self.column(name)) for name in names)

    @property
    def keys(self) -> list[str]:
        """The columns that tell rows apart, as far as they do."""
        return [f"k{at}" for at, _ in enumerate(self.key or ("int",))]

    def toward(self, to: Made, prefix: str) -> list[str]:
        """The columns that refer to a table."""
        return [f"{prefix}{at}" for at, _ in enumerate(to.key)]

    @property
    def types(self) -> dict[str, str]:
        """Every column that can be written, but for those of a circle."""
        solid = " not null" if "solid" in self.extras else ""
        found = dict(zip(self.keys, self.key or ("int",), strict=True))
        if self.parent:
            found |= zip(self.toward(self.parent, "up"), self.parent.key, strict=True)
        if self.itself:
            found |= zip(self.toward(self, "me"), self.key, strict=True)
        found |= {f"c{at}": f"{kind}{solid}" for at, kind in enumerate(self.columns)}
        if self.unique:
            found["one"] = UNIQUES[self.sole]
        for extra, name, kind in (
            ("identity", "num", "int generated by default as identity"),
            ("numbered", "no", "int generated always as identity"),
            ("excluded", "ex", "text"),
            ("masked", "mk", "text"),
            ("where", "w", "int"),
        ):
            if extra in self.extras:
                found[name] = kind
        return found


@dataclass(frozen=True)
class World:
    """Tables, and the rows of dev and prod.

    Attributes:
        circle: whether the first table refers to the last.
        waits: when foreign keys are checked, of `WAITS`.
        acts: what each does by itself, of `ACTS`, in their order.
    """

    tables: tuple[Made, ...]
    circle: bool
    waits: str
    acts: tuple[str, ...]
    dev: dict[str, list[Row]]
    prod: dict[str, list[Row]]

    def names(self, table: Made) -> list[str]:
        """Every column that can be written."""
        down = table.toward(self.tables[-1], "down") if self.circle and table is self.tables[0] else []
        return [*table.types, *down]

    def create(self, table: Made) -> str:
        """Makes a table, without the keys that lead to others."""
        kinds = dict(table.types)
        if self.circle and table is self.tables[0]:
            kinds |= zip(table.toward(self.tables[-1], "down"), self.tables[-1].key, strict=True)
        parts = [f"{table.listed([name])} {kind}" for name, kind in kinds.items()]
        if table.key:
            parts.append(f"primary key ({table.listed(table.keys)})")
        if "generated" in table.extras:
            text = f"text generated always as ('g' || {table.listed(['k0'])})"
            said = text if table.key == ("text",) else "int generated always as (7)"
            parts.append(f"{table.listed(['gen'])} {said} stored")
        if "parted" not in table.extras:
            return f"create table {table.sql} ({', '.join(parts)})"
        made = [f"create table {table.sql} ({', '.join(parts)}) partition by hash ({table.listed(['k0'])})"]
        made += [
            f"create table {quoted(f'{table.name} {at}')} partition of {table.sql}"
            f" for values with (modulus 2, remainder {at})"
            for at in (0, 1)
        ]
        return ";".join(made)

    def references(self) -> list[tuple[Made, list[str], Made]]:
        """Foreign keys: which table, which columns, to which."""
        found = []
        for table in self.tables:
            if table.parent:
                found.append((table, table.toward(table.parent, "up"), table.parent))
            if table.itself:
                found.append((table, table.toward(table, "me"), table))
        if self.circle:
            found.append((self.tables[0], self.tables[0].toward(self.tables[-1], "down"), self.tables[-1]))
        return found

    @property
    def constrain(self) -> str:
        """Adds the keys that lead to others."""
        return ";".join(
            f"alter table {table.sql} add foreign key ({table.listed(columns)})"
            f" references {to.sql}{act}{self.waits}"
            for (table, columns, to), act in zip(self.references(), self.acts, strict=False)
        )

    def at(self, table: Made, row: Row, columns: list[str]) -> Row:
        """Some values of a row."""
        names = self.names(table)
        return tuple(row[names.index(name)] for name in columns)

    def told(self, table: Made, row: Row) -> Row:
        """What tells a row apart."""
        return self.at(table, row, table.keys)

    def meant(self, table: Made, row: Row) -> bool:
        """Whether it belongs to the set."""
        value = self.at(table, row, ["w"])[0] if "where" in table.extras else "0"
        return value is not None and int(value) < IN_SCOPE

    def sent(self, table: Made, row: Row, old: Row | None) -> Row:
        """What prod has of a row that comes."""
        names, found = self.names(table), list(row)
        if "masked" in table.extras:
            found[names.index("mk")] = f"{row[names.index('mk')] or ''}!"
        if "excluded" in table.extras:
            found[names.index("ex")] = old[names.index("ex")] if old else None
        return tuple(found)


@st.composite
def worlds(draw, *, keyless: bool) -> World:
    tables: list[Made] = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        with_key = [one for one in tables if one.key]
        key = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=2))
        keyed = not keyless or draw(st.integers(0, 3)) > 0
        extras = draw(st.sets(st.sampled_from(EXTRAS), max_size=3))
        if not keyed:
            # Which of several equal rows keeps its value nobody could say.
            extras -= {"excluded", "parted"}
        unique = draw(st.booleans())
        if unique or extras & {"identity", "numbered"}:
            extras -= {"parted"}
        tables.append(
            Made(
                name,
                tuple(key) if keyed else (),
                tuple(draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3))),
                draw(st.sampled_from([None, *with_key])) if with_key else None,
                keyed and draw(st.booleans()),
                unique,
                frozenset(extras),
                draw(st.sampled_from(sorted(UNIQUES))) if unique else "",
                draw(st.sampled_from([0, 0, 1, 2])),
            )
        )
    circle = len(tables) > 1 and bool(tables[0].key and tables[-1].key) and draw(st.booleans())
    acts = draw(st.tuples(*[st.sampled_from(["", *ACTS])] * 8))
    empty = World(tuple(tables), circle, draw(st.sampled_from(WAITS)), acts, {}, {})
    return replace(empty, dev=draw(_rows(empty)), prod=draw(_rows(empty)))


@st.composite
def _rows(draw, world: World) -> dict[str, list[Row]]:
    keys: dict[str, list[tuple[str, ...]]] = {}
    for table in world.tables:
        one = (
            st.tuples(*(KEYS[kind] for kind in table.key)) if table.key else st.tuples(st.sampled_from("123"))
        )
        keys[table.name] = draw(st.lists(one, max_size=6, unique=bool(table.key)))
    found: dict[str, list[Row]] = {}
    for table in world.tables:
        taken: set[str | None] = set()
        rows = []
        for key in keys[table.name]:
            row: dict[str, str | None] = dict(zip(table.keys, key, strict=True))
            for mine, columns, to in world.references():
                if mine is table:
                    up = draw(st.sampled_from([None, *keys[to.name]]))
                    row |= zip(columns, up or [None] * len(columns), strict=True)
            for at, kind in enumerate(table.columns):
                row[f"c{at}"] = draw(VALUES[kind] if "solid" in table.extras else st.none() | VALUES[kind])
            row["one"] = draw(_sole(table, taken))
            row |= {name: draw(NUMBERS.map(str)) for name in ("num", "no")}
            row |= {name: draw(st.none() | st.sampled_from(["", "x", "y"])) for name in ("ex", "mk")}
            row["w"] = draw(st.none() | st.sampled_from(["3", "7", "30"]))
            rows.append(tuple(row[name] for name in world.names(table)))
        found[table.name] = rows
    return found


def _sole(table: Made, taken: set[str | None]) -> st.SearchStrategy[str | None]:
    """A value of a unique column, and that it is taken."""
    free = [one for one in "pqrstuvwxyz" if one not in taken]
    values: list[str | None] = list(free)
    if table.sole != "solid" and not (table.sole == "nulls" and None in taken):
        values = [None, *free[:7]] if len(free) > 4 else [None, *free]

    def take(value: str | None) -> str | None:
        taken.add(value)
        return value

    return st.sampled_from(values).map(take)


def expected(world: World, mode: str) -> dict[str, list[Row]] | None:
    """What prod is afterwards; None where constraints forbid it."""
    after: dict[str, list[Row]] = {}
    for table in world.tables:
        dev = [row for row in world.dev[table.name] if world.meant(table, row)]
        prod = world.prod[table.name]
        if not table.key:
            others = [row for row in prod if not world.meant(table, row)]
            after[table.name] = others + [world.sent(table, row, None) for row in dev]
            continue
        there = {world.told(table, row): row for row in prod}
        if mode != "insert" and any(
            not world.meant(table, there[key]) for row in dev if (key := world.told(table, row)) in there
        ):
            return None  # it would be put in the place of a row that the set leaves out
        if mode in ("replace", "mirror"):
            kept = {key: row for key, row in there.items() if not world.meant(table, row)}
        else:
            kept = dict(there)
        taken = {world.at(table, row, ["one"])[0] for row in prod} if table.unique else set()
        if table.sole != "nulls":
            taken -= {None}
        for row in dev:
            key = world.told(table, row)
            if mode != "insert":
                kept[key] = world.sent(table, row, there.get(key))
            elif key not in there and not (table.unique and world.at(table, row, ["one"])[0] in taken):
                kept[key] = world.sent(table, row, None)
        after[table.name] = list(kept.values())
    if mode == "insert":
        _without_orphans(world, after)
    return after if _valid(world, after) else None


def _orphans(world: World, after: dict[str, list[Row]]) -> list[tuple[Made, Row]]:
    found = []
    for table, columns, to in world.references():
        known = {world.told(to, row) for row in after[to.name]}
        found += [
            (table, row)
            for row in after[table.name]
            if None not in (up := world.at(table, row, columns)) and up not in known
        ]
    return found


def _without_orphans(world: World, after: dict[str, list[Row]]) -> None:
    while orphans := _orphans(world, after):
        for table, row in orphans:
            after[table.name] = [one for one in after[table.name] if one != row]


def _valid(world: World, after: dict[str, list[Row]]) -> bool:
    for table in world.tables:
        if table.unique:
            values = [world.at(table, row, ["one"])[0] for row in after[table.name]]
            values = [one for one in values if one is not None or table.sole == "nulls"]
            if len(values) != len(set(values)):
                return False
    return not _orphans(world, after)
