"""Numbers of what steps did, by name or, one level deeper, by what they are of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raccord.model.plan import Json

CHANGES = ("added", "changed", "removed")


def promoted(what: str, name: str, goal: str, numbers: Mapping[str, int]) -> dict[str, Json]:
    """What a step brought of a set into an environment.

    Args:
        what: "rows", "objects" or "bytes".
        numbers: by what became of them: "added", "changed", "removed".
    """
    return {"promoted": {what: {name: {goal: dict(numbers)}}}}


def told(counts: Mapping[str, Json]) -> dict[str, Json]:
    """Those that people are told of: what was promoted is said with its step."""
    return {name: value for name, value in counts.items() if name != "promoted"}


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
