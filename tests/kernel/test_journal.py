"""The journal: what is written is read back, found, and rebuilt from the archive."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raccord.errors import RaccordError, UsageError
from raccord.kernel.document import FORMAT, document, read_document
from raccord.kernel.journal import Journal, new_id
from raccord.kernel.owner import me
from raccord.kernel.record import SPACING, LaneRecord, Retreat, RunRecord, StepRecord, by_lane, run_state
from raccord.kernel.store import Store
from raccord.kernel.undo import undoable
from raccord.model.handler import Outcome
from raccord.model.plan import Finding, Json, Lane, Plan, Stage, Step, Waiver, plain, plan_from
from tests.kernel.house import House, Killed, Memory, exploding, lane, setting

# Every name that a path of the system can have, as Python decodes it.
NAMES = st.binary(max_size=12).map(os.fsdecode)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
MAPS = st.dictionaries(NAMES, VALUES, max_size=3)
TUPLES = st.lists(NAMES, max_size=3).map(tuple)
FINDINGS = st.builds(Finding, NAMES, NAMES, NAMES, NAMES, MAPS)
STEPS = st.builds(
    Step,
    kind=NAMES,
    version=st.integers(0, 9),
    title=NAMES,
    payload=MAPS,
    before=VALUES,
    after=VALUES,
    resources=TUPLES,
    shared=TUPLES,
    destroys=st.just(False),
    backs_up=st.booleans(),
    batch=NAMES,
    pins=TUPLES,
)
LANES = st.builds(
    Lane,
    key=NAMES,
    title=NAMES,
    steps=st.lists(STEPS, max_size=3).map(tuple),
    needs=TUPLES,
    held=st.none() | FINDINGS,
    notes=st.lists(FINDINGS, max_size=2).map(tuple),
    then=TUPLES,
)
STAGES = st.builds(Stage, NAMES, st.lists(LANES, max_size=3, unique_by=lambda one: one.key).map(tuple))
PLANS = st.builds(
    Plan,
    verb=st.sampled_from(["sync", "undo"]),
    stages=st.lists(STAGES, max_size=2).map(tuple),
    waivers=st.lists(st.builds(Waiver, NAMES, NAMES, NAMES), max_size=2).map(tuple),
    notes=st.lists(FINDINGS, max_size=2).map(tuple),
    undo_of=st.just(""),
    by=NAMES,
)


@pytest.fixture
def journal(memory: Path) -> Iterator[Journal]:
    store = Store(memory / "state.db")
    yield Journal(store, Memory())
    store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all examples."""
    store = Store(tmp_path_factory.mktemp("journal") / "state.db")
    yield store
    store.close()


@given(PLANS, FINDINGS, MAPS, NAMES)
@settings(max_examples=40)
def test_every_field_comes_back(
    shared: Store, plan: Plan, finding: Finding, record: dict[str, Json], note: str
) -> None:
    journal = Journal(shared, Memory())
    assert plan_from(json.loads(json.dumps(plain(plan)))) == plan
    made = journal.create(new_id(0) + os.urandom(4).hex(), plan, 1.5)
    assert made.plan == plan
    for key, one in made.lanes.items():
        journal.lane(made.id, one, "stopped", finding, Retreat(1, "held", finding))
        for step in made.of(key):
            journal.step(made.id, step, "done", Outcome(record, (), note))
    assert journal.load(made.id) == made
    assert read_document(document(made), shared.folder) == made


def test_what_runs_is_what_would_be_read_back(journal: Journal) -> None:
    step = Step("set", 1, "x", {"paths": ("a", "b"), 1: 2})  # type: ignore[dict-item] # what JSON makes of it
    record = journal.create("r", Plan("test", (Stage("s", (Lane("a", "A", (step,)),)),)), 0.0)
    assert record.steps[0].step.payload == {"paths": ["a", "b"], "1": 2}
    assert journal.load("r") == record


