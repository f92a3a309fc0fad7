"""Drives one lane of a run: each step asked, journalled, applied; a failed one put back.

A step that began before a kill is asked of the world first: done, to do, half done, moved, or unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from raccord.errors import HeldBack, RaccordError, Stop, Unanswered, UnknownStep, WorldMoved
from raccord.kernel.journal import Journal, LaneRecord, RunRecord, StepRecord
from raccord.kernel.locks import Locks
from raccord.kernel.store import Store
from raccord.model.event import Event, Listener, What
from raccord.model.handler import Context, Handler, Outcome, Position
from raccord.model.plan import Finding, Step


class Cancelled(Exception):
    """A person interrupted the run; the lane stays as it is, to be continued."""


@dataclass(slots=True)
class LaneRunner:
    """Runs the lanes of one run; shared by the threads that do."""

    store: Store
    journal: Journal
    locks: Locks
    record: RunRecord
    handlers: Mapping[str, Handler]
    listen: Listener
    cancelled: Callable[[], bool]
    lock_wait: float

    def tell(self, lane: str, what: What, text: str) -> None:
        """Tells whoever listens."""
        self.listen(Event(self.record.id, lane, what, text))

    def context(self, lane: str) -> Context:
        """What a handler may know while it works for this lane."""
        return Context(self.record.id, lane, lambda text: self.tell(lane, "said", text), self.cancelled)

    def handler(self, step: Step) -> Handler:
        """The one that knows this step.

        Raises:
            UnknownStep: none does, in this release.
        """
        handler = self.handlers.get(step.kind)
        if handler is None or handler.version != step.version:
            raise UnknownStep(
                f"this release does not know the step {step.kind} version {step.version}",
                hint="install the raccord release that began the run, then: raccord continue",
            )
        return handler

    def run(self, key: str, stage: int) -> None:
        """Runs a lane's steps of one stage to their end, and records how it ended."""
        lane = self.record.lanes[key]
        self.journal.lane(self.record.id, lane, "running")
        self.tell(key, "started", lane.title)
        try:
            while (step := self.next_step(key, stage)) is not None:
                if self.cancelled():
                    raise Cancelled
                self.do(step)
        except (RaccordError, KeyboardInterrupt, Cancelled) as error:
            self.failed(key, stage, error)
        else:
            self.passed(key, stage)

    def passed(self, key: str, stage: int) -> None:
        """Records that the lane got through a stage."""
        later = any(s.stage > stage and s.state == "pending" for s in self.record.of(key))
        self.journal.lane(self.record.id, self.record.lanes[key], "pending" if later else "done")
        if not later:
            self.tell(key, "done", self.record.lanes[key].title)

    def next_step(self, key: str, stage: int) -> StepRecord | None:
        """The lane's first step of this stage that is not over."""
        steps = self.record.of(key, stage)
        return next((s for s in steps if not s.back and s.state in ("pending", "running")), None)

    def do(self, record: StepRecord) -> None:
        """Does one step, or finds that it was done before a kill."""
        handler = self.handler(record.step)
        context = self.context(record.lane)
        if record.state == "running" and self.settled(handler, record, context):
            return
        self.own(record.step)
        self.tell(record.lane, "step", record.step.title)
        self.journal.step(self.record.id, record, "running")
        self.finish(record, handler.apply(record.step, context))

    def own(self, step: Step) -> None:
        """Makes sure that the step's resources are locked: one made known on the way may bring new ones."""
        names = (*step.resources, *step.shared)
        self.locks.take(names, wait=self.lock_wait)
        self.locks.check(names)

    def settled(self, handler: Handler, record: StepRecord, context: Context) -> bool:
        """Asks the world about a step that had begun; whether it is done.

        Raises:
            WorldMoved: neither before nor after: somebody else changed it.
            Unanswered: the world did not say.
        """
        position = handler.probe(record.step, context)
        if position is Position.AFTER:
            # `apply` finds that it is done, and says what an undo needs.
            self.finish(record, handler.apply(record.step, context))
            return True
        if position is Position.NEITHER:
            raise WorldMoved(f"{record.step.title}: the world is neither as before nor as after")
        if position is Position.UNKNOWN:
            raise Unanswered(f"{record.step.title}: nobody can tell whether it took place")
        return False

    def finish(self, record: StepRecord, outcome: Outcome) -> None:
        """Records a step as done, together with the steps that it made known."""
        with self.store.transaction():
            self.journal.step(self.record.id, record, "done", outcome)
            if outcome.more:
                self.journal.add(self.record, record, record.lane, record.stage, outcome.more, record.back)

    def failed(self, key: str, stage: int, error: BaseException) -> None:
        """Decides what a failure means for the lane: stopped as it is, or put back and held."""
        lane = self.record.lanes[key]
        if isinstance(error, (KeyboardInterrupt, Cancelled)):
            self.journal.lane(self.record.id, lane, "pending")
            self.tell(key, "stopped", "interrupted")
        elif isinstance(error, (Stop, Unanswered, UnknownStep)):
            self.stop(lane, error)
        elif isinstance(error, RaccordError):
            self.hold(lane, stage, error)

    def stop(self, lane: LaneRecord, error: RaccordError) -> None:
        """Leaves the lane as it is until a person says how to go on."""
        name = "unknown" if isinstance(error, Unanswered) else "stopped"
        finding = Finding(name, "unknown", error.message, error.hint or "raccord continue", dict(error.data))
        self.journal.lane(self.record.id, lane, "stopped", finding)
        self.tell(lane.key, "stopped", error.message)

    def hold(self, lane: LaneRecord, stage: int, error: RaccordError) -> None:
        """Puts back what the lane did in this stage, and holds it back."""
        finding = finding_of(error)
        try:
            self.put_back(lane.key, stage)
        except (RaccordError, KeyboardInterrupt) as trouble:
            said = str(trouble) or "interrupted"
            self.stop(lane, Stop(f"{error.message}; putting it back stopped: {said}", hint="raccord abort"))
            return
        self.journal.lane(self.record.id, lane, "held", finding)
        self.tell(lane.key, "held", error.message)

    def put_back(self, key: str, first_stage: int) -> None:
        """Takes back what the lane did from a stage on, newest first; can be called again after a kill.

        Raises:
            RaccordError: a step could not be taken back; the rest stays as it is.
        """
        for record in reversed(self.record.of(key)):
            if record.back or record.stage < first_stage:
                continue
            if record.state == "running":
                self._settle_for_return(record)
            if record.state == "done":
                self._return(record)
            elif record.state == "pending":
                self.journal.step(self.record.id, record, "skipped")

    def _settle_for_return(self, record: StepRecord) -> None:
        handler = self.handler(record.step)
        context = self.context(record.lane)
        position = handler.probe(record.step, context)
        if position is Position.UNKNOWN:
            raise Unanswered(f"{record.step.title}: nobody can tell whether it took place")
        if position is Position.AFTER:
            self.finish(record, handler.apply(record.step, context))
            return
        if position is Position.BETWEEN:
            handler.revert(record.step, context)
        self.journal.step(self.record.id, record, "failed")

    def _return(self, record: StepRecord) -> None:
        inverse = self.handler(record.step).inverse(record.step, record.outcome or Outcome())
        if isinstance(inverse, str):
            raise Stop(f"{record.step.title}: {inverse}")
        known = [s for s in self.record.of(record.lane) if s.back == record.seq]
        for step in known or self.journal.add(
            self.record, None, record.lane, record.stage, inverse, back=record.seq
        ):
            if step.state != "done":
                self.do(step)
        self.journal.step(self.record.id, record, "undone")


def finding_of(error: RaccordError) -> Finding:
    """An error as the finding that a lane is held back with."""
    name = "moved" if isinstance(error, WorldMoved) else "held" if isinstance(error, HeldBack) else "failed"
    named = error.data.get("finding")
    data = {key: value for key, value in error.data.items() if key != "finding"}
    return Finding(str(named or name), "fail", error.message, error.hint or "raccord sync", data)


def resources(steps: Sequence[Step]) -> set[str]:
    """What the lanes of these steps alone change."""
    return {name for step in steps for name in step.resources}


def shared(steps: Sequence[Step]) -> set[str]:
    """What other lanes change too."""
    return {name for step in steps for name in step.shared}
