"""`raccord show`: one run with every step of it. Changes nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli import exits
from raccord.cli.complete import runs
from raccord.cli.face import Face, Json
from raccord.errors import UsageError

EXAMPLE = "raccord show"


def command(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="The run's id; the newest by default.",
            show_default=False,
            autocompletion=runs,
        ),
    ] = "",
    as_json: Json = False,
) -> int:
    """Show one run: its lanes, steps, waivers and notes."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        newest = () if run else workspace.log(1)
        if not (run or newest):
            raise UsageError("there is no run yet", hint="raccord status")
        report = workspace.show(run or newest[0].id)
    face.answer(report, full=True)
    # The exit code tells whether it could be shown, not how that run once ended.
    return exits.DONE
