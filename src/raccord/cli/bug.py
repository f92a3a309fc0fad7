"""The report of a bug: what is needed to find it, ready to paste, without the secrets of a command line."""

from __future__ import annotations

import platform
import re
import traceback
from collections.abc import Sequence

from raccord import __version__
from raccord.model.text import shown

SECRET = re.compile(r"(?i)(auth|credential|key|passw|pwd|secret|token)")
URL_USER = re.compile(r"(\w+://)[^/@\s]+@")


def redacted(argv: Sequence[str]) -> list[str]:
    """The words without what looks like a secret: a value behind such a name, a URL's user part."""
    out: list[str] = []
    hide_next = False
    for word in argv:
        name, equals, value = word.partition("=")
        if hide_next and not word.startswith("-"):
            out.append("…")
        elif equals and value and SECRET.search(name):
            out.append(f"{name}=…")
        else:
            out.append(URL_USER.sub(r"\1…@", word))
        hide_next = word.startswith("-") and not equals and bool(SECRET.search(word))
    return out


def report(error: BaseException, argv: Sequence[str]) -> str:
    """The report, several lines."""
    trace = "".join(traceback.format_exception(error))
    return "\n".join(
        [
            "----- report -----",
            f"raccord {__version__}",
            f"python {platform.python_version()} ({platform.python_implementation()})",
            f"git {_git()}",
            f"platform {platform.platform()}",
            "argv " + " ".join(repr(word) for word in redacted(argv)),
            *(shown(line) for line in URL_USER.sub(r"\1…@", trace).rstrip().split("\n")),
            "----- end -----",
        ]
    )


def _git() -> str:
    from raccord.errors import RaccordError
    from raccord.kernel import proc

    try:
        said = proc.run(["git", "--version"], timeout=5.0).stdout
    except RaccordError as failure:
        return f"unknown: {failure.message}"
    return shown(said.decode("utf-8", "replace").removeprefix("git version ").strip())
