"""`raccord data restore`: kept rows put back, and the list of what is kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli import exits
from raccord.cli.data_archive import KeyFile, Passphrase, typed
from raccord.cli.face import DryRun, Face, Json, Yes, YesTo, person
from raccord.errors import UsageError
from raccord.model.options_data import DataRestoreOptions, KeyOptions

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

EXAMPLE = "raccord data restore 20260101-120000-a1b2c3 --to prod --dry-run"


def command(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="[RUN|FILE]",
            help="The run whose backup is put back, or an archive; by default the newest push, pull or import"
            " into ENV that was not taken back.",
            show_default=False,
        ),
    ] = "",
    to: Annotated[
        str,
        typer.Option("--to", metavar="ENV", help="The environment whose rows come back.", show_default=False),
    ] = "",
    set_: Annotated[
        str,
        typer.Option("--set", metavar="SET", help="Of several sets only this one.", show_default=False),
    ] = "",
    listing: Annotated[bool, typer.Option("--list", help="List the backups, and do nothing.")] = False,
    passphrase: Passphrase = "",
    key_file: KeyFile = "",
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Put rows that a push kept back as they were before it, or those of an archive.

    `raccord undo` takes a run back where nothing came after: it refuses where a row is no longer as the push
    left it. This puts every row that the push touched back over whatever is there now, as a run of its own,
    which keeps what it overwrites and can be undone. Rows that the push didn't touch stay.
    """
    face = Face.of(context, as_json)
    if listing:
        from raccord.cli.render_data import backups

        with face.workspace() as workspace:
            report = workspace.archives.backups()
        face.show("data-backups", dataclasses.asdict(report), lambda page: backups(page, report))
        return exits.DONE
    if not to:
        raise UsageError("which environment? --to is missing", hint="raccord data restore --list")
    key = KeyOptions(passphrase, typed(face, passphrase), key_file=key_file)

    def call(workspace: Workspace, dry: bool, named: str) -> Answer:
        return workspace.archives.restore(
            DataRestoreOptions(name, to, set_, key, yes_to=named, dry_run=dry, by=person())
        )

    return face.promoted(call, (to,), yes_to=yes_to, dry_run=dry_run, yes=yes)
