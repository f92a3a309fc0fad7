"""`raccord env`: environments, whether they can be reached, and commands that run there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated

import typer

from raccord.cli import exits, render_env
from raccord.cli.face import DryRun, Face, Json, YesTo
from raccord.model.options_env import EnvExecOptions

EXAMPLE = "raccord env check prod"
HELP = "Show and check the environments, and run commands there."
STREAMS = (0, 1, 2)  # standard input, output, error: they are passed on as they are

Name = Annotated[str, typer.Argument(metavar="ENV", help="An environment of the configuration.")]


def group() -> typer.Typer:
    """The verbs below `env`."""
    app = typer.Typer(no_args_is_help=True)
    app.callback(help=HELP, epilog=f"Example: {EXAMPLE}")(root)
    verbs: dict[str, tuple[Callable[..., int], str]] = {
        "check": (check, EXAMPLE),
        "exec": (execute, "raccord env exec prod --yes-to prod -- docker ps"),
        "list": (listing, "raccord env list"),
    }
    for name, (verb, example) in verbs.items():
        app.command(name, epilog=f"Example: {example}")(verb)
    return app


def root(context: typer.Context, as_json: Json = False) -> None:
    """What the verbs share."""
    context.obj = Face.of(context, as_json)


def listing(context: typer.Context, as_json: Json = False) -> int:
    """Show the environments; none is asked."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        entries = workspace.environments.listing()
    fields = {"environments": [dataclasses.asdict(one) for one in entries]}
    face.show("environments", fields, lambda page: render_env.listing(page, entries))
    return exits.DONE


def check(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="[ENV]", help="One environment; all by default.", show_default=False)
    ] = "",
    as_json: Json = False,
) -> int:
    """Ask every part of an environment: its host, container, database and object store."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        checks = workspace.environments.check(name)
    fields = {"environments": [dataclasses.asdict(one) for one in checks]}
    face.show("environment-checks", fields, lambda page: render_env.checks(page, checks))
    return exits.DONE if all(one.passed for one in checks) else exits.FAILED


def execute(
    context: typer.Context,
    name: Name,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="-- CMD...",
            help="The command. One word in quotes is a line for the shell there; several words are passed on "
            "as they are.",
        ),
    ],
    yes_to: YesTo = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Run a command where an environment is; its output and exit status are this one's."""
    face = Face.of(context, as_json)
    if face.asks and not (yes_to or dry_run):
        with face.workspace() as workspace:
            protected = workspace.environment_is_protected(name)
        if protected:
            if not face.named(name):
                return exits.DONE
            yes_to = name
    options = EnvExecOptions(name, tuple(words), yes_to, dry_run)
    with face.workspace(quiet=True) as workspace:
        report = workspace.environments.run(options, None if face.as_json else STREAMS)
    if face.as_json or report.status is None:
        fields = dataclasses.asdict(report)
        face.show("environment-run", fields, lambda page: render_env.planned(page, report))
    return report.status or exits.DONE
