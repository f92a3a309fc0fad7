"""`raccord show`: one run with every step of it. Changes nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli import exits
from raccord.cli.complete import runs
from raccord.cli.face import Face, Json

EXAMPLE = "raccord show RUN, with a RUN of raccord log"


def command(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.", autocompletion=runs)],
    as_json: Json = False,
) -> int:
    """Show one run: its lanes, steps, waivers and notes."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.show(run)
    face.answer(report, full=True)
    # The exit code tells whether it could be shown, not how that run once ended.
    return exits.DONE
