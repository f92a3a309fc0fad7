"""`raccord abort`: takes back what a stopped or interrupted run has done."""

from __future__ import annotations

import typer

from raccord.cli.complete import LaneArgument, RunOption
from raccord.cli.face import Face, Json

EXAMPLE = "raccord abort"


def command(
    context: typer.Context, lane: LaneArgument = "", run: RunOption = "", as_json: Json = False
) -> int:
    """Take back a stopped or interrupted run, or one lane of it."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.abort(lane or None, run or None)
    return face.answer(report)
