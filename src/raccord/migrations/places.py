"""Where alembic's configuration lies in a worktree, and which folder a path or package in it means.

Walks folders, opens only pyproject.toml files, imports nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from raccord.errors import CannotRun, UsageError
from raccord.migrations.memo import Memo, Question, Stamp, stamp_of
from raccord.migrations.settings import has_table
from raccord.model.text import shown

INI, TOML = "alembic.ini", "pyproject.toml"
# Folders of other people's code.
_FOREIGN = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})


class NoEnvironment(CannotRun):
    """There is no alembic configuration."""


def find(root: Path, where: Path | None = None, memo: Memo | None = None) -> Path:
    """The configuration file to use.

    Args:
        root: the worktree.
        where: a folder that a person named, or the file itself; by default the worktree.
        memo: what was seen before.

    Raises:
        UsageError: there are several.
        NoEnvironment: there is none.
    """
    top = root if where is None else where
    if top.is_file():
        return top
    if (here := _in_folder(top)) is not None:
        return here
    found = tuple(candidates(top, memo))
    if len(found) > 1:
        listed = ", ".join(shown(os.path.relpath(one, root)) for one in found)
        raise UsageError(
            f"there are {len(found)} alembic configurations: {listed}",
            hint="name the folder of one",
            found=[str(one) for one in found],
        )
    if not found:
        raise NoEnvironment(
            f"no {INI}, and no {TOML} with [tool.alembic], in {shown(str(top))} or below",
            hint="name the backend's folder, or run: alembic init",
            searched=str(top),
        )
    return found[0]


def candidates(top: Path, memo: Memo | None = None) -> list[Path]:
    """Every configuration file below a folder; hidden folders, environments and other worktrees left out."""
    memo = memo or Memo()
    question = question_of(top)
    if isinstance(known := memo.answer(question), list):
        return [Path(one) for one in known]
    now = time.time_ns()
    looked: list[tuple[str, Stamp | None]] = []
    found = list(_walked(os.fspath(top), looked))
    if (not looked or looked[-1][1] is not None) and not top.is_symlink():
        listed = [str(one) for one in found]
        memo.keep(question, looked, listed, now, saved=listed)
    return found


def question_of(top: Path) -> Question:
    """What `candidates` asks its memo."""
    return (("configurations", os.fspath(top)), False, False)


def _walked(top: str, looked: list[tuple[str, Stamp | None]]) -> Iterator[Path]:
    """The configuration files.

    Args:
        looked: told what that rests on; ends with None where stamps don't tell of every change.
    """
    plain = True
    todo = [top]
    while todo:
        folder = todo.pop()
        try:
            looked.append((folder, stamp_of(os.lstat(folder))))
            with os.scandir(folder) as scan:
                entries = {entry.name: entry for entry in scan}
        except OSError:
            plain = False
            continue  # a folder that can't be listed can't be used either; `find` says what it searched
        if folder != top and {".git", "pyvenv.cfg"} & entries.keys():
            continue
        # What isn't listed needs no other look: there are thousands of folders.
        for name in (INI, TOML):
            if name in entries:
                plain = plain and entries[name].is_file(follow_symlinks=False)
                looked.append((entries[name].path, _stamp(entries[name])))
        if {INI, TOML} & entries.keys() and (here := _in_folder(Path(folder))) is not None:
            yield here
        below = sorted(
            name
            for name, entry in entries.items()
            if not name.startswith(".") and name not in _FOREIGN and entry.is_dir(follow_symlinks=False)
        )
        todo += [os.path.join(folder, name) for name in reversed(below)]
    if not plain:
        looked.append((top, None))


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    try:
        return stamp_of(entry.stat(follow_symlinks=False))
    except OSError:
        return None


def is_package(location: str) -> bool:
    """Whether alembic takes a path in its configuration for a folder within a package."""
    return ":" in location and not os.path.isabs(location)


def located(location: str, places: Sequence[Path], sys_path: Sequence[str] = ()) -> Path | None:
    """The folder that a path in the configuration means; None where it isn't there.

    Args:
        location: a path, or `package:folder`.
        places: the folders that alembic may be run in.
        sys_path: what alembic puts before `sys.path`.
    """
    if is_package(location):
        package, _, rest = location.partition(":")
        parts = [*package.split("."), *rest.split(":")]
        extra = [place / one for place in places for one in sys_path]
        usual = [place / "src" for place in places]
        tries = [root.joinpath(*parts) for root in dict.fromkeys([*extra, *places, *usual])]
    else:
        tries = [place / location for place in places]
    return next((Path(os.path.normpath(one)) for one in tries if one.is_dir()), None)


def _in_folder(folder: Path) -> Path | None:
    if (folder / INI).is_file():
        return folder / INI
    return folder / TOML if (folder / TOML).is_file() and has_table(folder / TOML) else None
