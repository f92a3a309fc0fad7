"""The report of a bug: what is needed to find it, ready to paste, without secrets or values.

Of errors it has the kind and the places in the code: their words may repeat what somebody's database holds.
"""

from __future__ import annotations

import platform
import re
import traceback
from collections.abc import Iterator, Sequence

from raccord import __version__
from raccord.kernel import bugs
from raccord.model.text import shown

SECRET = re.compile(r"(?i)(auth|credential|key|passw|pwd|secret|token)")
URL = re.compile(r"(\w+://)\S+")


def redacted(argv: Sequence[str]) -> list[str]:
    """The words without what looks like a secret: a value behind such a name, and what a URL leads to."""
    out: list[str] = []
    hide_next = False
    for word in argv:
        name, equals, value = word.partition("=")
        if hide_next and not word.startswith("-"):
            out.append("…")
        elif equals and value and SECRET.search(name):
            out.append(f"{name}=…")
        else:
            out.append(URL.sub(r"\1…", word))
        hide_next = word.startswith("-") and not equals and bool(SECRET.search(word))
    return out


def report(error: BaseException, argv: Sequence[str]) -> str:
    """The report, several lines."""
    return "\n".join(
        [
            "----- report -----",
            f"raccord {__version__}",
            f"python {platform.python_version()} ({platform.python_implementation()})",
            f"git {_git()}",
            f"platform {platform.platform()}",
            "argv " + " ".join(repr(word) for word in redacted(argv)),
            *(shown(line) for line in "\n".join(_trace(error)).split("\n")),
            "----- end -----",
        ]
    )


def _trace(error: BaseException) -> Iterator[str]:
    """An error with what it came from, oldest first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for one in (*((before,) if before else ()), *getattr(error, "exceptions", ())):
        yield from _trace(one)
        yield "and then:"
    yield from (frame.rstrip() for frame in traceback.format_tb(error.__traceback__))
    yield bugs.told(error)
    yield from getattr(error, "__notes__", ())


def _git() -> str:
    from raccord.errors import RaccordError
    from raccord.kernel import proc

    try:
        said = proc.run(["git", "--version"], timeout=5.0).stdout
    except RaccordError as failure:
        return f"unknown: {failure.message}"
    return shown(said.decode("utf-8", "replace").removeprefix("git version ").strip())