def test_a_huge_plan_is_quick(journal: Journal) -> None:
    oid = "a" * 40
    lanes = tuple(
        Lane(
            f"/home/me/work/tree-{n}",
            f"tree-{n} (feature/{n})",
            tuple(
                Step(
                    "worktree.follow",
                    1,
                    f"move feature/{n} to {oid[:10]}",
                    {
                        "worktree": f"/home/me/work/tree-{n}",
                        "old": oid,
                        "new": oid,
                        "refs": [[oid, oid, oid]],
                    },
                    oid,
                    oid,
                    (f"branch:feature/{n}", f"checkout:/home/me/work/tree-{n}"),
                    pins=(oid, oid),
                )
                for _ in range(5)
            ),
        )
        for n in range(200)
    )
    plan = Plan("sync", (Stage("integrate", lanes),))
    best = {"create": 9.0, "load": 9.0, "archive": 9.0}
    for n in range(3):
        began = time.process_time()  # other processes may keep the machine busy
        record = journal.create(f"run-{n}", plan, 0.0)
        created = time.process_time()
        assert journal.load(record.id) == record
        loaded = time.process_time()
        journal.archive(record)
        best["create"] = min(best["create"], created - began)
        best["load"] = min(best["load"], loaded - created)
        best["archive"] = min(best["archive"], time.process_time() - loaded)
    assert max(best.values()) < 0.1, best


def test_steps_are_kept_once_in_the_database(journal: Journal) -> None:
    step = Step("set", 1, "needle", {"a": 1})
    record = journal.create("r", Plan("test", (Stage("s", (Lane("a", "A", (step,)),)),)), 0.0)
    assert "needle" not in journal._store.rows("select plan from runs")[0][0]
    assert document(record).count(b"needle") == 1


# Finding


def test_a_run_is_found_by_its_beginning_or_end(journal: Journal) -> None:
    for run in ("20260101-aaa111", "20260101-bbb222", "20260202-ccc111"):
        journal.create(run, Plan("test", ()), 0.0)
    assert journal.find("20260101-aaa111") == "20260101-aaa111"
    assert journal.find("20260101-b") == "20260101-bbb222"
    assert journal.find("ccc111") == "20260202-ccc111"
    for name, said in (
        ("20260101", "several runs .*bbb222"),
        ("111", "several"),
        ("zzz", "no run"),
        ("", "no run"),
    ):
        with pytest.raises(UsageError, match=said):
            journal.find(name)
    with pytest.raises(UsageError):
        journal.load("zzz")


def test_a_name_that_is_whole_wins_over_beginnings(journal: Journal) -> None:
    for run in ("abc", "abcd"):
        journal.create(run, Plan("test", ()), 0.0)
    assert journal.find("abc") == "abc"


def test_the_newest_is_what_was_written_last_whatever_the_clock_said(journal: Journal) -> None:
    journal.create("first", Plan("test", (Stage("s", (Lane("a", "A"),)),)), 2000.0)
    journal.create("second", Plan("other", (Stage("s", (Lane("a", "A"),)),)), 1000.0)
    assert journal.newest(5) == ["second", "first"]
    assert journal.last_of_lanes()["a"][:2] == ("second", "other")


def test_what_was_taken_back_and_taken_back_again(house: House) -> None:
    journal, handlers = house.engine.journal, house.engine.handlers
    first = house.apply(lane("a", setting("a", 0, 1))).id
    second = house.apply(lane("b", setting("b", 0, 1))).id
    assert undoable(journal, handlers) == second
    undone = house.undo(second)
    assert undone is not None and journal.undone_by(second) == undone.id
    assert undoable(journal, handlers) == first
    redone = house.undo(undone.id)
    assert redone is not None and journal.undone_by(second) == "" and undoable(journal, handlers) == second
    again = house.undo(redone.id)
    assert again is not None and journal.undone_by(second) == undone.id, "an undo of an undo of an undo"
    assert undoable(journal, handlers) == first
    house.undo(first)
    assert undoable(journal, handlers) is None


def test_what_changed_nothing_is_not_undoable(house: House) -> None:
    journal, handlers = house.engine.journal, house.engine.handlers
    house.apply(lane("a", setting("a", 0, 1, nothing=True)))
    house.apply(lane("b", setting("b", 0, 1), setting("b2", 0, 1, fails="held")))
    stopped = house.apply(lane("c", setting("c", 0, 1), setting("c2", 0, 1, fails="stop")))
    assert undoable(journal, handlers) is None
    house.engine.back_out(stopped.id, None, "aborted")
    assert undoable(journal, handlers) is None


