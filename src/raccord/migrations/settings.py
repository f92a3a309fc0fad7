"""Reads alembic's configuration, alembic.ini and `[tool.alembic]` of pyproject.toml, as alembic 1.20 does.

Only text: nothing is imported, the environment is not read. An option of the ini file wins over the same one
in pyproject.toml.
"""

from __future__ import annotations

import configparser
import functools
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from raccord.errors import CannotRun, ConfigError
from raccord.migrations.regular import regular
from raccord.model.text import shown

MAIN = "alembic"
LARGEST = 2 << 20  # bytes of a configuration file, or of an env.py
_SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}
_LEGACY_PATHS = re.compile(r", *|(?: +)")
_LEGACY_SYS_PATHS = re.compile(r", *|(?: +)|:")


class Settings:
    """The options of one alembic environment.

    Args:
        ini: the alembic.ini, whatever its name; None where there is none.
        toml: the pyproject.toml beside it; None where it has no `[tool.alembic]`.

    Raises:
        ConfigError: one of them can't be read.
    """

    def __init__(self, ini: Path | None, toml: Path | None) -> None:
        self.ini = ini
        self.toml = toml
        self._values = _toml_table(toml) if toml is not None else {}
        # A "%" in the folder's name is no reference.
        here = str((ini or toml or Path()).absolute().parent.as_posix()).replace("%", "%%")
        self._here = {"here": here}
        self._parser, self._own = _parsed(text_of(ini), shown(str(ini))) if ini is not None else _read("")

    @property
    def file(self) -> str:
        """The file that a message names."""
        return str(self.ini or self.toml or "")

    def sections(self) -> tuple[str, ...]:
        """The sections of the ini file, `DEFAULT` left out."""
        return tuple(self._parser.sections())

    def has(self, section: str, name: str) -> bool:
        """Whether a section of the ini file sets an option itself, not through `DEFAULT`."""
        return (section, name.lower()) in self._own

    def option(self, section: str, name: str) -> str | None:
        """An option of the ini file, what it refers to filled in.

        Raises:
            ConfigError: it refers to something that the file does not hold, or is no text that has a use.
        """
        try:
            # One that the file sets itself comes before the folder.
            here = {} if self._parser.has_option(section, "here") else self._here
            found = self._parser.get(section, name, vars=here, fallback=None)
            if found is not None and "\0" in found:
                raise self._wrong(section, name, "holds a NUL byte")
            return found
        except configparser.InterpolationError as error:
            # Its own words repeat the value, which may be a URL with a password.
            said = "has a bare %"
            if isinstance(error, configparser.InterpolationMissingOptionError):
                said = f"refers to %({error.reference})s, which is not set"
            elif isinstance(error, configparser.InterpolationDepthError):
                said = "refers to itself"
            raise self._wrong(section, name, said, expected="%% for each % that is meant") from None

    def text(self, section: str, name: str, default: str = "") -> str:
        """An option as alembic reads it: from the ini file, else from pyproject.toml."""
        if (found := self.option(section, name)) is not None:
            return found
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, str | int) and not isinstance(value, bool):
            return self._filled(name, value) if isinstance(value, str) else str(value)
        raise self._wrong("tool.alembic", name, "is no text", file=self.toml)

    def flag(self, section: str, name: str) -> bool:
        """An option that is on or off; in the ini file only "true" is on."""
        if (found := self.option(section, name)) is not None:
            return found == "true"
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise self._wrong("tool.alembic", name, "is neither true nor false", file=self.toml)
        return value

    def paths(self, section: str, name: str) -> tuple[str, ...]:
        """A list of paths: `version_locations` or `prepend_sys_path`."""
        if found := self.option(section, name):
            separator = self.separator(section, with_old=name == "version_locations")
            if separator is None:
                legacy = _LEGACY_PATHS if name == "version_locations" else _LEGACY_SYS_PATHS
                return tuple(legacy.split(found))
            return tuple(one.strip() for one in found.split(separator) if one)
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._wrong("tool.alembic", name, "is no list of texts", file=self.toml)
        return tuple(self._filled(name, one) for one in value)

    def separator(self, section: str, *, with_old: bool = True) -> str | None:
        """What stands between the paths of a list; None where older releases guess.

        Args:
            with_old: whether the older name of the option counts, as it does for `version_locations`.
        """
        for name in ["path_separator", *(["version_path_separator"] if with_old else [])]:
            if (found := self.option(section, name)) is not None:
                if found not in _SEPARATORS:
                    wanted = ", ".join(_SEPARATORS)
                    raise self._wrong(section, name, f"{found!r} is not valid", expected=wanted)
                return _SEPARATORS[found]
        return None

    def _filled(self, name: str, value: str) -> str:
        here = str((self.toml or Path()).absolute().parent.as_posix())
        if "\0" in value:
            raise self._wrong("tool.alembic", name, "holds a NUL byte", file=self.toml)
        try:
            return value % {"here": here}
        except (KeyError, TypeError, ValueError) as error:
            said = f"holds a % that means nothing here: {type(error).__name__}"
            raise self._wrong("tool.alembic", name, said, file=self.toml) from None

    def _wrong(
        self, section: str, name: str, problem: str, *, expected: str = "", file: Path | None = None
    ) -> ConfigError:
        where = shown(str(file or self.file))
        return ConfigError(where, 0, f"[{section}] {name}", problem, expected)


