"""The engine: the only one who applies. Locks, checks, writes the intent, then takes each step.

A lane that fails is put back alone; a kill at any point is finished by `resume` or taken back by `abort`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Literal

from raccord.errors import CannotRun, RaccordError, RunIsOver, UsageError
from raccord.kernel.batch import run_batches
from raccord.kernel.journal import Archive, Journal, RunRecord, new_id
from raccord.kernel.lanes import LaneRunner, resources, shared
from raccord.kernel.locks import Locks, tokens
from raccord.kernel.store import Store
from raccord.model.event import Event, Listener, silent
from raccord.model.handler import Handler
from raccord.model.plan import Finding, Lane, Plan, Stage


@dataclass(frozen=True, slots=True)
class Limits:
    """How the engine runs.

    Attributes:
        jobs: how many lanes at once.
        lock_wait: seconds to wait for a resource that a live run holds.
    """

    jobs: int = 2
    lock_wait: float = 300.0


class Engine:
    """Applies plans.

    Args:
        store: the state database.
        handlers: one for each kind of step.
        archive: the journal's second copy.
        limits: how much at once, and how long to wait.
        listen: told what happens.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        handlers: Iterable[Handler],
        archive: Archive,
        *,
        limits: Limits = Limits(),
        listen: Listener = silent,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.journal = Journal(store, archive)
        self.store = store
        self.handlers = {handler.kind: handler for handler in handlers}
        self._limits = limits
        self._listen = listen
        self._clock = clock
        self._cancel = threading.Event()

    def mark(self) -> Mapping[str, int]:
        """A mark to take before observing: `apply` then knows whether another run came in between."""
        return tokens(self.store)

    def apply(
        self,
        plan: Plan,
        replan: Callable[[], Plan] | None = None,
        seen: Mapping[str, int] | None = None,
    ) -> RunRecord | None:
        """Applies a plan.

        Args:
            plan: what to do.
            replan: makes the plan anew under the locks, when another run held them since `seen`.
            seen: the mark taken before the observation that the plan was made from.

        Returns:
            The run as journalled, or None when there was nothing to do.

        Raises:
            LockTimeout: a live run kept a resource for too long; nothing was changed.
            StoreError: the journal can't be written; nothing was changed.
        """
        if plan.empty:
            return None
        run = new_id(self._clock())
        locks = Locks(self.store, run)
        try:
            plan = self._locked(plan, replan, locks, seen)
            plan = self._without_marked(plan)
            _refuse_unbacked(plan)
            if plan.empty:
                return None
            record = self.journal.create(run, plan, self._clock())
            return self._drive(record, locks)
        finally:
            locks.release()

    def _locked(
        self,
        plan: Plan,
        replan: Callable[[], Plan] | None,
        locks: Locks,
        seen: Mapping[str, int] | None,
    ) -> Plan:
        while True:
            wanted = resources(list(plan.steps()))
            moved = locks.take(wanted, wait=self._limits.lock_wait, waiting=self._waiting, seen=seen)
            if not moved or replan is None:
                return plan
            seen = self.mark()
            plan = replan()
            if plan.empty:
                return plan

    def _waiting(self, resource: str, holder: str) -> None:
        self._listen(Event("", "", "waiting", f"waiting for run {holder} ({resource})"))

    def _without_marked(self, plan: Plan) -> Plan:
        """Holds back the lanes whose resources a stopped run still needs."""
        marked: dict[str, str] = {}
        for run in self.journal.unfinished():
            record = self.journal.load(run)
            for key in record.open_lanes:
                for name in resources([s.step for s in record.of(key)]):
                    marked[name] = run
        if not marked:
            return plan
        blocked = {
            lane.key: marked[name]
            for stage in plan.stages
            for lane in stage.lanes
            for name in sorted(resources(lane.steps))
            if name in marked
        }
        return replace(plan, stages=tuple(_hold_stage(stage, blocked) for stage in plan.stages))

    def resume(self, run: str, only: str | None = None) -> RunRecord:
        """Goes on with a stopped or killed run, or with one lane of it."""
        record, locks = self._reopen(run, only)
        try:
            for lane in record.lanes.values():
                if lane.state == "stopped" and only in (None, lane.key):
                    self.journal.lane(record.id, lane, "pending")
            return self._drive(record, locks, only)
        finally:
            locks.release()

    def back_out(self, run: str, only: str | None, state: str) -> RunRecord:
        """Takes back the unfinished lanes of a run, or one of them, whole.

        Args:
            state: what the lanes become: "skipped" or "aborted".
        """
        record, locks = self._reopen(run, only)
        try:
            runner = self._runner(record, locks)
            for key in record.open_lanes:
                if only not in (None, key):
                    continue
                lane = record.lanes[key]
                try:
                    runner.put_back(key, 0)
                except RaccordError as error:
                    runner.stop(lane, error)
                else:
                    self.journal.lane(record.id, lane, state)
                    runner.tell(key, "held", state)
            return self._close(record)
        finally:
            locks.release()

    def recover(self) -> list[RunRecord]:
        """Finishes the runs whose process was killed; stopped and interrupted ones wait for a person."""
        finished = []
        for run in self.journal.unfinished():
            record = self.journal.load(run)
            if record.state == "running" and not record.owner.alive():
                with contextlib.suppress(RunIsOver):
                    finished.append(self.resume(run))
        return finished

    def _reopen(self, run: str, only: str | None) -> tuple[RunRecord, Locks]:
        record = self.journal.load(run)
        if not record.open_lanes:
            if record.state in ("running", "interrupted"):
                return record, Locks(self.store, run)
            raise RunIsOver(f"run {run} is over ({record.state}); nothing waits", hint="raccord log")
        if only is not None and only not in record.open_lanes:
            raise UsageError(
                f"no unfinished lane {only!r} in run {run}",
                hint=f"raccord show {run}",
                lanes=record.open_lanes,
            )
        locks = Locks(self.store, run)
        wanted = resources([s.step for key in record.open_lanes for s in record.of(key)])
        locks.take(wanted, wait=self._limits.lock_wait, waiting=self._waiting)
        fresh = self.journal.load(run)  # another process may have finished it while we waited
        if not fresh.open_lanes and fresh.state not in ("running", "interrupted"):
            locks.release()
            raise RunIsOver(f"run {run} was finished by another process", hint=f"raccord show {run}")
        self.journal.adopt(fresh)
        return fresh, locks

    def _runner(self, record: RunRecord, locks: Locks) -> LaneRunner:
        self._cancel.clear()
        return LaneRunner(
            self.store,
            self.journal,
            locks,
            record,
            self.handlers,
            self._listen,
            self._cancel.is_set,
            self._limits.lock_wait,
        )

    def _drive(self, record: RunRecord, locks: Locks, only: str | None = None) -> RunRecord:
        runner = self._runner(record, locks)
        try:
            for number in range(len(record.plan.stages)):
                steps = [s for s in record.steps if s.stage == number and s.state in ("pending", "running")]
                ready = [lane for lane in record.lanes.values() if lane.state in ("pending", "running")]
                keys = [k for k in (lane.key for lane in ready) if only in (None, k)]
                keys = [key for key in keys if any(s.lane == key for s in steps)]
                locks.take(
                    resources([s.step for s in steps if s.lane in keys])
                    | shared([s.step for s in steps if s.lane in keys]),
                    wait=self._limits.lock_wait,
                    waiting=self._waiting,
                )
                self._stage(runner, number, keys)
        except BaseException:
            self._cancel.set()
            self._close(record, interrupted=True)
            raise
        return self._close(record)

    def _stage(self, runner: LaneRunner, number: int, keys: list[str]) -> None:
        if any(s.step.batch for s in runner.record.steps if s.stage == number):
            run_batches(runner, number, keys)
            return
        needs = {lane.key: lane.needs for lane in runner.record.plan.stages[number].lanes}
        waiting = list(keys)
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(self._limits.jobs, thread_name_prefix="lane") as pool:
            try:
                while waiting or running:
                    for key in list(waiting):
                        verdict = self._may_start(runner.record, needs.get(key, ()), keys, waiting, running)
                        if verdict is None:
                            continue
                        waiting.remove(key)
                        if isinstance(verdict, RaccordError):
                            runner.hold(runner.record.lanes[key], number, verdict)
                        else:
                            running[pool.submit(runner.run, key, number)] = key
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        del running[future]
                        future.result()
            except BaseException:
                self._cancel.set()
                raise

    def _may_start(
        self,
        record: RunRecord,
        needs: tuple[str, ...],
        keys: list[str],
        waiting: list[str],
        running: dict[Future[None], str],
    ) -> RaccordError | Literal[False] | None:
        """None: not yet; False: go; an error: a lane that it needs did not get through."""
        for need in needs:
            if need in waiting or need in running.values():
                return None
            other = record.lanes.get(need)
            if other is not None and other.state not in ("pending", "done", "nothing"):
                return _held_by(other.title, other.state)
        return False

    def _close(self, record: RunRecord, *, interrupted: bool = False) -> RunRecord:
        state = "interrupted" if interrupted else run_state([lane.state for lane in record.lanes.values()])
        self.journal.run(record, state, None if state in ("stopped", "interrupted") else self._clock())
        self.journal.archive(record)
        self._listen(Event(record.id, "", "ended", state))
        return record


