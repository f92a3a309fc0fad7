"""`raccord changes`: what was seen of the watched files, and who did it. Changes nothing."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import typer

from raccord.cli import exits
from raccord.cli.face import Face, Json

EXAMPLE = "raccord changes --pending"


def command(
    context: typer.Context,
    pending: Annotated[
        bool, typer.Option("--pending", help="Only those that no report tells of yet.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to list.")] = 50,
    as_json: Json = False,
) -> int:
    """List changes of watched files that were seen."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        found = workspace.coordination.changes(pending=pending, limit=min(limit, sys.maxsize))
    from raccord.cli.render_coordination import changes

    said = [dataclasses.asdict(one) for one in found]
    face.show("changes", {"changes": said}, lambda page: changes(page, found))
    return exits.DONE
