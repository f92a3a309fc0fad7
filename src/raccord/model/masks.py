"""The masks that have a name, as the configuration spells them: `mask:email`. Pure.

What begins so is no SQL: a single colon stands nowhere behind a name there, and `mask::text` has two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMES = ("date", "email", "fixed", "hash", "ip", "keep-domain", "name", "none", "null", "phone")
FIXED, HASH, NONE, NULL = "fixed", "hash", "none", "null"
# Equal values get equal ones, others get others: rows that were joined stay joined.
JOINS = frozenset({"email", HASH, "keep-domain", "name"})
_SPELLED = re.compile(r"\s*mask:(?!:)(?P<name>[^=]*?)\s*(?:=(?P<text>.*))?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask that has a name.

    Attributes:
        name: one of `NAMES`.
        text: what "fixed" puts in the place of every value.
    """

    name: str
    text: str = ""

    @property
    def shown(self) -> str:
        """As a person reads it; a text may be secret."""
        return f"mask:{self.name}" + ("=…" if self.name == FIXED else "")


def parse(text: str) -> Mask | None:
    """Reads a mask of the configuration; None for SQL.

    Raises:
        ValueError: it begins like a mask that has a name, and none has this one.
    """
    found = _SPELLED.fullmatch(text)
    if found is None:
        return None
    name, fixed = found["name"].lower(), found["text"]
    if name not in NAMES:
        raise ValueError(f"is no mask that there is; known: {', '.join(NAMES)}")
    if (fixed is not None) != (name == FIXED):
        raise ValueError("takes no value" if fixed is not None else "needs a value: mask:fixed=TEXT")
    return Mask(name, fixed or "")
