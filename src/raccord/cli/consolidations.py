"""`raccord consolidations`: the reports that were made, and what they say. Changes nothing."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import typer

from raccord.cli import exits
from raccord.cli.face import Face, Json

EXAMPLE = "raccord consolidations --search AGENT_SYNC_CLAUDE.md"


def command(
    context: typer.Context,
    search: Annotated[
        str, typer.Option("--search", metavar="TEXT", help="Only those whose report has this text.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to list.")] = 20,
    full: Annotated[bool, typer.Option("--full", help="Print the reports themselves.")] = False,
    as_json: Json = False,
) -> int:
    """List reports of changes, the newest first."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        found = workspace.coordination.consolidations(search, min(limit, sys.maxsize))
    from raccord.cli.render_coordination import consolidations

    said = [dataclasses.asdict(one) for one in found]
    face.show("consolidations", {"consolidations": said}, lambda page: consolidations(page, found, full=full))
    return exits.DONE
