"""Turns the journal's records into the reports that faces render."""

from __future__ import annotations

import shlex
import time
from collections import Counter

from raccord.kernel.journal import Journal
from raccord.kernel.record import LaneRecord, RunRecord, StepRecord
from raccord.model.plan import Finding, Plan
from raccord.model.report import Answer, LaneReport, LaneState, RunReport, RunState, RunSummary, StepReport
from raccord.model.text import shown


def run_report(record: RunRecord) -> RunReport:
    """A run as the journal has it."""
    planned = record.plan.lanes()
    lanes = tuple(
        LaneReport(
            key=lane.key,
            title=lane.title,
            state=lane_state(lane.state),
            finding=lane.finding,
            steps=tuple(_step(step) for step in record.of(lane.key)),
            notes=(
                *(note for part in planned.get(lane.key, ()) for note in part.notes),
                *_half_undone(record, lane),
                *_stays(record, lane),
            ),
        )
        for lane in record.lanes.values()
    )
    return RunReport(
        id=record.id,
        verb=record.verb,
        state=state_of(record),
        lanes=lanes,
        notes=record.plan.notes,
        waivers=record.plan.waivers,
        started=record.started,
        ended=record.ended,
        undo_of=record.undo_of,
        by=record.plan.by,
        next_command=next_command(record.id, state_of(record), [lane.finding for lane in lanes]),
    )


def _half_undone(record: RunRecord, lane: LaneRecord) -> list[Finding]:
    """What an undo says whose push back landed before the rest was refused: the two sides differ since."""
    if not record.undo_of or lane.state != "held":
        return []
    from raccord.code.push import KIND  # most reports are of no undo

    pushed = [s for s in record.of(lane.key) if s.step.kind == KIND and s.state == "done" and not s.back]
    if not pushed:
        return []
    branch = shown(pushed[-1].step.payload["dest"].removeprefix("refs/heads/"))
    there = shown(pushed[-1].step.payload["remote"])
    said = f"{branch} was put back on {there}, and stays as it is here: a sync pushes it again"
    return [Finding("undo.half", "note", said, f"raccord -C {shlex.quote(lane.key)} sync")]


def _stays(record: RunRecord, lane: LaneRecord) -> list[Finding]:
    """What a promotion leaves that was held back later: objects that were only added."""
    if record.verb != "promote" or lane.state != "held":
        return []
    from raccord.files.steps import PUT  # most runs need nothing of it

    left = [s for s in record.of(lane.key) if s.step.kind == PUT and s.state == "done" and not s.back]
    hint = f"raccord undo {record.id}"
    return [Finding("promote.stays", "note", f"{s.step.title}: done, and stays", hint) for s in left]


def answer(plan: Plan, record: RunRecord | None, *, dry_run: bool) -> Answer:
    """What a verb answers with: its plan where only that was asked for, else how it ended."""
    if dry_run:
        return plan
    return run_report(record) if record else plan_report(plan, time.time())


def plan_report(plan: Plan, now: float) -> RunReport:
    """A plan in which there was nothing to do, as the report of a run that was not needed."""
    lanes = tuple(
        LaneReport(
            key=key,
            title=parts[0].title,
            state="held" if parts[0].held else "nothing",
            finding=parts[0].held,
            notes=tuple(note for part in parts for note in part.notes),
        )
        for key, parts in plan.lanes().items()
    )
    state: RunState = "partial" if any(lane.state == "held" for lane in lanes) else "nothing"
    return RunReport(
        id="",
        verb=plan.verb,
        state=state,
        lanes=lanes,
        notes=plan.notes,
        waivers=plan.waivers,
        started=now,
        ended=now,
        undo_of=plan.undo_of,
        by=plan.by,
        next_command=next_command("", state, [lane.finding for lane in lanes]),
    )


def state_of(record: RunRecord) -> RunState:
    """Where a run stands; one whose process is gone was cut off."""
    if record.state == "running" and not record.owner.alive():
        return "interrupted"
    return record.state  # type: ignore[return-value] # the engine writes no other word


def next_command(run: str, state: str, findings: list[Finding | None]) -> str:
    """What to type next, or ""."""
    if state in ("stopped", "interrupted"):
        return f"raccord continue --run {run}"
    return next((found.hint for found in findings if found is not None and found.hint), "")


def lane_state(state: str) -> LaneState:
    """A lane's state as the journal spells it."""
    return state  # type: ignore[return-value] # the engine writes no other word


def _step(record: StepRecord) -> StepReport:
    note = record.outcome.note if record.outcome else ""
    title = f"take back: {record.step.title}" if record.back else record.step.title
    counts = record.outcome.counts if record.outcome and not record.back else {}
    return StepReport(record.step.kind, title, record.state, note, counts)


def summaries(journal: Journal, limit: int) -> tuple[RunSummary, ...]:
    """The newest runs, newest first."""
    return tuple(summary(journal, run) for run in journal.newest(limit))


def unfinished(journal: Journal) -> Counter[str]:
    """How many runs are not over, by their state."""
    return Counter(state_of(journal.load(run)) for run in journal.unfinished())


def summary(journal: Journal, run: str) -> RunSummary:
    """One line about a run."""
    record = journal.load(run)
    held = sum(lane.state in ("held", "stopped", "failed") for lane in record.lanes.values())
    return RunSummary(
        id=record.id,
        verb=record.verb,
        state=state_of(record),
        started=record.started,
        ended=record.ended,
        lanes=len(record.lanes),
        held=held,
        undo_of=record.undo_of,
        undone_by=journal.undone_by(run),
        by=record.plan.by,
    )
