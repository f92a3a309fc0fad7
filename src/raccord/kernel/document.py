"""A run as one document, as the archive keeps it. Pure; no release may lose or guess what it can't read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from raccord.errors import RaccordError
from raccord.kernel.owner import Owner
from raccord.kernel.record import (
    EVERYTHING,
    FOREIGN,
    NO_RUN,
    SPACING,
    LaneRecord,
    Retreat,
    RunRecord,
    StepRecord,
    by_lane,
)
from raccord.kernel.store import dumps
from raccord.model.handler import Outcome
from raccord.model.plan import (
    Finding,
    Json,
    Lane,
    Plan,
    Stage,
    Step,
    finding_from,
    plain,
    plan_from,
    step_from,
)

FORMAT = 1


def bare(plan: Plan) -> Plan:
    """The plan without its steps, which are kept by themselves."""
    return _with(plan, {})


def whole(plan: Plan, steps: Iterable[StepRecord]) -> Plan:
    """The plan with its steps again; those that became known later are not of it."""
    planned: dict[tuple[int, str], list[Step]] = {}
    for s in steps:
        if not s.back and s.seq % SPACING == 0:
            planned.setdefault((s.stage, s.lane), []).append(s.step)
    return _with(plan, planned)


def _with(plan: Plan, steps: Mapping[tuple[int, str], list[Step]]) -> Plan:
    stages = [
        replace(
            stage,
            lanes=tuple(replace(lane, steps=tuple(steps.get((n, lane.key), ()))) for lane in stage.lanes),
        )
        for n, stage in enumerate(plan.stages)
    ]
    return replace(plan, stages=tuple(stages))


def outcome_json(outcome: Outcome | None) -> Json:
    """An outcome for the journal; its `more` became steps of their own when it was recorded."""
    if outcome is None:
        return None
    counts = {"counts": dict(outcome.counts)} if outcome.counts else {}
    return {"record": dict(outcome.record), "note": outcome.note, **counts}


def outcome_from(data: Json) -> Outcome | None:
    """Reads it back."""
    return Outcome(data["record"], (), data["note"], data.get("counts", {})) if data else None


def lane_from(data: Mapping[str, Json]) -> LaneRecord:
    """Reads a lane back from `plain`, through JSON."""
    retreat = data["retreat"]
    return LaneRecord(
        data["key"],
        data["title"],
        data["state"],
        _finding(data["finding"]),
        Retreat(retreat["stage"], retreat["state"], _finding(retreat["finding"])) if retreat else None,
    )


def step_record_from(data: Mapping[str, Json]) -> StepRecord:
    """Reads a step back from a document."""
    return StepRecord(
        seq=data["seq"],
        stage=data["stage"],
        lane=data["lane"],
        step=step_from(data["step"]),
        state=data["state"],
        outcome=outcome_from(data["outcome"]),
        back=data["back"],
    )


def _finding(data: Json) -> Finding | None:
    return finding_from(data) if data else None


def document(record: RunRecord) -> bytes:
    """The run as one document."""
    steps = [
        {
            "seq": s.seq,
            "stage": s.stage,
            "lane": s.lane,
            "back": s.back,
            "step": plain(s.step),
            "state": s.state,
            "outcome": outcome_json(s.outcome),
        }
        for s in record.steps
    ]
    data = {
        "format": FORMAT,
        "release": record.release,
        "id": record.id,
        "state": record.state,
        "plan": plain(bare(record.plan)),
        "owner": str(record.owner),
        "started": record.started,
        "ended": record.ended,
        "lanes": [plain(lane) for lane in record.lanes.values()],
        "steps": steps,
    }
    return dumps(data).encode("ascii")


def read_document(text: bytes, folder: Path) -> RunRecord:
    """Reads a document back.

    Args:
        folder: of the state database, for its owner.

    Raises:
        RaccordError: it is damaged, or a newer release wrote it.
    """
    try:
        data = json.loads(text)
        wrote = data.get("release", "?")
        if data["format"] != FORMAT:
            raise RaccordError(
                f"it was written by raccord {wrote}, which this one can't read",
                hint=f"install raccord {wrote}",
            )
        steps = [step_record_from(step) for step in data["steps"]]
        plan = whole(plan_from(data["plan"]), steps)
        lanes = [lane_from(lane) for lane in data["lanes"]]
        if not {s.lane for s in steps} <= {lane.key for lane in lanes}:
            raise ValueError("steps of no lane")
        return RunRecord(
            id=data["id"],
            verb=plan.verb,
            state=data["state"],
            plan=plan,
            owner=Owner.parse(data["owner"], folder),
            release=wrote,
            started=data["started"],
            ended=data["ended"],
            undo_of=plan.undo_of,
            lanes={lane.key: lane for lane in lanes},
            by_lane=by_lane(steps),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RaccordError(f"its document is damaged: {error!r}", hint="raccord log") from error


def foreign(run: str, text: bytes, why: RaccordError, owner: Owner) -> RunRecord:
    """Stands for a run whose document can't be read, so that it is listed, and never taken for finished."""
    try:
        data = dict(json.loads(text))
    except (TypeError, ValueError):
        data = {}
    over = data.get("state") in ("aborted", "done", "failed", "partial")
    release = str(data.get("release", "?"))
    title = f"a run that this raccord can't read ({release})"
    step = Step(FOREIGN, 0, title, resources=(EVERYTHING,))
    finding = Finding("run.unreadable", "unknown", f"run {run}: {why.message}", why.hint)
    lane = LaneRecord("run", title, "done" if over else "stopped", finding)
    started = data.get("started")
    return RunRecord(
        id=run,
        verb="?",
        state=data["state"] if over else "stopped",
        plan=Plan("?", (Stage("run", (Lane("run", title),)),), notes=(finding,)),
        owner=owner,
        release=release,
        started=started if isinstance(started, float) else 0.0,
        ended=None,
        undo_of="",
        lanes={"run": lane},
        by_lane={"run": [StepRecord(SPACING, 0, "run", step, "done" if over else "running")]},
    )


def nothing(run: str, why: RaccordError, owner: Owner) -> RunRecord:
    """Stands for what is kept in the place of a run and is none: it is named, and holds nothing up."""
    finding = Finding(NO_RUN, "unknown", why.message, why.hint, dict(why.data))
    title = "no run"
    return RunRecord(
        id=run,
        verb="?",
        state="failed",
        plan=Plan("?", (Stage("run", (Lane("run", title),)),), notes=(finding,)),
        owner=owner,
        release="?",
        started=0.0,
        ended=0.0,
        undo_of="",
        lanes={"run": LaneRecord("run", title, "failed", finding)},
    )
