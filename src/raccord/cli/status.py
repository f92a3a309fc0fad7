"""`raccord status`: every worktree at a glance. Changes nothing."""

from __future__ import annotations

import typer

from raccord.cli.face import Face, Json

EXAMPLE = "raccord -C ../feature status"


def command(context: typer.Context, as_json: Json = False) -> int:
    """Show every worktree at a glance: branch, changes, runs."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.status()
    return face.status(report)
