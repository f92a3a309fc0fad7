"""Who has a revision, what is nobody's, and where a rollback stands."""

from __future__ import annotations

from raccord.migrations.contents import ORDER, Sighting
from raccord.migrations.graph import Graph
from raccord.migrations.revision import Revision
from raccord.migrations.rollback import decide, living, position
from raccord.migrations.sightings import Seen
from raccord.model.handler import Position


def revision(id_: str, *down: str, needs: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> Revision:
    return Revision(id_, down, needs, labels, f"{id_}.py", id_)


def seen(kind, id_: str, *down: str, **more) -> Seen:
    return Sighting(kind, "/top", f"{id_}.py", id_), revision(id_, *down, **more)


def test_what_keeps_a_revision_alive():
    every = [seen(kind, kind) for kind in ORDER]
    assert living(every, frozenset()).keys() == {
        "worktree", "directory", "index", "ref", "history", "stash",
    }  # fmt: skip
    assert "worktree" not in living(every, {("/top", "worktree.py")})
    # A copy beside the real one takes nothing away.
    both = [seen("worktree", "a"), (Sighting("worktree", "/other", "a.py", "a"), revision("a"))]
    assert living(both, {("/top", "a.py")}).keys() == {"a"}


def test_what_is_nobodys_and_who_stands_on_it():
    graph = Graph(
        [revision("a"), revision("b", "a"), revision("p", "b", labels=("spook",)), revision("q", "p")]
    )
    alive = living([seen("ref", "a"), seen("ref", "b", "a")], frozenset())
    assert decide(graph, ["q"], alive).gone == ("q", "p") and not decide(graph, ["q"], alive).kept
    assert decide(graph, ["b"], alive).gone == ()
    for needs in ({"down": ("p",)}, {"needs": ("q",)}, {"needs": ("spook",)}, {"needs": ("spook@head",)}):
        one = seen("worktree", "n", *needs.get("down", ()), needs=needs.get("needs", ()))
        assert decide(graph, ["q"], alive | living([one], frozenset())).kept.keys() == {"n"}, needs


def test_where_it_stands():
    graph = Graph(
        [revision("a"), revision("b", "a"), revision("p", "b"), revision("q", "p"), revision("c", "b")]
    )
    before, after, gone = {"q"}, {"b"}, ("q", "p")
    expected = {
        ("q",): Position.BEFORE,
        ("p",): Position.BETWEEN,
        ("b",): Position.AFTER,
        ("c",): Position.AFTER,
        ("a",): Position.NEITHER,
        ("c", "p"): Position.NEITHER,
        ("stranger",): Position.NEITHER,
        (): Position.NEITHER,
    }
    for now, stands in expected.items():
        assert position(set(now), before, after, gone, graph) is stands, now
