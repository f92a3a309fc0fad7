"""`raccord undo`: takes a run back, whole."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli.complete import runs
from raccord.cli.face import DryRun, Face, Json, Yes, person

EXAMPLE = "raccord undo --dry-run"


def command(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="The run's id; by default the newest that changed something and is not taken back.",
            show_default=False,
            autocompletion=runs,
        ),
    ] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Take a run back, and nothing else; an undo can be undone."""
    face = Face.of(context, as_json)
    return face.careful(
        lambda workspace, dry: workspace.undo(run or None, dry_run=dry, by=person()),
        face.answer,
        dry_run=dry_run,
        yes=yes,
    )
