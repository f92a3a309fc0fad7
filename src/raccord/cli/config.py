"""`raccord config`: what is configured, where that comes from, and keys that are set as a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated

import typer

from raccord.cli import exits
from raccord.cli.face import DryRun, Face, Json, person

EXAMPLE = "raccord config set coordination.threshold 3"
HELP = "Show and change the configuration; what runs takes it up."

HOW = 'As in TOML: 3, "fr", ["AGENTS.md"]; quotes of a single word may be left out.'
Name = Annotated[str, typer.Argument(metavar="KEY", help="A key with its section, as in sync.base.")]
MaybeName = Annotated[
    str, typer.Argument(metavar="[KEY]", help="One key; all by default.", show_default=False)
]


def group() -> typer.Typer:
    """The verbs below `config`."""
    app = typer.Typer(no_args_is_help=True)
    app.callback(help=HELP, epilog=f"Example: {EXAMPLE}")(root)
    verbs: dict[str, tuple[Callable[..., int], str]] = {
        "get": (get, "raccord config get coordination.threshold"),
        "list": (listing, "raccord config list"),
        "set": (put, EXAMPLE),
        "unset": (unset, "raccord config unset coordination.threshold"),
    }
    for name, (verb, example) in verbs.items():
        app.command(name, epilog=f"Example: {example}")(verb)
    return app


def root(context: typer.Context, as_json: Json = False) -> None:
    """What the verbs share."""
    context.obj = Face.of(context, as_json)


def get(context: typer.Context, name: MaybeName = "", as_json: Json = False) -> int:
    """Show a key's value, and where it comes from."""
    from raccord.cli import render_config

    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        found = workspace.configuration.settings(name)
    fields = {"settings": [dataclasses.asdict(one) for one in found]}
    face.show("config", fields, lambda page: render_config.settings(page, found))
    return exits.DONE


def listing(context: typer.Context, as_json: Json = False) -> int:
    """Show every key that is in force, and where it comes from."""
    return get(context, "", as_json)


def put(
    context: typer.Context,
    name: Name,
    value: Annotated[
        str,
        typer.Argument(metavar="VALUE", help='As in TOML: 3, "fr", ["AGENTS.md"]; quotes may be left out.'),
    ],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Set a key in raccord.toml; comments and layout stay, and `raccord undo` takes it back."""
    return _put(Face.of(context, as_json), name, value, dry_run=dry_run)


def unset(context: typer.Context, name: Name, dry_run: DryRun = False, as_json: Json = False) -> int:
    """Take a key out of raccord.toml, so that its default is in force."""
    return _put(Face.of(context, as_json), name, None, dry_run=dry_run)


def _put(face: Face, name: str, value: str | None, *, dry_run: bool) -> int:
    with face.workspace() as workspace:
        done = workspace.configuration.put(name, value, dry_run=dry_run, by=person())
    return face.answer(done)
