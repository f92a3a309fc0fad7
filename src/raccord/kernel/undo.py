"""Undo as a plan: computed from what a run's steps recorded, newest first, refusing what moved since."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from raccord.errors import UnknownStep, UsageError
from raccord.kernel.journal import RunRecord, StepRecord
from raccord.model.handler import Context, Handler, Outcome, Position
from raccord.model.plan import Finding, Lane, Plan, Stage, Step


def undo_plan(
    record: RunRecord,
    handlers: Mapping[str, Handler],
    backup: Callable[[Step], tuple[Step, ...]],
    by: str,
) -> Plan:
    """The plan that takes a run back, scoped to what the run touched.

    Args:
        record: the run; none of its lanes may be unfinished.
        handlers: the step handlers by kind.
        backup: the steps that keep what a given step overwrites.
        by: who asks.

    Raises:
        UsageError: the run is not over.
    """
    if record.open_lanes:
        raise UsageError(f"run {record.id} is not over", hint=f"raccord abort --run {record.id}")
    stages: list[Stage] = []
    held: dict[str, Finding] = {}
    for number in reversed(range(len(record.plan.stages))):
        lanes = [
            _lane(record, key, number, handlers, backup, held)
            for key in reversed(record.lanes)
            if _done(record, key, number)
        ]
        stages.append(Stage(f"undo {record.plan.stages[number].name}", tuple(lanes)))
    stages = [_hold(stage, held) for stage in stages if stage.lanes]
    notes = () if stages else (Finding("undo.nothing", "note", f"run {record.id} changed nothing"),)
    return Plan("undo", tuple(stages), notes=notes, undo_of=record.id, by=by)


def _done(record: RunRecord, key: str, stage: int) -> list[StepRecord]:
    return [s for s in record.of(key, stage) if s.state == "done" and not s.back]


def _lane(
    record: RunRecord,
    key: str,
    stage: int,
    handlers: Mapping[str, Handler],
    backup: Callable[[Step], tuple[Step, ...]],
    held: dict[str, Finding],
) -> Lane:
    steps: list[Step] = []
    notes: list[Finding] = []
    for done in reversed(_done(record, key, stage)):
        handler = handlers.get(done.step.kind)
        if handler is None or handler.version != done.step.version:
            raise UnknownStep(
                f"this release can't take back {done.step.kind} version {done.step.version}",
                hint="install the raccord release that wrote the run",
            )
        inverse = handler.inverse(done.step, done.outcome or Outcome())
        if isinstance(inverse, str):
            notes.append(Finding("undo.impossible", "note", f"{done.step.title}: {inverse}"))
            continue
        for step in inverse:
            if not any(_share(step, earlier) for earlier in steps):
                moved = _moved(step, handlers, record.id, key)
                if moved is not None:
                    held.setdefault(key, moved)
            if step.destroys and not any(s.backs_up for s in steps):
                steps.extend(backup(step))
            steps.append(step)
    return Lane(key, record.lanes[key].title, tuple(steps), notes=tuple(notes))


def _share(step: Step, earlier: Step) -> bool:
    # The world that this step waits for is only there once the earlier one is done.
    return not set(step.resources).isdisjoint(earlier.resources)


def _moved(step: Step, handlers: Mapping[str, Handler], run: str, lane: str) -> Finding | None:
    context = Context(run, lane, lambda text: None, lambda: False)
    position = handlers[step.kind].probe(step, context)
    if position is Position.BEFORE:
        return None
    if position is Position.AFTER:
        said = f"{step.title}: already so"
    elif position is Position.UNKNOWN:
        said = f"{step.title}: nobody can tell how it stands now"
    else:
        said = f"{step.title}: it was changed since"
    return Finding("undo.moved", "fail", said, f"raccord show {run}")


def _hold(stage: Stage, held: Mapping[str, Finding]) -> Stage:
    lanes = tuple(
        Lane(lane.key, lane.title, held=held[lane.key], notes=lane.notes) if lane.key in held else lane
        for lane in stage.lanes
    )
    return Stage(stage.name, lanes)
