"""The file of old debt: what was found before and counts no more, until the revision is edited. Pure.

An entry is a rule, a revision and the digest of the revision's content. Each has a line of its own, sorted,
so that branches seldom meet in one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from raccord.errors import CannotRun
from raccord.model.text import shown

VERSION = 1


class Entry(NamedTuple):
    """One finding that counts no more.

    Attributes:
        revision: its id.
        rule: the rule that it broke.
        digest: the SHA-256 of the file's bytes, in hex.
    """

    revision: str
    rule: str
    digest: str


def parse(data: bytes | None, path: str) -> frozenset[Entry]:
    """The entries of a file; none where there is no file.

    Raises:
        CannotRun: it is no such file.
    """
    if data is None:
        return frozenset()
    try:
        document = json.loads(data)
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']} is not {VERSION}")
        entries = frozenset(Entry(**each) for each in document["findings"])
        if not all(isinstance(part, str) for one in entries for part in one):
            raise ValueError("an entry is no text")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CannotRun(
            f"{shown(path)} is no baseline: {shown(str(error))}",
            hint=f"git checkout -- {shown(path)}, or: raccord migrations lint --all --write-baseline",
        ) from error
    return entries


def text(entries: Iterable[Entry]) -> bytes:
    """A file with these entries."""
    lines = ",\n".join(f"    {json.dumps(one._asdict())}" for one in sorted(set(entries)))
    body = f"\n{lines}\n  " if lines else ""
    return f'{{\n  "version": {VERSION},\n  "findings": [{body}]\n}}\n'.encode()
