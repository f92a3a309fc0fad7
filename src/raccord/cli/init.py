"""`raccord init`: writes a commented configuration from what it finds, and touches nothing else."""

from __future__ import annotations

import typer

from raccord.cli import exits, output
from raccord.cli.face import DryRun, Face, Json

EXAMPLE = "raccord init --dry-run"


def command(context: typer.Context, dry_run: DryRun = False, as_json: Json = False) -> int:
    """Write a commented raccord.toml from what is found here."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        text = workspace.init(write=not dry_run)
    if face.as_json:
        output.document("init", {"written": not dry_run, "text": text})
    elif dry_run:
        output.write(text)
    else:
        output.write("raccord.toml is written.\n")
        output.write("next: raccord sync --dry-run\n")
    return exits.DONE
