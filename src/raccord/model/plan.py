"""The plan: stages of lanes of steps, all frozen data that survives a trip through JSON unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

RESTORE_FAILED = "restore.failed"  # the finding of a lane that could not be put back; faces tell it apart

Json = Any  # a value that json.dumps takes: None, bool, int, float, str, list, dict


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check, with the next command to type.

    Attributes:
        name: which check, as a dotted name ("clean", "replay.conflict").
        status: "pass", "fail", "unknown" or "note".
        message: one line for a person.
        hint: the next command, or "".
        data: details for programs.
    """

    name: str
    status: str
    message: str
    hint: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One change to the world.

    Attributes:
        kind: the handler's name, such as "worktree.follow".
        version: the format of the payload; a handler refuses a version it does not know.
        title: one line for a person.
        payload: what the handler needs, and nothing secret.
        before: the fingerprint of the world on which the step was planned.
        after: the fingerprint once it is done; None where that can't be known yet.
        resources: what the lane alone changes, such as "checkout:/path"; locked from the run's start.
        shared: what other lanes change too, such as "remote:origin"; locked from its stage's start, so
            that a lane whose tests take long does not keep others from pushing.
        destroys: whether it overwrites something; it then needs an earlier step that `backs_up`.
        backs_up: whether it keeps what later steps of its lane destroy.
        batch: steps of one stage with the same kind and batch reach the handler in one call.
        pins: ids of objects that an undo needs, kept from being pruned as long as the run is kept.
    """

    kind: str
    version: int
    title: str
    payload: Mapping[str, Json] = field(default_factory=dict)
    before: Json = None
    after: Json = None
    resources: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    destroys: bool = False
    backs_up: bool = False
    batch: str = ""
    pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lane:
    """An ordered tuple of steps that fails or succeeds alone.

    Attributes:
        key: names the same lane in every stage of its plan.
        title: one line for a person.
        steps: in order.
        needs: keys of lanes that must be done before this one may start (a stack).
        held: why the planner holds it back; such a lane has no steps.
        notes: what a person should know, such as "merged by squash".
        then: what can't be known yet, in words ("push, once you resolved the conflict").
        waits: whether it stays open where one that it needs waits for a person; else it is held back.
    """

    key: str
    title: str
    steps: tuple[Step, ...] = ()
    needs: tuple[str, ...] = ()
    held: Finding | None = None
    notes: tuple[Finding, ...] = ()
    then: tuple[str, ...] = ()
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Lanes that run side by side; the next stage starts when all have ended.

    Attributes:
        name: what is done in it.
        lanes: in the order in which they are shown.
        back: how many of the stages before it a lane that fails here takes back too.
    """

    name: str
    lanes: tuple[Lane, ...]
    back: int = 0


@dataclass(frozen=True, slots=True)
class Waiver:
    """A guard that is skipped: which, by whom, and why."""

    guard: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a verb would do.

    Attributes:
        verb: the command that made it.
        stages: in order.
        waivers: the guards that are skipped.
        notes: findings about the whole, shown before the lanes.
        undo_of: the run that it takes back, or "".
        by: who asked.
    """

    verb: str
    stages: tuple[Stage, ...]
    waivers: tuple[Waiver, ...] = ()
    notes: tuple[Finding, ...] = ()
    undo_of: str = ""
    by: str = ""

    def lanes(self) -> dict[str, list[Lane]]:
        """Every lane by its key, one entry for each stage it takes part in."""
        found: dict[str, list[Lane]] = {}
        for stage in self.stages:
            for lane in stage.lanes:
                found.setdefault(lane.key, []).append(lane)
        return found

    def steps(self) -> Iterable[Step]:
        """Every step, stage by stage."""
        return (step for stage in self.stages for lane in stage.lanes for step in lane.steps)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(True for _ in self.steps())


def checkout(worktree: object) -> str:
    """The resource that a worktree's files, index and HEAD are."""
    return f"checkout:{worktree}"


def plain(value: object) -> Json:
    """A plan, or a part of one, as what `json.dumps` takes. Unlike `asdict` it copies no payload."""
    if value is None or isinstance(value, (str, int, float, dict, list)):
        return value
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return dict(value) if isinstance(value, Mapping) else value


def finding_from(data: Mapping[str, Json]) -> Finding:
    """Reads a finding back from `plain`."""
    return Finding(**data)


def step_from(data: Mapping[str, Json]) -> Step:
    """Reads a step back from `plain`, through JSON."""
    return Step(
        **{
            **data,
            "resources": tuple(data["resources"]),
            "shared": tuple(data["shared"]),
            "pins": tuple(data["pins"]),
        }
    )


def lane_from(data: Mapping[str, Json]) -> Lane:
    """Reads a lane back from `plain`, through JSON."""
    return Lane(
        key=data["key"],
        title=data["title"],
        steps=tuple(step_from(step) for step in data["steps"]),
        needs=tuple(data["needs"]),
        held=finding_from(data["held"]) if data["held"] else None,
        notes=tuple(finding_from(note) for note in data["notes"]),
        then=tuple(data["then"]),
        waits=data.get("waits", False),  # an older release wrote none
    )


def plan_from(data: Mapping[str, Json]) -> Plan:
    """Reads a plan back from `plain`, through JSON."""
    return Plan(
        verb=data["verb"],
        stages=tuple(
            Stage(stage["name"], tuple(lane_from(lane) for lane in stage["lanes"]), stage.get("back", 0))
            for stage in data["stages"]
        ),
        waivers=tuple(Waiver(**waiver) for waiver in data["waivers"]),
        notes=tuple(finding_from(note) for note in data["notes"]),
        undo_of=data["undo_of"],
        by=data["by"],
    )
