"""A small world of numbers with an engine over it, which can be killed and opened by the next process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raccord.errors import HeldBack, RaccordError, Stop, Unanswered, WorldMoved
from raccord.kernel.engine import Engine, Limits
from raccord.kernel.record import RunRecord
from raccord.kernel.store import Store
from raccord.kernel.undo import undo_plan
from raccord.model.event import Event
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Lane, Plan, Stage, Step

Fuse = Callable[[str, str], object]


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs."""


class Memory:
    """An archive that keeps documents in a dictionary."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.pins: dict[str, Sequence[str]] = {}

    def save(self, run: str, document: bytes, pins: Sequence[str]) -> None:
        self.documents[run], self.pins[run] = document, pins

    def load_all(self) -> Mapping[str, bytes | RaccordError]:
        return self.documents


class Setter:
    """Sets a value of the world; payload: name, old, new, and what happens at it.

    `fuse` is called before and after each change, and may raise; a value of -1 is half done.
    """

    kind, version = "set", 1

    def __init__(self, world: dict[str, int]) -> None:
        self.world = world
        self.fuse: Fuse = lambda where, name: None
        self.probes: list[str] = []
        self.reverts: list[str] = []
        self.silent = False

    def probe(self, step: Step, context: Context) -> Position:
        name = step.payload["name"]
        self.probes.append(name)
        if self.silent:
            return Position.UNKNOWN
        now = self.world.get(name, 0)
        if now == -1:
            return Position.BETWEEN
        if now == step.payload["new"]:
            return Position.AFTER
        return Position.BEFORE if now == step.payload["old"] else Position.NEITHER

    def apply(self, step: Step, context: Context) -> Outcome:
        name = step.payload["name"]
        self.fuse("before", name)
        if self.world.get(name, 0) not in (step.payload["old"], step.payload["new"], -1):
            raise WorldMoved(f"{name} moved")
        if step.payload.get("fails") and self.world.get(name, 0) != step.payload["new"]:
            kinds: dict[str, type[RaccordError]] = {"held": HeldBack, "stop": Stop, "unknown": Unanswered}
            raise kinds[step.payload["fails"]](f"{name} is red")
        self.world[name] = step.payload["new"]
        self.fuse("after", name)
        more = tuple(setting(**one) for one in step.payload.get("more", ()))
        return Outcome({"was": step.payload["old"]}, more, counts=step.payload.get("counts", {}))

    def revert(self, step: Step, context: Context) -> None:
        name = step.payload["name"]
        self.fuse("revert", name)
        self.reverts.append(name)
        self.world[name] = step.payload["old"]

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        if step.payload.get("forever"):
            return "it is for ever"
        if step.payload.get("nothing"):
            return ()
        return (setting(step.payload["name"], step.payload["new"], step.payload["old"]),)


class Batcher(Setter):
    """Sets many values in one call, and counts the calls."""

    kind = "batch"

    def __init__(self, world: dict[str, int]) -> None:
        super().__init__(world)
        self.asked: list[list[str]] = []
        self.applied: list[list[str]] = []
        self.refused: dict[str, Exception] = {}

    def probe(self, step: Step, context: Context) -> Position:
        return self.probe_batch([step], [context])[0]

    def probe_batch(self, steps: Sequence[Step], contexts: Sequence[Context]) -> list[Position]:
        self.asked.append([step.payload["name"] for step in steps])
        return [super(Batcher, self).probe(s, c) for s, c in zip(steps, contexts, strict=True)]

    def apply_batch(self, steps: Sequence[Step], contexts: Sequence[Context]) -> list[Outcome | Exception]:
        self.applied.append([step.payload["name"] for step in steps])
        self.fuse("batch", "")
        answers: list[Outcome | Exception] = []
        for step, context in zip(steps, contexts, strict=True):
            refused = self.refused.get(step.payload["name"])
            try:
                answers.append(refused or self.apply(step, context))
            except RaccordError as error:
                answers.append(error)
        return answers

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        if step.payload.get("forever"):
            return "it is for ever"
        return (pushing(step.payload["name"], step.payload["new"], step.payload["old"]),)


def setting(name: str, old: int, new: int, **more: Any) -> Step:
    return Step(
        "set", 1, f"set {name}", {"name": name, "old": old, "new": new, **more}, resources=(f"x:{name}",)
    )


def pushing(name: str, old: int, new: int, **more: Any) -> Step:
    payload = {"name": name, "old": old, "new": new, **more}
    return Step("batch", 1, f"push {name}", payload, shared=("remote:r",), batch="r")


def lane(key: str, *steps: Step, needs: Sequence[str] = ()) -> Lane:
    return Lane(key, key.upper(), steps, needs=tuple(needs))


class House:
    """The world, its engine, and what the engine told."""

    def __init__(self, path: Path, **world: int) -> None:
        self.path, self.world, self.archive = path, dict(world), Memory()
        self.setter, self.batcher = Setter(self.world), Batcher(self.world)
        self.events: list[Event] = []
        self.listen: Callable[[Event], None] = self.events.append
        self.engine = self.open()

    def open(self, *, lock_wait: float = 5.0, jobs: int = 2) -> Engine:
        self.store = Store(self.path / "state.db")
        self.engine = Engine(
            self.store,
            [self.setter, self.batcher],
            self.archive,
            limits=Limits(jobs, lock_wait),
            listen=lambda event: self.listen(event),
        )
        return self.engine

    def plan(self, *lanes: Lane, second: Sequence[Lane] = ()) -> Plan:
        stages = (Stage("one", lanes), Stage("two", tuple(second))) if second else (Stage("one", lanes),)
        return Plan("test", stages)

    def apply(self, *lanes: Lane, second: Sequence[Lane] = ()) -> RunRecord:
        _, record = self.engine.apply(lambda: self.plan(*lanes, second=second))
        assert record is not None
        return record

    def undo_plan(self, run: str) -> Plan:
        return undo_plan(self.engine.journal.load(run), self.engine.handlers, lambda step: (), "me")

    def undo(self, run: str) -> RunRecord | None:
        return self.engine.apply(lambda: self.undo_plan(run))[1]

    def killed(self, *lanes: Lane, second: Sequence[Lane] = ()) -> str:
        """Applies, is killed by the fuse, and opens again; the owner of the run is then dead."""
        with pytest.raises(Killed):
            self.engine.apply(lambda: self.plan(*lanes, second=second))
        return self.reopen()

    def reopen(self) -> str:
        """Opens the store as the next process after a kill; returns the newest run."""
        self.store.close()
        self.defuse()
        self.open()
        run = self.runs()[-1]
        dead = str(replace(self.engine.journal.load(run).owner, pid=999999999, start="1"))
        with self.store.transaction() as db:
            db.execute("update runs set state = 'running', ended = null, owner = ? where id = ?", (dead, run))
            db.execute("update locks set owner = ?", (dead,))
        return run

    def defuse(self) -> None:
        self.setter.fuse = self.batcher.fuse = lambda where, name: None

    def runs(self) -> list[str]:
        return [row[0] for row in self.store.rows("select id from runs order by seq")]

    def lanes(self, run: str) -> dict[str, str]:
        return {key: one.state for key, one in self.engine.journal.load(run).lanes.items()}

    def locked(self) -> list[Any]:
        return self.store.rows("select resource from locks")


def exploding(point: tuple[str, str], error: BaseException) -> Fuse:
    """A fuse that raises at one point, each time."""

    def fuse(where: str, name: str) -> None:
        if (where, name) == point:
            raise error

    return fuse


def listing(order: list[str]) -> Fuse:
    """A fuse that writes down which steps begin."""

    def fuse(where: str, name: str) -> None:
        if where == "before":
            order.append(name)

    return fuse


class Pause:
    """A fuse that holds a step up until it is let go."""

    def __init__(self, point: tuple[str, str]) -> None:
        self.point = point
        self.inside, self.go = threading.Event(), threading.Event()

    def __call__(self, where: str, name: str) -> None:
        if (where, name) == self.point:
            self.inside.set()
            assert self.go.wait(60)
