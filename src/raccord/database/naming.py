"""Where the text of a database's URL says which database it is, so that another one can be written there.

Only that part is touched: user, password, hosts and options stay as they were spelled.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from urllib.parse import quote

from raccord.database.url import OTHER, SQLITE, Target, parse
from raccord.errors import DatabaseError

_PARTS = re.compile(
    r"\s*[A-Za-z][\w+.-]*://(?:[^:/?]*(?::[^@]*)?@)?(?P<hosts>[^/?]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
# What the drivers read instead of the path; the last one counts.
_NAMED = re.compile(r"(?:^|&)(?:dbname|database)=(?P<name>[^&]*)")


def place(text: str) -> tuple[int, int]:
    """Begin and end of the part of a URL's text that names the database; empty where it has none.

    Raises:
        DatabaseError: it is no URL.
    """
    found = _PARTS.match(text)
    if found is None:
        raise DatabaseError("this is no database URL: it does not begin with a dialect and ://")
    if found["query"] is not None:
        named = list(_NAMED.finditer(found["query"]))
        if named:
            begin = found.start("query")
            return begin + named[-1].start("name"), begin + named[-1].end("name")
    if found["name"] is None:
        return found.end("hosts"), found.end("hosts")
    return found.start("name"), len(text[: found.end("name")].rstrip())


def other(target: Target, name: str) -> Target:
    """Another database beside this one.

    Args:
        name: of a PostgreSQL database; the absolute path of a SQLite file.
    """
    return replace(target, path=name) if target.kind == SQLITE else replace(target, name=name)


def spelled(text: str, base: str | os.PathLike[str], name: str) -> str:
    """What has to stand at `place` for a URL to name another database.

    Args:
        text: a URL, which is read first.
        base: see `parse`.

    Raises:
        DatabaseError: no spelling leads there.
    """
    begin, end = place(text)
    before = parse(text, base)
    wanted = other(before, name)
    # As it is, where it can be: SQLAlchemy decodes it from 2.1 on only.
    for new in (name, f"/{name}", quote(name, safe=""), f"/{quote(name, safe='')}"):
        try:
            if before.kind != OTHER and parse(text[:begin] + new + text[end:], base) == wanted:
                return new
        except DatabaseError:
            continue
    raise DatabaseError(f"{before.shown} can't be made to name {wanted.shown} by its name alone")
