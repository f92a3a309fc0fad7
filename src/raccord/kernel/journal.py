"""The journal: every run with its plan, what became of each step, and what an undo needs.

A run is written before its first effect, and a step's start before the step. The journal knows no git:
an `Archive` keeps a second copy beside the repository, from which a lost database is rebuilt.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from raccord import __version__
from raccord.errors import RaccordError, UsageError
from raccord.kernel.document import bare, document, foreign, nothing, outcome_json, read_document
from raccord.kernel.owner import me
from raccord.kernel.record import (
    NO_RUN,
    OPEN_LANES,
    SPACING,
    LaneRecord,
    Retreat,
    RunRecord,
    StepRecord,
    by_lane,
)
from raccord.kernel.rows import insert, insert_steps, load
from raccord.kernel.store import Store, dumps
from raccord.model.counts import total
from raccord.model.handler import Outcome
from raccord.model.plan import Finding, Json, Plan, Step, finding_from, plain
from raccord.model.text import shown

# Steps that become known on the way lie this far apart at most, so that more can come between them.
NEST = 1 << 16
COUNTS = "counts"  # the cache of what dropped runs counted
RUNS, STOPS = "runs", "stops"  # keys in it: dropped runs by verb and state; what lanes stopped at, ever
STOPPED = ("held", "stopped", "failed")
ENDED = "select id, verb, state from runs where ended is not null and verb <> '?'"


class Archive(Protocol):
    """Keeps runs outside the database, where deleting the database does not reach them."""

    def save(self, run: str, document: bytes, pins: Sequence[str]) -> None:
        """Keeps the run's document, and the objects that it names, durably."""

    def load_all(self) -> Mapping[str, bytes | RaccordError]:
        """Every document that is kept, by run; an error where something is kept that is none."""


