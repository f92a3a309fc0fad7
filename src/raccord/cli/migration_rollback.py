"""`raccord migrations rollback-phantoms`: takes down what a branch applied that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli.face import Backend, DryRun, Face, Json, Yes, person
from raccord.cli.migration_choices import Choose, chosen
from raccord.model.options import RollbackOptions

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

EXAMPLE = "raccord migrations rollback-phantoms --dry-run"

Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run revisions that no trusted remote has and that raccord didn't apply."),
]


def command(
    context: typer.Context,
    backend: Backend = "",
    choose: Choose = None,
    trust: Trust = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Take down applied revisions that no branch and no worktree has any more, after a proof on a clone."""
    face = Face.of(context, as_json)
    picks = chosen(choose)

    def call(workspace: Workspace, dry: bool) -> Answer:
        return workspace.migration_rollback(RollbackOptions(backend, picks, trust, dry, person()))

    if not trust and not dry_run and face.asks:
        with face.workspace() as workspace:
            planned = call(workspace, True)
        if face.untrusted(planned):
            face.answer(planned)
            trust = typer.confirm("Run them all the same?", err=True)
    return face.careful(call, face.answer, dry_run=dry_run, yes=yes)
