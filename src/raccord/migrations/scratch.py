"""A version folder of alembic's own, beside those of the project: what it writes there is only looked at.

The project's files stay as they are. The configuration is a copy with one folder more, since alembic writes
into no folder that it does not name.
"""

from __future__ import annotations

import configparser
import contextlib
import io
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.errors import CannotRun, UnsafePath
from raccord.kernel import fs
from raccord.migrations.project import Database, Project
from raccord.migrations.settings import Settings, text_of
from raccord.model.text import shown

FOLDER = "scratch"  # below raccord's own state
LEFT_NS = 24 * 3600 * 10**9  # no alembic takes that long to write a file
# What formatters that alembic runs on a new file look for above it. Sorted.
STYLES = (
    ".editorconfig", ".flake8", ".isort.cfg", ".ruff.toml", ".style.yapf", "pyproject.toml", "ruff.toml",
    "setup.cfg", "tox.ini",
)  # fmt: skip
# Without these an env.py that sets up logging from its configuration would fail.
_LOGGING = {
    "loggers": {"keys": "root"},
    "handlers": {"keys": ""},
    "formatters": {"keys": ""},
    "logger_root": {"level": "WARNING", "handlers": ""},
}
_SEPARATORS = {"os": os.pathsep, ";": ";", "space": " "}


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where alembic may write.

    Attributes:
        versions: the folder.
        ini: the configuration that names it.
    """

    versions: Path
    ini: Path


@contextlib.contextmanager
def opened(state: Path, project: Project, database: Database, home: str) -> Iterator[Scratch]:
    """A scratch folder, which is gone afterwards with all that is in it.

    Args:
        state: raccord's own folder.
        home: the version folder that the new file is meant for, relative to the worktree.

    Raises:
        CannotRun: disk full or read-only, or a path that alembic can't be told.
        ConfigError: the configuration can't be read.
    """
    made = not state.exists()
    _sweep(state / FOLDER)
    top = state / FOLDER / secrets.token_hex(8)
    versions = top / "tree" / home
    try:
        fs.make_dirs(versions, durable=False)
        _styles(project.root, top / "tree", home)
        ini = top / "alembic.ini"
        fs.write_new(ini, _configuration(project, database, versions), mode=0o600, exact=True, durable=False)
        yield Scratch(versions, ini)
    finally:
        fs.remove_tree(top)
        fs.remove_empty(top.parent)
        if made:
            fs.remove_empty(state)


def _sweep(folder: Path) -> None:
    """Removes what a raccord that was killed left behind."""
    for name in fs.names(folder):
        seen = fs.signature(folder / name)
        if seen is not None and seen.mtime_ns < time.time_ns() - LEFT_NS:
            fs.remove_tree(folder / name)


def _styles(root: Path, copy: Path, home: str) -> None:
    """Copies what says how files are formatted, so that it holds for the new file too."""
    folder = ""
    for part in ("", *Path(home).parts):
        folder = os.path.join(folder, part)
        for name in STYLES:
            with contextlib.suppress(UnsafePath):
                if (data := fs.read_or_none(root / folder / name)) is not None:
                    fs.write_new(copy / folder / name, data, durable=False)


def _configuration(project: Project, database: Database, versions: Path) -> bytes:
    ini = None if project.ini.name == "pyproject.toml" else project.ini
    parser = configparser.RawConfigParser()
    section = database.section
    places = [str(versions), *map(str, database.versions), *database.unresolved]
    if ini is None:
        parser.read_dict({section: {}, **_LOGGING})
    else:
        settings = Settings(ini, None)
        parser.read_string(text_of(ini).replace("\r\n", "\n"))
        if not parser.has_section(section):
            parser.add_section(section)
        if settings.option(section, "path_separator") is not None:
            paths = list(settings.paths(section, "prepend_sys_path"))
            name = _separator([*places, *paths])
            parser.set(section, "path_separator", name)
            if paths:
                parser.set(section, "prepend_sys_path", _joined(paths, name))
        # As if it lay where the project's own lies.
        parser.set(parser.default_section, "here", _plain(str(ini.absolute().parent.as_posix())))
    name = parser.get(section, "path_separator", fallback="") or _separator(places)
    parser.set(section, "version_path_separator", name)
    parser.set(section, "version_locations", _joined(places, name))
    text = io.StringIO()
    parser.write(text)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _separator(paths: Sequence[str]) -> str:
    for name, char in _SEPARATORS.items():
        if not any(char in path for path in paths):
            return name
    raise CannotRun(
        f"alembic's configuration can't list paths with all of {' '.join(_SEPARATORS)}: {shown(paths[0])}",
        hint="alembic revision, there",
    )


def _joined(paths: Sequence[str], separator: str) -> str:
    return _SEPARATORS[separator].join(map(_plain, paths))


def _plain(text: str) -> str:
    return text.replace("%", "%%")
