"""A run's records as rows of the state database, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from raccord.errors import UsageError
from raccord.kernel.document import bare, lane_from, outcome_from, outcome_json, whole
from raccord.kernel.owner import Owner
from raccord.kernel.record import LaneRecord, RunRecord, StepRecord, by_lane
from raccord.kernel.store import Store, dumps
from raccord.model.plan import Json, plain, plan_from, step_from


def insert(store: Store, record: RunRecord) -> None:
    """Writes a run that is not there yet."""
    with store.transaction() as db:
        db.execute(
            "insert into runs (id, verb, state, plan, owner, release, undo_of, started, ended)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.id,
                record.verb,
                record.state,
                dumps(plain(bare(record.plan))),
                str(record.owner),
                record.release,
                record.undo_of,
                record.started,
                record.ended,
            ),
        )
        db.executemany(
            "insert into lanes values (?, ?, ?, ?, ?, ?)",
            [(record.id, *lane_row(lane)) for lane in record.lanes.values()],
        )
        insert_steps(store, record.id, record.steps)


def insert_steps(store: Store, run: str, steps: Sequence[StepRecord]) -> None:
    """Writes steps of a run that are not there yet."""
    values = [(run, *step_row(step)) for step in steps]
    with store.transaction() as db:
        db.executemany("insert into steps values (?, ?, ?, ?, ?, ?, ?, ?)", values)


def load(store: Store, run: str) -> RunRecord:
    """A run with all its lanes and steps.

    Raises:
        UsageError: there is none of this name.
    """
    found = store.rows(
        "select verb, state, plan, owner, release, undo_of, recoveries, started, ended"
        " from runs where id = ?",
        (run,),
    )
    if not found:
        raise UsageError(f"no run called {run!r}", hint="raccord log")
    verb, state, plan, owner, release, undo_of, recoveries, started, ended = found[0]
    lanes = store.rows(
        "select key, title, state, finding, retreat from lanes where run = ? order by rowid", (run,)
    )
    steps = store.rows(
        "select seq, stage, lane, back, step, state, outcome from steps where run = ? order by seq", (run,)
    )
    records = [step_record(row) for row in steps]
    return RunRecord(
        id=run,
        verb=verb,
        state=state,
        plan=whole(plan_from(json.loads(plan)), records),
        owner=Owner.parse(owner, store.folder),
        release=release,
        started=started,
        ended=ended,
        undo_of=undo_of,
        recoveries=recoveries,
        lanes={lane.key: lane for lane in map(lane_record, lanes)},
        by_lane=by_lane(records),
    )


def lane_row(lane: LaneRecord) -> tuple[str, ...]:
    """A lane as the columns after `run`."""
    finding, retreat = dumps(plain(lane.finding)), dumps(plain(lane.retreat))
    return dumps(lane.key), dumps(lane.title), lane.state, finding, retreat


def lane_record(row: Sequence[Json]) -> LaneRecord:
    """Reads it back."""
    key, title, state, finding, retreat = row
    return lane_from(
        {
            "key": json.loads(key),
            "title": json.loads(title),
            "state": state,
            "finding": json.loads(finding),
            "retreat": json.loads(retreat),
        }
    )


def step_row(one: StepRecord) -> tuple[Json, ...]:
    """A step as the columns after `run`."""
    step, outcome = dumps(plain(one.step)), dumps(outcome_json(one.outcome))
    return one.seq, one.stage, dumps(one.lane), one.back, step, one.state, outcome


def step_record(row: Sequence[Json]) -> StepRecord:
    """Reads it back."""
    seq, stage, lane, back, step, state, outcome = row
    done = outcome_from(json.loads(outcome))
    return StepRecord(seq, stage, json.loads(lane), step_from(json.loads(step)), state, done, back)
