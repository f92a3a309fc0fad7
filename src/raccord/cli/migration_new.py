"""`raccord migrations new`: writes a revision on this branch's head."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.cli.face import Backend, DryRun, Face, Json, person
from raccord.model.options import NewOptions

EXAMPLE = "raccord migrations new -m 'add a basket' --autogenerate"

Message = Annotated[
    str, typer.Option("--message", "-m", metavar="MESSAGE", help="What it is for.", show_default=False)
]
Autogenerate = Annotated[
    bool, typer.Option("--autogenerate", help="Let alembic compare the models with the database.")
]
Head = Annotated[
    str,
    typer.Option(
        "--head", metavar="REV", help="Stand on this revision; `base` begins anew.", show_default=False
    ),
]
Splice = Annotated[bool, typer.Option("--splice", help="Others may stand on that revision already.")]
Label = Annotated[
    str, typer.Option("--branch-label", metavar="LABEL", help="Begin a branch so called.", show_default=False)
]
DependsOn = Annotated[
    list[str] | None,
    typer.Option(
        "--depends-on",
        metavar="REV",
        help="A revision or label that has to be applied before; repeatable.",
        show_default=False,
    ),
]
Name = Annotated[
    str,
    typer.Option(
        "--name",
        "-n",
        metavar="SECTION",
        help="The section of alembic's configuration, where it has several.",
        show_default=False,
    ),
]


def command(
    context: typer.Context,
    message: Message,
    backend: Backend = "",
    autogenerate: Autogenerate = False,
    head: Head = "",
    splice: Splice = False,
    label: Label = "",
    depends_on: DependsOn = None,
    name: Name = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Write a new revision on this branch's head, once nothing is missing below it."""
    face = Face.of(context, as_json)
    options = NewOptions(
        message, backend, autogenerate, head, splice, label, tuple(depends_on or ()), name, dry_run, person()
    )
    with face.workspace() as workspace:
        answer = workspace.migration_new(options)
    return face.answer(answer)
