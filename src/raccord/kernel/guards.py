"""What must hold before a plan runs or a run goes on: nothing gets lost, nobody else needs what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from raccord.errors import CannotRun, RunIsOver, UsageError
from raccord.kernel.journal import Journal
from raccord.kernel.record import EVERYTHING, RunRecord
from raccord.model.plan import Finding, Lane, Plan, Stage, Step


def resources(steps: Iterable[Step]) -> set[str]:
    """What the lanes of these steps alone change."""
    return {name for step in steps for name in step.resources}


def shared(steps: Iterable[Step]) -> set[str]:
    """What other lanes change too."""
    return {name for step in steps for name in step.shared}


def unbacked(steps: Sequence[Step]) -> Step | None:
    """The first step of a lane that overwrites something which no earlier one keeps."""
    for step in steps:
        if step.backs_up:
            return None
        if step.destroys:
            return step
    return None


def refuse_unbacked(plan: Plan) -> None:
    """Makes sure that every lane keeps what it overwrites.

    Raises:
        CannotRun: one does not.
    """
    for lanes in plan.lanes().values():
        bad = unbacked([step for lane in lanes for step in lane.steps])
        if bad is not None:
            raise CannotRun(f"refused: {bad.title} overwrites something without a backup before it")


def hold_marked(plan: Plan, journal: Journal) -> Plan:
    """Holds back the lanes whose resources an unfinished run still needs, and those that stand on them."""
    marked = _marked(journal)
    if not marked:
        return plan
    lanes = [lane for stage in plan.stages for lane in stage.lanes]
    blocked: dict[str, str] = {}
    for lane in lanes:
        for name in sorted(resources(lane.steps)):
            if name in marked or (EVERYTHING in marked and lane.steps):
                blocked.setdefault(lane.key, marked.get(name, marked.get(EVERYTHING, "")))
    more = True
    while more:
        fallen = {
            lane.key: blocked[need]
            for lane in lanes
            for need in lane.needs
            if need in blocked and lane.key not in blocked and lane.steps
        }
        blocked |= fallen
        more = bool(fallen)
    return replace(plan, stages=tuple(_hold_stage(stage, blocked) for stage in plan.stages))


def _marked(journal: Journal) -> dict[str, str]:
    """What unfinished runs need, each with its run; live ones too, which may go on with one lane alone."""
    marked: dict[str, str] = {}
    for run in journal.unfinished():
        record = journal.load(run)
        for key in record.open_lanes:
            for name in resources(s.step for s in record.of(key)):
                marked.setdefault(name, run)
    return marked


def _hold_stage(stage: Stage, blocked: Mapping[str, str]) -> Stage:
    return replace(stage, lanes=tuple(_held(lane, blocked.get(lane.key)) for lane in stage.lanes))


def _held(lane: Lane, run: str | None) -> Lane:
    if run is None:
        return lane
    said = f"run {run} is not finished here"
    return replace(lane, steps=(), held=Finding("unfinished", "fail", said, f"raccord continue --run {run}"))


def unfinished(record: RunRecord, only: str | None) -> RunRecord:
    """The run itself, if something of it, or of one lane, is left to do.

    Raises:
        RunIsOver: nothing is.
        UsageError: it has no unfinished lane of this key.
    """
    if record.state not in ("running", "interrupted", "stopped"):
        raise RunIsOver(f"run {record.id} is over ({record.state}); nothing waits", hint="raccord log")
    if only is not None and only not in record.open_lanes:
        raise UsageError(
            f"no unfinished lane {only!r} in run {record.id}",
            hint=f"raccord show {record.id}",
            lanes=record.open_lanes,
        )
    return record


def refuse_without_ground(record: RunRecord, only: str) -> None:
    """Makes sure that a lane which is to go on by itself stands on none that is unfinished.

    Raises:
        UsageError: it does.
    """
    ground = {need for lane in record.plan.lanes().get(only, ()) for need in lane.needs}
    for need in record.open_lanes:
        if need in ground:
            title = record.lanes[need].title
            hint = f"raccord continue --run {record.id}"
            raise UsageError(f"it stands on {title}, which is not finished", hint=hint)
