"""`raccord continue`: goes on with what a person has resolved or a kill has cut off."""

from __future__ import annotations

import typer

from raccord.cli.complete import LaneArgument, RunOption
from raccord.cli.face import Face, Json

EXAMPLE = "raccord continue"


def command(
    context: typer.Context, lane: LaneArgument = "", run: RunOption = "", as_json: Json = False
) -> int:
    """Go on with a stopped or interrupted run, or one lane of it."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.continue_(lane or None, run or None)
    return face.answer(report)
