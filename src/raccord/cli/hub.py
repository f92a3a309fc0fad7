"""`raccord hub`: the other machines of the project, and how this one stands to the hub. Changes nothing."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import typer

from raccord.cli import exits
from raccord.cli.face import Face, Json

EXAMPLE = "raccord hub --runs 20"


def command(
    context: typer.Context,
    runs: Annotated[int, typer.Option("--runs", "-n", min=0, help="How many runs to list.")] = 5,
    as_json: Json = False,
) -> int:
    """Show the other machines, and how the hub is reached."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.coordination.hub(min(runs, sys.maxsize))
    from raccord.cli.render_coordination import hub

    face.show("hub", dataclasses.asdict(report), lambda page: hub(page, report))
    return exits.DONE
