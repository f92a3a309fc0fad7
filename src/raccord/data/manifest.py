"""What an archive says of the rows that it holds: written, and read back with distrust. Pure.

Of a table's columns only names and words travel, never SQL that a server would run: whoever made the archive
may be anybody. What is read here meets a server only where a table of the target has the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from raccord.data.container import Part, document
from raccord.data.difference import Digest
from raccord.data.pairs import Pair
from raccord.data.spec import Spec, conditioned
from raccord.database.tables import Column, Name, Table, Unique
from raccord.database.url import POSTGRESQL, SQLITE
from raccord.model.plan import Json

LONGEST_NAME = 255  # characters of a name
LONGEST_TEXT = 1 << 16


@dataclass(frozen=True, slots=True)
class Came:
    """The keys of rows that came by closure, in the form of the rows.

    Attributes:
        digest: what they come to, and how many they are.
    """

    digest: Digest
    part: Part

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        return {"digest": str(self.digest), "part": document(self.part)}

    @classmethod
    def parse(cls, said: Json) -> Came | None:
        """Reads `document` back; None where nothing is said.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        if said is None:
            return None
        return cls(Digest.parse(_text(said["digest"])), Part.parse(said["part"]))


@dataclass(frozen=True, slots=True)
class Held:
    """One table of an archive.

    Attributes:
        table: as the compare saw it, without SQL.
        columns: those that travel, in the order of their values.
        kept: those that stayed behind.
        key: what told its rows apart.
        where: what tells the condition that its rows were chosen by from another; "" where they are all.
        masked: columns whose values were sent in place of others, and by which masks.
        binary: whether the rows are in PostgreSQL's binary form, else in that of COPY's text; SQLite's are
            in one of their own.
        rows: how many.
        digest: what they come to.
        outline: what tells a plan of its rows, see `outline`; it lies before them.
        came: the keys of those that came by closure; between both.
        sequences: for a column the last number of its sequence, to be read only.
    """

    table: Table
    columns: tuple[str, ...]
    kept: tuple[str, ...]
    key: tuple[str, ...]
    where: str
    masked: Mapping[str, str]
    binary: bool
    rows: int
    digest: Digest
    part: Part
    outline: Part | None = None
    came: Came | None = None
    sequences: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> Name:
        """Schema and name."""
        return self.table.id

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its parts, in the order in which they lie."""
        found = (self.outline, self.came.part if self.came else None, self.part)
        return tuple(one for one in found if one is not None)


@dataclass(frozen=True, slots=True)
class Made:
    """By whom an archive was made, and of what.

    Attributes:
        environment, server: where the rows are from, and what that runs.
        at: when, in seconds since the epoch.
        raccord: which release wrote it.
        commit: on which commit the worktree stood, or "".
        by: who asked, or "".
        protected: whether that environment is a protected one.
        masked: whether what may hold secrets or personal data by its name was masked, as a pull does.
        reason: why it was not, where somebody said so.
    """

    environment: str
    server: str
    at: float
    raccord: str
    commit: str
    by: str
    protected: bool = False
    masked: bool = False
    reason: str = ""

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, said: Mapping[str, Json]) -> Made:
        """Reads `document` back.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: it is none.
        """
        return cls(
            _text(said["environment"]), _text(said["server"]), float(said["at"]), _text(said["raccord"]),
            _text(said["commit"]), _text(said["by"]), _truth(said["protected"]), _truth(said["masked"]),
            _text(said["reason"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of it.

    Attributes:
        kind: of the database that its rows are from.
        name: of the set.
        spec: how the set was configured.
    """

    kind: str
    name: str
    made: Made
    spec: Mapping[str, Json]
    tables: tuple[Held, ...]


def held(
    pair: Pair,
    rows: int,
    digest: Digest,
    part: Part,
    sequences: Mapping[str, int],
    outline: Part | None,
    came: Came | None = None,
) -> dict[str, Json]:
    """One table for JSON."""
    table = pair.source
    return {
        "schema": table.schema,
        "name": table.name,
        "kind": table.kind,
        "all": [_column(one) for one in table.columns],
        "uniques": [[one.name, list(one.columns), one.primary, one.nulls] for one in table.uniques],
        "columns": list(pair.columns),
        "kept": list(pair.kept),
        "key": list(pair.key),
        "where": conditioned(pair.where),
        "masked": dict(sorted(pair.masked.items())),
        "binary": pair.binary,
        "rows": rows,
        "digest": str(digest),
        "part": document(part),
        "outline": None if outline is None else document(outline),
        "came": None if came is None else came.document(),
        "sequences": dict(sequences),
    }


