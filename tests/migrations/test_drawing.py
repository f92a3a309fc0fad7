"""Histories are drawn as `git log --graph` draws them; every line of descent arrives where it should."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raccord.migrations.drawing import MISSING, Row, draw, rows
from raccord.migrations.graph import Graph
from raccord.migrations.revision import Revision
from tests.migrations.histories import broken, revision, specs


def make(rev: str, *down: str) -> Revision:
    return Revision(rev, down, (), (), f"{rev}.py", "", "")


def drawn(*revisions: Revision, **marks: list[str]) -> str:
    return "\n".join(map(str, draw(rows(Graph(revisions), marks))))


def test_a_merge():
    assert drawn(make("a"), make("b", "a"), make("c", "a"), make("d", "b", "c"), d=["head"]) == (
        "* d (head)\n"
        "|\\\n"
        "* | b\n"
        "| * c\n"
        "|/\n"
        "* a"
    )  # fmt: skip


def test_three_parents_and_an_end():
    some = [make("a"), make("b", "a"), make("c", "a"), make("x"), make("d", "a"), make("m", "b", "x", "d")]
    assert drawn(*some) == (
        "* c\n"
        "| * m\n"
        "| |\\\n"
        "| |\\ \\\n"
        "| * | | b\n"
        "|/ / /\n"
        "| | * d\n"
        "| |/\n"
        "|/|\n"
        "| * x\n"
        "* a"
    )  # fmt: skip


def test_a_hole_stands_below_all_that_name_it():
    assert drawn(make("b", "lost"), make("c", "lost"), make("d", "c"), lost=["in 2 branches"]) == (
        "* b\n"
        "| * d\n"
        "| * c\n"
        "|/\n"
        "o lost (missing, in 2 branches)"
    )  # fmt: skip


def test_text_is_safe_to_show():
    row = Row("a\x1b[31m", (), "first\nsecond", ("\udcff",))
    assert str(draw([row])[0]) == "* a\\x1b[31m (\\xff) first\\nsecond"


@given(st.one_of(specs(), broken()))
def test_following_the_lines_leads_from_each_revision_to_its_parents(history):
    graph = Graph(map(revision, history))
    table = rows(graph)
    assert {row.id for row in table} == {*graph, *graph.missing}
    assert {row.id for row in table if row.glyph == MISSING} == {*graph.missing}
    lines = draw(table)
    assert [line.row for line in lines if line.row is not None] == list(table)
    after: set[str] = set()
    shown: dict[str, set[str]] = {}
    for row in reversed(table):
        shown[row.id] = {up for up in row.parents if up in after}
        after.add(row.id)
    assert followed([(line.art, line.row.id if line.row else "") for line in lines]) == shown


def followed(lines: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Which revisions the ink leads to from each, read off the picture alone.

    "|" leads straight down, "/" down to the left, "_" further to the left, and a backslash down to the right.
    Ink that comes down to the left goes on so where it can, and passes behind a "|".
    """
    found: dict[str, set[str]] = {rev: set() for _, rev in lines if rev}
    straight: dict[int, set[str]] = {}  # the column where ink enters a line, and from whom
    slanted: dict[int, set[str]] = {}
    for art, rev in lines:
        signs = dict(enumerate(art))
        down: list[tuple[int, set[str]]] = []
        left: list[tuple[int, set[str]]] = []
        for at, sign in signs.items():
            passing = slanted.get(at, set()) if signs.get(at - 1) != "/" else set()
            entering = straight.get(at, set()) | passing
            if sign in "*o":
                for one in entering:
                    found[one].add(rev)
                down.append((at, {rev}))
            elif sign == "|":
                down.append((at, entering))
            elif sign == "/":
                crossed = signs.get(at + 1) == "|"
                to = at - 1
                while signs.get(to - 1) == "_":
                    to -= 2
                left.append(
                    (to, slanted.get(at + 1, set()) | (set() if crossed else straight.get(at + 1, set())))
                )
            elif sign == "\\":
                down.append((at + 1, straight.get(at - 1, set()) | slanted.get(at - 1, set())))
        straight, slanted = gathered(down), gathered(left)
    return found


def gathered(pairs: list[tuple[int, set[str]]]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for at, who in pairs:
        found.setdefault(at, set()).update(who)
    return found
