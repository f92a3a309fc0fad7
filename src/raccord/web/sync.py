"""The routes of coordination, for raccord's own server and for anybody's FastAPI application."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from raccord.coordination.keeper import Keeper
from raccord.coordination.service import AutoSyncService, get_auto_sync_service
from raccord.coordination.summary import unified
from raccord.errors import RaccordError
from raccord.model.coordination import Change, Consolidation, local
from raccord.web import machines
from raccord.web.kept import JSON, Kept, Pending
from raccord.web.plain import example
from raccord.web.plain import safe as safe

MOST = 1000


class Watching(BaseModel):
    """How files are watched."""

    mode: Literal["events", "polling"]
    folders: int
    why: str = Field(description="why files are looked at by the clock")


class Status(BaseModel):
    """The state of the service."""

    model_config = example(
        running=True,
        pending_changes=3,
        last_consolidation="2025-10-10T14:30:00",
        watched_files=8,
        checksums_tracked=8,
        consolidation_threshold=5,
        check_interval_seconds=30,
        consolidation_interval_minutes=60,
        watching={"mode": "events", "folders": 3, "why": ""},
        errors={},
    )

    running: bool
    pending_changes: int
    last_consolidation: str | None
    watched_files: int = Field(description="patterns of watched files")
    checksums_tracked: int
    consolidation_threshold: int
    check_interval_seconds: float
    consolidation_interval_minutes: float
    watching: Watching | None
    errors: dict[str, str] = Field(description="what failed last, by what was done")


class Trigger(BaseModel):
    """Why changes were consolidated."""

    trigger_type: Literal["threshold", "time_based", "manual"]
    conditions_met: dict[str, Any]
    timestamp: str


class Consolidated(BaseModel):
    """What a consolidation by hand came to."""

    model_config = example(
        status="success",
        trigger={
            "trigger_type": "manual",
            "conditions_met": {"pending_changes": 3},
            "timestamp": "2025-10-10T14:35:00",
        },
        changes_consolidated=3,
        error=None,
    )

    status: Literal["success", "error"]
    trigger: Trigger
    changes_consolidated: int
    error: str | None = None


class ChangeOut(BaseModel):
    """A change of a watched file."""

    id: int
    file_path: str
    event_type: Literal["created", "modified", "deleted", "renamed"]
    timestamp: str
    old_checksum: str | None
    new_checksum: str | None
    agent_owner: str
    owner_by: str = Field(description="by what the owner is known")
    worktree: str
    renamed_from: str | None
    consolidation: str | None
    machine: str | None = Field(description="the other machine on which it was made")


class Changes(BaseModel):
    """Changes, the oldest first."""

    model_config = example(
        count=1,
        changes=[
            {
                "id": 12,
                "file_path": "AGENT_SYNC.md",
                "event_type": "modified",
                "timestamp": "2025-10-10T14:32:00",
                "old_checksum": "0cc175b9c0f1b6a831c399e269772661",
                "new_checksum": "92eb5ffee6ae2fec3ad71c777531578f",
                "agent_owner": "claude-code",
                "owner_by": "branch",
                "worktree": "/srv/shop-claude",
                "renamed_from": None,
                "consolidation": None,
                "machine": None,
            }
        ],
    )

    count: int
    changes: list[ChangeOut]


class Checksum(BaseModel):
    """A watched file."""

    file_path: str
    checksum: str
    last_modified: str
    agent_owner: str | None
    worktree: str
    status: Literal[1, 0, -1] = Field(description="1 synced, 0 out of sync, -1 error")
    error: str | None


class Checksums(BaseModel):
    """Every watched file."""

    count: int
    checksums: list[Checksum]


class ConsolidationOut(BaseModel):
    """One consolidation."""

    id: str
    trigger: Trigger
    changes_consolidated: int
    files: int
    duration_seconds: float
    placed: bool = Field(description="whether the report is in the document")
    report: str
    machine: str | None = Field(description="the other machine that made it")

    @classmethod
    def of(cls, one: Consolidation, names: Mapping[str, str]) -> ConsolidationOut:
        """A consolidation of the ledger's.

        Args:
            names: of machines, by their ids.
        """
        trigger = Trigger(
            trigger_type=one.trigger, conditions_met=dict(one.conditions), timestamp=local(one.at)
        )
        return cls(
            id=one.id, trigger=trigger, changes_consolidated=one.changes, files=one.files,
            duration_seconds=one.took, placed=one.placed, report=safe(one.report),
            machine=_machine(one.machine, names),
        )  # fmt: skip


class History(BaseModel):
    """Consolidations, the newest first."""

    count: int
    consolidations: list[ConsolidationOut]


class Hour(BaseModel):
    """The changes of one owner within one hour."""

    hour: int = Field(description="its beginning, in seconds since the epoch")
    agent_owner: str
    count: int


class Activity(BaseModel):
    """Changes by hour and owner, the oldest first."""

    rows: list[Hour]


class Diff(BaseModel):
    """What a change did to its file."""

    id: int
    lines: list[str] = Field(description="a unified diff; empty where a content was not kept")
    kept: bool


def described(one: Change, names: Mapping[str, str]) -> dict[str, Any]:
    """A change as `ChangeOut` describes it; plain, since there may be many.

    Args:
        names: of machines, by their ids.
    """
    return {
        "id": one.id,
        "file_path": safe(one.path),
        "event_type": one.kind,
        "timestamp": local(one.at),
        "old_checksum": one.old or None,
        "new_checksum": one.new or None,
        "agent_owner": safe(one.owner),
        "owner_by": one.how,
        "worktree": safe(one.root),
        "renamed_from": safe(one.before) or None,
        "consolidation": one.consolidation or None,
        "machine": _machine(one.machine, names),
    }


def _machine(key: str, names: Mapping[str, str]) -> str | None:
    return safe(names.get(key, key)) or None


def _changes(seen: Sequence[Change], names: Mapping[str, str]) -> JSONResponse:
    return JSONResponse({"count": len(seen), "changes": [described(one, names) for one in seen]})


def _checksums(keeper: Keeper) -> dict[str, Any]:
    rows = [
        {
            "file_path": safe(one.state.path),
            "checksum": one.state.checksum,
            "last_modified": local(one.state.seen),
            "agent_owner": None if one.owner is None else safe(one.owner),
            "worktree": safe(one.root),
            "status": one.status,
            "error": one.state.error or None,
        }
        for one in keeper.standing()
    ]
    return {"count": len(rows), "checksums": rows}


def router(service: AutoSyncService | None = None) -> APIRouter:
    """The routes below `/api/sync`.

    Args:
        service: that they speak for; the one of this process by default.
    """
    made = APIRouter(prefix="/api/sync", tags=["sync"])

    def found() -> AutoSyncService:
        return get_auto_sync_service() if service is None else service

    kept = Kept(lambda: found().keeper.ledger.generation())
    waiting = {everywhere: Pending(described, everywhere=everywhere) for everywhere in (False, True)}

    @made.get("/status")
    def status() -> Status:
        """The state of the service."""
        one = found()
        mode = one.watching
        return Status(
            **one.get_status(),
            consolidation_interval_minutes=one.consolidation_interval_minutes,
            watching=None if mode is None else Watching(mode=mode.name, folders=mode.folders, why=mode.why),
            errors=one.errors,
        )

    @made.post("/consolidate")
    def consolidate() -> Consolidated:
        """Consolidates now what is pending."""
        try:
            return Consolidated(**found().trigger_manual_consolidation())
        except RaccordError as error:
            raise HTTPException(503, error.message) from error

    @made.get("/pending-changes", response_model=Changes)
    def pending_changes(
        everywhere: Annotated[bool, Query(description="also those of other machines")] = False,
    ) -> Response:
        """Changes that no report tells of yet."""
        known = waiting[everywhere]
        body = kept.body(("pending", everywhere), lambda: known.body(found().keeper.ledger))
        return Response(body, media_type=JSON)

    @made.get("/changes", response_model=Changes)
    def changes(
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
        oldest: Annotated[bool, Query(description="the oldest of them, to read on from there")] = False,
    ) -> JSONResponse:
        """Changes that were seen after one, pending or told: the newest of them."""
        ledger = found().keeper.ledger
        seen = (
            ledger.changes(after=after, oldest=limit) if oldest else ledger.changes(after=after, newest=limit)
        )
        return _changes(seen, ledger.exchange.names())

    @made.get("/changes/{change}/diff", responses={404: {"description": "there is no such change"}})
    def diff(change: Annotated[int, Field(ge=1, le=2**62)]) -> Diff:
        """What a change did to its file."""
        ledger = found().keeper.ledger
        one = ledger.change(change)
        if one is None:
            raise HTTPException(404, "there is no such change")
        old = ledger.content(one.old) if one.old else b""
        new = ledger.content(one.new) if one.new else b""
        if old is None or new is None:
            return Diff(id=change, lines=[], kept=False)
        return Diff(id=change, lines=unified(old, new, safe(one.path)), kept=True)

    @made.get("/checksums", response_model=Checksums)
    def checksums() -> Response:
        """Every watched file, and how it stands."""
        keeper = found().keeper
        return kept.json("checksums", lambda: _checksums(keeper), more=tuple(keeper.known_roots()))

    @made.get("/activity", response_model=Activity)
    def activity(hours: Annotated[int, Query(ge=1, le=24 * 31)] = 24) -> Response:
        """How many changes there were, by hour and owner."""
        minute = time.time() // 60

        def make() -> dict[str, Any]:
            rows = found().keeper.ledger.activity(minute * 60 - hours * 3600)
            return {
                "rows": [
                    {"hour": hour, "agent_owner": safe(name), "count": number} for hour, name, number in rows
                ]
            }

        return kept.json(("activity", hours), make, more=minute)

    @made.get("/history", response_model=History)
    def history(
        search: Annotated[str, Query(max_length=200)] = "", limit: Annotated[int, Query(ge=1, le=MOST)] = 50
    ) -> Response:
        """Consolidations, the newest first."""

        def make() -> dict[str, Any]:
            ledger = found().keeper.ledger
            ones, names = ledger.consolidations(search=search, limit=limit), ledger.exchange.names()
            return {
                "count": len(ones),
                "consolidations": [ConsolidationOut.of(one, names).model_dump() for one in ones],
            }

        return kept.json(("history", search, limit), make)

    machines.routes(made, lambda: found().keeper.ledger.exchange)
    return made
