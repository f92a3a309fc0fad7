"""Where the program starts. What must be quick is answered before anything heavy is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from raccord import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        argv: the words after the program's name; None for the process's own.

    Returns:
        The exit code, as `cli/exits.py` documents it.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        print(f"raccord {__version__}")
        return 0
    from raccord.cli import app

    return app.run(words)
