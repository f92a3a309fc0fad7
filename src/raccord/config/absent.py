"""Names that a person typed and the configuration doesn't have: which there are, and which was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from raccord.errors import UsageError
from raccord.model.text import shown


def absent(what: str, name: str, known: Iterable[str], table: str) -> UsageError:
    """The error for a name that there is not.

    Args:
        what: it would be, in words.
        table: in which table of the configuration it would be.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    guess = f"did you mean {shown(near[0])}? " if near else ""
    said = f"there is no {what} {shown(name)}; {guess}known: {', '.join(map(shown, names)) or 'none'}"
    return UsageError(said, hint=f"add [{table}.{shown(name)}] to raccord.toml")
