"""Runs the stage whose steps of several lanes go in one call, such as one push for all branches.

Each lane still has its own step, answer and end: one refused branch is held back alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from raccord.errors import RaccordError, StoreError
from raccord.kernel.lanes import Cancelled, LaneRunner, settle
from raccord.kernel.record import StepRecord
from raccord.model.handler import BatchHandler, Context, Handler, Outcome, Position
from raccord.model.plan import Step

Failed = list[tuple[StepRecord, Exception]]


def positions(handler: Handler, steps: Sequence[Step], contexts: Sequence[Context]) -> Sequence[Position]:
    """Asks the world about steps of one kind and batch, in one question where they can go together."""
    if steps[0].batch:
        return cast(BatchHandler, handler).probe_batch(steps, contexts)
    return [handler.probe(step, context) for step, context in zip(steps, contexts, strict=True)]


def run_batches(runner: LaneRunner, stage: int, keys: Sequence[str]) -> None:
    """Runs the lanes of one stage round by round, each lane's next step grouped with its like.

    Raises:
        StoreError: the journal can't be written; it stands as after a kill.
    """
    lanes = list(keys)
    for key in lanes:
        runner.tell(key, "started", runner.record.lanes[key].title)
    while lanes:
        groups: dict[tuple[str, int, str], list[StepRecord]] = {}
        for key in list(lanes):
            record = runner.next_step(key, stage)
            if record is None:
                runner.passed(key, stage)
                lanes.remove(key)
            else:
                step = record.step
                groups.setdefault((step.kind, step.version, step.batch or key), []).append(record)
        for group in groups.values():
            for record, error in _run_group(runner, group):
                runner.failed(record.lane, stage, error)
                lanes.remove(record.lane)


def _run_group(runner: LaneRunner, group: list[StepRecord]) -> Failed:
    """Does one round's steps of a kind; returns those that failed, with why."""
    if runner.cancel.is_set():
        return [(record, Cancelled()) for record in group]
    try:
        handler = runner.handler(group[0].step)
    except RaccordError as error:
        return [(record, error) for record in group]
    contexts = {record.lane: runner.context(record.lane) for record in group}
    ready, failed = _prepared(runner, handler, group, contexts)
    if not ready:
        return failed
    with runner.store.transaction():
        for record in ready:
            if record.state != "running":
                runner.begin(record)
    for record in ready:
        runner.tell(record.lane, "step", record.step.title)
    return failed + _apply(runner, handler, ready, [contexts[record.lane] for record in ready])


def _prepared(
    runner: LaneRunner, handler: Handler, group: list[StepRecord], contexts: Mapping[str, Context]
) -> tuple[list[StepRecord], Failed]:
    """Locks what the steps need, and asks the world about those that had begun."""
    ready: list[StepRecord] = []
    failed: Failed = []
    begun = [record for record in group if record.state == "running" and record.seq not in runner.begun]
    found: dict[str, Position] = {}
    try:
        if begun:
            asked = positions(handler, [r.step for r in begun], [contexts[r.lane] for r in begun])
            found = {record.lane: position for record, position in zip(begun, asked, strict=True)}
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - each lane's end is decided by the runner
        return [], [(record, error) for record in group]
    for record in group:
        try:
            runner.own(record.step)
            if record.lane in found:
                settle(record.step, found[record.lane])
            ready.append(record)
        except StoreError:
            raise
        except RaccordError as error:
            failed.append((record, error))
    return ready, failed


def _apply(
    runner: LaneRunner, handler: Handler, ready: list[StepRecord], contexts: Sequence[Context]
) -> Failed:
    steps = [record.step for record in ready]
    answers: Sequence[Outcome | Exception]
    try:
        if steps[0].batch:
            answers = cast(BatchHandler, handler).apply_batch(steps, contexts)
        else:
            answers = [handler.apply(step, context) for step, context in zip(steps, contexts, strict=True)]
        pairs = list(zip(ready, answers, strict=True))
    except Exception as error:  # noqa: BLE001 - each lane's end is decided by the runner
        return [(record, error) for record in ready]
    failed: Failed = []
    with runner.store.transaction():
        for record, answer in pairs:
            if isinstance(answer, Outcome):
                try:
                    runner.finish(record, answer)
                except StoreError:
                    raise
                except RaccordError as error:
                    failed.append((record, error))
            else:
                failed.append((record, answer))
    return failed
