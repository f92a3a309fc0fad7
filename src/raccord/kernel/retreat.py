"""Takes a lane back: what it did from a stage on, newest first, and then it is held, skipped or aborted.

Where it goes is written down first, so that a kill on the way back never turns it round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raccord.errors import RaccordError, RestoreFailed, Stop, StoreError, Unanswered
from raccord.kernel.record import LaneRecord, StepRecord
from raccord.model.handler import Outcome, Position
from raccord.model.plan import RESTORE_FAILED

if TYPE_CHECKING:
    from raccord.kernel.lanes import LaneRunner


def retreat(runner: LaneRunner, lane: LaneRecord) -> None:
    """Takes a lane back as far as its retreat says; can be called again after a kill.

    Raises:
        StoreError: the journal can't be written; it stands as after a kill.
    """
    goal = lane.retreat
    assert goal is not None
    try:
        _put_back(runner, lane.key, goal.stage)
    except StoreError:
        raise
    except RaccordError as trouble:
        why = f"{goal.finding.message}; " if goal.finding else ""
        said = f"{why}putting it back stopped: {trouble.message}"
        data = dict(trouble.data)
        if isinstance(trouble, RestoreFailed):
            data["finding"] = RESTORE_FAILED
        runner.stop(lane, Stop(said, hint=trouble.hint, **data))
    except Exception as error:  # noqa: BLE001 - kept, and raised at the end
        runner.bug(lane, error)
    else:
        runner.journal.lane(runner.record.id, lane, goal.state, goal.finding)
        runner.tell(lane.key, "held", goal.finding.message if goal.finding else goal.state)


def _put_back(runner: LaneRunner, key: str, first_stage: int) -> None:
    for record in reversed(runner.record.of(key)):
        if record.back or record.stage < first_stage:
            continue
        if record.state == "running":
            _settle_for_return(runner, record)
        if record.state == "done":
            _return(runner, record)
        elif record.state == "pending":
            runner.journal.step(runner.record.id, record, "skipped")


def _settle_for_return(runner: LaneRunner, record: StepRecord) -> None:
    handler = runner.handler(record.step)
    context = runner.context(record.lane)
    runner.own(record.step)
    position = handler.probe(record.step, context)
    if position is Position.UNKNOWN:
        raise Unanswered(f"{record.step.title}: nobody can tell whether it took place")
    if position is Position.AFTER:
        # `apply` finds that it is done, and says what taking it back needs.
        runner.journal.step(runner.record.id, record, "done", handler.apply(record.step, context))
        return
    if position is Position.BETWEEN:
        handler.revert(record.step, context)
    runner.journal.step(runner.record.id, record, "failed")


def _return(runner: LaneRunner, record: StepRecord) -> None:
    inverse = runner.handler(record.step).inverse(record.step, record.outcome or Outcome())
    if isinstance(inverse, str):
        raise Stop(f"{record.step.title}: {inverse}")
    if inverse and not _back(runner, record):
        runner.journal.add_inverse(runner.record, record, inverse)
    while (step := next((s for s in _back(runner, record) if s.state != "done"), None)) is not None:
        runner.do(step)
    runner.journal.step(runner.record.id, record, "undone")


def _back(runner: LaneRunner, record: StepRecord) -> list[StepRecord]:
    return [s for s in runner.record.of(record.lane) if s.back == record.seq]
