"""Joins hooks to a plan that moves rows or objects, and knows which of them are still pending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raccord.config import Secret, absent, variable
from raccord.data.steps import PUSH
from raccord.files.steps import PUT
from raccord.hooks.attempts import ASKED, SENT
from raccord.hooks.call import Call, call
from raccord.hooks.steps import AFTER, BEFORE, KIND, attempts, call_step
from raccord.kernel import secret
from raccord.kernel.journal import Journal
from raccord.kernel.record import RunRecord, StepRecord
from raccord.model.plan import Lane, Plan, Stage, Step
from raccord.model.report_data import PendingHook
from raccord.verbs.room import Room

UNFINISHED = ("pending", "running")


def configured(room: Room, name: str) -> Call:
    """A hook by its name.

    Raises:
        UsageError: there is none, or it says nothing sensible.
    """
    found = room.config.hooks.get(name)
    if found is None:
        raise absent("hook", name, room.config.hooks, "hooks")
    return call(name, found)


def changes(stages: Sequence[Stage]) -> bool:
    """Whether a plan changes rows or objects, and does not merely note what it found."""
    return any(_changes(step) for stage in stages for lane in stage.lanes for step in lane.steps)


def _changes(step: Step) -> bool:
    return step.kind == PUSH or (step.kind == PUT and bool(step.payload["items"]))


def hooked(room: Room, plan: Plan, goal: str, before: Sequence[str], after: Sequence[str]) -> Plan:
    """A plan with its hooks: each a lane of its own, so that one that waits holds nothing else up.

    A hook that several sets name is called once. Where nothing changes, none is called.

    Raises:
        UsageError: there is no such hook, or one says nothing sensible.
        CannotRun: a secret of one can't be read.
    """
    first = [configured(room, name) for name in dict.fromkeys(before)]
    last = [configured(room, name) for name in dict.fromkeys(after)]
    if not changes(plan.stages):
        return plan
    for one in (*first, *last):
        _readable(room, one)
    # What an unfinished run keeps from the push keeps the hooks before it too.
    held = tuple(dict.fromkeys(name for step in plan.steps() for name in step.resources))
    opening = [_lane(room, one, goal, BEFORE, held) for one in first]
    opening = [replace(lane, needs=tuple(one.key for one in opening[:at])) for at, lane in enumerate(opening)]
    needed = tuple(lane.key for lane in opening)
    main = tuple(
        replace(stage, lanes=tuple(replace(lane, needs=needed, waits=True) for lane in stage.lanes))
        for stage in plan.stages
    )
    pushed = tuple(dict.fromkeys(lane.key for stage in plan.stages for lane in stage.lanes))
    closing = [replace(_lane(room, one, goal, AFTER, ()), needs=pushed) for one in last]
    stages = (
        *(Stage(f"before: {lane.title}", (lane,)) for lane in opening),
        *main,
        *(Stage(f"after: {lane.title}", (lane,)) for lane in closing),
    )
    return replace(plan, stages=stages)


def _readable(room: Room, what: Call) -> None:
    """Makes sure beforehand that secrets can be read; a program that asks for one is asked only once."""
    for name, source in what.headers.items():
        if source.kind != "command":
            read(room, source, f"the header {name} of the hook {what.name}")


def read(room: Room, source: Secret, what: str) -> str:
    """A secret of a hook.

    Raises:
        CannotRun: it can't be read.
    """
    return secret.read(source, what, room.repo.top or room.repo.common, variable)


def _lane(room: Room, what: Call, goal: str, when: str, held: tuple[str, ...]) -> Lane:
    step = replace(call_step(what, goal, when, room.state), resources=held)
    return Lane(f"hook:{when}:{what.name}", f"{what.name}, {when} the push", (step,), waits=True)


def _open(record: RunRecord) -> list[StepRecord]:
    """The hooks of a run that are not over."""
    return [
        step
        for key in record.open_lanes
        for step in record.of(key)
        if step.step.kind == KIND and step.state in UNFINISHED
    ]


def asked(record: RunRecord, lane: str | None) -> None:
    """Notes that a person decides about a run's hooks, or that of one lane: what may have been heard may be
    sent again.
    """
    for step in (one for one in _open(record) if lane in (None, one.lane)):
        attempts(step.step, record.id).add(ASKED)


def only_hooks_left(record: RunRecord) -> bool:
    """Whether all that is open of a run are hooks after it: what it pushed stands."""
    steps = [step for key in record.open_lanes for step in record.of(key)]
    return bool(steps) and all(s.step.kind == KIND and s.step.payload["when"] == AFTER for s in steps)


def pending(journal: Journal | None) -> tuple[PendingHook, ...]:
    """Hooks after pushes that stand, and that were not answered as they are to be."""
    found = []
    for run in journal.unfinished() if journal else ():
        record = journal.load(run) if journal else None
        if record is None or (record.state == "running" and record.owner.alive()):
            continue
        for one in _open(record):
            if one.step.payload["when"] != AFTER:
                continue
            finding = record.lanes[one.lane].finding
            name, goal = one.step.payload["name"], one.step.payload["goal"]
            unknown = attempts(one.step, run).last == SENT
            why = "cut off, and whether it ran is not known" if unknown else "not called yet"
            found.append(
                PendingHook(
                    name=name,
                    environment=goal,
                    run=run,
                    unknown=unknown,
                    why=finding.message if finding else f"{name} in {goal}: {why}",
                    next_command=f"raccord continue --run {run}",
                )
            )
    return tuple(found)
