"""A fork's name, its key, and how far it is."""

from __future__ import annotations

import re

import pytest

from raccord.migrations.fork import applied_chain, chain_key, distance, edited, fork_name
from raccord.migrations.graph import Graph
from raccord.migrations.revision import Revision, read


def one(id_: str, down: str | None, more: str = "") -> Revision:
    below = f"{down!r}" if down else "None"
    found = read(f"revision = {id_!r}\ndown_revision = {below}\n{more}".encode(), f"{id_}.py")
    assert isinstance(found, Revision)
    return found


CHAIN = [one("a", None), one("b", "a"), one("c", "b"), one("d", "b")]


@pytest.mark.parametrize("source", ["app", "", "日本", "x" * 63, "with-dash.and%"])
@pytest.mark.parametrize("tree", ["feature/basket", "", "日本", "y" * 300, "--"])
def test_a_name_fits_everywhere(source, tree):
    name = fork_name(source, tree, "0123456789ab", "f" * 16)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_]*_012345ffffff", name) and len(name) <= 63
    assert name != fork_name(source, tree, "0123456789ab", "e" * 16)


def test_the_key_is_that_of_the_contents():
    graph = Graph(CHAIN)
    chain = applied_chain(graph, ["c"], {})
    assert list(chain) == ["a", "b", "c"] and chain == applied_chain(graph, ["c"], {})
    other = applied_chain(Graph([*CHAIN[:2], one("c", "b", "# edited\n")]), ["c"], {})
    assert chain_key(other) != chain_key(chain) != chain_key(applied_chain(graph, ["b"], {}))
    recorded = applied_chain(graph, ["c"], {"c": "f" * 64})
    assert recorded["c"] == "f" * 12
    assert applied_chain(Graph(), ["gone"], {}) == {"gone": ""}
    assert edited(chain, graph) == () and edited(other, graph) == ("c",)
    assert edited(chain, Graph(CHAIN[:2])) == ("c",) and edited({"gone": ""}, Graph()) == ()


def test_how_far():
    graph = Graph(CHAIN)
    far = distance(graph, ["c"], ["d"])
    assert (far.ahead, far.behind) == (1, 1)
    far = distance(graph, ["c", "nowhere"], [])
    assert (far.ahead, far.behind) == (4, 0)
