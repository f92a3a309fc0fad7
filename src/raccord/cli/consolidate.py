"""`raccord consolidate`: turns what is pending into a report now, whatever the triggers say."""

from __future__ import annotations

import dataclasses

import typer

from raccord.cli import exits
from raccord.cli.face import Face, Json

EXAMPLE = "raccord consolidate"


def command(context: typer.Context, as_json: Json = False) -> int:
    """Turn pending changes into a report now."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.coordination.consolidate()
    from raccord.cli.render_coordination import consolidated

    face.show("consolidate", dataclasses.asdict(report), lambda page: consolidated(page, report))
    return exits.FAILED if report.error else exits.DONE
