"""Types of columns: how they are written in a revision or in SQL, and what a change from one to another does.

Pure. Of types that it does not know nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TEXT, WHOLE, EXACT, FLOAT, MOMENT, DAY, HOUR, TRUTH, JSON, BYTES, CHOICE = (
    "text", "whole", "exact", "float", "moment", "day", "hour", "truth", "json", "bytes", "choice",
)  # fmt: skip
_ENDLESS = 2**31
# The name without spaces and underscores, in small letters: SQLAlchemy's and PostgreSQL's.
_KINDS: dict[str, tuple[str, int]] = {
    "bigint": (WHOLE, 8), "biginteger": (WHOLE, 8), "int8": (WHOLE, 8), "bigserial": (WHOLE, 8),
    "int": (WHOLE, 4), "integer": (WHOLE, 4), "int4": (WHOLE, 4), "serial": (WHOLE, 4),
    "smallint": (WHOLE, 2), "smallinteger": (WHOLE, 2), "int2": (WHOLE, 2),
    "char": (TEXT, 1), "character": (TEXT, 1), "nchar": (TEXT, 1),
    "string": (TEXT, _ENDLESS), "varchar": (TEXT, _ENDLESS), "charactervarying": (TEXT, _ENDLESS),
    "nvarchar": (TEXT, _ENDLESS), "unicode": (TEXT, _ENDLESS), "autostring": (TEXT, _ENDLESS),
    "text": (TEXT, _ENDLESS), "unicodetext": (TEXT, _ENDLESS), "clob": (TEXT, _ENDLESS),
    "numeric": (EXACT, _ENDLESS), "decimal": (EXACT, _ENDLESS),
    "float": (FLOAT, 8), "double": (FLOAT, 8), "doubleprecision": (FLOAT, 8), "real": (FLOAT, 4),
    "datetime": (MOMENT, 0), "timestamp": (MOMENT, 0), "timestamptz": (MOMENT, 1),
    "timestampwithtimezone": (MOMENT, 1), "timestampwithouttimezone": (MOMENT, 0),
    "date": (DAY, 0), "time": (HOUR, 0), "boolean": (TRUTH, 0), "bool": (TRUTH, 0),
    "json": (JSON, 0), "jsonb": (JSON, 1), "largebinary": (BYTES, _ENDLESS), "bytea": (BYTES, _ENDLESS),
    "enum": (CHOICE, 0),
}  # fmt: skip
# Others than these two can't be held by a type of another kind without losing something.
_LOSES: dict[str, frozenset[str]] = {
    TEXT: frozenset({TRUTH}),
    EXACT: frozenset({WHOLE, TRUTH, FLOAT}),
    FLOAT: frozenset({WHOLE, TRUTH, EXACT}),
    WHOLE: frozenset({TRUTH}),
    MOMENT: frozenset({DAY, HOUR}),
}


@dataclass(frozen=True, slots=True)
class Type:
    """A type that is known.

    Attributes:
        kind: what it holds.
        size: characters, bytes of a number, digits; 1 for a moment with its zone and for JSON in binary form.
        scale: digits after the point.
        choices: of an enumeration; empty where they aren't known.
        said: as it is written.
    """

    kind: str
    size: int
    scale: int = 0
    choices: frozenset[str] = frozenset()
    said: str = ""


def known(
    name: str, numbers: Sequence[int] = (), *, zone: bool = False, choices: frozenset[str] = frozenset()
) -> Type | None:
    """The type of that name, None where raccord knows none.

    Args:
        name: in any spelling, such as "VARCHAR", "character varying", "BigInteger".
        numbers: what stands in its brackets.
        zone: whether a moment keeps its zone.
        choices: what an enumeration allows.
    """
    found = _KINDS.get(name.lower().replace(" ", "").replace("_", ""))
    if found is None:
        return None
    kind, size = found
    said = f"{name}({', '.join(map(str, numbers))})" if numbers else name
    if kind == MOMENT and zone:
        size, said = 1, f"{name}(timezone=True)"
    if kind in (TEXT, EXACT, BYTES) and numbers:
        size = numbers[0]
    scale = 0
    if kind == EXACT:
        scale = numbers[1] if len(numbers) > 1 else 0 if numbers else _ENDLESS
        size += _ENDLESS * (not numbers)
    return Type(kind, size, scale, choices, said)


def narrows(old: Type, new: Type) -> bool:
    """Whether values that the old type holds may be cut or lost in the new one."""
    if old.kind != new.kind:
        return new.kind in _LOSES.get(old.kind, ())
    if old.kind == CHOICE:
        return bool(old.choices and new.choices and old.choices - new.choices)
    if old.kind == EXACT:
        return new.size - new.scale < old.size - old.scale or new.scale < old.scale
    if old.kind == JSON:
        return False
    return new.size < old.size


def rewrites(old: Type | None, new: Type) -> bool:
    """Whether PostgreSQL has to write or check every row for it; it is taken to where `old` isn't known."""
    if old is None or old.kind != new.kind:
        return True
    if old.kind == TEXT:
        return new.size < old.size
    if old.kind == EXACT:
        return new.scale != _ENDLESS and (new.scale != old.scale or new.size < old.size)
    return old.size != new.size or old.choices != new.choices
