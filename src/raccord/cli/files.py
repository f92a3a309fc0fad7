"""`raccord files`: objects that travel from one environment's store to another's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from raccord.cli import html_file
from raccord.cli.face import DryRun, Face, Json, Yes, YesTo, person
from raccord.errors import UsageError
from raccord.model.options_data import FilesDiffOptions, FilesPushOptions

if TYPE_CHECKING:
    from raccord.model.report import Answer
    from raccord.workspace import Workspace

EXAMPLE = "raccord files push web-files --to prod --dry-run"
MODES = ("insert", "upsert", "mirror")
HELP = "Compare the objects of two environments, and promote them."

Name = Annotated[str, typer.Argument(metavar="SET", help="A set of objects of the configuration.")]
To = Annotated[
    str,
    typer.Option("--to", metavar="ENV", help="The environment that gets the objects.", show_default=False),
]
From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="ENV",
        help="The environment that they come from; the set's by default.",
        show_default=False,
    ),
]
Mode = Annotated[
    str,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="insert, upsert or mirror; the set's by default.",
        show_default=False,
    ),
]
Delete = Annotated[bool, typer.Option("--delete", help="Let a mirror remove what the source has not.")]


def group() -> typer.Typer:
    """The verbs below `files`."""
    app = typer.Typer(no_args_is_help=True)
    app.callback(help=HELP, epilog=f"Example: {EXAMPLE}")(root)
    verbs: dict[str, tuple[Callable[..., int], str]] = {
        "diff": (diff, "raccord files diff web-files --to prod"),
        "pull": (pull, "raccord files pull web-files --from prod --dry-run"),
        "push": (push, EXAMPLE),
        "status": (status, "raccord files status"),
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
    objects: Annotated[
        int,
        typer.Option("--objects", metavar="N", min=0, help="How many objects of each kind to name."),
    ] = 5,
    html: html_file.Html = "",
    language: html_file.Language = "",
    as_json: Json = False,
) -> int:
    """Show how the objects of a set differ."""
    face = Face.of(context, as_json)
    path, spoken = html_file.place(face.directory, html), html_file.known(language)
    with face.workspace() as workspace:
        report = workspace.files_diff(FilesDiffOptions(name, to, origin, objects))
        spoken = spoken or workspace.language
    if path is not None:
        from raccord.cli.html_files import files_page

        html_file.write(path, files_page(report, spoken, time.time()))
    return face.files_diff(report)


def pull(
    context: typer.Context,
    name: Name,
    origin: Annotated[
        str,
        typer.Option(
            "--from", metavar="ENV", help="The environment that the objects come from.", show_default=False
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
    delete: Delete = False,
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Bring the objects of a set back from another environment, without what the set calls private."""
    face = Face.of(context, as_json)
    _check(face, "pull", mode, delete, dry_run or yes or bool(yes_to))
    with face.workspace() as workspace:
        goal = to or workspace.files_home(name)

    def call(workspace: Workspace, dry: bool, named: str) -> Answer:
        return workspace.files_pull(FilesPushOptions(name, goal, origin, mode, delete, named, dry, person()))

    return face.promoted(call, (goal,), yes_to=yes_to, dry_run=dry_run, yes=yes)


def push(
    context: typer.Context,
    name: Name,
    to: To,
    origin: From = "",
    mode: Mode = "",
    delete: Delete = False,
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Bring the objects of a set from one environment to another; only what changed travels."""
    face = Face.of(context, as_json)
    _check(face, "push", mode, delete, dry_run or yes or bool(yes_to))

    def call(workspace: Workspace, dry: bool, named: str) -> Answer:
        return workspace.files_push(FilesPushOptions(name, to, origin, mode, delete, named, dry, person()))

    return face.promoted(call, (to,), yes_to=yes_to, dry_run=dry_run, yes=yes)


def _check(face: Face, verb: str, mode: str, delete: bool, agreed: bool) -> None:
    if mode not in ("", *MODES):
        raise UsageError(f"--mode {mode}: not one of {', '.join(MODES)}", hint=f"raccord files {verb} --help")
    if delete and not (agreed or face.asks):
        raise UsageError(
            "--delete needs somebody who saw the plan", hint="the same with --dry-run, then with --yes"
        )


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
        report = workspace.files_status(name)
    return face.files_status(report)
