"""On which line of a TOML document a key stands. Asks the parser itself, so it can't disagree with it.

A prefix of whole lines that is valid TOML ends between two statements. A statement that spans lines makes
every prefix inside it invalid, so the smallest number of lines whose next valid prefix has the key is the
line where the key's statement begins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

# Bytes parsed before giving up: a string of a hundred thousand lines must not stall a status.
BUDGET = 8_000_000


def line_of(text: str, path: Sequence[str]) -> int:
    """The 1-based line on which the key `path` is written; 0 where it is not found within the budget.

    Args:
        text: a valid TOML document.
        path: the key's parts, such as ("tool", "raccord", "sync", "base").
    """
    lines = text.split("\n")
    parsed: dict[int, dict[str, Any] | None] = {}
    spent = 0
    low, high = 0, len(lines)
    while low < high:
        middle = valid = (low + high) // 2
        while valid <= len(lines):
            if valid not in parsed:
                prefix = "\n".join(lines[:valid]) + "\n"
                spent += len(prefix)
                if spent > BUDGET:
                    return 0
                parsed[valid] = _parsed(prefix)
            if parsed[valid] is not None:
                break
            valid += 1
        if valid > len(lines) or _has(parsed[valid], path):
            high = middle
        else:
            low = valid + 1
    whole = _parsed("\n".join(lines[:low]) + "\n") if low else None
    return low if low and (whole is None or _has(whole, path)) else 0


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _has(document: object, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True
