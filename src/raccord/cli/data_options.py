"""What the verbs below `data` are asked alike."""

from __future__ import annotations

from typing import Annotated

import typer

from raccord.errors import UsageError

MODES = ("replace", "insert", "upsert", "mirror")

Name = Annotated[str, typer.Argument(metavar="SET", help="A set of tables of the configuration.")]
To = Annotated[
    str, typer.Option("--to", metavar="ENV", help="The environment that gets the rows.", show_default=False)
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
        help="replace, insert, upsert or mirror; the set's by default.",
        show_default=False,
    ),
]
Unmasked = Annotated[
    bool, typer.Option("--unmasked", help="Mask only what the set itself masks; needs --reason.")
]
Reason = Annotated[
    str,
    typer.Option(
        "--reason", metavar="TEXT", help="Why nothing is masked; the journal keeps it.", show_default=False
    ),
]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Let an empty table empty the target's.")]


def one_of(option: str, value: str, known: tuple[str, ...], verb: str) -> None:
    """Makes sure that an option says what is known; "" is what the set says.

    Raises:
        UsageError: it doesn't.
    """
    if value not in ("", *known):
        raise UsageError(
            f"{option} {value}: not one of {', '.join(known)}", hint=f"raccord data {verb} --help"
        )
