"""Undo: a plan of its own, scoped, asked of the world, refusing what moved, and itself undoable."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raccord.errors import UsageError, WorldMoved
from raccord.kernel.undo import undo_plan, undoable
from raccord.model.handler import Outcome
from raccord.model.plan import Finding, Plan, Step
from tests.kernel.house import House, Killed, exploding, lane, pushing, setting


def held(plan: Plan) -> dict[str, Finding]:
    return {one.key: one.held for stage in plan.stages for one in stage.lanes if one.held}


def test_a_run_is_taken_back_newest_first(house: House) -> None:
    record = house.apply(
        lane("a", setting("a", 0, 1), setting("a2", 0, 1)),
        lane("b", setting("b", 0, 1)),
        second=[lane("a", pushing("c", 0, 1))],
    )
    plan = house.undo_plan(record.id)
    assert [stage.name for stage in plan.stages] == ["undo two", "undo one"]
    assert [step.title for step in plan.steps()] == ["push c", "set b", "set a2", "set a"]
    assert plan.undo_of == record.id and plan.by == "me" and plan.verb == "undo"
    done = house.undo(record.id)
    assert done is not None and done.state == "done" and done.undo_of == record.id
    assert set(house.world.values()) == {0}


def test_what_moved_since_is_refused_alone(house: House) -> None:
    record = house.apply(*(lane(name, setting(name, 0, 1)) for name in "abc"))
    house.world["b"] = 5
    plan, done = house.engine.apply(lambda: house.undo_plan(record.id))
    assert house.world == {"a": 0, "b": 5, "c": 0}
    assert list(held(plan)) == ["b"] and "changed since" in held(plan)["b"].message
    assert done is not None and done.state == "partial"


def test_a_lane_that_moved_in_one_stage_is_refused_in_all(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1)), second=[lane("a", pushing("b", 0, 1))])
    house.world["b"] = 5
    plan = house.undo_plan(record.id)
    assert plan.empty and list(held(plan)) == ["a"]


def test_what_moves_after_the_plan_is_held_when_it_is_applied(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1)), lane("b", setting("b", 0, 1)))
    plan = house.undo_plan(record.id)
    house.world["b"] = 5
    _, done = house.engine.apply(lambda: plan)
    assert done is not None and house.lanes(done.id) == {"b": "held", "a": "done"}
    assert house.world == {"a": 0, "b": 5, "c": 0}


def test_an_undo_that_was_held_back_took_nothing_back(house: House) -> None:
    """Or the next one would take an older run back instead."""
    older = house.apply(lane("a", setting("a", 0, 1)))
    record = house.apply(lane("b", setting("b", 0, 1)))
    plan = house.undo_plan(record.id)
    house.world["b"] = 5
    _, done = house.engine.apply(lambda: plan)
    assert done is not None and done.state == "partial" and done.undo_of == record.id
    journal = house.engine.journal
    assert journal.undone_by(record.id) == "" and undoable(journal, house.engine.handlers) == record.id
    house.world["b"] = 1
    assert house.undo(record.id) is not None
    assert undoable(journal, house.engine.handlers) == older.id


def test_it_says_what_cannot_be_undone_and_undoes_the_rest(house: House) -> None:
    record = house.apply(
        lane("a", setting("a", 0, 1), setting("f", 0, 1, forever=True)),
        second=[lane("a", pushing("g", 0, 1, forever=True))],
    )
    plan, done = house.engine.apply(lambda: house.undo_plan(record.id))
    notes = [note.message for stage in plan.stages for one in stage.lanes for note in one.notes]
    assert notes == ["push g: it is for ever", "set f: it is for ever"]
    assert done is not None and done.state == "done"
    assert (house.world["a"], house.world["f"], house.world["g"]) == (0, 1, 1)


def test_nothing_to_take_back_is_said(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1, nothing=True)))
    plan, done = house.engine.apply(lambda: house.undo_plan(record.id))
    assert done is None and plan.notes[0].name == "undo.nothing"


def test_only_for_ever_leaves_a_plan_that_says_so(house: House) -> None:
    record = house.apply(lane("f", setting("f", 0, 1, forever=True)))
    plan, done = house.engine.apply(lambda: house.undo_plan(record.id))
    assert done is None and "for ever" in plan.stages[0].lanes[0].notes[0].message


def test_a_lane_that_was_put_back_is_left_alone(house: House) -> None:
    record = house.apply(
        lane("a", setting("a", 0, 1)), lane("b", setting("b", 0, 1), setting("y", 0, 1, fails="held"))
    )
    plan = house.undo_plan(record.id)
    assert [one.key for stage in plan.stages for one in stage.lanes] == ["a"]


def test_an_undo_can_be_undone_and_that_too(house: House) -> None:
    run = house.apply(lane("a", setting("a", 0, 1)), second=[lane("a", pushing("b", 0, 1))]).id
    for wanted in (0, 1, 0, 1):
        record = house.undo(run)
        assert record is not None and record.state == "done"
        assert house.world["a"] == house.world["b"] == wanted
        run = record.id


def test_an_unfinished_run_is_not_undone(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1, fails="stop")))
    with pytest.raises(UsageError, match="not over"):
        house.undo_plan(record.id)


def test_an_undo_that_was_killed_is_finished(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1), setting("b", 0, 1)))
    house.setter.fuse = exploding(("before", "a"), Killed())
    with pytest.raises(Killed):
        house.undo(record.id)
    house.reopen()
    (again,) = house.engine.recover()
    assert again.state == "done" and house.world == {"a": 0, "b": 0, "c": 0}


# Asking the world


def test_a_batch_is_asked_in_one_question_and_taken_back_in_one_call(house: House) -> None:
    record = house.apply(*(lane(name, pushing(name, 0, 1)) for name in "abc"))
    house.world["b"] = 7
    house.batcher.asked.clear()
    house.batcher.applied.clear()
    plan, _ = house.engine.apply(lambda: house.undo_plan(record.id))
    assert house.batcher.asked == [["c", "b", "a"]]
    assert house.batcher.applied == [["c", "a"]]
    assert list(held(plan)) == ["b"]


def test_a_batch_that_does_not_answer_holds_its_lanes_alone(house: House) -> None:
    record = house.apply(lane("a", pushing("a", 0, 1)), lane("b", setting("b", 0, 1)))
    house.batcher.silent = True
    plan = house.undo_plan(record.id)
    assert list(held(plan)) == ["a"] and "nobody can tell" in held(plan)["a"].message

    def broken(steps: object, contexts: object) -> object:
        raise WorldMoved("the remote is gone")

    house.batcher.probe_batch = broken  # type: ignore[method-assign,assignment] # a handler out of contract
    assert "the remote is gone" in held(house.undo_plan(record.id))["a"].message


def test_a_step_is_asked_only_where_no_earlier_one_prepares_its_world(house: House) -> None:
    """Both steps are on one thing: once the second is taken back, the first finds the world that it left."""
    one, two = setting("a", 0, 1), setting("a", 1, 2)
    record = house.apply(lane("a", one), second=[lane("a", two)])
    house.setter.probes.clear()
    plan = house.undo_plan(record.id)
    assert house.setter.probes == ["a"] and not held(plan)
    house.undo(record.id)
    assert house.world["a"] == 0


# Backups, and other releases


def test_a_destructive_inverse_gets_one_backup_before_it(house: House) -> None:
    keep = Step("keep", 1, "keep it", backs_up=True)
    record = house.apply(lane("a", setting("a", 0, 1), setting("a2", 0, 1)))
    inverse = house.setter.inverse

    def destroying(step: Step, outcome: Outcome) -> tuple[Step, ...]:
        back = inverse(step, outcome)
        assert not isinstance(back, str)
        return tuple(replace(s, destroys=True) for s in back)

    house.setter.inverse = destroying  # type: ignore[method-assign] # a handler that overwrites
    loaded = house.engine.journal.load(record.id)
    plan = undo_plan(loaded, house.engine.handlers, lambda step: (keep,), "me")
    assert [step.title for step in plan.steps()] == ["keep it", "set a2", "set a"]

    def gone(step: Step) -> tuple[Step, ...]:
        raise UsageError("no worktree any more")

    plan = undo_plan(loaded, house.engine.handlers, gone, "me")
    assert plan.empty and "no worktree" in held(plan)["a"].message


def test_a_step_of_another_release_holds_its_lane_and_names_the_release(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1)), lane("b", setting("b", 0, 1)))
    with house.store.transaction() as db:
        db.execute(
            "update steps set step = replace(step, '\"version\":1', '\"version\":9') where lane = '\"b\"'"
        )
        db.execute("update runs set release = '9.9'")
    plan, done = house.engine.apply(lambda: house.undo_plan(record.id))
    finding = held(plan)["b"]
    assert "raccord 9.9 wrote set version 9" in finding.message and finding.hint == "install raccord 9.9"
    assert done is not None and house.world == {"a": 0, "b": 1, "c": 0}


def test_a_held_lane_is_shown_although_nothing_of_it_could_be_planned(house: House) -> None:
    record = house.apply(lane("a", setting("a", 0, 1)))
    house.engine.handlers.pop("set")
    plan = house.undo_plan(record.id)
    assert list(held(plan)) == ["a"] and not plan.notes
