"""`raccord data`: rows that travel from one environment to another."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli import data_archive, data_restore, html_file
from raccord.cli.data_options import MODES, AllowEmpty, From, Mode, Name, Reason, To, Unmasked, one_of
from raccord.cli.face import DryRun, Face, Json, Yes, YesTo, person
from raccord.model.options_data import DataDiffOptions, DataPullOptions, DataPushOptions

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

EXAMPLE = "raccord data push knowledge --to prod --dry-run"
HELP = "Compare the rows of two environments, and promote them."


def group() -> typer.Typer:
    """The verbs below `data`."""
    app = typer.Typer(no_args_is_help=True)
    app.callback(help=HELP, epilog=f"Example: {EXAMPLE}")(root)
    verbs: dict[str, tuple[Callable[..., int], str]] = {
        "diff": (diff, "raccord data diff knowledge --to prod --html diff.html"),
        "export": (data_archive.export, data_archive.EXPORT),
        "import": (data_archive.bring, data_archive.IMPORT),
        "pull": (pull, "raccord data pull knowledge --from prod --dry-run"),
        "push": (push, EXAMPLE),
        "restore": (data_restore.command, data_restore.EXAMPLE),
        "status": (status, "raccord data status"),
    }
    for name, (verb, example) in verbs.items():
        app.command(name, epilog=f"Example: {example}")(verb)
    return app


def root(context: typer.Context, as_json: Json = False) -> None:
    """What the verbs share."""
    context.obj = Face.of(context, as_json)


def diff(
    context: typer.Context,
    name: Name,
    to: To,
    origin: From = "",
    rows: Annotated[
        int,
        typer.Option(
            "--rows", metavar="N", min=0, help="Of how many changed rows of each table to show values."
        ),
    ] = 3,
    html: html_file.Html = "",
    language: html_file.Language = "",
    as_json: Json = False,
) -> int:
    """Show how the rows of a set differ, row by row."""
    face = Face.of(context, as_json)
    path, spoken = html_file.place(face.directory, html), html_file.known(language)
    with face.workspace() as workspace:
        report = workspace.data_diff(DataDiffOptions(name, to, origin, rows))
        spoken = spoken or workspace.language
    if path is not None:
        from raccord.cli.html_data import data_page

        html_file.write(path, data_page(report, spoken, time.time()))
    return face.data_diff(report)


def pull(
    context: typer.Context,
    name: Name,
    origin: Annotated[
        str,
        typer.Option(
            "--from", metavar="ENV", help="The environment that the rows come from.", show_default=False
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="ENV",
            help="The environment that gets them; the one that the set comes from by default.",
            show_default=False,
        ),
    ] = "",
    mode: Mode = "",
    unmasked: Unmasked = False,
    reason: Reason = "",
    allow_empty: AllowEmpty = False,
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Bring the rows of a set back from another environment, with what is secret or personal masked."""
    face = Face.of(context, as_json)
    one_of("--mode", mode, MODES, "pull")
    with face.workspace() as workspace:
        goal = to or workspace.data_home(name)

    def call(workspace: Workspace, dry: bool, named: str) -> Answer:
        return workspace.data_pull(
            DataPullOptions(name, origin, goal, mode, unmasked, reason, allow_empty, named, dry, person())
        )

    changes = (goal, origin) if unmasked else (goal,)
    return face.promoted(call, changes, yes_to=yes_to, dry_run=dry_run, yes=yes)


def push(
    context: typer.Context,
    name: Name,
    to: To,
    origin: From = "",
    mode: Mode = "",
    allow_empty: AllowEmpty = False,
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Make the rows of a set in an environment what they are in another, in one transaction."""
    face = Face.of(context, as_json)
    one_of("--mode", mode, MODES, "push")

    def call(workspace: Workspace, dry: bool, named: str) -> Answer:
        return workspace.data_push(DataPushOptions(name, to, origin, mode, allow_empty, named, dry, person()))

    return face.promoted(call, (to,), yes_to=yes_to, dry_run=dry_run, yes=yes)


def status(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="[SET]", help="One set; all by default.", show_default=False)
    ] = "",
    as_json: Json = False,
) -> int:
    """Show what is where, and when it was pushed, by whom, from which commit."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        report = workspace.data_status(name)
    return face.data_status(report)
