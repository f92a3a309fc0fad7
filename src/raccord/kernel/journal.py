"""The journal: every run with its plan, what became of each step, and what an undo needs.

A run is written before its first effect, and a step's start before the step. The journal knows no git:
an `Archive` keeps a second copy beside the repository, from which a lost database is rebuilt.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from raccord.errors import UsageError
from raccord.kernel.owner import Owner, me
from raccord.kernel.store import Store, dumps
from raccord.model.handler import Outcome
from raccord.model.plan import Finding, Json, Plan, Step, finding_from, plan_from, step_from

FORMAT = 1
OPEN_LANES = ("pending", "running", "stopped")
# Room between two planned steps for those that only become known on the way.
SPACING = 1024


class Archive(Protocol):
    """Keeps runs outside the database, where deleting the database does not reach them."""

    def save(self, run: str, document: bytes, pins: Sequence[str]) -> None:
        """Keeps the run's document, and the objects that it names, durably."""

    def load_all(self) -> Mapping[str, bytes]:
        """Every document that is kept, by run."""


@dataclass(slots=True)
class StepRecord:
    """A step of a run and what became of it: "pending", "running", "done", "undone", "failed", "skipped".

    `back` is the number of the step that it takes back, or 0.
    """

    seq: int
    stage: int
    lane: str
    step: Step
    state: str
    outcome: Outcome | None
    back: int


@dataclass(slots=True)
class LaneRecord:
    """A lane of a run and where it stands."""

    key: str
    title: str
    state: str
    finding: Finding | None


@dataclass(slots=True)
class RunRecord:
    """A run as the journal has it."""

    id: str
    verb: str
    state: str
    plan: Plan
    owner: Owner
    started: float
    ended: float | None
    undo_of: str
    lanes: dict[str, LaneRecord] = field(default_factory=dict)
    steps: list[StepRecord] = field(default_factory=list)

    def of(self, lane: str, stage: int | None = None) -> list[StepRecord]:
        """A lane's steps in order, of one stage or of all."""
        return [s for s in self.steps if s.lane == lane and stage in (None, s.stage)]

    @property
    def open_lanes(self) -> list[str]:
        """Keys of the lanes that are not finished."""
        return [lane.key for lane in self.lanes.values() if lane.state in OPEN_LANES]


