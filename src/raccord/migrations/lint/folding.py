"""Computes with texts and with questions about the dialect, as far as a revision's text tells. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from raccord.migrations.lint.sql_text import HOLE
from raccord.migrations.lint.values import UNKNOWN, Handle, Test, Value

METHODS = frozenset({"lower", "lstrip", "rstrip", "strip", "upper"})
PERCENT = re.compile(r"%(?:\(\w+\))?[sdr]")
BRACES = re.compile(r"\{\w*\}")
LONGEST = 256 * 1024  # characters of a text that is put together; a loop can double one at each turn
MOST = 10_000  # elements of a list, likewise


def said(value: Value) -> str:
    """A value within a text."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else HOLE


def filled(places: re.Pattern[str], text: str, values: Sequence[Value]) -> str:
    """A text with values in its places, one after the other; a hole where that can't be told."""
    named = any(place[0] not in ("{}", "%s", "%d", "%r") for place in places.finditer(text))
    texts = [] if named else [said(one) for one in values]
    if len(text) + sum(map(len, texts)) > LONGEST:
        return HOLE
    left = iter(texts)
    return places.sub(lambda _: next(left, HOLE), text)


def joined(parts: Iterable[Value], between: str = "") -> str:
    """Several values as one text."""
    texts = [said(one) for one in parts]
    return HOLE if sum(len(one) + len(between) for one in texts) > LONGEST else between.join(texts)


def added(left: Value, right: Value) -> Value:
    """The sum of two texts or lists."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return (*left, *right) if len(left) + len(right) <= MOST else UNKNOWN
    return joined((left, right)) if isinstance(left, str) or isinstance(right, str) else UNKNOWN


def text_method(text: str, name: str, given: Sequence[Value]) -> Value:
    """What a method of a text gives."""
    if name == "format":
        return filled(BRACES, text, given)
    if name == "join":
        parts = given[0] if given and isinstance(given[0], tuple) else (UNKNOWN,)
        return joined(parts, text)
    if name == "replace" and len(given) == 2:
        old, new = said(given[0]), said(given[1])
        return text.replace(old, new) if len(text) * (len(new) + 1) <= LONGEST else HOLE
    if name == "split" and HOLE not in text and all(isinstance(one, str) for one in given):
        return tuple(text.split(str(given[0])) if given else text.split())
    if name in METHODS:
        return str(getattr(text, name)())
    return UNKNOWN


def test(value: Value) -> Test:
    """A question about the dialect; any other may be answered either way."""
    return value if isinstance(value, Test) else Test(True, True)


def postgres(holds: bool) -> Test:
    """A question that PostgreSQL alone answers so."""
    return Test(holds, not holds)


def compared(left: Value, how: ast.cmpop, right: Value) -> Value:
    """What a comparison with the dialect's name says of PostgreSQL."""
    if right is Handle.DIALECT_NAME and isinstance(how, ast.In) and isinstance(left, str):
        return postgres(left in "postgresql")
    if right is Handle.DIALECT_NAME:
        left, right = right, left
    if left is not Handle.DIALECT_NAME:
        return UNKNOWN
    if isinstance(how, ast.Eq | ast.NotEq) and isinstance(right, str):
        holds = postgres(right == "postgresql")
    elif isinstance(how, ast.In | ast.NotIn) and isinstance(right, tuple):
        holds = postgres("postgresql" in right)
    else:
        return UNKNOWN
    return Test(holds.no, holds.yes) if isinstance(how, ast.NotEq | ast.NotIn) else holds
