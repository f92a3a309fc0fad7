"""`raccord lease`: claims on paths, so that nobody else works on them meanwhile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated

import typer

from raccord.cli import exits
from raccord.cli.face import Face, Json, person

EXAMPLE = "raccord lease claim src/api --minutes 30"
HELP = "Claim paths for a while, so that others know."

Pattern = Annotated[
    str, typer.Argument(metavar="PATTERN", help="Paths from the worktree's top; a folder is all in it.")
]
Owner = Annotated[
    str, typer.Option("--as", metavar="NAME", help="Who claims; you, by default.", show_default=False)
]


def group() -> typer.Typer:
    """The verbs below `lease`."""
    app = typer.Typer(no_args_is_help=True)
    app.callback(help=HELP, epilog=f"Example: {EXAMPLE}")(root)
    verbs: dict[str, tuple[Callable[..., int], str]] = {
        "claim": (claim, EXAMPLE),
        "list": (listing, "raccord lease list"),
        "release": (release, "raccord lease release src/api"),
    }
    for name, (verb, example) in verbs.items():
        app.command(name, epilog=f"Example: {example}")(verb)
    return app


def root(context: typer.Context, as_json: Json = False) -> None:
    """What the verbs share."""
    context.obj = Face.of(context, as_json)


def claim(
    context: typer.Context,
    pattern: Pattern,
    owner: Owner = "",
    minutes: Annotated[
        int, typer.Option("--minutes", min=1, max=60 * 24 * 7, help="How long it holds.")
    ] = 60,
    token: Annotated[
        int,
        typer.Option(
            "--token", min=0, help="Only go on with the lease that has this one.", show_default=False
        ),
    ] = 0,
    as_json: Json = False,
) -> int:
    """Claim paths, or go on holding them; fails where somebody else does."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        made = workspace.coordination.leases.claim(pattern, owner or person(), minutes, token)
    from raccord.cli.render_coordination import leases

    face.show("leases", {"leases": [dataclasses.asdict(made)]}, lambda page: leases(page, [made]))
    return exits.DONE


def release(context: typer.Context, pattern: Pattern, owner: Owner = "", as_json: Json = False) -> int:
    """Give paths free that this worktree holds."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        workspace.coordination.leases.release(pattern, owner or person())
    face.show("leases", {"leases": []}, lambda page: page.line("Released."))
    return exits.DONE


def listing(context: typer.Context, as_json: Json = False) -> int:
    """List who holds what, on all machines."""
    face = Face.of(context, as_json)
    with face.workspace() as workspace:
        found = workspace.coordination.leases.listing()
    from raccord.cli.render_coordination import leases

    fields = {"leases": [dataclasses.asdict(one) for one in found]}
    face.show("leases", fields, lambda page: leases(page, found))
    return exits.DONE
