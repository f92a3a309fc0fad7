"""Which of several contents of a revision would make its history go in circles. Pure.

A content can stand if there is a way to pick one content of every other revision so that what it stands on
ends somewhere. That is a least fixed point: a revision is grounded once a content of it names grounded ones
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Names = tuple[str, ...]
# The ways in which each id may stand on others, one for each of its contents.
Ways = Mapping[str, Sequence[Names]]


def circular(revision: str, ways: Ways) -> list[bool]:
    """Of each way of a revision, whether it can only go in circles. A name without an entry ends a way."""
    return [revision not in grounded({**ways, revision: [way]}) for way in ways[revision]]


def grounded(ways: Ways) -> set[str]:
    """The ids that have a way to an end."""
    left: dict[tuple[str, int], int] = {}
    users: dict[str, list[tuple[str, int]]] = {}
    found: set[str] = set()
    todo: list[str] = []
    for one, alternatives in ways.items():
        for number, way in enumerate(alternatives):
            open_names = {name for name in way if name in ways}
            left[one, number] = len(open_names)
            for name in open_names:
                users.setdefault(name, []).append((one, number))
            if not open_names:
                todo.append(one)
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found.add(one)
        for user in users.get(one, ()):
            left[user] -= 1
            if not left[user]:
                todo.append(user[0])
    return found


def named(names: Iterable[str], labels: Mapping[str, Names]) -> Names:
    """Names with each label replaced by the ids that carry it."""
    if not labels:
        return tuple(names)
    return tuple(one for name in names for one in labels.get(name, (name,)))
