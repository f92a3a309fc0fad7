"""Puts reports into a document between what others wrote there, and rolls older ones out of it. Pure.

The document is bytes: whatever else is in it, and however it is encoded, stays as it is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from raccord.coordination.report import END, ENTRY, HEADING, mark
from raccord.model.language import LANGUAGES

_HEADINGS = frozenset(HEADING.said(language).encode() for language in LANGUAGES)
_SECTION = re.compile(rb"#{1,2}\s")
_MARK = re.compile(rb"<!-- raccord:consolidation:(\S+) -->")


@dataclass(frozen=True, slots=True)
class Rolled:
    """A document with new reports in it.

    Attributes:
        document: its content.
        older: reports that have no more place in it, the newest first.
    """

    document: bytes
    older: tuple[bytes, ...]


def has(document: bytes, key: str) -> bool:
    """Whether a document holds the report of a consolidation."""
    return mark(key).encode() in document


def added(document: bytes, reports: Sequence[str], heading: str, most: int) -> Rolled:
    """Puts reports below the heading, the newest first.

    Args:
        reports: the oldest first.
        heading: written at the end where the document has none yet, in any language.
        most: how many reports may be in it; older ones of raccord's are taken out.
    """
    end = b"\r\n" if document.count(b"\r\n") * 2 > document.count(b"\n") else b"\n"
    lines = document.splitlines(keepends=True)
    at = next((number for number, line in enumerate(lines) if line.strip() in _HEADINGS), None)
    if at is None:
        before, section, after = _ended(document, end), [heading.encode() + end, end], b""
        if before:
            before += end
        entries: list[bytes] = []
    else:
        until = next(
            (number for number in range(at + 1, len(lines)) if _SECTION.match(lines[number])), len(lines)
        )
        before, after = b"".join(lines[:at]), b"".join(lines[until:])
        section, entries = _entries(lines[at:until])
        if not section[-1].endswith((b"\n", b"\r")):
            section[-1] += end
        if section[-1].strip():
            section.append(end)
    new = [one.replace("\n", end.decode()).encode("utf-8", "surrogateescape") + end for one in reports]
    kept = [*reversed(new), *entries]
    ours = [number for number, entry in enumerate(kept) if b"<!-- raccord:consolidation:" in entry]
    out = set(ours[most:])
    older = tuple(entry for number, entry in enumerate(kept) if number in out)
    rest = [entry for number, entry in enumerate(kept) if number not in out]
    return Rolled(before + b"".join([*section, *rest]) + after, older)


def archived(archive: bytes, older: Sequence[bytes], heading: str) -> bytes:
    """An archive with more reports in it; one that it has already is not added again."""
    lacking = [entry for entry in older if _mark(entry) not in archive]
    if not lacking:
        return archive
    head = archive or f"{heading}\n\n".encode()
    return _ended(head, b"\n") + b"".join(reversed(lacking))


def reports(document: bytes) -> dict[str, bytes]:
    """The reports in a document by the consolidation that each tells of, with the blank lines that follow."""
    entries = _entries(document.splitlines(keepends=True))[1]
    found = ((_MARK.search(entry), entry) for entry in entries)
    return {mark[1].decode("utf-8", "surrogateescape"): entry for mark, entry in found if mark}


def _mark(entry: bytes) -> bytes:
    found = _MARK.search(entry)
    return found[0] if found else entry


def _entries(lines: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """A section as what stands before its first report, and its reports with what follows each."""
    starts = [number for number, line in enumerate(lines) if line.startswith(ENTRY.encode())]
    if not starts:
        return list(lines), []
    bounds = [*starts, len(lines)]
    parts = [b"".join(lines[one:two]) for one, two in itertools.pairwise(bounds)]
    return list(lines[: starts[0]]), [entry for part in parts for entry in _cut(part)]


def _cut(part: bytes) -> list[bytes]:
    """A report ends at its rule; what people wrote below it is not part of it, and stays."""
    lines = part.splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if line.strip() == END.encode()]
    if not ends:
        return [part]
    until = ends[0] + 1
    while until < len(lines) and not lines[until].strip():
        until += 1
    rest = b"".join(lines[until:])
    return [b"".join(lines[:until]), *([rest] if rest else [])]


def _ended(text: bytes, end: bytes) -> bytes:
    return text if not text or text.endswith((b"\n", b"\r")) else text + end
