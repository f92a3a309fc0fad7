"""What is known of a run: its plan, and where each lane and step stands. Pure: the journal keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from raccord.kernel.owner import Owner
from raccord.model.handler import Outcome
from raccord.model.plan import (
    Finding,
    Plan,
    Step,
)

# Room between two planned steps for those that only become known on the way.
SPACING = 1 << 32
OPEN_LANES = ("pending", "running", "stopped")
# The step that stands for the whole of a run whose document this release can't read. It has no handler.
FOREIGN = "journal.document"
EVERYTHING = "*"
NO_RUN = "run.none"  # the finding of what is kept in a run's place and is none


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
    outcome: Outcome | None = None
    back: int = 0


@dataclass(frozen=True, slots=True)
class Retreat:
    """Where a lane is going that is being put back: its steps from a stage on, and what it then becomes."""

    stage: int
    state: str
    finding: Finding | None = None


@dataclass(slots=True)
class LaneRecord:
    """A lane of a run and where it stands; with a retreat it only goes back."""

    key: str
    title: str
    state: str
    finding: Finding | None = None
    retreat: Retreat | None = None


@dataclass(slots=True)
class RunRecord:
    """A run as the journal has it. Threads may work on different lanes of it at once."""

    id: str
    verb: str
    state: str
    plan: Plan
    owner: Owner
    release: str
    started: float
    ended: float | None
    undo_of: str
    recoveries: int = 0
    lanes: dict[str, LaneRecord] = field(default_factory=dict)
    # By lane, each in order: a lane's list is replaced, never changed, while others read theirs.
    by_lane: dict[str, list[StepRecord]] = field(default_factory=dict)

    def of(self, lane: str, stage: int | None = None) -> list[StepRecord]:
        """A lane's steps in order, of one stage or of all."""
        return [s for s in self.by_lane.get(lane, ()) if stage in (None, s.stage)]

    @property
    def steps(self) -> list[StepRecord]:
        """Every step, in order."""
        return sorted((s for steps in self.by_lane.values() for s in steps), key=lambda s: s.seq)

    @property
    def open_lanes(self) -> list[str]:
        """Keys of the lanes that are not finished."""
        return [lane.key for lane in self.lanes.values() if lane.state in OPEN_LANES]

    @property
    def foreign(self) -> bool:
        """Whether this release could not read its document."""
        return any(s.step.kind == FOREIGN for s in self.steps)

    def add(self, steps: Iterable[StepRecord]) -> None:
        """Takes in steps, each at its place in its lane."""
        for step in steps:
            known = [*self.by_lane.get(step.lane, ()), step]
            self.by_lane[step.lane] = sorted(known, key=lambda s: s.seq)


def run_state(lanes: Iterable[str]) -> str:
    """What the states of a run's lanes make of the run, once nothing of it is at work."""
    found = set(lanes)
    if found & set(OPEN_LANES):
        return "stopped"
    for lane, run in (("failed", "failed"), ("aborted", "aborted"), ("held", "partial")):
        if lane in found:
            return run
    if "skipped" in found:
        return "partial" if found & {"done", "nothing"} else "aborted"
    return "done"


def by_lane(steps: Iterable[StepRecord]) -> dict[str, list[StepRecord]]:
    """Steps as `RunRecord.by_lane` has them."""
    found: dict[str, list[StepRecord]] = {}
    for step in sorted(steps, key=lambda s: s.seq):
        found.setdefault(step.lane, []).append(step)
    return found