@pytest.mark.parametrize(
    ("lanes", "run"),
    [
        ([], "done"),
        (["done", "nothing"], "done"),
        (["done", "held"], "partial"),
        (["held"], "partial"),
        (["held", "aborted"], "aborted"),
        (["done", "aborted"], "aborted"),
        (["aborted"], "aborted"),
        (["done", "skipped"], "partial"),
        (["skipped"], "aborted"),
        (["done", "failed", "held"], "failed"),
        (["done", "pending"], "stopped"),
        (["held", "running"], "stopped"),
        (["stopped", "failed"], "stopped"),
    ],
)
def test_what_lanes_make_of_a_run(lanes: list[str], run: str) -> None:
    assert run_state(lanes) == run


# Steps in between


def test_steps_can_be_added_after_any_step_again_and_again(journal: Journal) -> None:
    step = Step("set", 1, "x")
    record = journal.create(
        "r", Plan("t", (Stage("s", (Lane("a", "A", (step, step)), Lane("b", "B", (step,)))),)), 0.0
    )
    at = record.of("a")[0]
    for _ in range(200):  # a chain: each makes the next one known
        journal.add_after(record, at, [step])
        at = record.of("a")[record.of("a").index(at) + 1]
    for _ in range(10):  # nested: each makes two known
        journal.add_after(record, record.of("a")[0], [step, step])
    found = journal.load("r")
    assert found.of("a") == record.of("a") and len(found.of("a")) == 222
    assert len(found.of("b")) == 1 and len(found.plan.stages[0].lanes[0].steps) == 2


# The second copy


def rebuilt(house: House) -> None:
    """The database is lost; the next opening rebuilds it."""
    house.store.close()
    for path in house.path.glob("state.db*"):
        path.unlink()
    house.store = Store(house.path / "state.db", first=lambda store: Journal(store, house.archive).rebuild())
    house.store.close()
    house.open()


def test_a_lost_database_is_rebuilt_from_the_archive(house: House) -> None:
    runs = [house.apply(lane("a", setting("a", n, n + 1))).id for n in range(3)]
    before = [house.engine.journal.load(run) for run in runs]
    rebuilt(house)
    assert [house.engine.journal.load(run) for run in runs] == before
    assert set(house.engine.journal.newest(9)) == set(runs)
    house.undo(runs[2])
    assert house.world["a"] == 2


def test_what_the_database_knows_is_not_overwritten(house: House) -> None:
    run = house.apply(lane("a", setting("a", 0, 1))).id
    house.archive.documents[run] = b"stale"
    assert house.engine.journal.rebuild() == 0
    assert house.engine.journal.load(run).state == "done"


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_run_cut_off_and_lost_waits_for_a_person_and_asks_the_world(house: House, where: str) -> None:
    """The archive has the run as it began; a step was done since, and of the next one nobody knows."""
    house.setter.fuse = exploding((where, "b"), Killed())
    began: dict[str, bytes] = {}
    save = house.archive.save

    def first_only(run: str, text: bytes, pins: list[str]) -> None:
        if run not in began:
            began[run] = text
            save(run, text, pins)

    house.archive.save = first_only  # type: ignore[method-assign,assignment] # the disk is lost with the process
    run = house.killed(lane("a", setting("a", 0, 1), setting("b", 0, 1), setting("c", 0, 1)))
    rebuilt(house)
    assert house.engine.recover() == [], "nobody starts an old plan unasked"
    record = house.engine.journal.load(run)
    assert record.state == "interrupted" and record.open_lanes == ["a"]
    house.setter.probes.clear()
    assert house.engine.resume(run).state == "done"
    assert house.world == {"a": 1, "b": 1, "c": 1} and house.setter.probes[0] == "a"


def test_a_run_written_to_the_archive_alone_is_not_started_unasked(house: House) -> None:
    plan = house.plan(lane("a", setting("a", 0, 1)))
    other = Store(house.path / "other.db")
    run = (
        Journal(other, house.archive).create("phantom", plan, 1.0).id
    )  # killed before it reached the database
    other.close()
    rebuilt(house)
    assert house.engine.recover() == [] and house.world["a"] == 0
    assert house.engine.back_out(run, None, "aborted").state == "aborted" and house.world["a"] == 0


