"""`raccord gc`: drops the backups that are older than the configuration keeps them."""

from __future__ import annotations

import typer

from raccord.cli.face import DryRun, Face, Json, Yes

EXAMPLE = "raccord gc --dry-run"


def command(context: typer.Context, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> int:
    """Drop backups that are older than configured."""
    face = Face.of(context, as_json)
    return face.careful(
        lambda workspace, dry: workspace.gc(dry_run=dry), face.removal, dry_run=dry_run, yes=yes
    )
