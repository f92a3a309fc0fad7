"""`raccord snapshot`: keeps the whole state of a worktree."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli.face import Face, Json, person

EXAMPLE = "raccord snapshot --all --message 'before the demo'"


def command(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", "-a", help="Every worktree, not only this one.")] = False,
    ignored: Annotated[bool, typer.Option("--ignored", help="Keep ignored files too.")] = False,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="What it is for.", show_default=False)
    ] = "",
    as_json: Json = False,
) -> int:
    """Keep the whole state of a worktree, what is uncommitted too."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.snapshot(all=every, ignored=ignored, message=message, by=person())
    return face.answer(report)