NEWER = {"format": FORMAT + 1, "release": "9.9", "id": "newer", "what": ["nobody", "knows"]}


@pytest.mark.parametrize("state", ["running", "stopped", "unheard-of"])
def test_an_unfinished_run_of_a_newer_release_is_kept_apart(house: House, state: str) -> None:
    good = house.apply(lane("a", setting("a", 0, 1))).id
    text = json.dumps(NEWER | {"state": state}).encode()
    house.archive.documents["newer"] = text
    rebuilt(house)
    record = house.engine.journal.load("newer")
    finding = record.lanes["run"].finding
    assert record.state == "stopped" and finding is not None
    assert "raccord 9.9" in finding.message and finding.hint == "install raccord 9.9"
    assert house.engine.journal.load(good).state == "done"
    plan, made = house.engine.apply(lambda: house.plan(lane("b", setting("b", 0, 1))))
    assert made is None and plan.stages[0].lanes[0].held is not None, "what it needs, nobody knows"
    for again in (house.engine.resume("newer"), house.engine.back_out("newer", None, "aborted")):
        found = again.lanes["run"].finding
        assert again.state == "stopped" and found is not None and "install raccord 9.9" in found.hint
    assert house.archive.documents["newer"] == text, "its document stays as it is"


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", json.dumps(NEWER | {"state": "done"}).encode()])
def test_documents_that_cannot_be_read_do_not_stop_the_opening(house: House, text: bytes) -> None:
    good = house.apply(lane("a", setting("a", 0, 1))).id
    house.archive.documents["odd"] = text
    rebuilt(house)
    assert house.engine.journal.load(good).state == "done"
    odd = house.engine.journal.load("odd")
    finding = odd.lanes["run"].finding
    assert odd.state == ("done" if b"done" in text else "stopped")
    assert finding is not None and finding.message
    if odd.state == "done":
        held = house.undo_plan("odd").stages[0].lanes[0].held
        assert held is not None and "can't take it back" in held.message
    assert house.archive.documents["odd"] == text


def test_a_document_under_another_runs_name_is_not_believed(house: House) -> None:
    run = house.apply(lane("a", setting("a", 0, 1))).id
    house.archive.documents["alias"] = house.archive.documents[run]
    rebuilt(house)
    finding = house.engine.journal.load("alias").lanes["run"].finding
    assert finding is not None and run in finding.message


@pytest.mark.parametrize("field", ["id", "plan", "owner", "lanes", "steps", "state", "started"])
def test_a_document_with_a_hole_is_told_as_damaged(tmp_path: Path, field: str) -> None:
    step = StepRecord(SPACING, 0, "a", Step("set", 1, "x"), "pending")
    plan = Plan("t", (Stage("s", (Lane("a", "A", (step.step,)),)),))
    lanes = {"a": LaneRecord("a", "A", "pending")}
    owner = me(tmp_path)
    record = RunRecord(
        "r", "t", "running", plan, owner, "0", 0.0, None, "", lanes=lanes, by_lane=by_lane([step])
    )
    data = json.loads(document(record))
    assert read_document(json.dumps(data).encode(), tmp_path) == record
    del data[field]
    with pytest.raises(RaccordError, match="damaged"):
        read_document(json.dumps(data).encode(), tmp_path)
    data = json.loads(document(record)) | {"lanes": []}
    with pytest.raises(RaccordError, match="damaged"):
        read_document(json.dumps(data).encode(), tmp_path)


def test_the_archive_keeps_what_an_undo_needs(house: House) -> None:
    step = Step("set", 1, "x", {"name": "a", "old": 0, "new": 1}, pins=("beef", "cafe"))
    run = house.apply(Lane("a", "A", (step,))).id
    assert house.archive.pins[run] == ["beef", "cafe"]


def test_forgotten_runs_leave_nothing(house: House) -> None:
    run = house.apply(lane("a", setting("a", 0, 1))).id
    house.engine.journal.forget([run])
    assert house.runs() == []
    assert house.store.rows("select * from lanes") == house.store.rows("select * from steps") == []
