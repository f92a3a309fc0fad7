"""What goes out and what comes in, in the state database: each once, and only what is as it should be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from raccord.coordination.exchange import Exchange
from raccord.coordination.ledger import Ledger
from raccord.kernel.store import Store
from raccord.model.coordination import Consolidation, FileState, Root
from raccord.model.hub import Entry, Machine

ROOT = Root("/srv/shop", "shop", main=True)
CHANGE = {
    "root": "/far", "path": "AGENTS.md", "kind": "modified", "at": 1e9, "old": "", "new": "1", "before": "",
    "owner": "ada", "how": "branch",
}  # fmt: skip
TOLD = {
    "id": "c-1", "trigger_type": "manual", "conditions": {}, "at": 1e9, "changes": 1, "files": 1,
    "report": "x", "language": "en", "took": 0.1, "placed": 0, "told": ["u1"],
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "state.db")
    yield made
    made.close()


def entry(seq, uid, document, kind="change", machine="far"):
    return Entry(uid, kind, document if isinstance(document, str) else json.dumps(document), machine, seq)


def saw(store, path, content):
    """Records that a file of this machine is another one now."""
    ledger = Ledger(store)
    known = ledger.known(ROOT.path)
    states = {**known, path: FileState(path, content, 1, 1.0)}
    return ledger.record(ROOT, ("/**",), states, {}, 1.0, lambda changes: changes, whole=False)


def consolidated(store):
    made = Consolidation("c-own", "manual", {}, 1.0, 1, 1, "report", "en")
    return Ledger(store).consolidate(lambda pending: replace(made, changes=len(pending)) if pending else None)


def out(exchange):
    return [(one.kind, one.uid) for _, one in exchange.outgoing(100, lambda run: {"id": run}) if one]


def test_nothing_is_marked_before_there_is_a_hub_and_all_of_it_then(store):
    exchange = Exchange(store)
    saw(store, "a", "1")
    saw(store, "a", "2")
    assert exchange.standing().waiting == 0
    consolidated(store)
    saw(store, "b", "1")
    key = exchange.join("shop")
    assert [kind for kind, _ in out(exchange)] == ["change", "change", "consolidation"]
    assert exchange.join("shop") == key
    saw(store, "b", "2")
    Ledger(store).placed("c-own", 0.5)
    assert [kind for kind, _ in out(exchange)][3:] == ["change", "consolidation"]
    exchange.leave()
    saw(store, "b", "3")
    assert exchange.standing().waiting == 0
    assert exchange.join("shop") == key
    assert len(out(exchange)) == 5


def test_what_the_hub_has_is_no_longer_marked_and_what_comes_in_never_is(store):
    exchange = Exchange(store)
    exchange.join("shop")
    saw(store, "a", "1")
    saw(store, "a", "2")
    marks = [mark for mark, _ in exchange.outgoing(100, lambda run: None)]
    exchange.sent(marks)
    assert exchange.take([entry(1, "u1", CHANGE), entry(2, "t1", TOLD, "consolidation")]) == []
    assert exchange.standing().waiting == 0
    assert exchange.cursor() == 2


def test_entries_are_taken_in_once_however_often_they_come(store):
    exchange = Exchange(store)
    exchange.join("shop")
    ones = [entry(1, "u1", CHANGE), entry(2, "t1", TOLD, "consolidation")]
    for _ in range(2):
        exchange.take(ones)
        exchange.take([replace(one, seq=one.seq + 10) for one in ones])
    (change,) = Ledger(store).changes()
    assert (change.machine, change.path, change.consolidation) == ("far", "AGENTS.md", "c-1")
    assert [one.placed for one in Ledger(store).consolidations()] == [False]
    exchange.take([entry(30, "t2", {**TOLD, "placed": 1}, "consolidation")])
    (told,) = Ledger(store).consolidations()
    assert (told.placed, told.machine) == (True, "far")
    assert Ledger(store).consolidations(own=True) == Ledger(store).consolidations(unplaced=True) == []


def test_a_state_that_was_restored_reports_nothing_again(store):
    """What this machine said before it lost its memory comes back, and settles what it tells of."""
    exchange = Exchange(store)
    exchange.join("shop")
    saw(store, "a", "1")
    saw(store, "a", "2")
    ((_, uid),) = out(exchange)
    exchange.take([entry(1, "t1", {**TOLD, "told": [uid]}, "consolidation", exchange.standing().machine)])
    assert Ledger(store).waiting() == 0
    assert consolidated(store) is None


@pytest.mark.parametrize(
    "bad",
    [
        entry(1, "x", "["),
        entry(1, "x", "[]"),
        entry(1, "x", "[" * 100_000),
        entry(1, "x", {**CHANGE, "kind": "exploded"}),
        entry(1, "x", {**CHANGE, "at": 1e300}),
        entry(1, "x", {**CHANGE, "at": "now"}),
        entry(1, "x", json.dumps({**CHANGE, "at": float("nan")})),
        entry(1, "x", {**CHANGE, "path": None}),
        entry(1, "x", {key: value for key, value in CHANGE.items() if key != "owner"}),
        entry(1, "x", CHANGE, machine=""),
        entry(1, "x", {**CHANGE, "old": "\udcff"}),
        entry(1, "x", {**TOLD, "told": ["\udcff"]}, "consolidation"),
        entry(1, "x", {**TOLD, "id": "\udcff"}, "consolidation"),
        entry(1, "x", {**TOLD, "trigger_type": "x"}, "consolidation"),
        entry(1, "x", {**TOLD, "told": [1]}, "consolidation"),
        entry(1, "x", {**TOLD, "conditions": []}, "consolidation"),
        entry(1, "x", {**TOLD, "changes": 2**70}, "consolidation"),
        entry(1, "x", {"id": "r"}, "run"),
    ],
    ids=range(18),
)
def test_what_is_not_as_it_should_be_is_left_out_alone(store, bad):
    exchange = Exchange(store)
    exchange.join("shop")
    problems = exchange.take([bad, entry(2, "u2", CHANGE), entry(3, "u3", {}, "a kind of tomorrow")])
    assert len(problems) == 1
    assert [one.machine for one in Ledger(store).changes()] == ["far"]
    assert Ledger(store).consolidations() == []
    assert exchange.runs(9) == []
    assert exchange.cursor() == 3


def test_another_hub_and_one_that_lost_what_it_had_are_told_everything(store):
    exchange = Exchange(store)
    exchange.join("shop")
    saw(store, "a", "1")
    saw(store, "a", "2")
    exchange.meet("hub1", lambda seq: "")
    exchange.sent([mark for mark, _ in exchange.outgoing(100, lambda run: None)])
    exchange.take([entry(7, "u7", CHANGE)])
    exchange.meet("hub1", {7: "u7"}.__getitem__)
    assert (exchange.standing().waiting, exchange.cursor()) == (0, 7)
    exchange.meet("hub1", {7: "somebody else's"}.__getitem__)
    assert (exchange.standing().waiting, exchange.cursor()) == (1, 0)
    exchange.sent([mark for mark, _ in exchange.outgoing(100, lambda run: None)])
    exchange.meet("hub2", lambda seq: "")
    assert exchange.standing().waiting == 1


def test_a_copy_is_another_machine_and_says_nothing_twice(store, tmp_path):
    exchange = Exchange(store)
    key = exchange.join("shop")
    saw(store, "a", "1")
    saw(store, "a", "2")
    uids = out(exchange)
    store.close()
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "state.db", tmp_path / "copy")
    copied = Store(tmp_path / "copy" / "state.db")
    assert Exchange(copied).join("shop") != key
    assert out(Exchange(copied)) == uids
    copied.close()


def test_machines_of_one_name_are_told_apart(store):
    exchange = Exchange(store)
    exchange.join("shop")
    exchange.beat(
        [Machine(key, name, "/", "1", 1.0) for key, name in (("aaaa1", "pc"), ("bbbb2", "pc"), ("c", "d"))]
    )
    assert exchange.names() == {"aaaa1": "pc (aaaa)", "bbbb2": "pc (bbbb)", "c": "d"}
    standing = exchange.standing()
    assert (standing.connected, standing.why) == (True, "")
    exchange.lost("gone")
    assert (exchange.standing().connected, exchange.standing().why) == (False, "gone")
