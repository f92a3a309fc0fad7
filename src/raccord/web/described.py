"""What the routes' description (OpenAPI) says beyond what their code does: who is let in, and examples."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from raccord.web.guard import COOKIE, OPEN, SCRAPED

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "no token and no session of this server's"},
    403: {"description": "the request comes from another site"},
    421: {"description": "the request names another host"},
    429: {"description": "too many requests"},
}
SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "<git common dir>/raccord/serve/token; for metrics alone, scrape-token beside it",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "a browser's that opened the link of `raccord serve --link`",
    },
}

_RUN = {
    "id": "20261121-101500-3c1725",
    "verb": "config",
    "state": "done",
    "lanes": [
        {
            "key": "/srv/notes",
            "title": "raccord.toml in notes",
            "state": "done",
            "finding": None,
            "steps": [{"kind": "config.set", "title": "coordination.threshold: 5 → 3", "state": "done"}],
            "notes": [],
        }
    ],
    "started": 1763720100.0,
    "ended": 1763720100.2,
    "by": "Ada",
    "undo_of": "",
}
_PLAN = {
    "verb": "config",
    "stages": [
        {
            "name": "configure",
            "lanes": [
                {
                    "key": "/srv/notes",
                    "title": "raccord.toml in notes",
                    "steps": [{"kind": "config.set", "title": "coordination.threshold: 5 → 3"}],
                    "held": None,
                }
            ],
        }
    ],
    "by": "Ada",
    "undo_of": "",
}
_CONSOLIDATION = {
    "id": "c-3f2a91d0c4b7",
    "trigger": {
        "trigger_type": "threshold",
        "conditions_met": {"pending_changes": 5, "threshold": 5},
        "timestamp": "2025-10-10T14:30:00",
    },
    "changes_consolidated": 5,
    "files": 3,
    "duration_seconds": 0.04,
    "placed": True,
    "report": "### Consolidation - 2025-10-10T14:30:00\n…",
}
# Of answers that no model of the routes has an example of.
EXAMPLES: dict[str, tuple[str, Any]] = {
    "GET /api/events": (
        "text/event-stream",
        'event: change\nid: 7\ndata: {"id": 7, "file_path": "AGENTS.md", "event_type": "modified"}\n\n',
    ),
    "GET /api/metrics": ("text/plain", 'sync_status{file_path="AGENTS.md"} 1.0\n'),
    "GET /api/runs": (
        "application/json",
        {"runs": [{key: _RUN[key] for key in ("id", "verb", "state", "by")}]},
    ),
    "GET /api/runs/{run}": ("application/json", _RUN),
    "GET /api/runs/{run}/plan": ("application/json", _PLAN),
    "GET /api/runs/{run}/undo": ("application/json", {**_PLAN, "verb": "undo", "undo_of": _RUN["id"]}),
    "GET /api/sync/activity": (
        "application/json",
        {"rows": [{"hour": 1763719200, "agent_owner": "claude-code", "count": 4}]},
    ),
    "GET /api/sync/checksums": (
        "application/json",
        {
            "count": 1,
            "checksums": [
                {
                    "file_path": "AGENTS.md",
                    "checksum": "e5f6a7b8c9d0e1f2a3b4c5d6e7f80910",
                    "last_modified": "2025-10-10T14:25:00",
                    "agent_owner": "claude-code",
                    "worktree": "/srv/claude-1",
                    "status": 1,
                    "error": None,
                }
            ],
        },
    ),
    "GET /api/sync/changes/{change}/diff": (
        "application/json",
        {"id": 7, "lines": ["@@ -1 +1,2 @@", " # Agents", "+more"], "kept": True},
    ),
    "GET /api/sync/history": ("application/json", {"count": 1, "consolidations": [_CONSOLIDATION]}),
    "GET /api/words": ("application/json", {"words": {"live": "live"}, "languages": ["en", "fr"]}),
    "GET /api/worktrees": (
        "application/json",
        {
            "worktrees": [
                {"name": "claude-1", "path": "/srv/claude-1", "branch": "claude-1", "ahead": 2, "behind": 0}
            ],
            "seen": 1763720100.0,
            "refreshing": False,
        },
    ),
    "GET /metrics": ("text/plain", 'sync_status{file_path="AGENTS.md"} 1.0\n'),
    "POST /api/links": ("application/json", {"link": "/login?link=k3v9…"}),
    "POST /api/runs/{run}/undo": ("application/json", {**_RUN, "verb": "undo", "undo_of": _RUN["id"]}),
}


def describe(app: FastAPI) -> None:
    """Completes the description of an application, and what it answers to methods that a route lacks."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            said = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            app.openapi_schema = _completed(said)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]

    @app.exception_handler(405)
    async def other(request: Request, _error: Exception) -> JSONResponse:
        # Of the routes at one path, the framework names the methods of the first alone.
        allowed = [
            method.upper()
            for path, methods in described()["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path)
            for method in methods
        ]
        return JSONResponse(
            {"detail": "there is no such method here"}, 405, {"Allow": ", ".join(allowed or ["GET"])}
        )


def _completed(said: dict[str, Any]) -> dict[str, Any]:
    said.setdefault("components", {})["securitySchemes"] = SCHEMES
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            open_ = path in OPEN
            operation["security"] = [] if open_ else [{"token": []}]
            if not open_ and path not in SCRAPED:
                operation["security"].append({"session": []})
            if example := EXAMPLES.get(f"{method.upper()} {path}"):
                kind, value = example
                operation["responses"]["200"].setdefault("content", {}).setdefault(kind, {})["example"] = (
                    value
                )
    return said
