"""What a trial tells, and which revisions are taken down and applied for it."""

from __future__ import annotations

import pytest

from raccord.database.catalog import Catalog
from raccord.migrations.graph import Graph
from raccord.migrations.prove import Catalogs, Failure, Trial, order, verdict
from raccord.migrations.revision import Revision

EMPTY: dict[str, str] = {}
TABLE = {"table t": ""}
MORE = {**TABLE, "index i": "on t"}
FAILED = Failure("boom", ("line", "boom"))


def seen(objects: dict[str, str]) -> Catalogs:
    return {"main": Catalog("sqlite", objects)}


def history(**downs: str) -> Graph:
    return Graph(
        Revision(id_, tuple(filter(None, down.split(","))), (), (), f"{id_}.py", id_)
        for id_, down in downs.items()
    )


@pytest.mark.parametrize(
    ("trial", "state", "reason", "left"),
    [
        (Trial(seen(EMPTY), seen(TABLE), seen(EMPTY), seen(TABLE)), "pass", "", 0),
        (Trial(seen(TABLE), seen(TABLE), seen(TABLE), seen(TABLE)), "pass", "no schema", 0),
        (Trial(seen(EMPTY), FAILED), "failed", "boom", 0),
        (Trial(seen(EMPTY), FAILED, applied=True), "irreversible", "can't be applied again: boom", 0),
        (Trial(seen(EMPTY), FAILED, applied=True, idle=True), "irreversible", "does nothing", 0),
        (Trial(seen(EMPTY), seen(TABLE), FAILED), "irreversible", "downgrade fails: boom", 0),
        (Trial(seen(EMPTY), seen(TABLE), seen(TABLE), FAILED), "irreversible", "does nothing; so it", 1),
        (Trial(seen(EMPTY), seen(MORE), seen(TABLE), seen(MORE)), "irreversible", "leaves table t behind", 1),
        (Trial(seen(MORE), seen(TABLE), seen(TABLE), seen(TABLE)), "irreversible", "does nothing", 1),
        (Trial(seen(MORE), seen(EMPTY), seen(TABLE), seen(EMPTY)), "irreversible", "index i other than", 1),
        (Trial(seen(EMPTY), seen(TABLE), seen(EMPTY), FAILED), "failed", "a second time: boom", 0),
        (Trial(seen(EMPTY), seen(TABLE), seen(EMPTY), seen(MORE)), "failed", "something else", 1),
    ],
)
def test_what_a_trial_tells(trial, state, reason, left):
    told = verdict("r1", "message", trial)
    assert (told.state, len(told.left)) == (state, left) and reason in told.reason, told
    assert bool(told.trace) == (Failure in map(type, (trial.up, trial.down, trial.again)))


def test_what_is_taken_down_and_applied():
    graph = history(a="", b="a", c="b", x="a", m="c,x", n="m")
    assert order(graph, ["m"], ["b"]) == ((), ("x", "c", "m"))
    assert order(graph, ["b"], ["c", "x"]) == (("c", "b"), ("b",))
    assert order(graph, ["b", "c"], ["m"]) == (("m", "c", "b"), ("b", "c"))
    assert order(graph, ["b", "m"], ["m"]) == (("m", "c", "b"), ("b", "c", "m"))
    assert order(graph, ["n"], []) == ((), ("a", "x", "b", "c", "m", "n"))