def new_id(now: float) -> str:
    """A run's id: sorts by time, is short enough to type, and is unique by its random end."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + "-" + secrets.token_hex(3)


class Journal:
    """The runs in a store."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive

    def create(self, run: str, plan: Plan, now: float) -> RunRecord:
        """Writes a run before its first effect, in the database and in the archive.

        Returns:
            The run as it will be read back: what runs now is what `continue` would run.
        """
        lanes: dict[str, LaneRecord] = {}
        steps: list[StepRecord] = []
        for number, stage in enumerate(plan.stages):
            for lane in stage.lanes:
                known = lanes.setdefault(lane.key, LaneRecord(lane.key, lane.title, "nothing"))
                if lane.held is not None:
                    known.state, known.finding = "held", lane.held
                elif lane.steps and known.state == "nothing":
                    known.state = "pending"
                for step in lane.steps:
                    seq = (len(steps) + 1) * SPACING
                    steps.append(StepRecord(seq, number, lane.key, step, "pending"))
        owner = me(self._store.folder)
        planned = RunRecord(
            id=run,
            verb=plan.verb,
            state="running",
            plan=plan,
            owner=owner,
            release=__version__,
            started=now,
            ended=None,
            undo_of=plan.undo_of,
            lanes=lanes,
            by_lane=by_lane(steps),
        )
        text = document(planned)
        record = read_document(text, self._store.folder)
        # The archive first: a run that the database knows is finished by the next command.
        self._archive.save(run, text, _pins(record))
        with self._store.transaction():
            insert(self._store, record)
            self._stopped([lane.finding for lane in record.lanes.values() if lane.state in STOPPED])
        return record

    def archive(self, record: RunRecord) -> None:
        """Keeps the run as it stands in the archive."""
        if not record.foreign:  # what another release wrote there stays
            self._archive.save(record.id, document(record), _pins(record))

    def rebuild(self) -> int:
        """Adds the runs that only the archive knows; returns how many.

        What was under way when its document was written may have gone on since: its steps count as begun,
        so that the world is asked, and a person decides.
        """
        known = {row[0] for row in self._store.rows("select id from runs")}
        documents = self._archive.load_all()
        records = [self._read(run, text) for run, text in documents.items() if run not in known]
        with self._store.transaction():
            for record in sorted(records, key=lambda one: (one.started, one.id)):
                if record.state in ("running", "stopped", "interrupted"):
                    record.state = "interrupted" if record.state == "running" else record.state
                    for step in record.steps:
                        if step.state == "pending" and record.lanes[step.lane].state in OPEN_LANES:
                            step.state = "running"
                insert(self._store, record)
        return len(records)

    def _read(self, run: str, text: bytes | RaccordError) -> RunRecord:
        if isinstance(text, RaccordError):
            return nothing(shown(run), text, me(self._store.folder))
        try:
            record = read_document(text, self._store.folder)
            if record.id != run:
                raise RaccordError(f"its document is that of run {record.id}")
            return record
        except RaccordError as error:
            return foreign(run, text, error, me(self._store.folder))

    def step(self, run: str, record: StepRecord, state: str, outcome: Outcome | None = None) -> None:
        """Records where a step stands, and what it left behind."""
        record.state = state
        if outcome is not None:
            record.outcome = outcome
        with self._store.transaction() as db:
            db.execute(
                "update steps set state = ?, outcome = ? where run = ? and seq = ?",
                (state, dumps(outcome_json(record.outcome)), run, record.seq),
            )

    def add_after(self, record: RunRecord, after: StepRecord, steps: Sequence[Step]) -> None:
        """Adds steps that became known on the way, right after the one that made them known."""
        later = [s.seq for s in record.of(after.lane) if s.seq > after.seq]
        gap = min(NEST, (min(later, default=after.seq + SPACING) - after.seq) // (len(steps) + 1))
        self._add(record, after.lane, after.stage, steps, after.seq + gap, gap, after.back)

    def add_inverse(self, record: RunRecord, taken_back: StepRecord, steps: Sequence[Step]) -> None:
        """Adds the steps that take another one back, behind all others of the run."""
        with self._store.transaction() as db:
            last = db.execute("select max(seq) from steps where run = ?", (record.id,)).fetchone()[0]
            first = (last // SPACING + 1) * SPACING
            self._add(record, taken_back.lane, taken_back.stage, steps, first, SPACING, taken_back.seq)

    def _add(
        self, record: RunRecord, lane: str, stage: int, steps: Sequence[Step], first: int, gap: int, back: int
    ) -> None:
        added = [
            StepRecord(first + n * gap, stage, lane, step, "pending", back=back)
            for n, step in enumerate(steps)
        ]
        insert_steps(self._store, record.id, added)
        record.add(added)

    def lane(
        self,
        run: str,
        record: LaneRecord,
        state: str,
        finding: Finding | None = None,
        retreat: Retreat | None = None,
    ) -> None:
        """Records where a lane stands."""
        record.state, record.finding, record.retreat = state, finding, retreat
        with self._store.transaction() as db:
            db.execute(
                "update lanes set state = ?, finding = ?, retreat = ? where run = ? and key = ?",
                (state, dumps(plain(finding)), dumps(plain(retreat)), run, dumps(record.key)),
            )
            if state in STOPPED:
                self._stopped([finding])

    def run(self, record: RunRecord, state: str, ended: float | None) -> None:
        """Records where the run stands."""
        record.state, record.ended = state, ended
        with self._store.transaction() as db:
            db.execute("update runs set state = ?, ended = ? where id = ?", (state, ended, record.id))

    def adopt(self, record: RunRecord, *, recovering: bool) -> None:
        """Makes this process the run's owner, before it goes on with it.

        Args:
            recovering: nobody asked for it; counted until a person goes on with the run.
        """
        record.owner, record.state, record.ended = me(self._store.folder), "running", None
        record.recoveries = record.recoveries + 1 if recovering else 0
        with self._store.transaction() as db:
            db.execute(
                "update runs set owner = ?, state = 'running', ended = null, recoveries = ? where id = ?",
                (str(record.owner), record.recoveries, record.id),
            )

    def find(self, name: str) -> str:
        """The id that a person meant: whole, or a beginning or an end that names one run.

        Raises:
            UsageError: no run, or several.
        """
        ids: list[str] = [row[0] for row in self._store.rows("select id from runs order by seq")]
        if name in ids:
            return name
        found = [run for run in ids if name and (run.startswith(name) or run.endswith(name))]
        if len(found) == 1:
            return found[0]
        what = f"several runs ({', '.join(found[-3:])})" if found else "no run"
        raise UsageError(f"{what} called {name!r}", hint="raccord log")

    def load(self, run: str) -> RunRecord:
        """A run with all its lanes and steps.

        Raises:
            UsageError: there is none of this name.
        """
        return load(self._store, run)

    def unfinished(self) -> list[str]:
        """Runs that are not over: running, stopped or cut off."""
        rows = self._store.rows(
            "select id from runs where state in ('running', 'stopped', 'interrupted') order by seq"
        )
        return [row[0] for row in rows]

    def unreadable(self) -> list[Finding]:
        """What is kept in the place of a run and is none."""
        rows = self._store.rows(
            "select l.finding from lanes l join runs r on r.id = l.run where r.verb = '?' order by r.seq"
        )
        found = [finding_from(json.loads(row[0])) for row in rows]
        return [one for one in found if one.name == NO_RUN]

    def newest(self, limit: int) -> list[str]:
        """The newest runs, newest first; by the order in which they were written, whatever the clock said."""
        return [row[0] for row in self._store.rows("select id from runs order by seq desc limit ?", (limit,))]

    def undone_by(self, run: str) -> str:
        """The run that took this one back, or some of it, and was not taken back itself; or ""."""
        rows = self._store.rows(
            "select id from runs r where undo_of = ? and (state = 'done' or state = 'partial'"
            # One that was held back took nothing back.
            " and exists (select 1 from steps s where s.run = r.id and s.state = 'done' and s.back = 0))"
            " order by seq desc",
            (run,),
        )
        return next((row[0] for row in rows if not self.undone_by(row[0])), "")

    def last_of_lanes(self) -> dict[str, tuple[str, str, str, float]]:
        """For each lane's key its newest run: id, verb, the lane's state, when it began."""
        rows = self._store.rows(
            "select l.key, r.id, r.verb, l.state, r.started from lanes l join runs r on r.id = l.run"
            " order by r.seq"
        )
        return {json.loads(key): (run, verb, state, started) for key, run, verb, state, started in rows}

    def counts(self) -> dict[str, Json]:
        """What all runs counted so far, those that were dropped since included."""
        return total([self._store.cache_get(COUNTS, "") or {}, *self._counts()])

    def totals(self) -> dict[str, Json]:
        """Numbers that never fall, whatever is undone or dropped: of runs that are over.

        Returns:
            What their steps counted; "runs" by verb and state; "stops", what lanes stopped at or were held
            back for, by the finding's name.
        """
        dropped = [self._store.cache_get(COUNTS, key) or {} for key in ("", RUNS, STOPS)]
        ended = {row[0] for row in self._store.rows(ENDED)}
        found = total([dropped[0], *self._counts(ended)])
        return {**found, "runs": total([dropped[1], *self._by_verb(ended)]), "stops": dropped[2]}

    def _counts(self, runs: Collection[str] | None = None) -> list[Mapping[str, Json]]:
        rows = self._store.rows(
            "select run, outcome from steps where state = 'done' and back = 0 and outcome like '%\"counts\"%'"
        )
        known = [json.loads(outcome) for run, outcome in rows if runs is None or run in runs]
        return [one["counts"] for one in known if "counts" in one]

    def _by_verb(self, runs: Collection[str]) -> list[Mapping[str, Json]]:
        return [{verb: {state: 1}} for id_, verb, state in self._store.rows(ENDED) if id_ in runs]

    def _stopped(self, findings: Sequence[Finding | None]) -> None:
        names = [{one.name: 1} for one in findings if one is not None]
        if names:
            known = self._store.cache_get(COUNTS, STOPS) or {}
            self._store.cache_put(COUNTS, STOPS, total([known, *names]))

    def note(self, record: RunRecord, note: Finding) -> None:
        """Adds a finding about the whole of a run."""
        record.plan = replace(record.plan, notes=(*record.plan.notes, note))
        with self._store.transaction() as db:
            plan = dumps(plain(bare(record.plan)))
            db.execute("update runs set plan = ? where id = ?", (plan, record.id))

    def forget(self, runs: Sequence[str]) -> None:
        """Drops runs from the database; what they counted stays."""
        with self._store.transaction() as db:
            if gone := self._counts(runs):
                known = self._store.cache_get(COUNTS, "") or {}
                self._store.cache_put(COUNTS, "", total([known, *gone]))
            if ended := self._by_verb(runs):
                known = self._store.cache_get(COUNTS, RUNS) or {}
                self._store.cache_put(COUNTS, RUNS, total([known, *ended]))
            db.executemany("delete from runs where id = ?", [(run,) for run in runs])


def _pins(record: RunRecord) -> list[str]:
    return sorted({pin for step in record.steps for pin in step.step.pins})
