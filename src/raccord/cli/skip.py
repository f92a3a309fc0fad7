"""`raccord skip`: leaves a stopped lane behind and lets the run go on."""

from __future__ import annotations

import typer

from raccord.cli.complete import LaneArgument, RunOption
from raccord.cli.face import Face, Json

EXAMPLE = "raccord skip feature"


def command(
    context: typer.Context, lane: LaneArgument = "", run: RunOption = "", as_json: Json = False
) -> int:
    """Put a stopped lane back, and go on with the others."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.skip(lane or None, run or None)
    return face.answer(report)
