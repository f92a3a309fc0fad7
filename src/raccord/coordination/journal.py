"""Cuts a journal into dated entries, and moves those that are old into its archive. Pure: no I/O, no clock.

An entry begins with a heading that holds a date and goes on to the next heading of its level or above. Text
under no such heading stays where it is. A date that can be read in two ways is the later one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

MONTHS = {
    "en": "january february march april may june july august september october november december",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}
_NUMBER = {
    name: number for names in MONTHS.values() for number, name in enumerate(names.split(), start=1)
} | {"fevrier": 2, "aout": 8, "decembre": 12}

BOM = b"\xef\xbb\xbf"  # stays where it is; a heading comes after it
_DAY = timedelta(days=1)
_HEADING = re.compile(rb" {0,3}(#{1,6})[ \t]+(\S.*)")
_FENCE = re.compile(rb" {0,3}(`{3,}|~{3,})")
_TIME = r"(?:[T ,à]+(?P<hour>\d{1,2})[:h](?P<minute>\d{2}))?"
_END = r"(?!\d|[-/.]\d)"  # else it is a version
_ISO = re.compile(
    rf"(?<![\d.])(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_END}{_TIME}"
)
_FRENCH = re.compile(
    rf"(?<![\d.])(?P<day>\d{{1,2}})[-/.](?P<month>\d{{1,2}})[-/.](?P<year>\d{{4}}){_END}{_TIME}"
)
_NAMED = re.compile(rf"(?<!\d)(?P<day>\d{{1,2}})(?:er)? (?P<name>\w+),? (?P<year>\d{{4}}){_END}{_TIME}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of a journal.

    Attributes:
        text: every byte of it.
        until: when it is over at the latest, local; None where it has no date.
    """

    text: bytes
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A journal and its archive once old entries have moved.

    Attributes:
        number: of the entries that moved.
    """

    journal: bytes
    archive: bytes
    number: int


def moved(journal: bytes, archive: bytes, now: datetime, hours: int) -> Moved | None:
    """Moves the entries that ended longer ago than that; None where there are none.

    Args:
        now: local, without a zone, as the journals write it.
    """
    mark = BOM if journal.startswith(BOM) else b""
    parts = list(entries(journal[len(mark) :]))
    since = now - timedelta(hours=hours)
    old = [one for one in parts if _ended_before(one, since)]
    if not old:
        return None
    rest = b"".join(one.text for one in parts if not _ended_before(one, since))
    return Moved(mark + rest, _with(archive, old, newest_first=_newest_first(parts)), len(old))


def _ended_before(one: Entry, since: datetime) -> bool:
    return one.until is not None and one.until < since


def entries(journal: bytes) -> Iterator[Entry]:
    """The parts of a journal, in order; together they are the journal."""
    lines, fence = journal.splitlines(keepends=True), b""
    found: dict[int, tuple[int, datetime | None]] = {}
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = b""
        elif not fence and (heading := _HEADING.match(line)):
            found[number] = len(heading[1]), _date(heading[2].decode("utf-8", "replace"))
    if found and sum(level == 1 and named is not None for level, named in found.values()) == 1:
        first = min(found)
        if found[first][0] == 1:
            found[first] = 1, None  # a title that says when the journal was begun
    start, level, until = 0, 7, None
    for number, (depth, ends) in found.items():
        if until is not None and depth > level:
            until = max(until, ends or until)  # below a dated heading others belong to it
        elif until is not None or ends is not None:
            yield Entry(b"".join(lines[start:number]), until)
            start, level, until = number, depth, ends
    yield Entry(b"".join(lines[start:]), until)


def _date(heading: str) -> datetime | None:
    """When what a heading names is over at the latest; None where it holds no date."""
    ends = []
    for form in (_ISO, _FRENCH, _NAMED):
        for found in form.finditer(heading):
            part = found.groupdict()
            months = [_NUMBER.get(part["name"].lower(), 0)] if form is _NAMED else [int(part["month"])]
            days = [int(part["day"])]
            if form is _FRENCH:  # elsewhere the month comes first
                months, days = [months[0], days[0]], [days[0], months[0]]
            ends += [
                end
                for month, day in zip(months, days, strict=True)
                if (end := _end(int(part["year"]), month, day, part["hour"], part["minute"]))
            ]
    return max(ends, default=None)


def _end(year: int, month: int, day: int, hour: str | None, minute: str | None) -> datetime | None:
    try:
        at = datetime.combine(date(year, month, day), time())
        return at.replace(hour=int(hour), minute=int(minute)) if hour and minute else at + _DAY
    except (ValueError, OverflowError):
        return None


def _newest_first(parts: Sequence[Entry]) -> bool:
    dates = [one.until for one in parts if one.until is not None]
    return len(dates) > 1 and dates[0] > dates[-1]


def _with(archive: bytes, old: Sequence[Entry], *, newest_first: bool) -> bytes:
    """An archive with more entries; what a kill left there already is not added again."""
    lacking = b"".join(_ended(one.text) for one in old if one.text not in archive)
    if not newest_first:
        return _ended(archive) + lacking
    mark = BOM if archive.startswith(BOM) else b""
    parts = list(entries(archive[len(mark) :]))
    head = mark + (parts[0].text if parts[0].until is None else b"")
    return (head if head == mark else _ended(head)) + lacking + archive[len(head) :]


def _ended(text: bytes) -> bytes:
    return text if not text or text.endswith((b"\n", b"\r")) else text + b"\n"
