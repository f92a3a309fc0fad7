"""The configuration over HTTP: what is in force and where it comes from, and keys that are set as a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from raccord.coordination.service import AutoSyncService
from raccord.errors import ConfigError, UsageError
from raccord.web.sync import safe
from raccord.workspace import Workspace

# What programs call the keys that they have always known.
NAMES = {
    "check_interval_seconds": "coordination.check_interval_seconds",
    "consolidation_interval_minutes": "coordination.interval_minutes",
    "consolidation_threshold": "coordination.threshold",
    "watched_files": "coordination.watch",
}
REFUSED: dict[int | str, dict[str, Any]] = {
    409: {"description": "raccord.toml is broken, or the workspace can't take that value now"},
    422: {"description": "there is no such key, or it does not take the value; nothing was changed"},
}


class Setting(BaseModel):
    """One key of the configuration, as it is in force."""

    key: str
    value: Any = Field(description="as in TOML; null where it has none, or is hidden")
    origin: Literal["file", "default", "environment"]
    where: str = Field(description="the file and its line, or the variable")
    hidden: bool = Field(description="whether the value may be a secret, which is never told")
    expected: str
    doc: str


class Fixed(BaseModel):
    """What takes a restart: options of `raccord serve`."""

    port: int
    dev: bool
    polling: bool


class Configuration(BaseModel):
    """The configuration in force."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "check_interval_seconds": 30,
                    "consolidation_interval_minutes": 60,
                    "consolidation_threshold": 5,
                    "watched_files": ["AGENTS.md"],
                    "language": "en",
                    "file": "/srv/notes/raccord.toml",
                    "error": None,
                    "fixed": {"port": 8000, "dev": False, "polling": False},
                    "run": None,
                    "settings": [
                        {
                            "key": "coordination.threshold",
                            "value": 5,
                            "origin": "default",
                            "where": "",
                            "hidden": False,
                            "expected": "a whole number of changes, 0 or more",
                            "doc": "Pending changes from which on they are consolidated; 0 for never.",
                        }
                    ],
                }
            ]
        }
    )

    check_interval_seconds: float
    consolidation_interval_minutes: float
    consolidation_threshold: int
    watched_files: list[str]
    language: str
    file: str | None = Field(description="where it is written; null where all is by default")
    error: str | None = Field(description="why the file is not in force as it is now")
    fixed: Fixed
    run: str | None = Field(description="the run that changed it just now; `raccord undo` takes it back")
    settings: list[Setting]


EXAMPLES = {
    "one": {"summary": "A threshold", "value": {"consolidation_threshold": 3}},
    "several": {
        "summary": "Keys of raccord.toml, all or none; null takes one out of the file",
        "value": {"language": "fr", "coordination.watch": ["AGENTS.md"], "coordination.worktree": None},
    },
}


def router(workspace: Workspace, service: AutoSyncService, fixed: Mapping[str, Any]) -> APIRouter:
    """The routes of the configuration.

    Args:
        workspace: whose configuration is in force.
        fixed: what takes a restart, see `Fixed`.
    """
    made = APIRouter(prefix="/api/sync", tags=["configuration"])

    def now(run: str | None = None) -> Configuration:
        keeper = service.keeper
        error = service.errors.get("configuration")
        return Configuration(
            check_interval_seconds=keeper.spec.check_seconds,
            consolidation_interval_minutes=keeper.spec.interval_minutes,
            consolidation_threshold=keeper.spec.threshold,
            watched_files=list(keeper.spec.watches),
            language=keeper.spec.language,
            file=safe(workspace.configuration.file) or None,
            error=None if error is None else safe(error),
            fixed=Fixed(**fixed),
            run=run,
            settings=[
                Setting(
                    key=one.key, value=one.value, origin=one.origin, where=safe(one.where),
                    hidden=one.hidden, expected=one.expected, doc=one.doc,
                )
                for one in workspace.configuration.settings()
            ],
        )  # fmt: skip

    @made.get("/config")
    def config() -> Configuration:
        """The configuration in force, and where each value comes from. Secrets are never told."""
        return now()

    @made.patch("/config", responses=REFUSED)
    def change(
        values: Annotated[dict[str, Any], Body(min_length=1, openapi_examples=EXAMPLES)], request: Request
    ) -> Configuration:
        """Sets keys of the configuration: all of them, or none. What runs takes them up at once."""
        if stuck := sorted(set(values) & set(fixed)):
            raise HTTPException(
                422, f"{stuck[0]} can't be changed while the server runs: raccord serve --{stuck[0]}"
            )
        by = "the API" if "authorization" in request.headers else "the page"
        with workspace.again() as fresh:
            try:
                done = fresh.configuration.change(
                    {NAMES.get(name, name): value for name, value in values.items()}, by=by
                )
            except UsageError as error:
                raise HTTPException(422, safe(error.message)) from error
            except ConfigError as error:
                raise HTTPException(409, safe(error.message)) from error
        if held := [lane.finding for lane in done.lanes if lane.finding is not None]:
            raise HTTPException(409, safe(held[0].message))
        return now(done.id or None)

    return made
