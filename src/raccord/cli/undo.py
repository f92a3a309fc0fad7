"""`raccord undo`: takes a run back, whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli.complete import runs
from raccord.cli.face import DryRun, Face, Json, Yes, YesTo, person

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

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
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Take a run back, and nothing else; an undo can be undone."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        names = workspace.undo_changes(run or None)

    def call(workspace: Workspace, dry: bool, named: str) -> Answer:
        return workspace.undo(run or None, dry_run=dry, by=person(), yes_to=named)

    return face.promoted(call, names, yes_to=yes_to, dry_run=dry_run, yes=yes)
