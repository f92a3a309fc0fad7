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

    if argv is None:
        _interruptible()
    return app.run(words)


def _interruptible() -> None:
    """Lets a closed terminal or a polite kill stop raccord as Ctrl-C does, with its children ended."""
    import signal

    for name in ("SIGHUP", "SIGTERM"):
        number = getattr(signal, name, None)
        # One that is ignored stays so: `nohup raccord sync` outlives its terminal.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
