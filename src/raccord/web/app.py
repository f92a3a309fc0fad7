"""The application: every route of raccord's own server. What answers them is the library."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Header, HTTPException, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from raccord import __version__
from raccord.coordination.service import AutoSyncService
from raccord.errors import RaccordError, UsageError
from raccord.web import config, pages, refusal
from raccord.web.described import REFUSALS, describe
from raccord.web.feed import Feed
from raccord.web.guard import COOKIE, LOGIN, SESSION_SECONDS, Doors
from raccord.web.kept import Kept, Recent
from raccord.web.metrics import Metrics
from raccord.web.sync import router, safe
from raccord.workspace import Workspace

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NO_RUN: dict[int | str, dict[str, Any]] = {404: {"description": "there is no such run"}}
RUNS_SECONDS = 1.0
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def application(
    workspace: Workspace,
    opened: Callable[[], Workspace],
    service: AutoSyncService,
    doors: Doors,
    feed: Feed,
    metrics: Metrics,
    trees: Recent,
    fixed: Mapping[str, Any],
) -> FastAPI:
    """The routes over one workspace.

    Args:
        workspace: for what the journal has.
        opened: opens it anew, so that what is looked at is as it is now.
        doors: gives sessions to those who have a link.
        trees: what `look` finds.
        fixed: see `config.Fixed`.
    """
    app = FastAPI(
        title="raccord",
        version=__version__,
        description="Who changed what, in every worktree; runs, and what is consolidated.",
        docs_url=None,
        redoc_url=None,
        responses=REFUSALS,
    )
    describe(app)
    app.include_router(router(service))
    app.include_router(config.router(workspace, service, fixed))
    app.include_router(pages.router(lambda: service.keeper.spec.language, dev=doors.dev))

    @app.exception_handler(RaccordError)
    async def failed(_request: Request, error: RaccordError) -> JSONResponse:
        status = 404 if isinstance(error, UsageError) else 503
        return JSONResponse({"detail": safe(error.message), "hint": safe(error.hint)}, status)

    kept = Kept(service.keeper.ledger.generation)

    @app.get("/api/worktrees", tags=["workspace"])
    def worktrees() -> dict[str, Any]:
        """Every worktree: its branch, how it stands to its base, and what is uncommitted.

        As it was when it was `seen`, seconds ago at most. Ask again soon where it is `refreshing`.
        """
        return trees.answer()

    @app.get("/api/runs", tags=["workspace"])
    def runs(limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> Response:
        """Past runs, the newest first."""
        # Whether one that runs is still alive is no matter of the journal alone.
        return kept.json(
            ("runs", limit),
            lambda: {"runs": [_document(one) for one in workspace.log(limit)]},
            more=time.monotonic() // RUNS_SECONDS,
        )

    @app.get("/api/runs/{run}", tags=["workspace"], responses=NO_RUN)
    def run(run: str) -> dict[str, Any]:
        """One run with its lanes and steps."""
        return _document(workspace.show(run))

    @app.get("/api/runs/{run}/plan", tags=["workspace"], responses=NO_RUN)
    def plan(run: str) -> dict[str, Any]:
        """The plan that a run began with: what was shown before anything was done."""
        return _document(workspace.planned(run))

    @app.post("/api/runs/{run}/undo", tags=["workspace"], responses=NO_RUN)
    def undo(run: str) -> dict[str, Any]:
        """Takes a run back, as `raccord undo` does; one of a protected environment only by command line."""
        with opened() as fresh:
            return _document(fresh.undo(run, by="the page"))

    @app.get("/api/runs/{run}/undo", tags=["workspace"], responses=NO_RUN)
    def undo_plan(run: str) -> dict[str, Any]:
        """The plan that would take a run back."""
        with opened() as fresh:
            return _document(fresh.undo(run, dry_run=True, by="the page"))

    @app.get("/api/events", tags=["sync"], response_class=StreamingResponse)
    async def events(
        last: Annotated[str, Header(alias="last-event-id", max_length=20)] = "",
    ) -> StreamingResponse:
        """What happens, live, as server-sent events: `change`, `consolidation` and `configuration`."""
        if last and not (last.isascii() and last.isdigit() and int(last) < 2**62):
            raise HTTPException(422, "Last-Event-ID is the id of a change")
        return StreamingResponse(
            feed.stream(int(last) if last else None),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    @app.get("/health", tags=["health"])
    @app.get("/health/ready", tags=["health"])
    def ready(response: Response) -> dict[str, str]:
        """Whether changes are seen now."""
        if service.watching is None:
            response.status_code = 503
            return {"status": "starting"}
        return {"status": "ok"}

    @app.get("/health/startup", tags=["health"])
    def startup(response: Response) -> dict[str, str]:
        """Whether the first look is over."""
        return ready(response)

    @app.get("/health/live", tags=["health"])
    def live() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    @app.get("/metrics", tags=["metrics"], response_class=Response)
    @app.get("/api/metrics", tags=["metrics"], response_class=Response)
    def scrape() -> Response:
        """The metrics, for Prometheus."""
        return Response(metrics.text(), media_type=TEXT)

    @app.post("/api/links", tags=["page"])
    def links() -> dict[str, str]:
        """A link that opens one session in a browser, once, within ten minutes."""
        return {"link": f"/login?link={doors.link()}"}

    @app.get("/login", include_in_schema=False)
    def login(request: Request, link: str = "") -> Response:
        made = doors.redeem(link)
        headers = {name: [value.decode("latin-1")] for name, value in request.headers.raw}
        if made is None and refusal.wanted("GET", LOGIN, headers):
            policy = {"content-security-policy": refusal.POLICY.decode()}
            return Response(refusal.page(headers), 401, policy, "text/html; charset=utf-8")
        if made is None:
            raise HTTPException(401, "the link was used already, or is too old: raccord serve --link")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, made, max_age=int(SESSION_SECONDS), httponly=True, samesite="strict")
        return answer

    return app


def look(opened: Callable[[], Workspace]) -> dict[str, Any]:
    """Every worktree as it is now."""
    with opened() as fresh:
        return _document(fresh.status())


def _document(report: DataclassInstance) -> dict[str, Any]:
    said: dict[str, Any] = _plain(dataclasses.asdict(report))
    return said


def _plain(value: Any) -> Any:
    """A document that JSON in UTF-8 can hold."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