def has_table(toml: Path) -> bool:
    """Whether a pyproject.toml has a `[tool.alembic]`.

    Raises:
        ConfigError: it seems so, and it can't be read.
    """
    try:
        source = regular(toml, LARGEST)[0]
    except OSError:
        return False
    return b"alembic" in source and b"tool" in source and bool(_toml_table(toml))


def _toml_table(toml: Path) -> Mapping[str, Any]:
    source = _source(toml)
    try:
        table = tomllib.loads(source.decode("utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(shown(str(toml)), 0, "", str(error)) from error
    table = table.get(MAIN, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(shown(str(toml)), 0, "tool.alembic", "is no table")
    return table


def _source(file: Path) -> bytes:
    try:
        return regular(file, LARGEST)[0]
    except OSError as error:
        where = shown(str(file))
        raise CannotRun(
            f"can't read {where}: {error.strerror or error}", hint=f"ls -l {shown(quote(str(file)))}"
        ) from error


def text_of(ini: Path) -> str:
    """The text of an ini file, bytes that are no UTF-8 as surrogates.

    Raises:
        CannotRun: it can't be read.
    """
    return _source(ini).decode("utf-8-sig", "surrogateescape")


Parsed = tuple[configparser.ConfigParser, frozenset[tuple[str, str]]]


# Worktrees mostly have the same one.
@functools.lru_cache(maxsize=32)
def _read(text: str) -> Parsed:
    """What a text sets, for reading only; and the section and option of all that it sets itself."""
    parser, own = (
        configparser.ConfigParser(),
        configparser.ConfigParser(default_section="\0", interpolation=None),
    )
    for one in (parser, own):
        one.read_string(text.replace("\r\n", "\n"))
    return parser, frozenset((section, name) for section in own.sections() for name in own.options(section))


def _parsed(text: str, file: str) -> Parsed:
    try:
        return _read(text)
    except configparser.DuplicateSectionError as error:
        raise ConfigError(file, error.lineno or 0, f"[{error.section}]", "is there twice") from error
    except configparser.DuplicateOptionError as error:
        key = f"[{error.section}] {error.option}"
        raise ConfigError(file, error.lineno or 0, key, "is there twice") from error
    except configparser.MissingSectionHeaderError as error:
        raise ConfigError(file, error.lineno, "", "stands before the first [section]") from error
    except configparser.ParsingError as error:
        line = error.errors[0][0] if error.errors else 0
        raise ConfigError(file, line, "", "is neither a [section] nor an option") from error
