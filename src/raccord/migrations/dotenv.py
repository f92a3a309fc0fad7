"""Reads env files as python-dotenv does, and finds the bytes of a value in them. Never writes, runs nothing.

The grammar is python-dotenv's (`dotenv.parser`): quotes, `export`, comments, values over several lines, and
`${NAME}` or `${NAME:-default}` in any value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from raccord.kernel.fs_look import foreseen
from raccord.model.text import shown

LARGEST = 1 << 20
_LINE = re.compile(
    rb"""
    [^\S\r\n]*                                # the beginning of a line
    (?:export[^\S\r\n]+)?
    (?:'(?P<quoted>[^']+)'|(?P<name>[^=\#\s]+))
    [^\S\r\n]*
    (?:=[^\S\r\n]*
      (?:'(?P<single>(?:\\'|[^'])*)'
        |"(?P<double>(?:\\"|[^"])*)"
        |(?P<bare>[^\r\n]*?)(?=[^\S\r\n]*(?:[^\S\r\n]\#[^\r\n]*)?(?:\r\n|\n|\r|\Z))
      )
    )?
    [^\r\n]*(?:\r\n|\n|\r|\Z)
    """,
    re.VERBOSE,
)
_OTHER = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")  # a comment, an empty line, or what is no assignment
_BLANK = re.compile(rb"[^\S\r\n]*(?:\#[^\r\n]*)?(?:\r\n|\n|\r|\Z)")
_ESCAPED = {"single": re.compile(r"\\[\\']"), "double": re.compile(r"\\[\\'\"abfnrtv]")}
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_REFERENCE = re.compile(r"\$\{(?P<name>[^}:]*)(?::-(?P<default>[^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `NAME=value` of an env file.

    Attributes:
        begin, end: of the value's bytes, within its quotes.
        text: the value with its escapes undone, references left as they are.
    """

    name: str
    begin: int
    end: int
    text: str


def load(path: Path) -> bytes | None:
    """The bytes of an env file, links followed; None where there is none of a sensible size.

    Raises:
        CannotRun: it can't be read.
    """
    with foreseen(f"can't read {shown(str(path))}"):
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        return path.read_bytes()


def assignments(source: bytes) -> list[Assignment]:
    """Every assignment of an env file, in its order; a name without `=` is none."""
    found: list[Assignment] = []
    at = 0
    while at < len(source):
        if (blank := _BLANK.match(source, at)) is not None:
            at = max(blank.end(), at + 1)
            continue
        line = _LINE.match(source, at)
        if line is None:
            other = _OTHER.match(source, at)
            at = max(other.end() if other else len(source), at + 1)
            continue
        kind = next((one for one in ("single", "double", "bare") if line[one] is not None), "")
        if kind:
            raw = line[kind].decode("utf-8", "surrogateescape")
            escaped = _ESCAPED.get(kind)
            text = escaped.sub(_unescaped, raw) if escaped else raw
            name = (line["quoted"] or line["name"]).decode("utf-8", "surrogateescape")
            found.append(Assignment(name, *line.span(kind), text))
        at = max(line.end(), at + 1)
    return found


def last(source: bytes, name: str) -> Assignment | None:
    """The assignment of a name that counts."""
    return next((one for one in reversed(assignments(source)) if one.name == name), None)


def value(source: bytes, name: str, around: Mapping[str, str], *, override: bool = False) -> str | None:
    """What an env file gives a name, references filled in; None where it gives nothing.

    Args:
        around: the environment, which references may lead to.
        override: whether the file counts more than the environment.
    """
    known: dict[str, str] = {}
    for one in assignments(source):
        first, second = (known, around) if override else (around, known)

        def filled(found: re.Match[str]) -> str:
            name, default = found["name"], found["default"] or ""
            return first.get(name, second.get(name, default))  # noqa: B023 - used up at once

        known[one.name] = _REFERENCE.sub(filled, one.text)
    return known.get(name)


def _unescaped(found: re.Match[str]) -> str:
    char = found[0][1]
    return _LETTERS.get(char, char)
