"""What CSV files can't say themselves: a file beside them tells from where they are, and how they are masked.

It is read with distrust: whoever made it may be anybody. What it says of a file counts as long as that file
is what it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from raccord.data.manifest import Made
from raccord.database.url import SQLITE
from raccord.errors import CannotRun
from raccord.kernel import fs, fs_part
from raccord.model.plan import Finding, Json
from raccord.model.text import shown

LONGEST = 1 << 22  # bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one table's file.

    Attributes:
        masked: columns whose values were sent in place of others, and by which masks.
    """

    rows: int
    sha256: str
    masked: Mapping[str, str]


def file_name(stamp: str) -> str:
    """The name of the file for those of one time."""
    return f"raccord_{stamp}.json"


def written(name: str, kind: str, made: Made, tables: Mapping[str, Told]) -> dict[str, Json]:
    """Of a set, for JSON.

    Args:
        kind: of the database that the rows are from.
        tables: by their names for a person.
    """
    told = {
        table: {"rows": one.rows, "sha256": one.sha256, "masked": dict(one.masked)}
        for table, one in tables.items()
    }
    return {"set": name, "kind": kind, **made.document(), "tables": told}


def write(path: Path, said: Mapping[str, Json]) -> None:
    """Writes it, for its owner alone."""
    fs.write_atomic(path, json.dumps(said, indent=1).encode(), mode=0o600, exact=True)


@dataclass(frozen=True, slots=True)
class Origin:
    """From where the files of one time are.

    Attributes:
        made: by whom, and of what; None where nothing says so.
        masked: for each table the columns whose values were sent in place of others.
        exact: tables whose files are as raccord writes rows of SQLite.
        notes: what a person should know.
    """

    made: Made | None = None
    masked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[Finding, ...] = ()
    exact: frozenset[str] = frozenset()


def read(folder: Path, stamp: str, hashes: Mapping[str, str]) -> Origin:
    """From where the files of one time are.

    Args:
        hashes: what each table's file is by now, by the table's name for a person.

    Raises:
        CannotRun: something else has its name.
    """
    path = folder / file_name(stamp)
    if fs.signature(path) is None:
        said = "nothing says from where these files are, nor whether anything in them is masked"
        return Origin(notes=(Finding("data.origin", "note", said),))
    try:
        if not 0 <= fs_part.size_of(path) <= LONGEST:
            raise ValueError
        document = json.loads(fs.read(path))
        made = Made.parse(document)
        known = {table: str(one["sha256"]) for table, one in document["tables"].items()}
        masked = {table: tuple(dict(one["masked"])) for table, one in document["tables"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        place = shown(str(path))
        raise CannotRun(f"{place} is not what raccord writes there", hint=f"mv {place} elsewhere") from None
    others = [name for name, sha256 in hashes.items() if known.get(name) != sha256]
    exact = frozenset(hashes.keys() - {*others} if document.get("kind") == SQLITE else ())
    if not others:
        return Origin(made, masked, exact=exact)
    said = (
        f"not as they were exported: {', '.join(map(shown, sorted(others)))}; so nobody knows what is masked"
    )
    kept = {table: names for table, names in masked.items() if table not in others}
    return Origin(replace(made, masked=False), kept, (Finding("data.origin", "note", said),), exact)
