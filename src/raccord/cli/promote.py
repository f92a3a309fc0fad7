"""`raccord promote`: the objects and rows of a profile, in one run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli.data_options import From
from raccord.cli.face import DryRun, Face, Json, Yes, YesTo, person
from raccord.errors import UsageError
from raccord.model.options_data import ProfileDiffOptions, PromoteOptions

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

EXAMPLE = "raccord promote web-sources --to prod --dry-run"


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="A profile of the configuration.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="ENV", help="The environment that gets the profile's sets.", show_default=False
        ),
    ] = "",
    origin: From = "",
    diff: Annotated[bool, typer.Option("--diff", help="Show what differs, and do nothing.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show what is where, and do nothing.")] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Let an empty table empty the target's.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Let mirrors of objects remove what the source has not.")
    ] = False,
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Promote a profile in one run: objects first, then rows."""
    face = Face.of(context, as_json)
    if diff and status:
        raise UsageError("--diff and --status are two questions", hint="raccord promote --help")
    if status:
        with face.workspace() as workspace:
            return face.profile(workspace.profile_status(name, to))
    if not to:
        again = shlex.join(["raccord", "promote", name, "--to", "ENV", "--dry-run"])
        raise UsageError("which environment? --to is missing", hint=again)
    if diff:
        with face.workspace() as workspace:
            found = workspace.profile_diff(ProfileDiffOptions(name, to, origin))
        return face.profile(found)
    if delete and not (dry_run or yes or yes_to or face.asks):
        raise UsageError(
            "--delete needs somebody who saw the plan", hint="the same with --dry-run, then with --yes"
        )

    def call(workspace: Workspace, dry: bool, named: str) -> Answer:
        return workspace.promote(PromoteOptions(name, to, origin, allow_empty, delete, named, dry, person()))

    return face.promoted(call, (to,), yes_to=yes_to, dry_run=dry_run, yes=yes)
