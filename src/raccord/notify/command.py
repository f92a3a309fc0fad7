"""Hands a document to a command of the user's, which may post it anywhere. What it says is not kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from raccord.errors import ProcessTimeout, ProgramMissing, RaccordError
from raccord.kernel import proc
from raccord.model.plan import Json

SECONDS = 10.0


def send(argv: Sequence[str], document: Mapping[str, Json], where: Path, *, seconds: float = SECONDS) -> str:
    """Runs the command with the document, as one line of JSON, on its standard input.

    Args:
        where: the directory that it runs in.
        seconds: that it may take; then it is ended.

    Returns:
        Why it failed, "" where it did not. Its output may hold an address that is a secret.
    """
    stdin = json.dumps(document, sort_keys=True).encode("ascii") + b"\n"
    try:
        status = proc.run(argv, cwd=where, stdin=stdin, timeout=seconds).returncode
    except ProcessTimeout:
        return f"it took longer than {seconds:g} s, and was ended"
    except ProgramMissing:
        return "there is no such program"
    except RaccordError as error:
        return error.message
    return f"it ended with {status}" if status else ""
