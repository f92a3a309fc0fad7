"""Undo as a plan: computed from what a run's steps recorded, newest first, refusing what moved since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from raccord import __version__
from raccord.errors import RaccordError, UnknownStep, UsageError
from raccord.kernel.batch import positions
from raccord.kernel.journal import Journal
from raccord.kernel.record import RunRecord, StepRecord
from raccord.model.handler import Context, Handler, Outcome, Position
from raccord.model.plan import Finding, Lane, Plan, Stage, Step

Handlers = Mapping[str, Handler]
Backup = Callable[[Step], tuple[Step, ...]]

MOVED = {
    Position.AFTER: "already so",
    Position.BETWEEN: "it is half done",
    Position.NEITHER: "it was changed since",
    Position.UNKNOWN: "nobody can tell how it stands now",
}


@dataclass(slots=True)
class _Back:
    """The way back of one lane, stage by stage."""

    steps: dict[int, list[Step]] = field(default_factory=dict)
    notes: list[Finding] = field(default_factory=list)
    held: Finding | None = None

    @property
    def all(self) -> list[Step]:
        return [step for steps in self.steps.values() for step in steps]


def undoable(
    journal: Journal,
    handlers: Handlers,
    over: Callable[[RunRecord], bool] = lambda record: not record.open_lanes,
) -> str | None:
    """The newest run that is over, changed something, is no undo, and was not taken back.

    Args:
        over: whether a run is.
    """
    for run in journal.newest(1_000_000):
        record = journal.load(run)
        meant = record.verb != "undo" and over(record) and not journal.undone_by(run)
        if meant and any(_changed(step, handlers) for step in record.steps):
            return run
    return None


def _changed(done: StepRecord, handlers: Handlers) -> bool:
    if done.state != "done" or done.back:
        return False
    try:
        return _inverse(done, handlers, "") != ()
    except UnknownStep:
        return True


def undo_plan(record: RunRecord, handlers: Handlers, backup: Backup, by: str) -> Plan:
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
    lanes = {key: _Back() for key in reversed(record.lanes)}
    asked: list[tuple[str, Step]] = []
    for key, back in lanes.items():
        try:
            asked += [(key, step) for step in _way_back(record, key, back, handlers, backup)]
        except RaccordError as error:
            hint = error.hint or f"raccord show {record.id}"
            back.held = Finding("undo.impossible", "unknown", error.message, hint)
    for key, moved in _moved(record.id, asked, handlers).items():
        lanes[key].held = lanes[key].held or moved
    stages = [
        Stage(f"undo {record.plan.stages[number].name}", tuple(_lanes(record, number, lanes)))
        for number in reversed(range(len(record.plan.stages)))
    ]
    stages = [stage for stage in stages if stage.lanes]
    notes = () if stages else (Finding("undo.nothing", "note", f"run {record.id} changed nothing"),)
    return Plan("undo", tuple(stages), notes=notes, undo_of=record.id, by=by)


def _way_back(record: RunRecord, key: str, back: _Back, handlers: Handlers, backup: Backup) -> list[Step]:
    """Fills in a lane's way back; returns the steps of it that the world of today must allow."""
    asked: list[Step] = []
    done = [s for s in record.of(key) if s.state == "done" and not s.back]
    for one in sorted(done, key=lambda s: (s.stage, s.seq), reverse=True):
        steps = back.steps.setdefault(one.stage, [])
        inverse = _inverse(one, handlers, record.release)
        if isinstance(inverse, str):
            back.notes.append(Finding("undo.impossible", "note", f"{one.step.title}: {inverse}"))
            continue
        for step in inverse:
            if not any(_share(step, earlier) for earlier in back.all):
                asked.append(step)
            if step.destroys and not any(s.backs_up for s in back.all):
                steps.extend(backup(step))
            steps.append(step)
    return asked


def _inverse(done: StepRecord, handlers: Handlers, release: str) -> tuple[Step, ...] | str:
    handler = handlers.get(done.step.kind)
    if handler is None or handler.version != done.step.version:
        raise UnknownStep(
            f"raccord {release} wrote {done.step.kind} version {done.step.version};"
            f" {__version__} can't take it back",
            hint=f"install raccord {release}",
        )
    return handler.inverse(done.step, done.outcome or Outcome())


def _share(step: Step, earlier: Step) -> bool:
    # The world that this step waits for is only there once the earlier one is done.
    return not set(step.resources).isdisjoint(earlier.resources)


def _moved(run: str, asked: list[tuple[str, Step]], handlers: Handlers) -> dict[str, Finding]:
    """Asks the world about steps, those of a batch in one question; returns why lanes can't go back."""
    groups: dict[tuple[str, str], list[tuple[str, Step]]] = {}
    for at, (key, step) in enumerate(asked):
        groups.setdefault((step.kind, step.batch or f"\0{at}"), []).append((key, step))
    held: dict[str, Finding] = {}
    for (kind, _), group in groups.items():
        contexts = [Context(run, key, lambda text: None, lambda: False) for key, _ in group]
        try:
            found = [
                MOVED.get(one, "") for one in positions(handlers[kind], [step for _, step in group], contexts)
            ]
            found = [
                said + _told(handlers[kind], step, context) if said == MOVED[Position.NEITHER] else said
                for said, (_, step), context in zip(found, group, contexts, strict=True)
            ]
        except RaccordError as error:
            found = [error.message] * len(group)
        for (key, step), moved in zip(group, found, strict=True):
            if moved:
                said = f"{step.title}: {moved}"
                hint = _instead(handlers[kind], step, run) or f"raccord show {run}"
                held.setdefault(key, Finding("undo.moved", "fail", said, hint))
    return held


def _told(handler: Handler, step: Step, context: Context) -> str:
    """What of it was changed, where the handler knows."""
    tell: Callable[[Step, Context], str] | None = getattr(handler, "moved", None)
    said = tell(step, context) if tell else ""
    return f": {said}" if said else ""


def _instead(handler: Handler, step: Step, run: str) -> str:
    """The command that brings back what an undo can't, where the handler knows one."""
    tell: Callable[[Step, str], str] | None = getattr(handler, "instead", None)
    return tell(step, run) if tell else ""


def _lanes(record: RunRecord, stage: int, lanes: Mapping[str, _Back]) -> list[Lane]:
    made = []
    for key, back in lanes.items():
        last = max(back.steps, default=0)
        notes = tuple(back.notes) if stage == last else ()
        lane = Lane(key, record.lanes[key].title, tuple(back.steps.get(stage, ())), notes=notes)
        if back.held is not None:
            lane = replace(lane, steps=(), held=back.held)
        if stage in back.steps and (lane.steps or lane.held or lane.notes):
            made.append(lane)
    return made
