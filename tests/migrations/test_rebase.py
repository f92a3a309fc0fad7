"""What becomes of a branch's own revisions when the base went on: a table of histories, and random ones."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.errors import CannotRun, UsageError
from raccord.migrations.graph import Graph
from raccord.migrations.rebase import Rebase, decide
from raccord.migrations.revision import Revision

Links = dict[str, tuple[str, ...]]


def made(links: Links, labels: dict[str, str] | None = None, needs: Links | None = None) -> Graph:
    return Graph(
        Revision(
            one,
            down,
            (needs or {}).get(one, ()),
            tuple(filter(None, [(labels or {}).get(one, "")])),
            f"{one}.py",
            hashlib.sha256(one.encode()).hexdigest(),
        )
        for one, down in links.items()
    )


BASE: Links = {"r1": (), "r2": ("r1",), "r3": ("r2",)}


def rebased(own: Links, base: Links | None = None, *, drop: bool = False, **more) -> Rebase:
    below = BASE if base is None else base
    idle = {one for one, down in own.items() if len(down) > 1 and one.startswith("m")}
    return decide(made({**below, **own}, **more), made(below), idle, drop=drop)


@pytest.mark.parametrize(
    ("own", "moved"),
    [
        ({}, {}),
        ({"o": ("r3",)}, {}),
        ({"o": ("r1",)}, {"o": ("r3",)}),
        ({"o": ("r1",), "p": ("o",)}, {"o": ("r3",)}),
        ({"o": ("r1",), "p": ("r2",)}, {"o": ("r3",), "p": ("r3",)}),
        # An own merge with the base, which went on since.
        ({"o": ("r1",), "m": ("o", "r2"), "p": ("m",)}, {"o": ("r3",), "m": ("o",)}),
        ({"o": ("r1",), "p": ("r1",), "m": ("p", "o")}, {"o": ("r3",), "p": ("r3",)}),
        ({"o": ("r1",), "p": ("r1",), "m": ("p", "r2", "o")}, {"o": ("r3",), "p": ("r3",), "m": ("p", "o")}),
        # Begun while the base had nothing.
        ({"o": (), "p": ("o",)}, {"o": ("r3",)}),
    ],
)
def test_the_table(own, moved):
    what = rebased(own)
    assert what.moved == moved and not what.dropped
    assert set(what.own) == set(own)


def test_what_joins_nothing_any_more_goes_where_that_is_asked_for():
    own: Links = {"o": ("r1",), "m": ("o", "r3"), "p": ("m",)}
    kept, gone = rebased(own), rebased(own, drop=True)
    assert kept.spare == ("m",) and kept.moved == {"o": ("r3",), "m": ("o",)}
    assert gone.dropped == {"m": "o"} and gone.moved == {"o": ("r3",), "p": ("o",)}
    assert gone.heads == kept.heads == ("p",)
    assert set(gone.affected) == {"o", "m", "p"}
    busy: Links = {"o": ("r1",), "x": ("o", "r3")}
    assert rebased(busy, drop=True).dropped == {}  # it changes something
    named = rebased(own, drop=True, needs={"p": ("m",)})
    assert named.dropped == {}


def test_branches_that_stand_alone_stay_so():
    base: Links = {**BASE, "s1": ()}
    assert rebased({"o": ("r1",), "t": ("s1",)}, base).moved == {"o": ("r3",)}
    assert rebased({"o": ()}, labels={"o": "alone"}).moved == {}
    assert rebased({"o": ()}, needs={"o": ("r1",)}).moved == {}
    assert rebased({"o": ()}, {}).moved == {}


def test_it_refuses_to_guess():
    base: Links = {**BASE, "q2": ("r1",)}
    with pytest.raises(UsageError, match="several heads of the base"):
        rebased({"o": ("r1",)}, base)
    assert rebased({"o": ("r2",)}, base).moved == {"o": ("r3",)}
    with pytest.raises(UsageError, match="several heads"):
        rebased({"o": ()}, base)
    with pytest.raises(CannotRun, match="r2 stands on something else"):
        decide(made({"r1": (), "r2": (), "o": ("r1",)}), made({"r1": (), "r2": ("r1",)}), set(), drop=False)
    with pytest.raises(CannotRun, match="not whole"):
        decide(made({"r2": ("r1",)}), made({"r2": ("r1",)}), set(), drop=False)


@st.composite
def histories(draw) -> tuple[Links, Links]:
    """A base with one head, and own revisions that stand on anything."""
    length = draw(st.integers(1, 6))
    base: Links = {f"r{n}": (f"r{n - 1}",) if n else () for n in range(length)}
    own: Links = {}
    for n in range(draw(st.integers(1, 6))):
        there = [*base, *own]
        below = draw(st.lists(st.sampled_from(there), min_size=1, max_size=3, unique=True))
        graph = made({**base, **own})
        least = [one for one in below if not any(one != x and graph.is_ancestor(one, x) for x in below)]
        own[f"{draw(st.sampled_from('mo'))}{n}"] = tuple(least)
    return base, own


@given(histories(), st.booleans())
def test_all_ends_above_the_base_and_again_there_is_nothing_to_do(both, drop):
    base, own = both
    what = rebased(own, base, drop=drop)
    links = {one: what.moved.get(one, down) for one, down in own.items() if one not in what.dropped}
    after = made({**base, **links})
    (head,) = made(base).heads
    assert after.healthy and set(after.heads) == set(what.heads)
    assert all(after.is_ancestor(head, one) for one in links)
    before = made({**base, **own})
    kept = [one for one in own if one not in what.dropped]
    # What came before what among the own ones still does.
    for one in kept:
        for other in kept:
            assert not before.is_ancestor(one, other) or after.is_ancestor(one, other)
    for one, parents in links.items():
        lower = [after.ancestors([up]) - {up} for up in parents]
        assert not any(up in some for up in parents for some in lower), one
    again = rebased(links, base, drop=drop)
    assert not again.moved and not again.dropped
    # A merge that was left may have become spare by that alone.
    assert what.own == tuple(one for one in reversed(before.order()) if one in own)