def parts(tables: Sequence[Mapping[str, Json]]) -> list[Part]:
    """All parts of such tables, in the order in which they lie."""
    every = [(one["outline"], (one["came"] or {}).get("part"), one["part"]) for one in tables]
    return [Part.parse(part) for one in every for part in one if part]


def _column(one: Column) -> list[Json]:
    return [
        one.name,
        one.type,
        one.detail,
        one.nullable,
        one.default,
        one.generated,
        one.identity,
        one.binary,
    ]


def manifest(
    id_: str, kind: str, spec: Spec, made: Made, tables: Sequence[Mapping[str, Json]]
) -> dict[str, Json]:
    """All of it for JSON."""
    return {
        "id": id_,
        "kind": kind,
        "set": spec.name,
        "spec": spec.document(),
        **made.document(),
        "tables": [dict(one) for one in tables],
    }


def parse(said: Mapping[str, Json]) -> Manifest:
    """Reads `manifest` back.

    Raises:
        ValueError: it is none that raccord would write.
    """
    try:
        if said["kind"] not in (POSTGRESQL, SQLITE):
            raise ValueError("its rows are of another kind of database")
        made = Made.parse(said)
        tables = tuple(_held(one) for one in _listed(said["tables"]))
        if len({one.id for one in tables}) != len(tables):
            raise ValueError("it names a table twice")
        spec = said["spec"]
        if not isinstance(spec, dict):
            raise ValueError("set")
        return Manifest(said["kind"], _name(said["set"]), made, spec, tables)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"something is missing in it, or of another kind ({type(error).__name__})") from None


def _held(said: Mapping[str, Json]) -> Held:
    columns = [_read(one) for one in _listed(said["all"])]
    uniques = [
        Unique(_name(name), _names(over), _truth(primary), _truth(nulls))
        for name, over, primary, nulls in _listed(said["uniques"])
    ]
    known = {one.name for one in columns}
    found = Held(
        Table(
            _name(said["schema"]), _name(said["name"]), _text(said["kind"]), tuple(columns), tuple(uniques),
            rows=_count(said["rows"]),
        ),
        _names(said["columns"]), _names(said["kept"]), _names(said["key"]), _text(said["where"]),
        {_name(name): _text(mask) for name, mask in said["masked"].items()}, _truth(said["binary"]),
        _count(said["rows"]), Digest.parse(_text(said["digest"])),
        Part.parse(said["part"]), Part.parse(said["outline"]) if said.get("outline") else None,
        Came.parse(said.get("came")),
        {_name(name): _number(last) for name, last in said["sequences"].items()},
    )  # fmt: skip
    named = [*found.columns, *found.kept, *found.key, *(name for one in uniques for name in one.columns)]
    if len(known) != len(columns) or not {*named} <= known:
        raise ValueError("a table has columns that it doesn't name")
    if found.came is not None and not (found.key and 0 <= found.came.digest.rows <= found.rows):
        raise ValueError("keys came by closure of rows that are not there")
    if not found.columns or len({*found.columns, *found.kept}) != len(found.columns) + len(found.kept):
        raise ValueError("columns of a table travel twice, or not at all")
    return found


def _read(said: Sequence[Any]) -> Column:
    name, type_, detail, nullable, default, generated, identity, binary = said
    return Column(
        _name(name), _text(type_), _text(detail), _truth(nullable), _truth(default), _truth(generated),
        _text(identity), binary=_text(binary),
    )  # fmt: skip


def _listed(said: Json) -> list[Any]:
    if not isinstance(said, list):
        raise ValueError("a list is something else")
    return said


def _text(said: Json) -> str:
    if not isinstance(said, str) or len(said) > LONGEST_TEXT:
        raise ValueError("a text is something else")
    return said


def _name(said: Json) -> str:
    if not 0 < len(_text(said)) <= LONGEST_NAME or "\0" in said:
        raise ValueError("a name is none")
    return str(said)


def _names(said: Json) -> tuple[str, ...]:
    found = tuple(map(_name, _listed(said)))
    if len({*found}) != len(found):
        raise ValueError("a name is there twice")
    return found


def _truth(said: Json) -> bool:
    if not isinstance(said, bool):
        raise ValueError("yes or no is something else")
    return said


def _number(said: Json) -> int:
    if type(said) is not int:
        raise ValueError("a number is something else")
    return int(said)


def _count(said: Json) -> int:
    if not 0 <= _number(said) < 1 << 62:
        raise ValueError("a count is none")
    return int(said)
