"""The engine over a small world: lanes, failures, kills, interrupts, resume and backing out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raccord.errors import (
    CannotRun,
    LockTimeout,
    RestoreFailed,
    RunIsOver,
    Stop,
    StoreError,
    UsageError,
    WorldMoved,
)
from raccord.kernel import stages
from raccord.kernel.engine import RECOVERIES, Engine, Limits
from raccord.kernel.locks import Locks
from raccord.kernel.record import RunRecord
from raccord.model.event import Event
from raccord.model.handler import Context, Outcome
from raccord.model.plan import RESTORE_FAILED, Finding, Lane, Plan, Stage, Step
from tests.kernel.house import (
    House,
    Killed,
    Pause,
    Setter,
    exploding,
    lane,
    listing,
    pushing,
    setting,
)


def test_every_lane_is_done_and_journalled(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1)), lane("b", setting("b", 0, 2)))
    assert house.world == {"a": 1, "b": 2, "c": 0}
    assert house.engine.journal.load(record.id).state == "done"
    assert record.id in house.archive.documents
    assert not house.locked()


def test_an_empty_plan_leaves_no_run(house: House) -> None:
    assert house.engine.apply(lambda: house.plan(lane("a")))[1] is None
    assert house.runs() == []


def test_a_red_step_puts_its_lane_back_and_no_other(house: House) -> None:
    record = house.apply(
        lane("a", setting("a", 0, 1), setting("a2", 0, 1, fails="held")), lane("b", setting("b", 0, 2))
    )
    assert house.world["a"] == 0 and house.world["b"] == 2
    assert house.lanes(record.id) == {"a": "held", "b": "done"}
    assert record.state == "partial"
    finding = record.lanes["a"].finding
    assert finding is not None and "red" in finding.message and finding.hint
    assert "a2" not in house.setter.probes, "what held back left nothing behind: its world is not asked"


def test_a_failure_in_a_later_stage_keeps_the_earlier_one(house: House) -> None:
    house.world["p"] = 7
    record = house.apply(lane("a", setting("a", 0, 1)), second=[lane("a", setting("p", 0, 1))])
    assert house.world["a"] == 1 and house.world["p"] == 7
    assert record.lanes["a"].state == "held"


def test_two_lanes_that_fail_at_once_are_both_put_back(memory: Path) -> None:
    for n in range(5):
        house = House(memory, **{f"x{i}": 0 for i in range(8)})
        house.open(jobs=8)
        gate = threading.Barrier(8)

        def fuse(where: str, name: str, gate: threading.Barrier = gate) -> None:
            if name.startswith("y"):
                gate.wait(60)

        house.setter.fuse = fuse
        red = [setting(f"y{i}", 0, 1, fails="held") for i in range(8)]
        lanes = [lane(f"l{i}", setting(f"x{i}", 0, 1), red[i]) for i in range(8)]
        record = house.apply(*lanes)
        assert set(house.lanes(record.id).values()) == {"held"}, n
        assert set(house.world.values()) == {0}
        house.store.close()


def test_steps_made_known_in_one_lane_hide_none_of_another(memory: Path) -> None:
    house = House(memory)
    house.open(jobs=4)
    more = [{"name": f"m{i}", "old": 0, "new": 1} for i in range(30)]
    lanes = [
        lane("grows", setting("g", 0, 1, more=more)),
        *(lane(f"l{i}", *(setting(f"x{i}.{n}", 0, 1) for n in range(10))) for i in range(3)),
    ]
    record = house.apply(*lanes)
    assert record.state == "done"
    assert len(house.world) == 61 and set(house.world.values()) == {1}


def test_a_lane_waits_for_what_it_needs_and_falls_with_it(house: House) -> None:
    order: list[str] = []
    house.setter.fuse = listing(order)
    house.apply(lane("b", setting("b", 0, 1), needs=["a"]), lane("a", setting("a", 0, 1)))
    assert order == ["a", "b"]
    record = house.apply(
        lane("c", setting("c", 0, 1), needs=["b"]),
        lane("b", setting("b", 1, 2), needs=["a"]),
        lane("a", setting("a", 1, 2, fails="held")),
    )
    assert (house.world["b"], house.world["c"]) == (1, 0)
    assert house.lanes(record.id) == {"a": "held", "b": "held", "c": "held"}


def test_lanes_that_need_each_other_are_held_and_wait_for_nothing(house: House) -> None:
    record = house.apply(
        lane("a", setting("a", 0, 1), needs=["b"]), lane("b", setting("b", 0, 1), needs=["a"])
    )
    assert house.lanes(record.id) == {"a": "held", "b": "held"}


# A stop


def stopped(house: House, *others: Lane) -> str:
    """A run whose lane a did its first step and waits at the second one."""
    record = house.apply(lane("a", setting("a", 0, 1), setting("s", 0, 1, fails="stop")), *others)
    assert record.state == "stopped" and house.world["a"] == 1
    return record.id


def test_a_stop_holds_no_lock_and_continues(house: House) -> None:
    run = stopped(house)
    assert not house.locked()
    house.world["s"] = 1  # the person did it
    again = house.engine.resume(run)
    assert again.state == "done" and again.lanes["a"].finding is None
    with pytest.raises(RunIsOver):
        house.engine.resume(run)


def test_what_a_stopped_run_needs_stays_marked_and_so_do_lanes_on_it(house: House) -> None:
    run = stopped(house)
    plan, record = house.engine.apply(
        lambda: house.plan(
            lane("again", setting("a", 1, 9)),
            lane("on", setting("o", 0, 1), needs=["again"]),
            lane("top", setting("t", 0, 1), needs=["on"]),
            lane("b", setting("b", 0, 1)),
        )
    )
    assert record is not None and house.world["b"] == 1
    held = {one.key: one.held for one in plan.stages[0].lanes}
    assert held["b"] is None
    for key in ("again", "on", "top"):
        finding = held[key]
        assert finding is not None and finding.hint == f"raccord continue --run {run}"
    assert house.lanes(record.id) == {"again": "held", "on": "held", "top": "held", "b": "done"}


def test_a_plan_whose_every_lane_is_marked_says_so_and_leaves_no_run(house: House) -> None:
    run = stopped(house)
    plan, record = house.engine.apply(lambda: house.plan(lane("again", setting("a", 1, 9))))
    assert record is None and house.runs() == [run]
    finding = plan.stages[0].lanes[0].held
    assert finding is not None and run in finding.hint


def test_one_lane_goes_on_alone(house: House) -> None:
    run = stopped(house, lane("b", setting("b", 0, 1), setting("t", 0, 1, fails="stop")))
    house.world["s"] = house.world["t"] = 1
    assert house.engine.resume(run, "b").state == "stopped"
    assert house.lanes(run) == {"a": "stopped", "b": "done"}
    with pytest.raises(UsageError, match="no unfinished lane"):
        house.engine.resume(run, "b")
    assert house.engine.resume(run, "a").state == "done"


def test_while_one_lane_goes_on_the_others_stay_marked(house: House) -> None:
    run = stopped(house, lane("b", setting("b", 0, 1), setting("t", 0, 1, fails="stop")))
    house.world["s"] = 1
    pause = house.setter.fuse = Pause(("before", "s"))
    thread = threading.Thread(target=lambda: house.engine.resume(run, "a"))
    thread.start()
    assert pause.inside.wait(60)
    other = Engine(house.store, [Setter(house.world)], house.archive)
    plan, record = other.apply(lambda: house.plan(lane("again", setting("b", 1, 2))))
    assert record is None and plan.stages[0].lanes[0].held is not None
    pause.go.set()
    thread.join()
    assert house.lanes(run) == {"a": "done", "b": "stopped"}


def test_a_lane_does_not_go_on_before_what_it_stands_on(house: House) -> None:
    house.setter.fuse = exploding(("before", "a"), Killed())
    run = house.killed(lane("a", setting("a", 0, 1)), lane("b", setting("b", 0, 1), needs=["a"]))
    with pytest.raises(UsageError, match="stands on A"):
        house.engine.resume(run, "b")
    assert house.engine.resume(run).state == "done"


def test_a_lane_that_waits_stays_open_as_long_as_the_one_that_it_needs(house: House) -> None:
    waiting = replace(lane("b", setting("b", 0, 1), needs=["a"]), waits=True)
    later = [
        replace(lane("c", setting("c", 0, 1), needs=["b"]), waits=True),
        lane("d", setting("d", 0, 1), needs=["a"]),
    ]
    record = house.apply(lane("a", setting("a", 0, 1, fails="stop")), waiting, second=later)
    assert record.state == "stopped"
    assert house.lanes(record.id) == {"a": "stopped", "b": "pending", "c": "pending", "d": "held"}
    house.world["a"] = 1
    assert house.engine.resume(record.id).state == "partial"
    assert house.lanes(record.id) == {"a": "done", "b": "done", "c": "done", "d": "held"}


@pytest.mark.parametrize("state", ["aborted", "skipped"])
def test_a_lane_that_waits_falls_with_the_one_that_it_needs(house: House, state: str) -> None:
    waiting = [replace(lane("b", setting("b", 0, 1), needs=["a"]), waits=True)]
    record = house.apply(lane("a", setting("a", 0, 1, fails="stop")), second=waiting)
    house.engine.back_out(record.id, "a", state)
    assert house.engine.resume(record.id).open_lanes == []
    assert house.lanes(record.id) == {"a": state, "b": "held"} and house.world.get("b", 0) == 0


@pytest.mark.parametrize("state", ["aborted", "skipped"])
def test_backing_out_takes_stopped_lanes_back(house: House, state: str) -> None:
    run = stopped(house, lane("b", setting("b", 0, 1)))
    over = house.engine.back_out(run, None, state)
    assert house.world["a"] == 0 and house.world["b"] == 1
    assert over.lanes["a"].state == state and over.lanes["b"].state == "done"
    assert not house.engine.journal.unfinished() and not house.locked()


def test_backing_out_of_one_lane_leaves_the_other_waiting(house: House) -> None:
    run = stopped(house, lane("b", setting("b", 0, 1), setting("t", 0, 1, fails="stop")))
    assert house.engine.back_out(run, "b", "skipped").state == "stopped"
    assert house.world["b"] == 0 and house.world["a"] == 1
    house.world["s"] = 1
    assert house.engine.resume(run).state == "partial"


def test_nobody_can_tell_is_a_stop(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1), setting("u", 0, 1, fails="unknown")))
    finding = record.lanes["a"].finding
    assert record.state == "stopped" and finding is not None and finding.name == "unknown"
    assert house.world["a"] == 1, "nothing is put back as long as nobody knows"


# A lane that can't be put back


def test_a_put_back_that_fails_stops_with_both_messages_and_can_be_tried_again(house: House) -> None:
    def fuse(where: str, name: str) -> None:
        if name == "y":
            house.world["a"] = 5  # somebody changed it meanwhile

    house.setter.fuse = fuse
    record = house.apply(lane("a", setting("a", 0, 1), setting("y", 0, 1, fails="held")))
    finding = record.lanes["a"].finding
    assert record.state == "stopped" and finding is not None
    assert "y is red" in finding.message and "a moved" in finding.message
    again = house.engine.resume(record.id)
    assert again.state == "stopped" and house.world == {"a": 5, "b": 0, "c": 0}, "it goes back, and not on"
    house.world["a"] = 1
    final = house.engine.resume(record.id).lanes["a"]
    assert house.world["a"] == 0
    assert final.state == "held" and final.finding is not None and final.finding.message == "y is red"


def test_a_restore_that_failed_is_named_as_such(house: House) -> None:
    def fuse(where: str, name: str) -> None:
        if (where, name) == ("before", "a") and house.world["a"] == 1:
            raise RestoreFailed("the disk is gone; snapshot 7 holds it")

    house.setter.fuse = fuse
    record = house.apply(lane("a", setting("a", 0, 1), setting("y", 0, 1, fails="held")))
    finding = record.lanes["a"].finding
    assert finding is not None and finding.name == RESTORE_FAILED and "snapshot 7" in finding.message


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_way_back_that_was_cut_off_goes_on_back(house: House, where: str) -> None:
    red = threading.Event()

    def fuse(at: str, name: str) -> None:
        if name == "z":
            red.set()
        if red.is_set() and (at, name) == (where, "a"):
            raise Killed

    house.setter.fuse = fuse
    house.killed(lane("a", setting("a", 0, 1), setting("b", 0, 1), setting("z", 0, 1, fails="held")))
    (record,) = house.engine.recover()
    assert record.lanes["a"].state == "held" and record.state == "partial"
    assert house.world == {"a": 0, "b": 0, "c": 0}
    finding = record.lanes["a"].finding
    assert finding is not None and finding.message == "z is red"


def test_an_abort_that_was_cut_off_is_finished_as_an_abort(house: House) -> None:
    run = stopped(house, lane("b", setting("b", 0, 1), setting("t", 0, 1, fails="stop")))
    house.setter.fuse = exploding(("before", "a"), Killed())
    with pytest.raises(Killed):
        house.engine.back_out(run, None, "aborted")
    house.reopen()
    (record,) = house.engine.recover()
    assert house.lanes(run) == {"a": "aborted", "b": "aborted"} and record.state == "aborted"
    assert (house.world["a"], house.world["b"]) == (0, 0)


def test_a_step_that_a_kill_left_half_done_is_reverted(house: House) -> None:
    house.setter.fuse = exploding(("before", "b"), Killed())
    run = house.killed(lane("a", setting("a", 0, 1), setting("b", 0, 1)))
    house.world["b"] = -1
    house.engine.back_out(run, None, "aborted")
    assert house.setter.reverts == ["b"] and house.world == {"a": 0, "b": 0, "c": 0}


def test_a_step_for_ever_stops_the_way_back(house: House) -> None:
    record = house.apply(lane("a", setting("f", 0, 1, forever=True), setting("y", 0, 1, fails="held")))
    finding = record.lanes["a"].finding
    assert record.state == "stopped" and finding is not None and "for ever" in finding.message


# Steps made known on the way


def test_steps_made_known_on_the_way_are_done_and_undone(house: House) -> None:
    inner = {"name": "n2", "old": 0, "new": 1, "more": [{"name": "n3", "old": 0, "new": 1}]}
    more = [inner, {"name": "n4", "old": 0, "new": 1}]
    order: list[str] = []
    house.setter.fuse = listing(order)
    record = house.apply(lane("a", setting("n1", 0, 1, more=more), setting("n5", 0, 1)))
    assert order == ["n1", "n2", "n3", "n4", "n5"]
    house.undo(record.id)
    assert {house.world[f"n{i}"] for i in range(1, 6)} == {0}


def test_a_step_made_known_that_destroys_needs_a_backup_too(house: House) -> None:
    class Careless(Setter):
        kind = "careless"

        def apply(self, step: Step, context: Context) -> Outcome:
            self.world[step.payload["name"]] = step.payload["new"]
            return Outcome(
                {}, (Step("set", 1, "overwrite", {"name": "b", "old": 0, "new": 1}, destroys=True),)
            )

    house.engine.handlers["careless"] = Careless(house.world)
    record = house.apply(lane("a", Step("careless", 1, "x", {"name": "a", "old": 0, "new": 1})))
    finding = record.lanes["a"].finding
    assert finding is not None and "backup" in finding.message
    assert house.world["b"] == 0 and record.state == "partial"


def test_a_destructive_step_without_a_backup_is_refused(house: House) -> None:
    step = Step("set", 1, "overwrite", {"name": "a", "old": 0, "new": 1}, destroys=True)
    with pytest.raises(CannotRun, match="backup"):
        house.apply(lane("a", step))
    assert house.world["a"] == 0 and house.runs() == [] and not house.locked()


def test_a_step_of_another_release_stops_and_names_the_release(house: House) -> None:
    alien = Step("set", 2, "newer", {"name": "a", "old": 0, "new": 1})
    record = house.apply(lane("a", alien), lane("b", setting("b", 0, 1)))
    assert record.lanes["a"].state == "stopped" and house.world == {"a": 0, "b": 1, "c": 0}
    finding = record.lanes["a"].finding
    assert finding is not None and f"install raccord {record.release}" in finding.hint


# What nobody foresaw


def test_a_bug_stops_its_lane_lets_the_others_end_and_is_raised(house: House) -> None:
    house.setter.fuse = exploding(("after", "a"), ZeroDivisionError("seven"))
    with pytest.raises(ZeroDivisionError):
        house.apply(
            lane("a", setting("a", 0, 1)),
            lane("b", setting("b", 0, 1)),
            second=[lane("b", setting("c", 0, 1))],
        )
    (run,) = house.runs()
    record = house.engine.journal.load(run)
    finding = record.lanes["a"].finding
    assert house.lanes(run) == {"a": "stopped", "b": "done"} and house.world["c"] == 1
    assert finding is not None and "seven" in finding.message and f"abort --run {run}" in finding.hint
    assert record.state == "stopped" and not house.locked()
    assert house.engine.recover() == [], "nobody repeats a bug unasked"
    house.defuse()
    assert house.engine.back_out(run, None, "aborted").lanes["a"].state == "aborted"
    assert house.world["a"] == 0


def test_a_bug_on_the_way_back_stops_the_lane_too(house: House) -> None:
    back = threading.Event()

    def fuse(where: str, name: str) -> None:
        if name == "y":
            back.set()
        elif back.is_set():
            raise ZeroDivisionError("back")

    house.setter.fuse = fuse
    with pytest.raises(ZeroDivisionError):
        house.apply(lane("a", setting("a", 0, 1), setting("y", 0, 1, fails="held")))
    (run,) = house.runs()
    assert house.lanes(run) == {"a": "stopped"}
    house.defuse()
    assert house.engine.resume(run).lanes["a"].state == "held" and house.world["a"] == 0


def test_a_killed_run_that_raises_again_is_not_repeated_for_ever(house: House) -> None:
    house.setter.fuse = exploding(("before", "a"), Killed())
    run = house.killed(lane("a", setting("a", 0, 1)))
    house.setter.fuse = exploding(("before", "a"), ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        house.engine.recover()
    assert house.engine.recover() == [] and house.lanes(run) == {"a": "stopped"}


def test_a_run_that_kills_whoever_recovers_it_waits_for_a_person(house: House) -> None:
    house.setter.fuse = exploding(("before", "a"), Killed())
    run = house.killed(lane("a", setting("a", 0, 1)))
    for _ in range(RECOVERIES):
        house.setter.fuse = exploding(("before", "a"), Killed())
        with pytest.raises(Killed):
            house.engine.recover()
        house.reopen()
    assert house.engine.recover() == []
    assert house.engine.journal.load(run).state == "interrupted"
    assert house.engine.resume(run).state == "done"


def test_recovery_leaves_a_lane_that_waits_for_a_person(house: House) -> None:
    pause = Pause(("before", "b"))

    def fuse(where: str, name: str) -> None:
        pause(where, name)
        if name == "b":
            raise Killed

    house.setter.fuse = fuse

    def listen(event: Event) -> None:
        if event.what == "stopped":
            pause.go.set()

    house.listen = listen
    run = house.killed(lane("a", setting("s", 0, 1, fails="stop")), lane("b", setting("b", 0, 1)))
    house.world["s"] = 1
    (record,) = house.engine.recover()
    assert house.lanes(run) == {"a": "stopped", "b": "done"} and record.state == "stopped"


def test_listeners_that_raise_break_no_run(house: House) -> None:
    def broken(event: object) -> None:
        raise BrokenPipeError("nobody reads")

    house.listen = broken
    with pytest.raises(BrokenPipeError):
        house.apply(lane("a", setting("a", 0, 1)), lane("b", setting("b", 0, 1, fails="held")))
    (run,) = house.runs()
    assert house.engine.journal.load(run).state == "partial"
    assert house.lanes(run) == {"a": "done", "b": "held"} and house.world["a"] == 1


def test_events_come_in_a_sensible_order(house: House) -> None:
    why = Finding("dirty", "fail", "3 files are not committed", "git commit")
    house.apply(
        lane("a", setting("a", 0, 1)),
        lane("b", setting("b", 0, 1, fails="held")),
        Lane("h", "H", held=why),
        second=[lane("a", pushing("c", 0, 1))],
    )
    told = [(event.lane, event.what) for event in house.events]
    assert told[0] == ("h", "held") and told[-1] == ("", "ended")
    assert [what for key, what in told if key == "a"] == ["started", "step", "started", "step", "done"]
    assert [what for key, what in told if key == "b"] == ["started", "step", "held"]


# Interrupts


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Pause:
    """Ctrl-C once the step is at work, and again while its end is awaited; then the step is let go.

    A real signal may come anywhere, and is now and then swallowed by a destructor of Python's own.
    """
    held, interrupts = Pause(("before", "l0")), [KeyboardInterrupt(), KeyboardInterrupt()]

    def interrupted(*args: Any, **options: Any) -> object:
        assert held.inside.wait(60)
        if interrupts:
            raise interrupts.pop()
        held.go.set()
        return wait(*args, **options)

    monkeypatch.setattr(stages, "wait", interrupted)
    return held


def test_lanes_that_wait_for_a_thread_do_not_begin_after_an_interrupt(
    house: House, pause: Pause, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    note = listing(order)

    def fuse(where: str, name: str) -> None:
        note(where, name)
        pause(where, name)

    house.setter.fuse = fuse
    house.open(jobs=1)
    with pytest.raises(KeyboardInterrupt):
        house.apply(*(lane(f"l{i}", setting(f"l{i}", 0, 1)) for i in range(8)))
    (run,) = house.runs()
    assert [event.lane for event in house.events if event.what == "started"] == ["l0"]
    assert order == ["l0"] and list(house.lanes(run).values()) == ["done", *["pending"] * 7]
    monkeypatch.undo()
    assert house.engine.journal.load(run).state == "interrupted" and not house.locked()
    assert house.engine.resume(run).state == "done"


def test_an_interrupt_ends_the_run_before_the_next_steps(
    house: House, pause: Pause, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def fuse(where: str, name: str) -> None:
        order.append(f"{where} {name}")
        pause(where, name)

    house.setter.fuse = fuse

    chain = [lane(f"b{i}", setting("b", i, i + 1), needs=[f"b{i - 1}" if i else "a"]) for i in range(3)]
    many = [lane(f"m{i}", setting(f"m{i}", 0, 1), needs=["b2"]) for i in range(6)]
    with pytest.raises(KeyboardInterrupt):
        house.apply(lane("a", setting("l0", 0, 1), setting("a2", 0, 1)), *chain, *many)
    assert order == ["before l0", "after l0"], "the step at work ends, and no other begins"
    (run,) = house.runs()
    record = house.engine.journal.load(run)
    assert record.state == "interrupted" and not house.locked()
    assert house.engine.recover() == []
    monkeypatch.undo()
    house.defuse()
    assert house.engine.resume(run).state == "done" and house.world["b"] == 3


def test_an_interrupted_run_can_be_taken_back(house: House) -> None:
    house.batcher.fuse = exploding(("batch", ""), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        house.apply(lane("a", setting("a", 0, 1)), second=[lane("a", pushing("b", 0, 1))])
    (run,) = house.runs()
    house.defuse()
    assert house.engine.back_out(run, None, "aborted").state == "aborted"
    assert house.world == {"a": 0, "b": 0, "c": 0}


def test_a_process_ended_by_the_interrupt_leaves_its_lane_to_be_continued(house: House) -> None:
    house.setter.fuse = exploding(("before", "a"), KeyboardInterrupt())
    record = house.apply(lane("a", setting("a", 0, 1)))
    assert record.state == "stopped" and record.lanes["a"].state == "pending"
    house.defuse()
    assert house.engine.resume(record.id).state == "done"


# Kills

LANES = (
    lane("a", setting("a", 0, 1), setting("a2", 0, 1)),
    lane("b", setting("b", 0, 1), needs=["a"]),
)
SECOND = [lane("a", pushing("p", 0, 1)), lane("b", pushing("q", 0, 1))]
NAMES, WHERE = ("a", "a2", "b", "p", "q"), ("before", "after")
POINTS = [((where, name), forward) for name in NAMES for where in WHERE for forward in (True, False)]


@pytest.mark.parametrize(("point", "forward"), POINTS)
def test_killed_anywhere_it_is_finished_or_taken_back(
    memory: Path, point: tuple[str, str], forward: bool
) -> None:
    house = House(memory, a=0, a2=0, b=0, p=0, q=0)
    house.setter.fuse = house.batcher.fuse = exploding(point, Killed())
    run = house.killed(*LANES, second=SECOND)
    if forward:
        (record,) = house.engine.recover()
        assert record.state == "done" and set(house.world.values()) == {1}
    else:
        house.engine.back_out(run, None, "aborted")
        lanes = house.lanes(run)
        for key, names in (("a", ("a", "a2", "p")), ("b", ("b", "q"))):
            wanted = 1 if lanes[key] == "done" else 0
            assert {house.world[name] for name in names} == {wanted}
    assert house.engine.recover() == [] and not house.locked()


def test_a_killed_step_in_a_world_that_moved_is_held(house: House) -> None:
    house.setter.fuse = exploding(("before", "b"), Killed())
    house.killed(lane("a", setting("a", 0, 1), setting("b", 0, 1)))
    house.world["b"] = 7
    (record,) = house.engine.recover()
    assert record.lanes["a"].state == "held" and house.world == {"a": 0, "b": 7, "c": 0}


def test_a_killed_step_that_nobody_can_tell_of_stops(house: House) -> None:
    house.setter.fuse = exploding(("before", "a"), Killed())
    house.killed(lane("a", setting("a", 0, 1)))
    house.setter.silent = True
    (record,) = house.engine.recover()
    finding = record.lanes["a"].finding
    assert record.state == "stopped" and finding is not None and finding.name == "unknown"


def test_a_killed_run_is_recovered_by_one_only(house: House) -> None:
    house.setter.fuse = exploding(("before", "a"), Killed())
    house.killed(lane("a", setting("a", 0, 1)))
    pause = house.setter.fuse = Pause(("before", "a"))
    first: list[list[RunRecord]] = []
    thread = threading.Thread(target=lambda: first.append(house.engine.recover()))
    thread.start()
    assert pause.inside.wait(60)
    other = Engine(house.store, [Setter(house.world)], house.archive)
    assert other.recover() == []
    pause.go.set()
    thread.join()
    assert [record.state for record in first[0]] == ["done"]


def test_a_run_that_stopped_while_its_recovery_waited_is_left_to_a_person(house: House) -> None:
    house.setter.fuse = exploding(("before", "a"), Killed())
    run = house.killed(lane("a", setting("a", 0, 1)))
    with house.store.transaction() as db:
        db.execute("delete from locks")
    faster = Locks(house.store, "faster")
    faster.take(["x:a"], wait=0)

    def listen(event: Event) -> None:
        if event.what == "waiting":
            house.engine.journal.run(house.engine.journal.load(run), "stopped", None)
            faster.release()

    house.listen = listen
    assert house.engine.recover() == [] and house.world["a"] == 0
    assert house.engine.journal.load(run).state == "stopped" and not house.locked()


def test_a_run_killed_before_it_was_closed_is_closed(house: House) -> None:
    house.apply(lane("a", setting("a", 0, 1)))
    run = house.reopen()
    (record,) = house.engine.recover()
    assert record.id == run and record.state == "done"


def test_a_journal_that_cannot_be_written_ends_everything(house: House) -> None:
    def fuse(where: str, name: str) -> None:
        if name == "a" and where == "after":
            house.store.rows("select 1")
            house.store._db.execute("pragma query_only = on")

    house.setter.fuse = fuse
    with pytest.raises(StoreError):
        house.apply(lane("a", setting("a", 0, 1), setting("a2", 0, 1)))
    assert house.world.get("a2", 0) == 0 and house.world["a"] == 1, (
        "nothing is done that can't be written down"
    )
    house.reopen()
    (record,) = house.engine.recover()
    assert record.state == "done" and house.world["a2"] == 1


# Batches


def test_a_batch_is_one_call_and_one_refusal_holds_one_lane(house: House) -> None:
    house.batcher.refused = {"b": WorldMoved("b moved on the remote")}
    record = house.apply(*(lane(name, pushing(name, 0, 1)) for name in "abc"))
    assert house.batcher.applied == [["a", "b", "c"]]
    assert house.lanes(record.id) == {"a": "done", "b": "held", "c": "done"}
    assert (house.world["a"], house.world["b"], house.world["c"]) == (1, 0, 1)
    assert house.batcher.asked == [], "what was refused left nothing behind"


def test_lanes_of_a_batch_stand_on_the_stage_before_and_not_on_each_other(house: House) -> None:
    record = house.apply(
        lane("a", setting("a", 0, 1)),
        lane("b", setting("b", 0, 1, fails="held"), needs=["a"]),
        second=[
            lane("a", pushing("p", 0, 1)),
            lane("b", pushing("q", 0, 1), needs=["a"]),
            lane("c", pushing("r", 0, 1), needs=["a"]),
            lane("d", pushing("s", 0, 1), needs=["b"]),
        ],
    )
    assert house.batcher.applied == [["p", "r"]]
    assert house.lanes(record.id) == {"a": "done", "b": "held", "c": "done", "d": "held"}


@pytest.mark.parametrize("error", [Stop("help"), ZeroDivisionError("bug")])
def test_a_batch_that_fails_whole_stops_its_lanes(house: House, error: Exception) -> None:
    house.batcher.fuse = exploding(("batch", ""), error)
    plan = house.plan(lane("a", pushing("a", 0, 1)), lane("b", pushing("b", 0, 1)))
    if isinstance(error, Stop):
        _, record = house.engine.apply(lambda: plan)
        assert record is not None and record.state == "stopped"
    else:
        with pytest.raises(ZeroDivisionError):
            house.engine.apply(lambda: plan)
    (run,) = house.runs()
    assert house.lanes(run) == {"a": "stopped", "b": "stopped"}
    house.defuse()
    assert house.engine.resume(run).state == "done"


def test_a_bug_that_a_batch_answers_with_is_not_swallowed(house: House) -> None:
    house.batcher.refused = {"a": ZeroDivisionError("in a")}
    with pytest.raises(ZeroDivisionError):
        house.apply(lane("a", pushing("a", 0, 1)), lane("b", pushing("b", 0, 1)))
    assert house.lanes(house.runs()[0]) == {"a": "stopped", "b": "done"}


def test_a_killed_batch_is_asked_of_the_world_in_one_question(house: House) -> None:
    house.batcher.fuse = exploding(("before", "b"), Killed())
    house.killed(*(lane(name, pushing(name, 0, 1)) for name in "abc"))
    assert house.world == {"a": 1, "b": 0, "c": 0}
    house.batcher.asked.clear()
    house.batcher.applied.clear()
    (record,) = house.engine.recover()
    assert house.batcher.asked == [["a", "b", "c"]] and house.batcher.applied == [["a", "b", "c"]]
    assert record.state == "done" and set(house.world.values()) == {1}


def test_a_killed_batch_that_nobody_can_tell_of_is_not_done_again(house: House) -> None:
    house.batcher.fuse = exploding(("batch", ""), Killed())
    house.killed(*(lane(name, pushing(name, 0, 1)) for name in "ab"))
    house.batcher.applied.clear()
    house.batcher.silent = True
    (record,) = house.engine.recover()
    assert house.lanes(record.id) == {"a": "stopped", "b": "stopped"} and house.batcher.applied == []


def test_a_killed_batch_settles_each_lane_by_itself(house: House) -> None:
    house.batcher.fuse = exploding(("batch", ""), Killed())
    house.killed(*(lane(name, pushing(name, 0, 1)) for name in "abc"))
    house.world["b"] = 9
    (record,) = house.engine.recover()
    assert house.lanes(record.id) == {"a": "done", "b": "held", "c": "done"}
    assert house.world == {"a": 1, "b": 9, "c": 1}


# Locks


def test_a_plan_that_waited_is_made_anew(house: House) -> None:
    """The second of two runs on one resource sees what the first did, not what it planned on."""
    pause = house.setter.fuse = Pause(("before", "a"))
    first = threading.Thread(target=lambda: house.apply(lane("a", setting("a", 0, 1))))
    first.start()
    assert pause.inside.wait(60)
    house.defuse()
    seen = []

    def make() -> Plan:
        seen.append(house.world["a"])
        threading.Timer(0.1, pause.go.set).start()
        return house.plan(lane("a", setting("a", seen[-1], 2)))

    _, record = house.engine.apply(make)
    first.join()
    assert record is not None and record.state == "done"
    assert seen == [0, 1] and house.world["a"] == 2


def test_a_plan_is_made_anew_when_a_run_came_and_went_while_it_was_made(house: House) -> None:
    seen: list[int] = []

    def make() -> Plan:
        seen.append(house.world["a"])
        if len(seen) == 1:
            Engine(house.store, [Setter(house.world)], house.archive).apply(
                lambda: house.plan(lane("other", setting("a", 0, 1)))
            )
        return house.plan(lane("a", setting("a", seen[-1], 2)), lane("b", setting("b", 0, 1)))

    _, record = house.engine.apply(make)
    assert seen == [0, 1] and record is not None and record.state == "done"


def test_what_a_live_run_is_changing_is_not_taken_for_somebodys_edit(house: House) -> None:
    """Seen half-way through another run, a lane is held; that run over, it is seen to be in order."""
    pause = house.setter.fuse = Pause(("after", "a"))
    deeds = lane("a", setting("a", 0, 1), setting("b", 0, 1))
    first = threading.Thread(target=lambda: house.apply(deeds))
    first.start()
    assert pause.inside.wait(60)
    house.defuse()
    seen = []

    def make() -> Plan:
        seen.append((house.world["a"], house.world["b"]))
        threading.Timer(0.1, pause.go.set).start()
        torn = Finding("clean", "fail", "torn") if seen[-1] == (1, 0) else None
        return Plan("sync", (Stage("one", (Lane("a", "a", held=torn),)),))

    plan, record = house.engine.apply(make, reads=[*deeds.steps[0].resources, "other"])
    first.join()
    assert seen == [(1, 0), (1, 1)] and record is None
    assert plan.stages[0].lanes[0].held is None and not house.locked()


def test_a_run_that_ends_while_a_plan_is_made_makes_it_anew(house: House) -> None:
    """It held the lock before the look began and gave it back before the plan asked for it."""
    other = Locks(house.store, "other")
    other.take(["x:a"], wait=0)
    seen: list[int] = []

    def make() -> Plan:
        seen.append(house.world.setdefault("a", 0))
        if len(seen) == 1:
            house.world["a"] = 1
            other.release()
        return house.plan(lane("a", setting("a", seen[-1], 2)))

    _, record = house.engine.apply(make)
    assert seen == [0, 1] and record is not None and record.state == "done"


def test_what_was_only_read_is_free_while_the_run_goes_on(house: House) -> None:
    held: list[object] = []
    house.setter.fuse = lambda where, name: held.append(house.locked())
    plan = house.plan(lane("a", setting("a", 0, 1)))
    house.engine.apply(lambda: plan, reads=["x:a", "x:other"])
    assert held and "x:other" not in str(held) and "x:a" in str(held[0])


def test_a_live_owner_is_waited_for_only_so_long(house: House) -> None:
    pause = house.setter.fuse = Pause(("before", "a"))
    first = threading.Thread(target=lambda: house.apply(lane("a", setting("a", 0, 1))))
    first.start()
    assert pause.inside.wait(60)
    other = Engine(house.store, [Setter(house.world)], house.archive, limits=Limits(2, 0.1))
    (run,) = house.runs()
    attempts: list[Callable[[], object]] = [
        lambda: other.apply(lambda: house.plan(lane("a", setting("a", 0, 2)))),
        lambda: other.resume(run),
        lambda: other.back_out(run, None, "aborted"),
    ]
    for attempt in attempts:
        with pytest.raises(LockTimeout) as caught:
            attempt()
        assert caught.value.hint.startswith("raccord show")
    pause.go.set()
    first.join()
    assert house.world["a"] == 1 and not house.locked()


def test_a_live_run_is_not_driven_twice_even_where_it_locks_nothing(house: House) -> None:
    pause = house.setter.fuse = Pause(("before", "a"))
    free = Step("set", 1, "set a", {"name": "a", "old": 0, "new": 1})
    first = threading.Thread(target=lambda: house.apply(lane("a", free)))
    first.start()
    assert pause.inside.wait(60)
    other = Engine(house.store, [Setter(house.world)], house.archive, limits=Limits(2, 0.1))
    with pytest.raises(LockTimeout, match="going on"):
        other.resume(house.runs()[0])
    assert other.recover() == []
    pause.go.set()
    first.join()


def test_a_lock_taken_over_fences_the_old_owner(house: House) -> None:
    def steal(where: str, name: str) -> None:
        if name == "a":
            with house.store.transaction() as db:
                db.execute("update locks set token = token + 1")

    house.setter.fuse = steal
    record = house.apply(lane("a", setting("a", 0, 1), setting("b", 0, 1)))
    finding = record.lanes["a"].finding
    assert house.world["b"] == 0 and finding is not None and "taken over" in finding.message


def test_a_refused_lane_keeps_the_planners_reason(house: House) -> None:
    why = Finding("dirty", "fail", "3 files are not committed", "git commit")
    record = house.apply(Lane("a", "A", held=why), lane("b", setting("b", 0, 1)))
    assert record.lanes["a"].finding == why and record.state == "partial"


# A stage that goes back further than itself, and locks that are given back early


def test_a_lane_that_fails_in_a_stage_goes_back_as_far_as_that_stage_says(house: House) -> None:
    first, own = lane("a", setting("a", 0, 1)), lane("d", setting("b", 0, 1))
    red = lane("a", setting("c", 0, 1), setting("y", 0, 1, fails="held"))
    plan = Plan("test", (Stage("move", (first,)), Stage("upgrade", (own,)), Stage("test", (red,), back=2)))
    _, record = house.engine.apply(lambda: plan)
    assert record is not None and house.lanes(record.id) == {"a": "held", "d": "done"}
    assert house.world == {"a": 0, "b": 1, "c": 0}, "the lane between them stays"


def test_what_was_locked_on_the_way_is_free_once_its_lane_is_over(house: House) -> None:
    more = [{"name": "n", "old": 0, "new": 1}]
    held: list[set[str]] = []

    def fuse(where: str, name: str) -> None:
        if where == "before" and name in ("n", "c"):
            held.append({row[0].strip('"') for row in house.locked()})

    house.setter.fuse = fuse
    house.apply(lane("a", setting("a", 0, 1, more=more)), lane("b"), second=[lane("b", setting("c", 0, 1))])
    during, after = held
    assert "x:n" in during and "x:n" not in after and "x:a" in after
