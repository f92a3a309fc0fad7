"""The engine: the only one who applies. Locks, checks, writes the intent, then takes each step.

A lane that fails is put back alone; a kill at any point is finished by `resume` or taken back by `back_out`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from raccord.errors import LockTimeout, RaccordError, RunIsOver
from raccord.kernel import bugs
from raccord.kernel.guards import (
    hold_marked,
    refuse_unbacked,
    refuse_without_ground,
    resources,
    shared,
    unfinished,
)
from raccord.kernel.journal import Archive, Journal, new_id
from raccord.kernel.lanes import LaneRunner
from raccord.kernel.locks import POLL_SECONDS, Locks, tokens
from raccord.kernel.record import Retreat, RunRecord, run_state
from raccord.kernel.retreat import retreat
from raccord.kernel.stages import run_stage
from raccord.kernel.store import Store
from raccord.model.event import Event, Listener, silent
from raccord.model.handler import Handler
from raccord.model.plan import Finding, Plan

# How often a killed run is finished unasked: one that ends every process that touches it waits for a person.
RECOVERIES = 2


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
        ended: asked once a run is over and nothing of it is locked any more: what is to be noted in it.
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
        ended: Callable[[RunRecord], Finding | None] = lambda record: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.journal = Journal(store, archive)
        self.store = store
        self.handlers = {handler.kind: handler for handler in handlers}
        self._limits = limits
        self._listen = listen
        self._ended = ended
        self._clock = clock

    def apply(self, make: Callable[[], Plan], reads: Iterable[str] = ()) -> tuple[Plan, RunRecord | None]:
        """Makes a plan and applies it.

        Args:
            make: observes and plans; called again under the locks, when another run held them meanwhile.
            reads: resources that the plan is decided on even where it comes to no step: what another run
                is changing must not be taken for somebody's edit. They are locked no longer than that.
                Asked for once, after the first `make`.

        Returns:
            The plan as it was applied, in which lanes that an unfinished run still needs are held; and the
            run as journalled, or None when there was nothing to do.

        Raises:
            CannotRun: it would overwrite something without a backup; nothing was changed.
            LockTimeout: a live run kept a resource for too long; nothing was changed.
            StoreError: the journal can't be written.
            Exception: a bug in a handler or a listener, once the run was closed.
        """
        run = new_id(self._clock())
        locks = Locks(self.store, run)
        try:
            plan = hold_marked(self._locked(make, locks, reads), self.journal)
            refuse_unbacked(plan)
            if plan.empty:
                return plan, None
            record = self.journal.create(run, plan, self._clock())
            runner = self._runner(record, locks)
            for lane in record.lanes.values():
                if lane.finding is not None:
                    runner.tell(lane.key, "held", lane.finding.message)
            return record.plan, self._drive(runner)
        finally:
            locks.release()

    def _locked(self, make: Callable[[], Plan], locks: Locks, reads: Iterable[str]) -> Plan:
        read: frozenset[str] | None = None
        while True:
            seen = tokens(self.store)
            plan = make()
            read = frozenset(reads) if read is None else read
            needed = resources(plan.steps())
            if not self._take(locks, needed | read, seen):
                locks.release(read - needed)
                return plan

    def _take(self, locks: Locks, wanted: Iterable[str], seen: Mapping[str, int] | None = None) -> bool:
        return locks.take(
            wanted,
            wait=self._limits.lock_wait,
            seen=seen,
            waiting=lambda name, run: self._listen(Event("", "", "waiting", _waiting(name, run))),
        )

    def resume(self, run: str, only: str | None = None) -> RunRecord:
        """Goes on with a stopped or killed run, or with one lane of it; a lane on its way back goes on back.

        Raises:
            RunIsOver: nothing of it is left to do.
            UsageError: it has no such unfinished lane, or the lane stands on another unfinished one.
            LockTimeout, StoreError, Exception: as for `apply`.
        """
        if only is not None:
            refuse_without_ground(unfinished(self.journal.load(run), only), only)
        return self._resume(run, only, recovering=False)

    def _resume(self, run: str, only: str | None, *, recovering: bool) -> RunRecord:
        locks = Locks(self.store, run)
        try:
            record = self._reopen(run, only, locks, recovering=recovering)
            for lane in record.lanes.values():
                if lane.state == "stopped" and only in (None, lane.key) and not recovering:
                    self.journal.lane(run, lane, "pending", lane.finding, lane.retreat)
            return self._drive(self._runner(record, locks), only)
        finally:
            locks.release()

    def back_out(self, run: str, only: str | None, state: str) -> RunRecord:
        """Takes back the unfinished lanes of a run, or one of them, whole.

        Args:
            state: what the lanes become: "skipped" or "aborted".

        Raises:
            RunIsOver, UsageError, LockTimeout, StoreError, Exception: as for `resume`.
        """
        locks = Locks(self.store, run)
        try:
            record = self._reopen(run, only, locks)
            # All at once: cut off from here on, it is the way back that is finished.
            with self.store.transaction():
                for key in [key for key in record.open_lanes if only in (None, key)]:
                    self.journal.lane(run, record.lanes[key], "running", None, Retreat(0, state))
            return self._drive(self._runner(record, locks), only, forward=False)
        finally:
            locks.release()

    def recover(self) -> list[RunRecord]:
        """Finishes the runs whose process was killed; stopped and interrupted ones wait for a person.

        Raises:
            LockTimeout, StoreError, Exception: as for `apply`.
        """
        finished = []
        for run in self.journal.unfinished():
            record = self.journal.load(run)
            if record.state != "running" or record.owner.alive():
                continue
            if record.recoveries >= RECOVERIES:
                self.journal.run(record, "interrupted", None)
                continue
            with contextlib.suppress(RunIsOver):  # another process was faster
                finished.append(self._resume(run, None, recovering=True))
        return finished

    def _reopen(self, run: str, only: str | None, locks: Locks, *, recovering: bool = False) -> RunRecord:
        """Locks what a run still needs, and makes this process the one that goes on with it."""
        until = time.monotonic() + self._limits.lock_wait
        while True:
            record = unfinished(self.journal.load(run), only)
            keys = [key for key in record.open_lanes if only in (None, key)]
            self._take(locks, resources(s.step for key in keys for s in record.of(key)))
            with self.store.transaction():
                # Another process may have gone on with it meanwhile.
                record = unfinished(self.journal.load(run), only)
                if recovering and record.state != "running":
                    raise RunIsOver(f"run {run} waits for a person", hint=f"raccord show {run}")
                if record.state != "running" or not record.owner.alive():
                    self.journal.adopt(record, recovering=recovering)
                    return record
            locks.release()
            if time.monotonic() >= until:
                at = f"process {record.owner.pid}"
                raise LockTimeout(f"run {run} is going on in {at}", hint=f"raccord show {run}", run=run)
            time.sleep(POLL_SECONDS)

    def _runner(self, record: RunRecord, locks: Locks) -> LaneRunner:
        return LaneRunner(
            self.store,
            self.journal,
            locks,
            record,
            self.handlers,
            self._listen,
            threading.Event(),
            self._limits.lock_wait,
        )

    def _drive(self, runner: LaneRunner, only: str | None = None, *, forward: bool = True) -> RunRecord:
        record = runner.record
        try:
            for lane in reversed(record.lanes.values()):
                going = lane.state in ("pending", "running") and only in (None, lane.key)
                if lane.retreat is not None and going:
                    retreat(runner, lane)
            for stage in range(len(record.plan.stages)) if forward else ():
                keys = [key for key in _at_work(record, stage) if only in (None, key)]
                runner.locks.take(
                    shared(s.step for key in keys for s in record.of(key, stage)),
                    wait=self._limits.lock_wait,
                    waiting=lambda name, holder: runner.tell("", "waiting", _waiting(name, holder)),
                )
                run_stage(runner, stage, keys, self._limits.jobs)
                runner.locks.release(_spent(record, runner.locks.held))
        except BaseException as error:
            try:
                self._close(runner, "interrupted")
            except RaccordError as trouble:
                error.add_note(f"and the run could not be closed: {trouble}")
            raise
        self._close(runner, run_state(lane.state for lane in record.lanes.values()))
        if runner.bugs:
            for other in runner.bugs[1:]:
                runner.bugs[0].add_note(f"and: {bugs.told(other)} ({bugs.place(other)})")
            raise runner.bugs[0]
        return record

    def _close(self, runner: LaneRunner, state: str) -> None:
        record = runner.record
        self.journal.run(record, state, None if state in ("stopped", "interrupted") else self._clock())
        self.journal.archive(record)
        runner.tell("", "ended", state)
        if record.ended is None:
            return
        runner.locks.release()
        note = self._ended(record)
        if note is not None:
            self.journal.note(record, note)
            self.journal.archive(record)


def _waiting(resource: str, run: str) -> str:
    return f"waiting for run {run} ({resource})"


def _spent(record: RunRecord, held: Set[str]) -> set[str]:
    """What became known on the way and no lane needs any more: others may be waiting for it."""
    open_lanes = {*record.open_lanes}
    wanted = [*record.plan.steps(), *(s.step for key in open_lanes for s in record.of(key))]
    return {*held} - resources(wanted) - shared(wanted)


def _at_work(record: RunRecord, stage: int) -> list[str]:
    """The lanes that have something left to do in a stage."""
    return [
        lane.key
        for lane in record.lanes.values()
        if lane.state in ("pending", "running")
        and any(not s.back and s.state in ("pending", "running") for s in record.of(lane.key, stage))
    ]
