"""Asks git in a worktree, where files that git itself opens may be pipes: `.gitignore` and the like.

Git waits for their writer for ever, and tells nobody for what. Never opens them; removes nothing.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from raccord.errors import HeldBack, ProcessTimeout
from raccord.git.run import Git
from raccord.kernel.proc import Result
from raccord.model.text import shown

# Git opens these without following links (O_NOFOLLOW since 2.32): what a link leads to can't stop it.
NAMES = (".gitattributes", ".gitignore", ".gitmodules")
PATIENCE_S = 10.0  # then the whole worktree is looked through, which is cheap beside such a wait
LIMIT_S = 600.0


def ask(git: Git, *args: str, timeout: float = LIMIT_S) -> Result:
    """Runs git in the worktree at `git.cwd`, and returns how it ended, failed or not.

    Args:
        timeout: seconds that git may take, in a worktree where every such file is one.

    Raises:
        HeldBack: it would wait for ever; `path` says for what.
        ProcessTimeout, CannotRun: as for `Git.run`.
    """
    demand_files(git.cwd, [str(git.cwd)])
    try:
        return git.run(*args, timeout=min(timeout, PATIENCE_S))
    except ProcessTimeout:
        demand_files(git.cwd, (where for where, _, _ in os.walk(git.cwd)))
        if timeout <= PATIENCE_S:
            raise
        return git.run(*args, timeout=timeout)


def demand_files(top: Path, folders: Iterable[str]) -> None:
    """Raises `HeldBack` where a file that git opens in one of these folders of a worktree never ends."""
    for folder in folders:
        for name in NAMES:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                mode = os.lstat(path).st_mode
                if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                    raise HeldBack(
                        f"{shown(os.path.relpath(path, top))} is no file but a pipe or device:"
                        " git would wait for it for ever",
                        hint=shown(f"rm {shlex.quote(path)}"),
                        path=path,
                    )
