"""The command that adds an optional part to the very installation that runs; it installs nothing itself."""

from __future__ import annotations

import importlib.util
import shlex
import sys


def install(extra: str) -> str:
    """What to type for an extra of raccord.

    A bare `pip` is often another Python's, where the part would be of no use; this one finds raccord there
    already, so that it fetches the extra's packages alone.
    """
    python = shlex.quote(sys.executable)
    # An environment that uv made has no pip in it.
    by_pip = importlib.util.find_spec("pip") is not None
    command = f"{python} -m pip install" if by_pip else f"uv pip install --python {python}"
    return f"{command} 'raccord[{extra}]'"
