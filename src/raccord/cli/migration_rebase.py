"""`raccord migrations rebase`: puts this branch's own revisions on top of those of the base."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli.face import Backend, DryRun, Face, Json, person
from raccord.model.options import RebaseOptions

EXAMPLE = "raccord migrations rebase --dry-run"

DropMerges = Annotated[
    bool,
    typer.Option("--drop-merges", help="Remove own merges that change nothing and join nothing any more."),
]
Pushed = Annotated[
    bool, typer.Option("--pushed", help="Also what this branch's own remote branch has; needs --reason.")
]
Unread = Annotated[
    bool, typer.Option("--unread", help="Also where a database can't be asked; needs --reason.")
]
Reason = Annotated[
    str,
    typer.Option(
        "--reason", metavar="TEXT", help="Why nobody else has them; the journal keeps it.", show_default=False
    ),
]


def command(
    context: typer.Context,
    backend: Backend = "",
    drop_merges: DropMerges = False,
    pushed: Pushed = False,
    unread: Unread = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Put this branch's own revisions on top of the base's, while nobody else has them."""
    face = Face.of(context, as_json)
    options = RebaseOptions(backend, drop_merges, pushed, unread, reason.strip(), dry_run, person())
    with face.workspace() as workspace:
        answer = workspace.migration_rebase(options)
    return face.answer(answer)
