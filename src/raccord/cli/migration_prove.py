"""`raccord migrations prove`: tries revisions on a clone of the database."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli.face import Face, Json
from raccord.model.options import ProveOptions

EXAMPLE = "raccord migrations prove backend --to a1b2c3d4"


def command(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BACKEND] [REVISION]...",
            help="The folder that alembic is run in, if the first names one; then the revisions to prove,"
            " by default what is pending, else this branch's own.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="TARGET", help="Prove what is pending up to this revision.", show_default=False
        ),
    ] = "",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin with an empty database instead of a clone.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Apply revisions to a clone of the database, take them down, apply them again, and compare."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.migration_prove(ProveOptions(tuple(words or ()), to, fresh))
    return face.proof(report)
