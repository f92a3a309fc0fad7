"""Which paths a list of patterns names, by the rules of gitignore(5). Pure.

The algorithm is that of git's `wildmatch.c` and `dir.c`, except that `?` and `[…]` take one character where
git takes one byte. A pattern is compiled segment by segment, so that a hostile one can't make the match
explode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t-\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


@dataclass(frozen=True, slots=True)
class Glob:
    """One compiled pattern.

    Attributes:
        segments: an expression for each segment of a path; None for `**`, any number of directories.
        only_directory: the pattern ends in a slash.
        negated: the pattern starts with `!`: it takes back what an earlier one named.
    """

    segments: tuple[re.Pattern[str] | None, ...]
    only_directory: bool = False
    negated: bool = False

    def depths(self, names: Sequence[str]) -> set[int]:
        """How many of the path's first segments make a path that the pattern names."""
        end = len(self.segments)
        found = set()
        reached = self._skipping({0})
        for depth, name in enumerate(names, 1):
            after: set[int] = set()
            for at in reached:
                if at == end:
                    continue
                segment = self.segments[at]
                if segment is None:
                    # At the end, `**` takes at least one name: `a/**` is what a holds, not a.
                    after.update((at, end) if at == end - 1 else (at,))
                elif segment.fullmatch(name):
                    after.add(at + 1)
            reached = self._skipping(after)
            if end in reached and not (self.only_directory and depth == len(names)):
                found.add(depth)
        return found

    def leads(self, names: Sequence[str]) -> bool:
        """Whether it may name something below a directory."""
        reached = self._skipping({0})
        for name in names:
            after: set[int] = set()
            for at in reached:
                if at == len(self.segments):
                    return True
                segment = self.segments[at]
                if segment is None or segment.fullmatch(name):
                    after.add(at if segment is None else at + 1)
            reached = self._skipping(after)
        return bool(reached)

    def _skipping(self, reached: set[int]) -> set[int]:
        """Adds what follows each `**` that may stand for no directory."""
        out = set(reached)
        for at in reached:
            while at < len(self.segments) - 1 and self.segments[at] is None:
                at += 1
                out.add(at)
        return out


def named(patterns: Iterable[str], path: str) -> bool:
    """Whether the patterns, read like the lines of one `.gitignore`, name a file.

    Args:
        patterns: the last one that matches decides; a file below a named directory is named, whatever
            follows. One that is empty or malformed names nothing.
        path: of a file, relative to where the patterns hold, with `/` between its segments.
    """
    names = path.split("/")
    decided: dict[int, bool] = {}
    for pattern in patterns:
        glob = compiled(pattern)
        if glob is not None:
            decided.update(dict.fromkeys(glob.depths(names), not glob.negated))
    return any(decided.values())


def leads(patterns: Iterable[str], folder: str) -> bool:
    """Whether the patterns may name a file below a folder, at whatever depth.

    Args:
        patterns, folder: see `named`.
    """
    names = folder.split("/")
    globs = [glob for pattern in patterns if (glob := compiled(pattern)) is not None]
    return any(glob.leads(names) for glob in globs if not glob.negated)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Glob | None:
    """Compiles a pattern; None where it can name nothing."""
    negated = pattern.startswith("!")
    pattern = pattern[negated:]
    only_directory = pattern.endswith("/")
    pattern = pattern[: len(pattern) - only_directory]
    if not pattern:
        return None
    anchored = "/" in pattern
    pattern = pattern[pattern.startswith("/") :]
    segments: list[re.Pattern[str] | None] = [] if anchored else [None]
    at = 0
    while True:
        parsed = _segment(pattern, at)
        if parsed is None:
            return None
        segment, at = parsed
        # Two `**` in a row say what one says.
        if segment is not None or not segments or segments[-1] is not None:
            segments.append(segment)
        if at >= len(pattern):
            break
        at += 1
    return Glob(tuple(segments), only_directory, negated)


def _segment(pattern: str, at: int) -> tuple[re.Pattern[str] | None, int] | None:
    """Compiles up to the next slash; returns the expression and where that slash is."""
    start = at
    parts = [""]  # the expressions between the stars
    while at < len(pattern) and pattern[at] != "/":
        char = pattern[at]
        if char == "*":
            parts.append("")
            while at < len(pattern) and pattern[at] == "*":
                at += 1
            continue
        if char == "?":
            parts[-1] += "."
        elif char == "[":
            bracket = _bracket(pattern, at + 1)
            if bracket is None:
                return None
            expression, at = bracket
            parts[-1] += expression
        elif char == "\\":
            at += 1
            if at == len(pattern):
                return None
            if pattern[at] == "/":
                break
            parts[-1] += re.escape(pattern[at])
        else:
            parts[-1] += re.escape(char)
        at += 1
    if at - start > 1 and not pattern[start:at].strip("*"):
        return None, at
    head, *rest = parts
    # Taking the first fit for each part between two stars is always right, hence no backtracking.
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    tail = f".*{rest[-1]}" if rest else ""
    return re.compile(head + middle + tail, re.DOTALL), at


def _bracket(pattern: str, at: int) -> tuple[str, int] | None:
    """Compiles a `[…]` whose inside starts at `at`; returns the expression and where its `]` is."""
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    ranges: list[str] = []
    previous = ""  # what a `-` would start from
    first = True
    while first or pattern[at : at + 1] != "]":
        first = False
        char = pattern[at : at + 1]
        if not char:
            return None
        if char == "\\":
            at += 1
            char = pattern[at : at + 1]
            if not char:
                return None
            ranges.append(re.escape(char))
            previous = char
        elif char == "-" and previous and pattern[at + 1 : at + 2] not in ("", "]"):
            at += 1
            last = pattern[at]
            if last == "\\":
                at += 1
                last = pattern[at : at + 1]
                if not last:
                    return None
            if previous <= last:
                ranges.append(f"{re.escape(previous)}-{re.escape(last)}")
            previous = ""
        elif char == "[" and pattern[at + 1 : at + 2] == ":":
            close = pattern.find("]", at + 2)
            if close < 0:
                return None
            if close > at + 2 and pattern[close - 1] == ":":
                members = CLASSES.get(pattern[at + 2 : close - 1])
                if members is None:
                    return None
                ranges.append(members)
                at, previous = close, ""
            else:  # no `:]` follows: an ordinary set
                ranges.append(re.escape(char))
                previous = char
        else:
            ranges.append(re.escape(char))
            previous = char
        at += 1
    inside = "".join(ranges)
    if negated:
        return (f"[^{inside}]" if inside else "."), at
    return (f"[{inside}]" if inside else "(?!)"), at
