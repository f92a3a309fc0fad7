"""`raccord restore`: brings a worktree back to a snapshot, and lists snapshots."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli.complete import snapshots
from raccord.cli.face import DryRun, Face, Json, Yes, person

EXAMPLE = "raccord restore --list"


def command(
    context: typer.Context,
    snapshot: Annotated[
        str,
        typer.Argument(
            metavar="[SNAPSHOT]",
            help="The snapshot's id; by default the newest that a person took of this worktree.",
            show_default=False,
            autocompletion=snapshots,
        ),
    ] = "",
    listing: Annotated[bool, typer.Option("--list", help="List the snapshots, and do nothing.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Bring a worktree back to a snapshot, exactly."""
    face = Face.of(context, as_json)
    if listing:
        with face.workspace() as workspace:
            found = workspace.snapshots()
        return face.snapshots(found)
    return face.careful(
        lambda workspace, dry: workspace.restore(snapshot or None, dry_run=dry, by=person()),
        face.answer,
        dry_run=dry_run,
        yes=yes,
    )
