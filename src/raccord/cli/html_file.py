"""Where a page is written: never over a file that is no page of raccord's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raccord.errors import UsageError
from raccord.kernel import fs
from raccord.model.language import LANGUAGES
from raccord.model.text import shown

MARK = '<meta name="generator" content="raccord'  # what a page of raccord's has

Html = Annotated[
    str,
    typer.Option(
        "--html", metavar="FILE", help="Write it as a page too, to send to somebody.", show_default=False
    ),
]
Language = Annotated[
    str,
    typer.Option(
        "--language",
        metavar="LANGUAGE",
        help="Of the page: en or fr; the configured one by default.",
        show_default=False,
    ),
]


def place(directory: Path, name: str) -> Path | None:
    """Where a page goes; None where none is asked for.

    Raises:
        UsageError: something else is there, or there is no such directory.
    """
    if not name:
        return None
    path = directory / name
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {shown(str(path.parent))} for the page")
    seen = fs.signature(path)
    if seen is not None and not (seen.is_file and MARK.encode() in fs.read(path)):
        raise UsageError(
            f"{shown(str(path))} is there and no page of raccord's", hint="--html with another name"
        )
    return path


def known(language: str) -> str:
    """A language that a page can be in.

    Raises:
        UsageError: there is none of that name.
    """
    if language not in ("", *LANGUAGES):
        said = f"--language {shown(language)}: not one of {', '.join(LANGUAGES)}"
        raise UsageError(said, hint="--language en")
    return language


def write(path: Path, page: str) -> None:
    """Writes it whole.

    Raises:
        CannotRun: the disk is full, or not to be written to.
    """
    fs.write_atomic(path, page.encode())
