"""Runs one stage: its lanes side by side, each once those that it stands on got through."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from raccord.errors import RaccordError
from raccord.kernel.batch import run_batches
from raccord.kernel.lanes import LaneRunner
from raccord.kernel.record import OPEN_LANES, RunRecord


def run_stage(runner: LaneRunner, stage: int, keys: Sequence[str], jobs: int) -> None:
    """Runs lanes to the end of a stage.

    Args:
        keys: the lanes, each with something to do.
        jobs: how many at once.

    Raises:
        StoreError: the journal can't be written; it stands as after a kill.
    """
    if any(s.step.batch for key in keys for s in runner.record.of(key, stage)):
        run_batches(runner, stage, _standing(runner, stage, keys))
    else:
        _side_by_side(runner, stage, keys, jobs)


def _standing(runner: LaneRunner, stage: int, keys: Sequence[str]) -> list[str]:
    """Those whose ground held in the stages before; in a batch they go together."""
    going = []
    for key in keys:
        fallen = _fallen(runner.record, key, stage, stage - 1)
        if fallen is None:
            going.append(key)
        else:
            runner.hold(runner.record.lanes[key], stage, fallen)
    return going


def _side_by_side(runner: LaneRunner, stage: int, keys: Sequence[str], jobs: int) -> None:
    waiting = list(keys)
    running: dict[Future[None], str] = {}
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="lane")
    try:
        while waiting or running:
            for key in _ready(runner, stage, waiting, list(running.values())):
                waiting.remove(key)
                if _waits(runner.record, key, stage):
                    continue
                fallen = _fallen(runner.record, key, stage, stage)
                if fallen is None:
                    running[pool.submit(runner.run, key, stage)] = key
                else:
                    runner.hold(runner.record.lanes[key], stage, fallen)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                future.result()
    finally:
        _end(runner, pool, running)


def _end(runner: LaneRunner, pool: ThreadPoolExecutor, running: dict[Future[None], str]) -> None:
    # Until the last lane is through its step, the locks must not be given back: a second Ctrl-C waits too.
    while True:
        try:
            if running:  # an interrupt, or an error that ends the run
                runner.cancel.set()
            pool.shutdown(wait=False, cancel_futures=True)
            # One that was cancelled before it began never counts as done: no worker takes it up any more.
            wait([future for future in running if not future.cancelled()])
        except KeyboardInterrupt:
            continue
        return


def _ready(runner: LaneRunner, stage: int, waiting: Sequence[str], running: Sequence[str]) -> list[str]:
    """The waiting lanes that stand on none that is still to end."""
    busy = {*waiting, *running}
    ready = [key for key in waiting if not busy & _needs(runner.record, key, stage)]
    # Lanes that need each other would wait for ever; the first one falls over the other's state.
    return ready or ([] if running else list(waiting[:1]))


def _needs(record: RunRecord, key: str, stage: int) -> set[str]:
    return {need for lane in record.plan.stages[stage].lanes if lane.key == key for need in lane.needs}


def _waits(record: RunRecord, key: str, stage: int) -> bool:
    """Whether a lane stays open, as one that it stands on does: that waits for a person."""
    if not any(lane.waits for lane in record.plan.stages[stage].lanes if lane.key == key):
        return False
    needed = [need for need in _needs(record, key, stage) if need in record.lanes]
    return any(
        record.lanes[need].state in OPEN_LANES
        and any(
            s.stage <= stage and not s.back and s.state in ("pending", "running") for s in record.of(need)
        )
        for need in needed
    )


def _fallen(record: RunRecord, key: str, stage: int, through: int) -> RaccordError | None:
    """Why a lane can't start: one that it stands on did not get through the stages to this one."""
    for need in sorted(_needs(record, key, stage) & record.lanes.keys()):
        other = record.lanes[need]
        left = [s for s in record.of(need) if not s.back and s.state in ("pending", "running")]
        behind = any(s.stage <= through for s in left)
        if behind or other.state not in ("pending", "running", "done", "nothing"):
            said = f"it stands on {other.title}, which is {other.state}"
            hint = other.finding.hint if other.finding else ""
            return RaccordError(said, hint=hint or "raccord sync --all")
    return None
