"""What is kept out of commits: which files git ignores, and whether git can tell at all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from raccord.errors import CannotRun
from raccord.git import status
from raccord.kernel import fs
from raccord.migrations.steps import exclude_file
from raccord.model.text import shown
from raccord.verbs.room import Room


def ignored(room: Room, top: Path, paths: Sequence[str]) -> frozenset[str]:
    """Those of the paths that git ignores in a worktree, as it does the copies that a heal makes.

    Raises:
        CannotRun: git can't tell, since its `info/exclude` is no file.
    """
    check_exclude(room)
    return status.ignored(room.repo.git.at(top), paths)


def check_exclude(room: Room, *, to_write: bool = False) -> None:
    """Refuses an `info/exclude` that git would wait for, or that raccord would write through to elsewhere.

    Raises:
        CannotRun: it is no file.
    """
    path = exclude_file(room.repo.common)
    seen = fs.signature(path)
    if seen is not None and not seen.is_file and (to_write or not seen.is_link):
        raise CannotRun(
            f"{shown(str(path))} is no plain file", hint=f"ls -ld {shown(shlex.quote(str(path)))}"
        )
