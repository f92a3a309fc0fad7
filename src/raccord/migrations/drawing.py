"""Draws a history as text, as `git log --graph` does: a column for each line of descent, joined as they meet.

Pure: rows in, lines out; a face colours and prints them. All text in a line is safe to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raccord.migrations.graph import Graph
from raccord.model.text import shown

REVISION, MISSING = "*", "o"


@dataclass(frozen=True, slots=True)
class Row:
    """One revision to draw.

    Attributes:
        id: its full id.
        parents: the ids that lines lead to.
        message: what it does, in one line.
        marks: what else to say of it, such as "head" or the worktrees that have it.
        glyph: `REVISION`, or `MISSING` where there is no file of it.
    """

    id: str
    parents: tuple[str, ...] = ()
    message: str = ""
    marks: tuple[str, ...] = ()
    glyph: str = REVISION


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the drawing.

    Attributes:
        art: the columns.
        row: the revision that stands on it; None where lines only join or part.
    """

    art: str
    row: Row | None = None

    def __str__(self) -> str:
        if self.row is None:
            return self.art
        marks = f"({', '.join(map(shown, self.row.marks))})" if self.row.marks else ""
        words = [self.art, shown(self.row.id), marks, shown(self.row.message)]
        return " ".join(word for word in words if word)


def rows(graph: Graph, marks: Mapping[str, Sequence[str]] | None = None) -> tuple[Row, ...]:
    """A row for each revision, the newest first, and for each missing one below the last that names it.

    Args:
        marks: what to say of revisions, by their ids.
    """
    marks = marks or {}
    holes = dict.fromkeys(graph.missing)
    left = {hole: len(by) for hole, by in graph.missing.items()}
    found: list[Row] = []
    for rev in graph.order():
        one = graph[rev]
        found.append(Row(rev, graph.needs(rev), one.message, tuple(marks.get(rev, ()))))
        for name in graph.needs(rev):
            if name in holes:
                left[name] -= 1
                if not left[name]:
                    found.append(Row(name, (), "", ("missing", *marks.get(name, ())), MISSING))
    return tuple(found)


def draw(rows: Sequence[Row]) -> tuple[Line, ...]:
    """The drawing.

    Args:
        rows: in an order in which parents come after children; a parent without a row ends its line.
    """
    there = {row.id for row in rows}
    lanes: list[str] = []  # the id that each column leads to
    lines: list[Line] = []
    ended = -1  # the column in which the row above ended
    for row in rows:
        if row.id not in lanes:
            if ended == len(lanes):
                lines.append(Line(_art(_bars(len(lanes)))))  # or the two would look like one line
            lanes.append(row.id)
        at = lanes.index(row.id)
        there.discard(row.id)  # in a cycle a parent came before
        lines.append(Line(" ".join(row.glyph if column == at else "|" for column in range(len(lanes))), row))
        ended = -1
        parents = [up for up in dict.fromkeys(row.parents) if up in there]
        if not parents:
            del lanes[at]
            if lanes[at:]:
                lines.append(Line(_shifted(len(lanes), at)))
            else:
                ended = at
            continue
        lanes[at] = parents[0]
        for up in reversed(parents[1:]):
            lines.append(Line(_parted(len(lanes), at)))
            lanes.insert(at + 1, up)
        _join(lanes, lines)
    return tuple(lines)


def _join(lanes: list[str], lines: list[Line]) -> None:
    """Joins columns that lead to the same revision, the right one into the left one."""
    while len(set(lanes)) < len(lanes):
        right = next(at for at, one in enumerate(lanes) if one in lanes[:at])
        left = lanes.index(lanes[right])
        lines.append(Line(_joined(len(lanes), left, right)))
        del lanes[right]
        if right > left + 1:
            lines.append(Line(_art({**_bars(len(lanes)), 2 * left + 1: "/"})))


def _bars(columns: int) -> dict[int, str]:
    return {2 * column: "|" for column in range(columns)}


def _parted(columns: int, at: int) -> str:
    """A new column comes out of `at`; those to its right make room."""
    art = {2 * column: "|" for column in range(at + 1)}
    return _art(art | {2 * column + 1: "\\" for column in range(at, columns)})


def _shifted(columns: int, at: int) -> str:
    """The column `at` has ended; those to its right close up."""
    art = {2 * column: "|" for column in range(at)}
    return _art(art | {2 * column + 1: "/" for column in range(at, columns)})


def _joined(columns: int, left: int, right: int) -> str:
    """The column `right` turns to `left`, passing behind those between; those to its right close up."""
    art = {2 * column: "|" for column in range(right)}
    art |= {2 * column + 1: "_" for column in range(left + 1, right - 1)}
    return _art(art | {2 * column - 1: "/" for column in range(right, columns)})


def _art(art: Mapping[int, str]) -> str:
    return "".join(art.get(at, " ") for at in range(max(art, default=-1) + 1))
