"""`raccord eject`: removes every trace of raccord. The one thing that can't be undone."""

from __future__ import annotations

import typer

from raccord.cli.face import DryRun, Face, Json, Yes
from raccord.errors import UsageError

EXAMPLE = "raccord eject --dry-run"


def command(context: typer.Context, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> int:
    """Remove every trace of raccord, its backups too."""
    face = Face.of(context, as_json)
    if not (dry_run or yes or face.asks):
        raise UsageError(
            "eject removes every backup, and there is no terminal to ask on", hint="raccord eject --yes"
        )
    return face.careful(
        lambda workspace, dry: workspace.eject(dry_run=dry), face.removal, dry_run=dry_run, yes=yes
    )
