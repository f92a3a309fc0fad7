"""`raccord log`: the runs of the journal, the newest first. Changes nothing."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from raccord.cli.face import Face, Json

EXAMPLE = "raccord log --limit 5"


def command(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many runs to list.")] = 20,
    as_json: Json = False,
) -> int:
    """List past runs, the newest first."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        runs = workspace.log(min(limit, sys.maxsize))
    return face.log(runs)
