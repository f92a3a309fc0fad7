"""Where alembic's configuration lies in a worktree, and which folder a path or package in it means.

Walks folders, opens only pyproject.toml files, imports nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from raccord.errors import CannotRun, UsageError
from raccord.migrations.settings import has_table
from raccord.model.text import shown

INI, TOML = "alembic.ini", "pyproject.toml"
# Folders of other people's code.
_FOREIGN = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})


def find(root: Path, where: Path | None = None) -> Path:
    """The configuration file to use.

    Args:
        root: the worktree.
        where: a folder that a person named, or the file itself; by default the worktree.

    Raises:
        UsageError: there are several.
        CannotRun: there is none.
    """
    top = root if where is None else where
    if top.is_file():
        return top
    if (here := _in_folder(top)) is not None:
        return here
    found = tuple(candidates(top))
    if len(found) > 1:
        listed = ", ".join(shown(os.path.relpath(one, root)) for one in found)
        raise UsageError(
            f"there are {len(found)} alembic configurations: {listed}",
            hint="name the folder of one",
            found=[str(one) for one in found],
        )
    if not found:
        raise CannotRun(
            f"no {INI}, and no {TOML} with [tool.alembic], in {shown(str(top))} or below",
            hint="name the backend's folder, or run: alembic init",
            searched=str(top),
        )
    return found[0]


def candidates(top: Path) -> Iterator[Path]:
    """Every configuration file below a folder; hidden folders, environments and other worktrees left out."""
    todo = [os.fspath(top)]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(folder) as scan:
                entries = {entry.name: entry for entry in scan}
        except OSError:
            continue  # a folder that can't be listed can't be used either; `find` says what it searched
        if folder != os.fspath(top) and {".git", "pyvenv.cfg"} & entries.keys():
            continue
        # What isn't listed needs no other look: there are thousands of folders.
        if {INI, TOML} & entries.keys() and (here := _in_folder(Path(folder))) is not None:
            yield here
        below = sorted(
            name
            for name, entry in entries.items()
            if not name.startswith(".") and name not in _FOREIGN and entry.is_dir(follow_symlinks=False)
        )
        todo += [os.path.join(folder, name) for name in reversed(below)]


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
