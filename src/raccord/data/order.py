"""In which order tables are filled: what is referred to before what refers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from raccord.database.tables import Name, Reference, Table, label
from raccord.model.language import sentence
from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class Order:
    """An order of tables.

    Attributes:
        tables: what is referred to first.
        late: columns that are null at first and get their values at the end: they close a circle.
        refused: circles that nothing opens.
    """

    tables: tuple[Name, ...]
    late: Mapping[Name, frozenset[str]] = field(default_factory=dict)
    refused: tuple[Finding, ...] = ()


def ordered(tables: Sequence[Table]) -> Order:
    """Orders tables by their foreign keys.

    A circle is opened at a key that waits for the commit, else at one whose columns take null.
    """
    known = {table.id: table for table in tables}
    edges = {
        name: [one for one in table.refers if one.target in known and one.target != name]
        for name, table in known.items()
    }
    late: dict[Name, frozenset[str]] = {}
    done: list[Name] = []
    refused: list[Finding] = []
    left = sorted(known)
    while left:
        ready = [name for name in left if all(one.target in done for one in edges[name])]
        if ready:
            done += ready
            left = [name for name in left if name not in done]
            continue
        opened = _opened(left, edges, known)
        if opened is None:
            said = sentence(
                "the tables {tables} refer to each other in a circle that nothing opens: {keys}",
                tables=[label(name) for name in left],
                keys=[one.name for name in left for one in edges[name] if one.target in left],
            )
            hint = sentence("make one of these keys deferrable")
            refused.append(Finding("data.circle", "fail", said, hint))
            done += left
            break
        name, one = opened
        edges[name] = [other for other in edges[name] if other is not one]
        if not one.deferrable or one.on_delete == "restrict":
            late[name] = late.get(name, frozenset()) | frozenset(_nullable(known[name], one))
    return Order(tuple(done), late, tuple(refused))


def _opened(
    left: Sequence[Name], edges: Mapping[Name, Sequence[Reference]], known: Mapping[Name, Table]
) -> tuple[Name, Reference] | None:
    inside = [
        (name, one)
        for name in left
        for one in edges[name]
        if one.target in left and _closes(name, one, edges)
    ]
    waiting = [(name, one) for name, one in inside if one.deferrable]
    # What a key restricts is never put off.
    whole = [(name, one) for name, one in waiting if one.on_delete != "restrict"]
    free = [(name, one) for name, one in inside if _nullable(known[name], one)]
    return next(iter((*whole, *free, *waiting)), None)


def _closes(name: Name, one: Reference, edges: Mapping[Name, Sequence[Reference]]) -> bool:
    """Whether a key is part of a circle: its target leads back to it."""
    seen, todo = set(), [one.target]
    while todo:
        at = todo.pop()
        if at == name:
            return True
        if at not in seen:
            seen.add(at)
            todo += [other.target for other in edges.get(at, ())]
    return False


def _nullable(table: Table, one: Reference) -> list[str]:
    """The columns of a key that take null, apart from those of the table's own key. One null is enough."""
    nullable = {column.name for column in table.columns if column.nullable}
    if all(nullable & {*unique.columns} for unique in table.uniques):
        return []  # nothing tells its rows apart, so none is found again to get its value
    own = {name for unique in table.uniques[:1] for name in unique.columns}
    return [
        name
        for name in one.columns
        if name not in own and (column := table.column(name)) is not None and column.nullable
    ]
