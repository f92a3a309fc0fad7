"""Drives one lane of a run: each step asked, journalled, applied; a failed lane is put back.

A step that began before a kill is asked of the world first: done, to do, half done, moved, or unknown.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from raccord import __version__
from raccord.errors import (
    CannotRun,
    HeldBack,
    RaccordError,
    Stop,
    StoreError,
    Unanswered,
    UnknownStep,
    WorldMoved,
)
from raccord.kernel import bugs
from raccord.kernel.guards import unbacked
from raccord.kernel.journal import Journal
from raccord.kernel.locks import Locks
from raccord.kernel.record import LaneRecord, Retreat, RunRecord, StepRecord
from raccord.kernel.retreat import retreat
from raccord.kernel.store import Store
from raccord.model.event import Event, Listener, What
from raccord.model.handler import Context, Handler, Outcome, Position
from raccord.model.plan import Finding, Json, Step


class Cancelled(Exception):
    """A person interrupted the run; the lane stays as it is, to be continued."""


@dataclass(slots=True)
class LaneRunner:
    """Runs the lanes of one run; shared by the threads that do.

    Attributes:
        cancel: set when the lanes at work are to end before their next step.
        begun: the steps that began here, and not before a kill.
        bugs: what nobody foresaw. It stops its lane, and is raised once the others have ended.
    """

    store: Store
    journal: Journal
    locks: Locks
    record: RunRecord
    handlers: Mapping[str, Handler]
    listen: Listener
    cancel: threading.Event
    lock_wait: float
    begun: set[int] = field(default_factory=set)
    bugs: list[Exception] = field(default_factory=list)

    def tell(self, lane: str, what: What, text: str, data: Mapping[str, Json] = MappingProxyType({})) -> None:
        """Tells whoever listens; one that fails changes nothing in the run."""
        try:
            self.listen(Event(self.record.id, lane, what, text, data))
        except Exception as error:  # noqa: BLE001 - raised at the end of the run
            self.bugs.append(error)

    def context(self, lane: str) -> Context:
        """What a handler may know while it works for this lane."""
        return Context(self.record.id, lane, lambda text: self.tell(lane, "said", text), self.cancel.is_set)

    def handler(self, step: Step) -> Handler:
        """The one that knows this step.

        Raises:
            UnknownStep: none does, in this release.
        """
        handler = self.handlers.get(step.kind)
        if handler is None or handler.version != step.version:
            wrote = self.record.release
            what = f"{step.kind} version {step.version}"
            raise UnknownStep(
                f"raccord {wrote} wrote the step {what}, which {__version__} does not know",
                hint=f"install raccord {wrote}, then: raccord continue --run {self.record.id}",
            )
        return handler

    def run(self, key: str, stage: int) -> None:
        """Runs a lane's steps of one stage to their end, and records how it ended.

        Raises:
            StoreError: the journal can't be written; it stands as after a kill.
        """
        self.tell(key, "started", self.record.lanes[key].title)
        try:
            while (step := self.next_step(key, stage)) is not None:
                if self.cancel.is_set():
                    raise Cancelled
                self.do(step)
        except KeyboardInterrupt:  # a process of the step was ended, as the run is
            self.failed(key, stage, Cancelled())
        except Exception as error:  # noqa: BLE001 - what nobody foresaw is kept, and raised at the end
            self.failed(key, stage, error)
        else:
            self.passed(key, stage)

    def next_step(self, key: str, stage: int) -> StepRecord | None:
        """The lane's first step of this stage that is not over."""
        steps = self.record.of(key, stage)
        return next((s for s in steps if not s.back and s.state in ("pending", "running")), None)

    def do(self, record: StepRecord) -> None:
        """Does one step, or finds that it was done before a kill."""
        handler = self.handler(record.step)
        context = self.context(record.lane)
        self.own(record.step)
        if record.state == "pending":
            self.begin(record)
        elif record.seq not in self.begun:
            settle(record.step, handler.probe(record.step, context))
        self.tell(record.lane, "step", record.step.title)
        self.finish(record, handler.apply(record.step, context))

    def own(self, step: Step) -> None:
        """Makes sure that the step's resources are locked: one made known on the way may bring new ones."""
        names = (*step.resources, *step.shared)
        self.locks.take(names, wait=self.lock_wait)
        self.locks.check(names)

    def begin(self, record: StepRecord) -> None:
        """Writes down that a step begins, before it does."""
        lane = self.record.lanes[record.lane]
        self.begun.add(record.seq)
        with self.store.transaction():
            if lane.state != "running":
                self.journal.lane(self.record.id, lane, "running", lane.finding, lane.retreat)
            self.journal.step(self.record.id, record, "running")

    def finish(self, record: StepRecord, outcome: Outcome) -> None:
        """Records a step as done, together with the steps that it made known, and with what comes next: the
        lane's next step, which begins, or its end. Each write waits for the disk.

        Raises:
            CannotRun: it made a step known that would overwrite something without a backup.
        """
        lane = self.record.lanes[record.lane]
        bad = unbacked([*(s.step for s in self.record.of(record.lane)), *outcome.more])
        if bad is not None and bad in outcome.more and not record.back:
            raise CannotRun(f"refused: {bad.title} overwrites something without a backup before it")
        with self.store.transaction():
            self.journal.step(self.record.id, record, "done", outcome)
            if outcome.more:
                self.journal.add_after(self.record, record, outcome.more)
            if lane.retreat is None:
                following = self.next_step(record.lane, record.stage)
                if following is None:
                    self.journal.lane(self.record.id, lane, self._state_after(lane.key, record.stage))
                elif following.state == "pending":
                    self.begin(following)
        if outcome.counts and not record.back:
            self.tell(record.lane, "counted", record.step.title, outcome.counts)

    def passed(self, key: str, stage: int) -> None:
        """Records that the lane got through a stage."""
        lane = self.record.lanes[key]
        after = self._state_after(key, stage)
        if lane.state != after:
            self.journal.lane(self.record.id, lane, after)
        if after == "done":
            self.tell(key, "done", lane.title)

    def _state_after(self, key: str, stage: int) -> str:
        later = any(s.stage > stage and s.state in ("pending", "running") for s in self.record.of(key))
        return "pending" if later else "done"

    def failed(self, key: str, stage: int, error: Exception) -> None:
        """Decides what a failure means for the lane.

        Raises:
            StoreError: nothing can be written down, so nothing more is done.
        """
        lane = self.record.lanes[key]
        if isinstance(error, StoreError):
            raise error
        if isinstance(error, Cancelled):
            self.journal.lane(self.record.id, lane, "pending", lane.finding, lane.retreat)
            self.tell(key, "stopped", "interrupted")
        elif isinstance(error, (Stop, Unanswered, UnknownStep)):
            self.stop(lane, error)
        elif isinstance(error, RaccordError):
            self.hold(lane, stage, error)
        else:
            self.bug(lane, error)

    def stop(self, lane: LaneRecord, error: RaccordError) -> None:
        """Leaves the lane as it is until a person says how to go on."""
        name = str(error.data.get("finding", "unknown" if isinstance(error, Unanswered) else "stopped"))
        hint = error.hint or f"raccord continue --run {self.record.id}"
        self._stopped(lane, Finding(name, "unknown", error.message, hint, dict(error.data)))

    def bug(self, lane: LaneRecord, error: Exception) -> None:
        """Leaves the lane as it is: a bug says nothing about the world."""
        self.bugs.append(error)
        said = f"not foreseen: {bugs.told(error)} ({bugs.place(error)})"
        self._stopped(lane, Finding("bug", "unknown", said, f"raccord abort --run {self.record.id}"))

    def _stopped(self, lane: LaneRecord, finding: Finding) -> None:
        self.journal.lane(self.record.id, lane, "stopped", finding, lane.retreat)
        self.tell(lane.key, "stopped", finding.message)

    def hold(self, lane: LaneRecord, stage: int, error: RaccordError) -> None:
        """Puts back what the lane did from a stage on, or from where that one goes back to, and holds it."""
        with self.store.transaction():
            if isinstance(error, (HeldBack, WorldMoved)):
                # By contract nothing of the step is left: its world, perhaps out of reach, need not be asked.
                # One that a kill had cut off may still be half done.
                step = self.next_step(lane.key, stage)
                if step is not None and step.seq in self.begun:
                    self.journal.step(self.record.id, step, "failed")
            first = max(0, stage - self.record.plan.stages[stage].back)
            goal = Retreat(first, "held", finding_of(error))
            self.journal.lane(self.record.id, lane, "running", None, goal)
        retreat(self, lane)


def settle(step: Step, position: Position) -> None:
    """Decides about a step that had begun: `apply` may be called, which finishes it or finds it done.

    Raises:
        WorldMoved: neither before nor after: somebody else changed it.
        Unanswered: the world did not say.
    """
    if position is Position.NEITHER:
        raise WorldMoved(f"{step.title}: the world is neither as before nor as after")
    if position is Position.UNKNOWN:
        raise Unanswered(f"{step.title}: nobody can tell whether it took place")


def finding_of(error: RaccordError) -> Finding:
    """An error as the finding that a lane is held back with."""
    name = "moved" if isinstance(error, WorldMoved) else "held" if isinstance(error, HeldBack) else "failed"
    named = error.data.get("finding")
    data = {key: value for key, value in error.data.items() if key != "finding"}
    return Finding(str(named or name), "fail", error.message, error.hint or "raccord sync", data)
