"""The kinds of values that a configuration key may hold: what is valid, and how it is read. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Invalid(Exception):
    """A value that a kind does not take; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        expected: what is valid, in words that end "expected …".
        read: turns a TOML value into the frozen Python value, or raises `Invalid`.
        value: the TOML spelling of an example, for documentation.
    """

    expected: str
    read: Callable[[object], object]
    value: str


def named(value: object) -> str:
    """What a TOML value is, in words: "a string"."""
    for python, words in (
        (bool, "a boolean"),
        (int, "a number"),
        (float, "a number"),
        (str, "a string"),
        (list, "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, python):
            return words
    return "a date or time"


def string(value: object) -> str:
    """Reads a string without control characters: a newline in a branch or a variable is a mistake."""
    if not isinstance(value, str):
        raise Invalid(f"is {named(value)}")
    if not value.isprintable():
        raise Invalid("holds a control character")
    return value


def whole(least: int, unit: str) -> Kind:
    """A whole number of `unit`, at least `least`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Invalid(f"is {named(value)}")
        if not least <= value <= 2**31:
            raise Invalid(f"is {value}")
        return value

    return Kind(f"a whole number of {unit}, {least} or more", read, str(least))


def items(value: object, read: Callable[[object], T], least: int = 0) -> tuple[T, ...]:
    """Reads a list whose items `read` takes."""
    if not isinstance(value, list):
        raise Invalid(f"is {named(value)}")
    if len(value) < least:
        raise Invalid("is empty")
    found = []
    for number, item in enumerate(value, 1):
        try:
            found.append(read(item))
        except Invalid as problem:
            nested = "," if str(problem).startswith("item") else ""
            raise Invalid(f"item {number}{nested} {problem}") from None
    return tuple(found)


def _filled(value: object) -> str:
    text = string(value)
    if not text.strip():
        raise Invalid("is empty")
    return text


def _variable(value: object) -> str:
    text = string(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise Invalid(f"is {text!r}")
    return text


def _argument(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"is {named(value)}")
    if "\0" in value:
        raise Invalid("holds a NUL")
    return value


def command(value: object) -> tuple[str, ...]:
    """Reads a command: an argv list, or a string that is split as a shell would, without a shell."""
    if isinstance(value, str):
        import shlex

        try:
            words = tuple(shlex.split(_argument(value)))
        except ValueError as error:
            raise Invalid(f"can't be split: {error}".lower()) from None
    else:
        words = items(value, _argument)
    if not words or not words[0]:
        raise Invalid("names no program")
    return words


def _glob(value: object) -> str:
    text = _filled(value)
    if text.startswith("/") or ".." in text.split("/"):
        raise Invalid(f"is {text!r}, which leads out of the worktree")
    return text


TEXT = Kind("a string", string, '"main"')
PATTERNS = Kind("a list of patterns", lambda value: items(value, _filled), '["release/*"]')
GLOBS = Kind("a list of patterns inside the worktree", lambda value: items(value, _glob), '["*.pyc"]')
VARIABLES = Kind("a list of names of variables", lambda value: items(value, _variable), '["NODE_ENV"]')
COMMAND = Kind(
    'a command, a list such as ["uv", "run", "alembic"] or a string', command, '["uv", "run", "alembic"]'
)
COMMANDS = Kind(
    'a list of commands, each a list such as ["pytest", "-q"] or a string',
    lambda value: items(value, command),
    '[["pytest", "-q"]]',
)


def key(default: T, kind: Kind, doc: str, example: str = "") -> T:
    """Declares a key: its default, what it takes, and the sentence of its documentation."""
    return cast(
        T,
        field(
            default=cast(Any, default), metadata={"kind": kind, "doc": doc, "example": example or kind.value}
        ),
    )
