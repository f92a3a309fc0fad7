"""The configuration over HTTP: what is in force and where it comes from, and keys that are set as a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Request
from pydantic import BaseModel, Field

from raccord.config import declared
from raccord.coordination.service import AutoSyncService
from raccord.errors import ConfigError, UsageError
from raccord.web.config_schema import body, fits, of, whole
from raccord.web.plain import example, safe
from raccord.workspace import Workspace

# What programs call the keys that they have always known.
NAMES = {
    "check_interval_seconds": "coordination.check_interval_seconds",
    "consolidation_interval_minutes": "coordination.interval_minutes",
    "consolidation_threshold": "coordination.threshold",
    "watched_files": "coordination.watch",
}
REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "that is no JSON"},
    409: {"description": "raccord refuses the value as it would in the file, or the file is broken as it is"},
    422: {"description": "there is no such key, or it takes another type; nothing was changed"},
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

    model_config = example(
        check_interval_seconds=30,
        consolidation_interval_minutes=60,
        consolidation_threshold=5,
        watched_files=["AGENTS.md"],
        language="en",
        file="/srv/notes/raccord.toml",
        error=None,
        fixed={"port": 8000, "dev": False, "polling": False},
        run=None,
        settings=[
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


CONTENT = {"application/json": {"schema": body(NAMES), "examples": EXAMPLES}}


def _status(values: Mapping[str, Any]) -> int:
    """What a refusal is: of what can't be sent at all, or of what raccord does not take."""
    for name, value in values.items():
        try:
            _, key = declared(NAMES.get(name, name))
        except ConfigError:
            return 422
        if value is not None and not fits(value, of(key)):
            return 422
    return 409


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

    @made.patch(
        "/config", responses=REFUSED, openapi_extra={"requestBody": {"required": True, "content": CONTENT}}
    )
    def change(values: Annotated[Any, Body()], request: Request) -> Configuration:
        """Sets keys of the configuration: all of them, or none. What runs takes them up at once."""
        if not isinstance(values, dict) or not values:
            raise HTTPException(422, "a table of keys and their values is expected, with one at least")
        values = {str(name): whole(value) for name, value in values.items()}
        if stuck := sorted(set(values) & set(fixed)):
            raise HTTPException(
                422, f"{stuck[0]} can't be changed while the server runs: raccord serve --{stuck[0]}"
            )
        if doubled := sorted(name for name, other in NAMES.items() if name in values and other in values):
            raise HTTPException(409, f"{doubled[0]} and {NAMES[doubled[0]]} are the same key")
        by = "the API" if "authorization" in request.headers else "the page"
        with workspace.again() as fresh:
            try:
                done = fresh.configuration.change(
                    {NAMES.get(name, name): value for name, value in values.items()}, by=by
                )
            except UsageError as error:
                raise HTTPException(_status(values), safe(error.message)) from error
            except ConfigError as error:
                raise HTTPException(409, safe(error.message)) from error
        if held := [lane.finding for lane in done.lanes if lane.finding is not None]:
            raise HTTPException(409, safe(held[0].message))
        return now(done.id or None)

    return made
