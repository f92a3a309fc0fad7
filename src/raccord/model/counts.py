"""Numbers of what steps did, by name or, one level deeper, by what they are of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raccord.model.plan import Json


def total(counts: Iterable[Mapping[str, Json]]) -> dict[str, Json]:
    """The sum of each number; of names below a name each by itself."""
    found: dict[str, Json] = {}
    for one in counts:
        for name, value in one.items():
            if isinstance(value, Mapping):
                found[name] = total([found.get(name, {}), value])
            else:
                found[name] = found.get(name, 0) + value
    return found