def run_state(lanes: list[str]) -> str:
    """What the lanes' states make of the run."""
    if "stopped" in lanes or "pending" in lanes or "running" in lanes:
        return "stopped"
    if "failed" in lanes:
        return "failed"
    good = [state for state in lanes if state in ("done", "nothing")]
    if len(good) == len(lanes):
        return "done"
    if "held" in lanes:
        return "partial"
    return "aborted" if not good or "aborted" in lanes else "partial"


def _held_by(title: str, state: str) -> RaccordError:
    return RaccordError(f"it stands on {title}, which is {state}", hint="raccord sync --all")


def _hold_stage(stage: Stage, blocked: dict[str, str]) -> Stage:
    return Stage(stage.name, tuple(_hold_lane(lane, blocked.get(lane.key)) for lane in stage.lanes))


def _hold_lane(lane: Lane, run: str | None) -> Lane:
    if run is None:
        return lane
    said = f"run {run} is not finished here"
    return replace(lane, steps=(), held=Finding("unfinished", "fail", said, f"raccord continue --run {run}"))


def _refuse_unbacked(plan: Plan) -> None:
    for lanes in plan.lanes().values():
        backed = False
        for step in (step for lane in lanes for step in lane.steps):
            backed = backed or step.backs_up
            if step.destroys and not backed:
                raise CannotRun(f"refused: {step.title} overwrites something without a backup before it")
