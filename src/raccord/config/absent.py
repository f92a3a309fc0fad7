"""Names that a person typed and the configuration doesn't have: which there are, and which was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from raccord.errors import UsageError
from raccord.model.text import shown

# What a name may be besides, and what shows it.
OTHERS = {
    "data": ("a data set", "raccord data diff {name} --to ENV"),
    "files": ("a file set", "raccord files diff {name} --to ENV"),
    "profiles": ("a profile", "raccord promote {name} --to ENV --diff"),
}


def absent(
    what: str,
    name: str,
    known: Iterable[str],
    table: str,
    others: Mapping[str, Iterable[str]] | None = None,
) -> UsageError:
    """The error for a name that there is not.

    Where one is near, its data has what was `typed` and what was `meant`: who knows the whole command can say
    it anew.

    Args:
        what: it would be, in words.
        table: in which table of the configuration it would be.
        others: names of other tables of it, which may have been meant.
    """
    names = sorted(known)
    of = next((one for one, there in (others or {}).items() if one != table and name in there), "")
    if of:
        also, command = OTHERS[of]
        said = f"there is no {what} {shown(name)}, which is {also}; known: {_listed(names)}"
        return UsageError(said, hint=command.format(name=shown(name)))
    near = difflib.get_close_matches(name, names, 1)
    guess = f"did you mean {shown(near[0])}? " if near else ""
    said = f"there is no {what} {shown(name)}; {guess}known: {_listed(names)}"
    data = {"typed": name, "meant": near[0]} if near else {}
    return UsageError(said, hint=f"add [{table}.{shown(name)}] to raccord.toml", **data)


def _listed(names: list[str]) -> str:
    return ", ".join(map(shown, names)) or "none"
