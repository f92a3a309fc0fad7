"""`--choose REV=DIGEST`, which several migration verbs take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from raccord.errors import UsageError

Choose = Annotated[
    list[str] | None,
    typer.Option(
        "--choose",
        metavar="REV=DIGEST",
        help="Take this content where several claim the id; repeatable.",
        show_default=False,
    ),
]


def chosen(words: Iterable[str] | None) -> dict[str, str]:
    """Revision to digest.

    Raises:
        UsageError: a word is no such pair.
    """
    return dict(map(_pair, words or ()))


def _pair(text: str) -> tuple[str, str]:
    revision, equals, digest = text.rpartition("=")
    if not equals or not revision or not digest:
        raise UsageError(f"--choose {text}: not REV=DIGEST", hint="raccord migrations find REV")
    return revision, digest
