"""Asks git which commits brought the lines that are new in a file. Only reads."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence

from raccord.coordination.owners import Credit, people
from raccord.coordination.summary import moves
from raccord.git.run import Git, strings

TRAILERS = "%(trailers:key=Co-Authored-By,valueonly,separator=%x00)"
_HEADER = re.compile(rb"([0-9a-f]{40,64}) \d+ (\d+)(?: \d+)?")
PEOPLE = f"%an <%ae>%x00{TRAILERS}"  # the author first


def credits_of(git: Git, path: str, before: bytes | None, now: bytes) -> tuple[Credit, ...]:
    """Who made the commits that brought what is new in the content that `HEAD` has of a path.

    Args:
        before: the content before; None where it was not kept.

    Raises:
        RaccordError: git can't tell.
    """
    lines = set() if before is None else _new(before, now)
    found = _blamed(git, path, lines) if lines else Counter()
    if not found:
        # Lines went, or the file only has another name: whoever touched it last did that.
        return (Credit(1, _people(git, "-1", "HEAD", "--", f":(literal){path}")),)
    return tuple(
        Credit(number, _people(git, "--no-walk", commit, "--")) for commit, number in found.most_common()
    )


def deleted(git: Git, path: str) -> tuple[Credit, ...]:
    """Who made the commit that took a path away; nothing where none did.

    Raises:
        RaccordError: git can't tell.
    """
    said = _people(git, "-1", "--diff-filter=D", "HEAD", "--", f":(literal){path}")
    return (Credit(1, said),) if said else ()


def _new(before: bytes, now: bytes) -> set[int]:
    """The numbers of the lines that are new; git's lines end in line feeds alone."""
    ranges = moves(before.split(b"\n"), now.rstrip(b"\n").split(b"\n"))
    return {number for _, _, begin, end in ranges for number in range(begin + 1, end + 1)}


def _blamed(git: Git, path: str, lines: set[int]) -> Counter[str]:
    """How many of the lines each commit brought under this name."""
    span = f"-L{min(lines)},{max(lines)}"
    said = git.out("blame", "--porcelain", "--no-textconv", span, "HEAD", "--", path)
    found: Counter[str] = Counter()
    elsewhere: set[str] = set()
    commit, number = "", 0
    for line in said.split(b"\n"):
        if line.startswith(b"\t"):
            found[commit] += number in lines
        elif line.startswith(b"filename "):
            if line.removeprefix(b"filename ") != os.fsencode(path):
                elsewhere.add(commit)
        elif header := _HEADER.fullmatch(line):
            commit, number = header[1].decode(), int(header[2])
    return Counter({one: lines_ for one, lines_ in found.items() if lines_ and one not in elsewhere})


def _people(git: Git, *which: str) -> Sequence[str]:
    said = git.out("log", "--no-show-signature", "-z", f"--format={PEOPLE}", *which)
    return tuple(people(strings(said)))
