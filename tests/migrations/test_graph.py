"""The graph stands holes, cycles and duplicates, names them, and answers for the rest."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from raccord.errors import UsageError
from raccord.migrations.faults import findings
from raccord.migrations.graph import Graph
from raccord.migrations.loading import Fault, Loaded
from raccord.migrations.resolve import lineage, resolve, target
from raccord.migrations.revision import Revision
from tests.migrations.histories import broken, revision, specs


def make(
    rev: str, *down: str, deps: tuple[str, ...] = (), labels: tuple[str, ...] = (), digest: str = ""
) -> Revision:
    return Revision(rev, down, deps, labels, f"{rev}.py", digest, f"Change {rev}")


def above(history: list[Revision], start: set[str]) -> set[str]:
    """What comes before some revisions, the slow and obvious way."""
    labels = {label: one.id for one in history for label in one.labels}
    ids = {one.id: one.id for one in history}
    names = labels | ids
    needs = {one.id: {*one.down} | {names.get(dep, dep) for dep in one.depends_on} for one in history}
    found = {*start}
    while more := {up for one in found for up in needs.get(one, ())} - found:
        found |= more
    return found


def test_a_graph_of_nothing():
    graph = Graph()
    assert (graph.heads, graph.bases, graph.order(), dict(graph.missing), graph.cycles) == (
        (),
        (),
        (),
        {},
        (),
    )
    assert graph.healthy and graph.chain([]).complete and graph.between([], []) == ()


def test_branches_and_merges():
    graph = Graph([make("a"), make("b", "a"), make("c", "a"), make("d", "b", "c"), make("e", "c")])
    assert graph.heads == ("d", "e") and graph.bases == ("a",)
    assert graph.branch_points == ("a", "c") and graph.merges == ("d",)
    assert graph.children("c") == ("d", "e") and graph.parents("d") == ("b", "c")
    assert graph.ancestors(["d"]) == {"a", "b", "c", "d"} and graph.descendants(["b"]) == {"b", "d"}
    assert graph.is_ancestor("a", "e") and graph.is_ancestor("e", "e") and not graph.is_ancestor("b", "e")
    assert graph.between(["b"], ["d"]) == ("c", "d")
    assert graph.between(["d"], ["b"]) == ()
    assert graph.tips(["a", "b", "c"]) == ("b", "c") and graph.order(["a", "d"]) == ("d", "a")


def test_dependencies_are_needed_and_are_no_parents():
    graph = Graph(
        [make("a", labels=("app",)), make("x"), make("b", "a", deps=("x",)), make("y", "x", deps=("app",))]
    )
    assert graph.heads == ("b", "y") and graph.bases == ("a", "x")
    assert graph.needs("y") == ("x", "a") and graph.parents("y") == ("x",)
    assert graph.children("x") == ("y",) and graph.children("x", dependents=True) == ("b", "y")
    assert Graph([make("a"), make("x", deps=("a",))]).effective_heads == ("x",)
    assert graph.ancestors(["b"], dependencies=False) == {"a", "b"}


def test_holes_are_named_with_those_who_need_them():
    graph = Graph([make("c", "b"), make("d", "c", "lost"), make("e", "lost", deps=("app",))])
    assert dict(graph.missing) == {"b": ("c",), "lost": ("d", "e"), "app": ("e",)}
    assert not graph.healthy and graph.heads == ("d", "e") and graph.bases == ()
    chain = graph.chain(["d"])
    assert chain.missing == ("lost", "b") or chain.missing == ("b", "lost")
    assert dict(chain.named_by) == {"b": ("c",), "lost": ("d",)} and chain.present == {"c", "d"}


def test_a_chain_is_followed_through_what_is_found():
    everything = {str(n): make(str(n), *([str(n - 1)] if n else [])) for n in range(60)}
    graph = Graph([everything[str(n)] for n in range(5)])
    found: dict[str, Revision] = {}
    while not (chain := graph.chain(["59"], found)).complete:
        assert len(chain.missing) == 1
        found |= {rev: everything[rev] for rev in chain.missing}
    assert {*found} == {str(n) for n in range(5, 60)} and len(chain.present) == 60
    whole = graph.added(found.values())
    assert whole.between(["4"], ["59"]) == tuple(str(n) for n in range(5, 60))


def test_what_is_added_hides_no_duplicate():
    graph = Graph([make("a"), make("a", "b"), make("b")])
    assert set(graph.added([make("c", "b")]).duplicates) == {"a"}
    assert not graph.added([make("a")]).duplicates


def test_what_is_found_elsewhere_may_carry_the_label_that_is_needed():
    graph = Graph([make("a", deps=("app",))])
    assert graph.chain(["a"]).missing == ("app",)
    assert graph.chain(["a"], {"x": make("x", "w", labels=("app",))}).missing == ("w",)


@given(specs(), st.data())
def test_deleting_some_names_exactly_those_that_are_needed(history, data):
    everything = [revision(one) for one in history]
    assume(everything)
    gone = {one.id for one in data.draw(st.lists(st.sampled_from(everything), unique=True))}
    left = [one for one in everything if one.id not in gone]
    carriers = {label: one.id for one in everything for label in one.labels}
    graph = Graph(left)
    wanted = {up for one in left for up in one.down} & gone
    # A dependency by label is missing by that name: nobody knows whose label it was.
    wanted |= {dep for one in left for dep in one.depends_on if carriers.get(dep, dep) in gone}
    assert {*graph.missing} == wanted
    assert {*graph.order()} == {one.id for one in left}
    heads = Graph(everything).effective_heads
    found: dict[str, Revision] = {}
    for _ in everything:
        missing = graph.chain(heads, found).missing
        found |= {one.id: one for one in everything if one.id in missing or {*one.labels} & {*missing}}
    assert graph.chain(heads, found).complete
    assert {*found} | {one.id for one in left} == {one.id for one in everything}


@given(st.one_of(specs(), broken()))
def test_answers_are_those_of_the_obvious_way(history):
    everything = [revision(one) for one in history]
    graph = Graph(everything)
    last = [*{one.id: one for one in everything}.values()]
    for one in last:
        before = above(last, {one.id})
        assert graph.ancestors([one.id]) == before & {*graph}
        chain = graph.chain([one.id])
        assert {*chain.missing} == before - {*graph} and chain.present == before & {*graph}
        assert graph.descendants([one.id]) == {
            other.id for other in last if one.id in above(last, {other.id})
        }
    order = graph.order()
    assert sorted(order) == sorted(graph)
    looping = {rev for cycle in graph.cycles for rev in cycle}
    for early, late in itertools.combinations(reversed(order), 2):
        assert {early, late} <= looping or not graph.is_ancestor(late, early)
    # What can reach itself is in a cycle, and nothing else.
    assert looping == {
        one.id for one in last if any(one.id in above(last, {up}) for up in graph.needs(one.id))
    }


@given(specs(), st.data())
def test_upgrades_apply_what_is_needed_and_only_that(history, data):
    everything = [revision(one) for one in history]
    assume(everything)
    graph = Graph(everything)
    one = st.sampled_from(list(graph))
    lower, upper = data.draw(st.lists(one, max_size=2)), data.draw(st.lists(one, max_size=2))
    have = graph.ancestors(lower)
    for step in graph.between(lower, upper):
        assert {*graph.needs(step)} <= have and step not in have
        have.add(step)
    assert have == graph.ancestors([*lower, *upper])


def test_cycles_are_named_and_do_not_hang():
    graph = Graph(
        [make("a"), make("b", "a", "d"), make("c", "b"), make("d", "c"), make("e", "d"), make("s", "s")]
    )
    assert graph.cycles == (("b", "c", "d"), ("s",))
    assert graph.order()[0] == "e" and not graph.healthy
    assert Graph([make("a", deps=("b",)), make("b", "a")]).cycles == (("a", "b"),)


def test_a_long_line_takes_no_stack_and_no_time():
    many = [make(str(n), *([str(n - 1)] if n else [])) for n in range(20_000)]
    graph = Graph(reversed(many))
    assert graph.cycles == () and graph.heads == ("19999",)
    assert graph.order() == tuple(str(n) for n in range(19_999, -1, -1))


def test_ids_and_labels_that_are_there_twice():
    some = [make("a", digest="1"), make("a", "b", digest="2"), make("b", labels=("x",))]
    graph = Graph([*some, make("c", labels=("x", "a"))])
    assert [one.digest for one in graph.duplicates["a"]] == ["1", "2"] and graph.parents("a") == ("b",)
    assert [(one.label, one.ids) for one in graph.clashes] == [("x", ("b", "c")), ("a", ("c", "a"))]
    assert not graph.healthy


def test_everything_wrong_becomes_a_finding():
    some = [make("a", digest="1"), make("a", digest="2"), make("b", "b"), make("c", "lost")]
    some += [make("d", "e"), make("e", "d"), make("f", labels=("x",)), make("g", labels=("x",))]
    graph = Graph(some)
    loaded = Loaded((), (Fault("/v/x\n.py", 3, "syntax error: bad"),), ("/v/helper.py",))
    found = findings(graph, loaded)
    assert [one.name.removeprefix("migrations.") for one in found] == [
        "unread", "stranger", "duplicate", "cycle", "cycle", "label", "missing",
    ]  # fmt: skip
    assert {one.status for one in found} == {"fail"} and all("\n" not in one.message for one in found)
    assert "/v/x\\n.py:3: syntax error: bad" in found[0].message
    assert "different contents" in found[2].message and found[-1].data == {"id": "lost", "named_by": ["c"]}
    assert findings(Graph([make("a")])) == ()


def test_labels_hold_for_their_branch():
    line = [make("a"), make("b", "a"), make("c", "b", labels=("x",)), make("d", "c")]
    graph = Graph([*line, make("o", "a", labels=("y",))])
    assert [sorted(graph.branch_labels(rev)) for rev in "abcdo"] == [[], ["x"], ["x"], ["x"], ["y"]]


def test_words_on_a_history_with_holes():
    graph = Graph([make("beef01", "gone"), make("beef02", "beef01", labels=("app",)), make("cafe01")])
    assert resolve(graph, "beef02") == ("beef02",) and resolve(graph, "cafe") == ("cafe01",)
    assert resolve(graph, "heads") == ("beef02", "cafe01") and resolve(graph, "app@head") == ("beef02",)
    assert resolve(graph, "app") == ("beef02",) and resolve(graph, "base") == ()
    assert target(graph, "beef01+1") == ("beef02",) and target(graph, "+1", ["beef01"]) == ("beef02",)
    assert lineage(graph, graph, "app") == ("beef01", "beef02")
    for word, said in [
        ("beef", "several"),
        ("head", "several"),
        ("no", "4 letters"),
        ("gone", "no revision"),
        ("nope@head", "no revision or branch"),
        ("nope@cafe01", "no branch"),
        ("app@cafe01", "not on the branch"),
        ("app@-2", "missing"),
    ]:
        with pytest.raises(UsageError, match=said):
            resolve(graph, word)
    for word in ("+1", "beef02+1", "-1"):
        with pytest.raises(UsageError):
            target(graph, word, ["beef02"])
