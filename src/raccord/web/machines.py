"""The routes about other machines: who they are, how this one stands to the hub, and what they ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from raccord.coordination.exchange import Exchange
from raccord.model.coordination import local
from raccord.web.plain import example, safe

MOST = 1000


class MachineOut(BaseModel):
    """A machine that works on the same project."""

    id: str
    name: str
    place: str = Field(description="the directory of its main worktree")
    release: str = Field(description="of its raccord")
    last_seen: str
    own: bool = Field(description="whether it is this one")


class Machines(BaseModel):
    """All machines of the project, and how this one stands to the hub through which they talk."""

    model_config = example(
        joined=True,
        connected=True,
        since="2025-10-10T14:30:00",
        why="",
        waiting=0,
        machines=[
            {
                "id": "9f86d081884c7d65",
                "name": "laptop:shop",
                "place": "/srv/shop",
                "release": "0.1.0",
                "last_seen": "2025-10-10T14:31:50",
                "own": True,
            }
        ],
    )

    joined: bool = Field(description="whether a hub is configured")
    connected: bool
    since: str | None = Field(description="when it was connected, or lost; null where it never was")
    why: str = Field(description="why it is not connected, as far as that is known")
    waiting: int = Field(description="how many things wait to be sent")
    machines: list[MachineOut]


class RunOut(BaseModel):
    """A run of another machine."""

    id: str
    machine: str
    verb: str
    state: str
    started: str
    ended: str | None
    lanes: int
    held: int
    by: str
    undo_of: str


class Runs(BaseModel):
    """Runs of other machines, the newest first."""

    model_config = example(
        count=1,
        runs=[
            {
                "id": "20251010-142500-3c1725",
                "machine": "laptop:shop",
                "verb": "sync",
                "state": "done",
                "started": "2025-10-10T14:25:00",
                "ended": "2025-10-10T14:25:09",
                "lanes": 4,
                "held": 0,
                "by": "Ada",
                "undo_of": "",
            }
        ],
    )

    count: int
    runs: list[RunOut]


def routes(made: APIRouter, found: Callable[[], Exchange]) -> None:
    """Adds them to the routes below `/api/sync`."""

    @made.get("/machines")
    def machines() -> Machines:
        """The machines of the project, and how this one stands to the hub."""
        exchange = found()
        standing = exchange.standing()
        return Machines(
            joined=standing.joined,
            connected=standing.connected,
            since=local(standing.since) if standing.since else None,
            why=safe(standing.why),
            waiting=standing.waiting,
            machines=[
                MachineOut(
                    id=one.id, name=safe(one.name), place=safe(one.place), release=safe(one.release),
                    last_seen=local(one.seen), own=one.id == standing.machine,
                )
                for one in exchange.machines()
            ],
        )  # fmt: skip

    @made.get("/machines/runs")
    def runs(limit: Annotated[int, Query(ge=1, le=MOST)] = 20) -> Runs:
        """Runs of the other machines, the newest first."""
        exchange = found()
        names = exchange.names()
        ones = [
            RunOut(
                id=safe(one["id"]), machine=safe(names.get(machine, machine)), verb=safe(one["verb"]),
                state=safe(one["state"]), started=local(one["started"]),
                ended=None if one["ended"] is None else local(one["ended"]), lanes=one["lanes"],
                held=one["held"], by=safe(one["by"]), undo_of=safe(one["undo_of"]),
            )
            for machine, one in exchange.runs(limit)
        ]  # fmt: skip
        return Runs(count=len(ones), runs=ones)
