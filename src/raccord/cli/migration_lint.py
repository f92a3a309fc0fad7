"""`raccord migrations lint`: what is wrong with revisions, read from their text."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli.face import DryRun, Face, Json, person
from raccord.errors import UsageError
from raccord.model.options import LintOptions

EXAMPLE = "raccord migrations lint --all"


def command(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BACKEND] [REV]...",
            help="The folder that alembic is run in, relative to the worktree; then revisions, by default "
            "those that the base lacks.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Every revision of this worktree.")] = False,
    base: Annotated[
        str,
        typer.Option("--base", metavar="BRANCH", help="Compare with this branch.", show_default=False),
    ] = "",
    write_baseline: Annotated[
        bool,
        typer.Option("--write-baseline", help="Write what is found into the baseline: it counts no more."),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Check revisions: destructive, irreversible, mixed, or locking what is in use."""
    face = Face.of(context, as_json)
    options = LintOptions(tuple(words or ()), every, base, dry_run, person())
    if every and base:
        raise UsageError("--all looks at every revision, whatever the base has", hint=EXAMPLE)
    if dry_run and not write_baseline:
        raise UsageError("without --write-baseline nothing is written anyway", hint=EXAMPLE)
    if write_baseline:
        with face.workspace() as workspace:
            answer = workspace.migration_baseline(options)
        return face.answer(answer)
    with face.workspace() as workspace:
        report = workspace.migration_lint(options)
    return face.migration_lint(report)
