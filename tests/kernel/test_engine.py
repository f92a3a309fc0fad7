"""The engine over a small world kept in a dictionary: lanes, failures, kills, resume, abort, undo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raccord.errors import CannotRun, HeldBack, LockTimeout, RaccordError, Stop, UnknownStep, UsageError, WorldMoved
from raccord.kernel.engine import Engine, Limits
from raccord.kernel.journal import RunRecord
from raccord.kernel.store import Store
from raccord.kernel.undo import undo_plan
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Finding, Lane, Plan, Stage, Step


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs."""


class Memory:
    """An archive that keeps documents in a dictionary."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.pins: dict[str, Sequence[str]] = {}

    def save(self, run: str, document: bytes, pins: Sequence[str]) -> None:
        self.documents[run], self.pins[run] = document, pins

    def load_all(self) -> Mapping[str, bytes]:
        return self.documents


class Setter:
    """Sets a value of the world; payload: name, old, new, and what happens at it."""

    kind, version = "set", 1

    def __init__(self, world: dict[str, int]) -> None:
        self.world = world
        self.fuse: Callable[[str, str], None] = lambda where, name: None

    def probe(self, step: Step, context: Context) -> Position:
        now = self.world.get(step.payload["name"], 0)
        if now == step.payload["new"]:
            return Position.AFTER
        return Position.BEFORE if now == step.payload["old"] else Position.NEITHER

    def apply(self, step: Step, context: Context) -> Outcome:
        name = step.payload["name"]
        self.fuse("before", name)
        if self.world.get(name, 0) not in (step.payload["old"], step.payload["new"]):
            raise WorldMoved(f"{name} moved")
        if step.payload.get("fails") and self.world.get(name, 0) != step.payload["new"]:
            raise {"held": HeldBack, "stop": Stop}[step.payload["fails"]](f"{name} is red")
        self.world[name] = step.payload["new"]
        self.fuse("after", name)
        more = (setting(name + "+", 0, 1),) if step.payload.get("more") else ()
        return Outcome({"was": step.payload["old"]}, more)

    def revert(self, step: Step, context: Context) -> None:
        raise AssertionError("never half done")

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        if step.payload.get("forever"):
            return "it is for ever"
        return (setting(step.payload["name"], step.payload["new"], step.payload["old"]),)


def setting(name: str, old: int, new: int, **more: object) -> Step:
    return Step("set", 1, f"set {name}", {"name": name, "old": old, "new": new, **more}, resources=(f"x:{name}",))


class House:
    """A world with an engine over it, which can be opened again as if by a new process."""

    def __init__(self, path: Path, **world: int) -> None:
        self.path, self.world, self.archive = path, dict(world), Memory()
        self.setter = Setter(self.world)
        self.engine = self.open()

    def open(self, **limits: float) -> Engine:
        self.store = Store(self.path / "state.db")
        wait = limits.get("lock_wait", 5.0)
        self.engine = Engine(self.store, [self.setter], self.archive, limits=Limits(2, wait))
        return self.engine

    def plan(self, *lanes: Lane, second: Sequence[Lane] = ()) -> Plan:
        stages = (Stage("one", lanes), Stage("two", tuple(second))) if second else (Stage("one", lanes),)
        return Plan("test", stages)

    def apply(self, *lanes: Lane, second: Sequence[Lane] = ()) -> RunRecord:
        record = self.engine.apply(self.plan(*lanes, second=second))
        assert record is not None
        return record

    def killed(self, *lanes: Lane, second: Sequence[Lane] = ()) -> str:
        """Applies, is killed by the fuse, and opens again; the owner of the run is then dead."""
        with pytest.raises(Killed):
            self.engine.apply(self.plan(*lanes, second=second))
        self.store.close()
        self.setter.fuse = lambda where, name: None
        self.open()
        with self.store.transaction() as db:
            dead = "999999999/1/" + self.engine.journal.load(self.runs()[-1]).owner.boot
            db.execute("update runs set state = 'running', owner = ?", (dead,))
            db.execute("update locks set owner = ?", (dead,))
        return self.runs()[-1]

    def runs(self) -> list[str]:
        return [row[0] for row in self.store.rows("select id from runs order by started, id")]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, a=0, b=0, c=0)


def test_every_lane_is_done_and_journalled(house: House) -> None:
    record = house.apply(Lane("a", "A", (setting("a", 0, 1),)), Lane("b", "B", (setting("b", 0, 2),)))
    assert house.world == {"a": 1, "b": 2, "c": 0}
    assert house.engine.journal.load(record.id).state == "done"
    assert record.id in house.archive.documents
    assert house.store.rows("select * from locks") == []


def test_an_empty_plan_leaves_no_run(house: House) -> None:
    assert house.engine.apply(house.plan(Lane("a", "A"))) is None
    assert house.runs() == []


def test_a_red_step_puts_its_lane_back_and_no_other(house: House) -> None:
    record = house.apply(
        Lane("a", "A", (setting("a", 0, 1), setting("a2", 0, 1, fails="held"))),
        Lane("b", "B", (setting("b", 0, 2),)),
    )
    assert house.world["a"] == 0 and house.world["b"] == 2
    assert {lane.key: lane.state for lane in record.lanes.values()} == {"a": "held", "b": "done"}
    assert record.state == "partial"
    finding = record.lanes["a"].finding
    assert finding is not None and "red" in finding.message and finding.hint


def test_a_failure_in_a_later_stage_keeps_the_earlier_one(house: House) -> None:
    house.world["p"] = 7
    record = house.apply(
        Lane("a", "A", (setting("a", 0, 1),)), second=[Lane("a", "A", (setting("p", 0, 1),))]
    )
    assert house.world["a"] == 1 and house.world["p"] == 7
    assert record.lanes["a"].state == "held"


def test_a_lane_waits_for_what_it_needs_and_falls_with_it(house: House) -> None:
    order: list[str] = []
    house.setter.fuse = lambda where, name: order.append(name) if where == "before" else None
    child = Lane("b", "B", (setting("b", 0, 1),), needs=("a",))
    house.apply(child, Lane("a", "A", (setting("a", 0, 1),)))
    assert order == ["a", "b"]
    record = house.apply(
        Lane("b", "B", (setting("b", 1, 2),), needs=("a",)), Lane("a", "A", (setting("a", 1, 2, fails="held"),))
    )
    assert house.world["b"] == 1
    assert record.lanes["b"].state == "held"


def test_a_stop_waits_and_continues(house: House) -> None:
    house.world["s"] = 0
    record = house.apply(Lane("a", "A", (setting("a", 0, 1), setting("s", 0, 1, fails="stop"))))
    assert record.state == "stopped" and house.world["a"] == 1
    assert house.store.rows("select * from locks") == []
    held = house.apply(Lane("b", "B", (setting("b", 0, 1),)), Lane("a2", "A again", (setting("a", 1, 9),)))
    assert held.lanes["a2"].state == "held" and house.world["b"] == 1, "its resources stay marked"
    house.world["s"] = 1  # the person did it
    again = house.engine.resume(record.id)
    assert again.state == "done"


@pytest.mark.parametrize("state", ["aborted", "skipped"])
def test_backing_out_takes_a_stopped_lane_back(house: House, state: str) -> None:
    house.world["s"] = 0
    record = house.apply(
        Lane("a", "A", (setting("a", 0, 1), setting("s", 0, 1, fails="stop"))), Lane("b", "B", (setting("b", 0, 1),))
    )
    over = house.engine.back_out(record.id, None, state)
    assert house.world["a"] == 0 and house.world["b"] == 1
    assert over.lanes["a"].state == state and over.lanes["b"].state == "done"


def test_steps_made_known_on_the_way_are_done_and_undone(house: House) -> None:
    house.world["a+"] = 0
    record = house.apply(Lane("a", "A", (setting("a", 0, 1, more=True),)))
    assert house.world["a+"] == 1
    undo = undo_plan(house.engine.journal.load(record.id), house.engine.handlers, lambda step: (), "me")
    house.engine.apply(undo)
    assert house.world["a+"] == 0 and house.world["a"] == 0


def test_undo_is_refused_where_the_world_moved_and_says_what_is_for_ever(house: House) -> None:
    house.world["f"] = 0
    record = house.apply(
        Lane("a", "A", (setting("a", 0, 1),)),
        Lane("b", "B", (setting("b", 0, 1),)),
        Lane("f", "F", (setting("f", 0, 1, forever=True),)),
    )
    house.world["b"] = 5
    plan = undo_plan(house.engine.journal.load(record.id), house.engine.handlers, lambda step: (), "me")
    house.engine.apply(plan)
    assert (house.world["a"], house.world["b"], house.world["f"]) == (0, 5, 1)
    lanes = {lane.key: lane for stage in plan.stages for lane in stage.lanes}
    assert lanes["b"].held is not None and "for ever" in lanes["f"].notes[0].message


def test_an_undo_can_be_undone(house: House) -> None:
    record = house.apply(Lane("a", "A", (setting("a", 0, 1),)))
    handlers = house.engine.handlers
    undone = house.engine.apply(undo_plan(house.engine.journal.load(record.id), handlers, lambda s: (), "me"))
    assert undone is not None and house.world["a"] == 0
    house.engine.apply(undo_plan(house.engine.journal.load(undone.id), handlers, lambda s: (), "me"))
    assert house.world["a"] == 1


def test_a_destructive_step_without_a_backup_is_refused(house: House) -> None:
    step = Step("set", 1, "overwrite", {"name": "a", "old": 0, "new": 1}, destroys=True)
    with pytest.raises(CannotRun, match="backup"):
        house.engine.apply(house.plan(Lane("a", "A", (step,))))
    assert house.world["a"] == 0 and house.runs() == []


def test_a_step_of_another_release_stops_and_names_the_remedy(house: House) -> None:
    alien = Step("set", 2, "newer", {"name": "a", "old": 0, "new": 1})
    record = house.apply(Lane("a", "A", (alien,)), Lane("b", "B", (setting("b", 0, 1),)))
    assert record.lanes["a"].state == "stopped" and house.world == {"a": 0, "b": 1, "c": 0}
    finding = record.lanes["a"].finding
    assert finding is not None and "release" in finding.hint
    with pytest.raises(UsageError):
        undo_plan(house.engine.journal.load(record.id), house.engine.handlers, lambda s: (), "me")
    assert UnknownStep is not None


LANES = (
    Lane("a", "A", (setting("a", 0, 1), setting("a2", 0, 1))),
    Lane("b", "B", (setting("b", 0, 1),), needs=("a",)),
)
SECOND = [Lane("a", "A", (setting("p", 0, 1),)), Lane("b", "B", (setting("q", 0, 1),))]
POINTS = [(where, name) for name in ("a", "a2", "b", "p", "q") for where in ("before", "after")]


@given(st.sampled_from(POINTS), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_killed_anywhere_it_is_finished_or_taken_back(
    tmp_path_factory: pytest.TempPathFactory, point: tuple[str, str], forward: bool, lose: bool
) -> None:
    old = {"a": 0, "a2": 0, "b": 0, "p": 0, "q": 0}
    house = House(tmp_path_factory.mktemp("house"), **old)

    def fuse(where: str, name: str) -> None:
        if (where, name) == point:
            raise Killed

    house.setter.fuse = fuse
    run = house.killed(*LANES, second=SECOND)
    if forward:
        (record,) = house.engine.recover()
        assert record.state == "done" and set(house.world.values()) == {1}
    else:
        house.engine.back_out(run, None, "aborted")
        lanes = house.engine.journal.load(run).lanes
        for key, names in (("a", ("a", "a2", "p")), ("b", ("b", "q"))):
            wanted = 1 if lanes[key].state == "done" else 0
            assert {house.world[name] for name in names} == {wanted}
    assert house.engine.recover() == [] and house.store.rows("select * from locks") == []


def test_a_lost_database_is_rebuilt_from_the_archive(house: House) -> None:
    record = house.apply(Lane("a", "A", (setting("a", 0, 1),)))
    house.store.close()
    (house.path / "state.db").unlink()
    house.open()
    assert house.runs() == []
    assert house.engine.journal.rebuild() == 1
    plan = undo_plan(house.engine.journal.load(record.id), house.engine.handlers, lambda s: (), "me")
    house.engine.apply(plan)
    assert house.world["a"] == 0


def test_a_plan_that_waited_is_made_anew(house: House, tmp_path: Path) -> None:
    """The second of two runs on one resource sees what the first did, not what it planned on."""
    inside, go = threading.Event(), threading.Event()

    def fuse(where: str, name: str) -> None:
        if where == "before":
            inside.set()
            go.wait(5)

    house.setter.fuse = fuse
    first = threading.Thread(target=lambda: house.apply(Lane("a", "A", (setting("a", 0, 1),))))
    first.start()
    inside.wait(5)
    house.setter.fuse = lambda where, name: None
    stale = house.plan(Lane("a", "A", (setting("a", 0, 2),)))
    calls = []

    def replan() -> Plan:
        calls.append(1)
        return house.plan(Lane("a", "A", (setting("a", 1, 2),)))

    threading.Timer(0.2, go.set).start()
    record = house.engine.apply(stale, replan)
    first.join()
    assert record is not None and record.state == "done"
    assert calls == [1] and house.world["a"] == 2


def test_a_live_owner_is_waited_for_only_so_long(house: House) -> None:
    inside, go = threading.Event(), threading.Event()
    house.setter.fuse = lambda where, name: (inside.set(), go.wait(5), None)[2]
    first = threading.Thread(target=lambda: house.apply(Lane("a", "A", (setting("a", 0, 1),))))
    first.start()
    inside.wait(5)
    other = Engine(house.store, [Setter(house.world)], house.archive, limits=Limits(2, 0.1))
    with pytest.raises(LockTimeout) as caught:
        other.apply(house.plan(Lane("a", "A", (setting("a", 0, 2),))))
    go.set()
    first.join()
    assert caught.value.hint.startswith("raccord show")
    assert house.world["a"] == 1


def test_a_lock_taken_over_fences_the_old_owner(house: House) -> None:
    def steal(where: str, name: str) -> None:
        if name == "a":
            with house.store.transaction() as db:
                db.execute("update locks set token = token + 1")

    house.setter.fuse = steal
    record = house.apply(Lane("a", "A", (setting("a", 0, 1), setting("b", 0, 1))))
    finding = record.lanes["a"].finding
    assert house.world["b"] == 0 and finding is not None and "taken over" in finding.message


def test_a_refused_lane_keeps_the_planners_reason(house: House) -> None:
    why = Finding("dirty", "fail", "3 files are not committed", "git commit")
    record = house.apply(Lane("a", "A", held=why), Lane("b", "B", (setting("b", 0, 1),)))
    assert record.lanes["a"].finding == why and record.state == "partial"
    assert isinstance(house.engine, Engine) and issubclass(HeldBack, RaccordError)
