"""The lines that give a project an ignored folder for copies of migrations. Nothing is written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from raccord.errors import RaccordError
from raccord.migrations import places
from raccord.migrations.project import Database, Project, read_project, settings_of
from raccord.migrations.settings import Settings
from raccord.model.text import shown

OVERLAY = "overlay"
_SPACES = re.compile(r"[\s,]")


def offer(root: Path, ignored: Callable[[str], bool]) -> list[str]:
    """The lines, with what they are for; none where no project would gain by them.

    Args:
        root: the worktree.
        ignored: whether git ignores a path, relative to the worktree.
    """
    try:
        projects = [read_project(root, ini) for ini in places.candidates(root)]
    except RaccordError:
        return []  # what is wrong there, `raccord migrations status` says
    lines: list[str] = []
    for project in projects:
        for database in {one.section: one for one in project.databases}.values():
            if not any(ignored(_below(root, one / "revision.py")) for one in database.versions):
                lines += _lines(root, project, database)
    return lines


def _below(root: Path, path: Path) -> str:
    return os.path.relpath(os.path.realpath(path), os.path.realpath(root))


def _lines(root: Path, project: Project, database: Database) -> list[str]:
    folder = _below(root, database.script / OVERLAY)
    if folder.startswith(".."):
        return []
    ini = shown(_below(root, project.ini))
    settings = settings_of(project.ini)
    in_ini = settings.ini is not None
    where = f"[{database.section}]" if in_ini else "[tool.alembic]"
    options = _ini(settings, project, database) if in_ini else _toml(project, database)
    return [
        "",
        f"{ini}, below {where}:",
        *(f"  {shown(one)}" for one in options),
        ".gitignore:",
        f"  /{shown(folder)}/",
    ]


def _spelled(project: Project, folder: Path) -> str:
    return "%(here)s/" + Path(os.path.relpath(folder, project.ini.parent)).as_posix()


def _folders(project: Project, database: Database) -> list[str]:
    return [_spelled(project, one) for one in (*database.versions, database.script / OVERLAY)]


def _ini(settings: Settings, project: Project, database: Database) -> list[str]:
    section, folders = database.section, _folders(project, database)
    separator = settings.separator(section)
    if separator is not None:
        return [f"version_locations = {separator.join(folders)}".replace("\n", "\n    ")]
    if _SPACES.search(str(project.ini.parent)) or any(map(_SPACES.search, folders)):
        # Read by releases before 1.16 and since.
        both = [f"{name} = os" for name in ("path_separator", "version_path_separator")]
        return [f"version_locations = {os.pathsep.join(folders)}", *both]
    line = f"version_locations = {' '.join(folders)}"
    # It would hold for prepend_sys_path too, which may rely on commas and colons.
    several = len(settings.paths(section, "prepend_sys_path")) > 1
    return [line] if several else [line, "path_separator = space"]


def _toml(project: Project, database: Database) -> list[str]:
    listed = ", ".join(f'"{one}"' for one in _folders(project, database))
    return [f"version_locations = [{listed}]"]


def comment(lines: list[str]) -> str:
    """The lines as the end of a commented configuration; "" where there are none."""
    if not lines:
        return ""
    said = [
        "Copies of other branches' migrations lie beside your own, kept out of commits by .git/info/exclude.",
        "Where version_locations names a folder that git ignores, they go there instead. If you prefer that,",
        "add these lines yourself; raccord does not touch the files:",
        *lines,
    ]
    return "\n" + "".join(f"# {line}".rstrip() + "\n" for line in said)
