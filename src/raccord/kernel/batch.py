"""Runs the stage whose steps of several lanes go in one call, such as one push for all branches.

Each lane still has its own step, answer and end: one refused branch is held back alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from raccord.errors import RaccordError
from raccord.kernel.journal import StepRecord
from raccord.kernel.lanes import Cancelled, LaneRunner
from raccord.model.handler import BatchHandler, Outcome


def run_batches(runner: LaneRunner, stage: int, keys: Sequence[str]) -> None:
    """Runs the lanes of one stage round by round, each lane's next step grouped with its like."""
    lanes = list(keys)
    for key in lanes:
        runner.journal.lane(runner.record.id, runner.record.lanes[key], "running")
    while lanes:
        groups: dict[tuple[str, str], list[StepRecord]] = {}
        for key in list(lanes):
            record = runner.next_step(key, stage)
            if record is None:
                runner.passed(key, stage)
                lanes.remove(key)
            else:
                groups.setdefault((record.step.kind, record.step.batch or key), []).append(record)
        for group in groups.values():
            for record, error in _run_group(runner, group):
                runner.failed(record.lane, stage, error)
                lanes.remove(record.lane)


def _run_group(runner: LaneRunner, group: list[StepRecord]) -> list[tuple[StepRecord, BaseException]]:
    """Does one round's steps of a kind; returns those that failed, with why."""
    failed: list[tuple[StepRecord, BaseException]] = []
    ready = []
    for record in group:
        try:
            if runner.cancelled():
                raise Cancelled
            handler = runner.handler(record.step)
            context = runner.context(record.lane)
            if record.state != "running" or not runner.settled(handler, record, context):
                runner.own(record.step)
                ready.append(record)
        except (RaccordError, Cancelled) as error:
            failed.append((record, error))
    if not ready:
        return failed
    with runner.store.transaction():
        for record in ready:
            runner.journal.step(runner.record.id, record, "running")
    runner.tell("", "step", ready[0].step.title if len(ready) == 1 else f"{ready[0].step.batch}: {len(ready)}")
    return failed + _apply(runner, ready)


def _apply(runner: LaneRunner, ready: list[StepRecord]) -> list[tuple[StepRecord, BaseException]]:
    handler = runner.handler(ready[0].step)
    contexts = [runner.context(record.lane) for record in ready]
    answers: Sequence[Outcome | Exception]
    if ready[0].step.batch:
        answers = cast(BatchHandler, handler).apply_batch([r.step for r in ready], contexts)
    else:
        answers = [_one(runner, record) for record in ready]
    failed: list[tuple[StepRecord, BaseException]] = []
    with runner.store.transaction():
        for record, answer in zip(ready, answers, strict=True):
            if isinstance(answer, Outcome):
                runner.finish(record, answer)
            else:
                failed.append((record, answer))
    return failed


def _one(runner: LaneRunner, record: StepRecord) -> Outcome | Exception:
    try:
        return runner.handler(record.step).apply(record.step, runner.context(record.lane))
    except RaccordError as error:
        return error
