"""`raccord migrations fork`: a database of its own for this worktree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli.face import Backend, DryRun, Face, Json, Yes, person
from raccord.errors import UsageError
from raccord.model.options import ForkOptions

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

EXAMPLE = "raccord migrations fork --dry-run"


def command(
    context: typer.Context,
    backend: Backend = "",
    drop: Annotated[
        bool, typer.Option("--drop", help="Drop this worktree's forks, and put the old URLs back.")
    ] = False,
    url: Annotated[
        bool, typer.Option("--url", help="Print the fork's URL, for export; change nothing.")
    ] = False,
    with_password: Annotated[
        bool, typer.Option("--with-password", help="With --url: print the password too.")
    ] = False,
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="End the sessions of others that are in the way.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Clone the shared database for this worktree, and point it there."""
    face = Face.of(context, as_json)
    if url and (drop or end_sessions or dry_run):
        raise UsageError(
            "--url only prints: it goes with --with-password", hint="raccord migrations fork --url"
        )
    if with_password and not url:
        raise UsageError(
            "--with-password goes with --url", hint="raccord migrations fork --url --with-password"
        )
    if url:
        with face.workspace() as workspace:
            report = workspace.migration_fork_urls(backend, password=with_password)
        return face.fork_urls(report)

    def call(workspace: Workspace, dry: bool) -> Answer:
        return workspace.migration_fork(ForkOptions(backend, drop, end_sessions, dry, person()))

    return face.careful(call, face.answer, dry_run=dry_run, yes=yes)