def new_id(now: float) -> str:
    """A run's id: sorts by time, is short enough to type, and is unique by its random end."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + "-" + secrets.token_hex(3)


class Journal:
    """The runs in a store."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive

    def create(self, run: str, plan: Plan, now: float) -> RunRecord:
        """Writes a run before its first effect, in the database and in the archive."""
        lanes: dict[str, LaneRecord] = {}
        steps: list[StepRecord] = []
        for number, stage in enumerate(plan.stages):
            for lane in stage.lanes:
                known = lanes.setdefault(lane.key, LaneRecord(lane.key, lane.title, "nothing", None))
                if lane.held is not None:
                    known.state, known.finding = "held", lane.held
                elif lane.steps and known.state == "nothing":
                    known.state = "pending"
                for step in lane.steps:
                    seq = (len(steps) + 1) * SPACING
                    steps.append(StepRecord(seq, number, lane.key, step, "pending", None, 0))
        record = RunRecord(run, plan.verb, "running", plan, me(), now, None, plan.undo_of, lanes, steps)
        # The archive first: a run that the database knows is finished by the next command.
        self.archive(record)
        self._insert(record)
        return record

    def _insert(self, record: RunRecord) -> None:
        with self._store.transaction() as db:
            db.execute(
                "insert or replace into runs values (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.id,
                    record.verb,
                    record.state,
                    dumps(asdict(record.plan)),
                    str(record.owner),
                    record.undo_of,
                    record.started,
                    record.ended,
                ),
            )
            db.executemany(
                "insert or replace into lanes values (?, ?, ?, ?, ?)",
                [(record.id, *_lane_row(lane)) for lane in record.lanes.values()],
            )
            db.executemany(
                "insert or replace into steps values (?, ?, ?, ?, ?, ?, ?, ?)",
                [(record.id, *_step_row(step)) for step in record.steps],
            )

    def archive(self, record: RunRecord) -> None:
        """Keeps the run as it stands in the archive."""
        document = {
            "format": FORMAT,
            "id": record.id,
            "state": record.state,
            "plan": asdict(record.plan),
            "owner": str(record.owner),
            "started": record.started,
            "ended": record.ended,
            "lanes": [_lane_row(lane) for lane in record.lanes.values()],
            "steps": [_step_row(step) for step in record.steps],
        }
        pins = sorted({pin for step in record.steps for pin in step.step.pins})
        self._archive.save(record.id, dumps(document).encode("ascii"), pins)

    def rebuild(self) -> int:
        """Fills an empty database from the archive; returns how many runs it found."""
        documents = self._archive.load_all()
        for document in documents.values():
            data = json.loads(document)
            plan = plan_from(data["plan"])
            record = RunRecord(
                data["id"],
                plan.verb,
                data["state"],
                plan,
                Owner.parse(data["owner"]),
                data["started"],
                data["ended"],
                plan.undo_of,
                {row[0]: _lane_record(row) for row in data["lanes"]},
                [_step_record(row) for row in data["steps"]],
            )
            self._insert(record)
        return len(documents)

    def step(self, run: str, record: StepRecord, state: str, outcome: Outcome | None = None) -> None:
        """Records where a step stands, and what it left behind."""
        record.state = state
        if outcome is not None:
            record.outcome = outcome
        with self._store.transaction() as db:
            db.execute(
                "update steps set state = ?, outcome = ? where run = ? and seq = ?",
                (state, _outcome_text(record.outcome), run, record.seq),
            )

    def add(
        self, record: RunRecord, after: StepRecord | None, lane: str, stage: int, steps: Sequence[Step], back: int
    ) -> list[StepRecord]:
        """Adds steps that became known on the way: right after one, or at the end."""
        last = max((s.seq for s in record.steps), default=0)
        first = last + SPACING if after is None else after.seq + 1
        added = [StepRecord(first + i, stage, lane, step, "pending", None, back) for i, step in enumerate(steps)]
        with self._store.transaction() as db:
            db.executemany(
                "insert into steps values (?, ?, ?, ?, ?, ?, ?, ?)",
                [(record.id, *_step_row(step)) for step in added],
            )
        record.steps.extend(added)
        record.steps.sort(key=lambda s: s.seq)
        return added

    def lane(self, run: str, record: LaneRecord, state: str, finding: Finding | None = None) -> None:
        """Records where a lane stands."""
        record.state, record.finding = state, finding
        with self._store.transaction() as db:
            db.execute(
                "update lanes set state = ?, finding = ? where run = ? and key = ?",
                (state, dumps(asdict(finding) if finding else None), run, record.key),
            )

    def run(self, record: RunRecord, state: str, ended: float | None) -> None:
        """Records where the run stands."""
        record.state, record.ended = state, ended
        with self._store.transaction() as db:
            db.execute("update runs set state = ?, ended = ? where id = ?", (state, ended, record.id))

    def adopt(self, record: RunRecord) -> None:
        """Makes this process the run's owner, before it goes on with it."""
        record.owner, record.state = me(), "running"
        with self._store.transaction() as db:
            db.execute(
                "update runs set owner = ?, state = 'running', ended = null where id = ?",
                (str(record.owner), record.id),
            )

    def find(self, name: str) -> str:
        """The id that a person meant: whole, or a beginning or an end that names one run.

        Raises:
            UsageError: no run, or several.
        """
        rows = self._store.rows("select id from runs order by id")
        ids = [row[0] for row in rows]
        found: list[str] = [run for run in ids if run == name] or [
            run for run in ids if run.startswith(name) or run.endswith(name)
        ]
        if len(found) != 1:
            what = "several runs" if found else "no run"
            raise UsageError(f"{what} called {name!r}", hint="raccord log")
        return found[0]

    def load(self, run: str) -> RunRecord:
        """A run with all its lanes and steps."""
        rows = self._store.rows(
            "select id, verb, state, plan, owner, undo_of, started, ended from runs where id = ?", (run,)
        )
        if not rows:
            raise UsageError(f"no run called {run!r}", hint="raccord log")
        id_, verb, state, plan, owner, undo_of, started, ended = rows[0]
        lanes = self._store.rows("select key, title, state, finding from lanes where run = ? order by rowid", (run,))
        steps = self._store.rows(
            "select seq, stage, lane, back, step, state, outcome from steps where run = ? order by seq", (run,)
        )
        return RunRecord(
            id_,
            verb,
            state,
            plan_from(json.loads(plan)),
            Owner.parse(owner),
            started,
            ended,
            undo_of,
            {row[0]: _lane_record(row) for row in lanes},
            [_step_record(row) for row in steps],
        )

    def unfinished(self) -> list[str]:
        """Runs that are not over: running, stopped or cut off."""
        return [
            row[0]
            for row in self._store.rows(
                "select id from runs where state in ('running', 'stopped', 'interrupted') order by id"
            )
        ]

    def newest(self, limit: int) -> list[str]:
        """The newest runs, newest first."""
        rows = self._store.rows("select id from runs order by started desc, id desc limit ?", (limit,))
        return [row[0] for row in rows]

    def undone_by(self, run: str) -> str:
        """The run that took this one back and was not taken back itself, or ""."""
        rows = self._store.rows(
            "select id from runs as u where undo_of = ? and state in ('done', 'partial')"
            " and not exists (select 1 from runs where undo_of = u.id and state in ('done', 'partial'))"
            " order by started desc limit 1",
            (run,),
        )
        return str(rows[0][0]) if rows else ""

    def undoable(self) -> str | None:
        """The newest run that is over, changed something, is no undo, and was not taken back."""
        for run, verb in self._store.rows("select id, verb from runs order by started desc, id desc"):
            if verb != "undo" and verb != "snapshot" and not self.undone_by(run):
                record = self.load(run)
                if not record.open_lanes and any(s.state == "done" and not s.back for s in record.steps):
                    return str(run)
        return None

    def last_of_lanes(self) -> dict[str, tuple[str, str, str, float]]:
        """For each lane's key its newest run: id, verb, the lane's state, when it began."""
        rows = self._store.rows(
            "select l.key, r.id, r.verb, l.state, r.started from lanes l join runs r on r.id = l.run"
            " order by r.started"
        )
        return {key: (run, verb, state, started) for key, run, verb, state, started in rows}

    def forget(self, runs: Sequence[str]) -> None:
        """Drops runs from the database."""
        with self._store.transaction() as db:
            db.executemany("delete from runs where id = ?", [(run,) for run in runs])


def _lane_row(lane: LaneRecord) -> tuple[str, str, str, str]:
    return lane.key, lane.title, lane.state, dumps(asdict(lane.finding) if lane.finding else None)


def _lane_record(row: Sequence[Json]) -> LaneRecord:
    finding = json.loads(row[3])
    return LaneRecord(row[0], row[1], row[2], finding_from(finding) if finding else None)


def _step_row(record: StepRecord) -> tuple[int, int, str, int, str, str, str]:
    return (
        record.seq,
        record.stage,
        record.lane,
        record.back,
        dumps(asdict(record.step)),
        record.state,
        _outcome_text(record.outcome),
    )


def _step_record(row: Sequence[Json]) -> StepRecord:
    outcome = json.loads(row[6])
    return StepRecord(
        row[0],
        row[1],
        row[2],
        step_from(json.loads(row[4])),
        row[5],
        Outcome(outcome["record"], (), outcome["note"]) if outcome else None,
        row[3],
    )


def _outcome_text(outcome: Outcome | None) -> str:
    # `more` became steps of their own when the outcome was recorded.
    return dumps({"record": dict(outcome.record), "note": outcome.note} if outcome else None)


