"""Says how two contents of a file differ: a diffstat, and the headings under which lines changed. Pure."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_LINES = 2_000  # between what both begin and end with, up to which lines are matched in order
MOST_SECTIONS = 5

_HEADING = re.compile(rb"#{1,6}\s+(.+?)\s*#*\s*$")


@dataclass(frozen=True, slots=True)
class Summary:
    """How a content became another.

    Attributes:
        added, removed: lines.
        sections: headings (Markdown) of the sections in which lines were added or removed, in order.
    """

    added: int
    removed: int
    sections: tuple[str, ...]


def summary(old: bytes, new: bytes) -> Summary:
    """Compares two contents line by line."""
    before, after = old.splitlines(), new.splitlines()
    added = removed = 0
    touched: dict[str, None] = {}
    above_before, above_after = list(_above(before)), list(_above(after))
    for one, two, three, four in moves(before, after):
        removed += two - one
        added += four - three
        for heading in (*above_before[one:two], *above_after[three:four]):
            if heading:
                touched[heading] = None
    return Summary(added, removed, tuple(touched)[:MOST_SECTIONS])


def unified(old: bytes, new: bytes, path: str, context: int = 3) -> list[str]:
    """The difference as a unified diff, without line ends; nothing where it would take long."""
    before, after = (part.decode("utf-8", "replace").splitlines() for part in (old, new))
    if max(len(before), len(after)) > 10 * MOST_LINES:
        return []
    return list(difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm="", n=context))


def moves(before: Sequence[bytes], after: Sequence[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """Where lines went from and came to, as ranges of both."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    middle, other = before[start : len(before) - end], after[start : len(after) - end]
    if max(len(middle), len(other)) > MOST_LINES:
        # Matching in order takes the square of this; which lines are there on one side only does not.
        gone, come = Counter(middle) - Counter(other), Counter(other) - Counter(middle)
        for at, line in enumerate(middle, start):
            if gone[line] > 0:
                gone[line] -= 1
                yield at, at + 1, start, start
        for at, line in enumerate(other, start):
            if come[line] > 0:
                come[line] -= 1
                yield start, start, at, at + 1
        return
    matcher = difflib.SequenceMatcher(None, middle, other, autojunk=False)
    for what, one, two, three, four in matcher.get_opcodes():
        if what != "equal":
            yield one + start, two + start, three + start, four + start


def _above(lines: Sequence[bytes]) -> Iterator[str]:
    """The heading above each line; a heading stands for itself."""
    current = ""
    fenced = False
    for line in lines:
        if line.lstrip().startswith((b"```", b"~~~")):
            fenced = not fenced
        found = None if fenced else _HEADING.match(line)
        if found:
            current = found[1].decode("utf-8", "replace")
        yield current
