"""Reads the configuration and checks it against the declared keys; `parse` is pure, `source` only reads."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raccord.config.keys import EXAMPLES, NAMED, SECTIONS, Config, Key, keys
from raccord.config.kinds import Invalid
from raccord.errors import ConfigError

FILE = "raccord.toml"
PYPROJECT = "pyproject.toml"
PREFIX = ("tool", "raccord")
SIZE_LIMIT = 1024 * 1024  # bytes; nobody writes more by hand


def expanded(path: str) -> str:
    """A path as a person writes it, absolute where it begins with ~."""
    return os.path.expanduser(path)


def libpq_defaults() -> dict[str, str]:
    """Where PostgreSQL's own variables lead to: "host", "hostaddr" and "service", as far as they are set."""
    names = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "service": "PGSERVICE"}
    return {key: value for key, name in names.items() if (value := os.environ.get(name))}


@dataclass(frozen=True, slots=True)
class Source:
    """The file that the configuration of a worktree is in.

    Attributes:
        prefix: the table that holds it; () for the whole document.
        data: what is in the file.
    """

    file: Path
    prefix: tuple[str, ...]
    data: bytes

    @property
    def text(self) -> str:
        """The document.

        Raises:
            ConfigError: it is not UTF-8.
        """
        return _decoded(self.data, self.file)


def source(top: Path) -> Source | None:
    """The file that configures the worktree whose top directory is `top`; None where there is none.

    Raises:
        ConfigError: a file can't be read, or both configure raccord.
    """
    own, shared = top / FILE, top / PYPROJECT
    data = _read(own)
    other = _read(shared)
    # A pyproject.toml that does not speak of raccord is not ours to judge, though it may hold a conflict.
    ours = other is not None and b"raccord" in other and _section(_decoded(other, shared), shared)
    if data is not None:
        if ours:
            from raccord.config.lines import line_of

            raise ConfigError(
                str(shared),
                line_of(_decoded(other or b"", shared), PREFIX),
                "tool.raccord",
                f"{FILE} is there too",
                "only one of the two",
            )
        return Source(own, (), data)
    return Source(shared, PREFIX, other) if other is not None and ours else None


def configured(at: Source | None) -> Config:
    """What a file says; the defaults where there is none.

    Raises:
        ConfigError: it says something invalid.
    """
    return Config() if at is None else parse(at.text, str(at.file), at.prefix)


def load(top: Path) -> Config:
    """Reads the configuration of the worktree whose top directory is `top`.

    Raises:
        ConfigError: see `source` and `configured`.
    """
    return configured(source(top))


def parse(text: str, file: str, prefix: Sequence[str] = ()) -> Config:
    """Turns a TOML document into the configuration.

    Args:
        text: the document.
        file: its path, for messages and for `Config.source`.
        prefix: the table that holds the configuration; () for the whole document.

    Raises:
        ConfigError: the document is no TOML, or a key or a value is not valid; it names the line.
    """
    document: Any = _document(text, file)
    for part in prefix:
        document = document.get(part, {}) if isinstance(document, dict) else {}
    checked = _Checked(text, file, tuple(prefix))
    above = {key.name: key for key in keys() if not key.section}
    values: dict[str, Any] = {}
    for name, value in checked.table(document, (), (*above, *SECTIONS, *NAMED)).items():
        if name in above:
            values[name] = checked.value(above[name], (name,), value)
        elif name in SECTIONS:
            values[name] = SECTIONS[name](**checked.values(value, name, (name,)))
        else:
            values[name] = {
                each: NAMED[name](**checked.values(one, name, (name, each)))
                for each, one in checked.names(value, name).items()
            }
    return Config(**values, source=file)


def declared(dotted: str, file: str = FILE) -> tuple[tuple[str, ...], Key]:
    """The path of a key that is named as on a command line, and the key.

    Raises:
        ConfigError: there is no such key; as for one in the file.
    """
    path = tuple(dotted.split("."))
    checked = _Checked("", file, ())
    above = {key.name: key for key in keys() if not key.section}
    checked.table({path[0]: None}, (), (*above, *SECTIONS, *NAMED))
    if path[0] in above:
        if len(path) == 1:
            return path, above[path[0]]
        raise checked.error(path, "is no key", path[0])
    if path[0] in NAMED:
        checked.names({name: {} for name in path[1:2]}, path[0])
    inside = path[: 2 if path[0] in NAMED else 1]
    known = {key.name: key for key in keys() if key.section == path[0]}
    if len(path) != len(inside) + 1:
        bare = path[0] in NAMED and len(path) == 1
        at = f"{path[0]}.{EXAMPLES[path[0]]}" if bare else ".".join(inside)
        names = sorted(f"{at}.{name}" for name in known)
        raise checked.error(path, "is no key", _one_of(tuple(names)))
    checked.table({path[-1]: None}, inside, tuple(known))
    return path, known[path[-1]]


def valid(path: tuple[str, ...], key: Key, value: object, file: str = FILE) -> object:
    """A value as it would be read from the file.

    Raises:
        ConfigError: the key does not take it.
    """
    return _Checked("", file, ()).value(key, path, value)


def refused(config: Config, path: tuple[str, ...], problem: str, expected: str) -> ConfigError:
    """The error for a value that only its user could judge, with the line on which its key stands."""
    file = Path(config.source)
    prefix = PREFIX if file.name == PYPROJECT else ()
    return _Checked(_decoded(_read(file) or b"", file), str(file), prefix).error(path, problem, expected)


class _Checked:
    """A document under examination: it knows how to name what is wrong, and where."""

    def __init__(self, text: str, file: str, prefix: tuple[str, ...]) -> None:
        self.text, self.file, self.prefix = text, file, prefix

    def table(self, value: object, path: tuple[str, ...], known: tuple[str, ...]) -> Mapping[str, Any]:
        """The table itself, once it is one and all its keys are known."""
        if not isinstance(value, dict):
            raise self.error(path, "is not a table", f"[{'.'.join((*self.prefix, *path))}]")
        for name in value:
            if name not in known:
                raise self.error(
                    (*path, name),
                    f"is no {'key' if path else 'section'}{_near(name, path, known)}",
                    _one_of(known),
                )
        return value

    def values(self, table: object, section: str, path: tuple[str, ...]) -> dict[str, Any]:
        """What a section's keys are set to, by the name of their attribute."""
        known = {key.name: key for key in keys() if key.section == section}
        return {
            known[name].field: self.value(known[name], (*path, name), value)
            for name, value in self.table(table, path, tuple(known)).items()
        }

    def value(self, key: Key, path: tuple[str, ...], value: object) -> object:
        """The value of a key, once it is one that the key takes."""
        try:
            return key.kind.read(value)
        except Invalid as problem:
            raise self.error(path, str(problem), key.kind.expected) from None

    def names(self, table: object, section: str) -> Mapping[str, Any]:
        """The tables of a section of which there may be several, by name."""
        example = f"[{'.'.join((*self.prefix, section, EXAMPLES[section]))}]"
        if not isinstance(table, dict):
            raise self.error((section,), "is not a table", example)
        for name, one in table.items():
            if not isinstance(one, dict):
                raise self.error((section, name), "is not a table", example)
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
                raise self.error((section, name), "is no name", "letters, digits, - and _")
        return table

    def error(self, path: tuple[str, ...], problem: str, expected: str) -> ConfigError:
        """The error, with the line on which the key stands."""
        from raccord.config.lines import line_of

        full = (*self.prefix, *path)
        return ConfigError(
            self.file, line_of(self.text, full), ".".join(map(_spelt, full)), problem, expected
        )


def _one_of(known: tuple[str, ...]) -> str:
    return "one of " + ", ".join(sorted(known))


def _near(name: str, path: tuple[str, ...], known: tuple[str, ...]) -> str:
    """A suggestion: a key spelt nearly so, here or, at the top, in one of the sections."""
    import difflib

    if path or difflib.get_close_matches(name, known, 1, 0.6):
        near = difflib.get_close_matches(name.replace("-", "_"), known, 1, 0.6)
        return f"; did you mean {near[0]}?" if near else ""
    inner = {key.name: key.dotted for key in keys()}
    near = difflib.get_close_matches(name.replace("-", "_"), list(inner), 1, 0.75)
    return f"; did you mean {inner[near[0]]}?" if near else ""


def _spelt(part: str) -> str:
    return part if part.replace("-", "").replace("_", "").isalnum() and part.isascii() else repr(part)


def variable(name: str) -> str | None:
    """The value of a variable of the environment, None where it isn't set."""
    return os.environ.get(name)


def _read(path: Path) -> bytes | None:
    """The bytes of a configuration file, or None where there is none."""
    try:
        # Opening a FIFO would wait for ever.
        with open(path, "rb", opener=_opener) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(str(path), 0, "", "is not a regular file")
            data = file.read(SIZE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(str(path), 0, "", f"can't be read: {error.strerror}") from error
    if len(data) > SIZE_LIMIT:
        raise ConfigError(str(path), 0, "", "is too large", "at most 1 MiB")
    return data


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _decoded(data: bytes, path: Path) -> str:
    try:
        # Editors on Windows write a byte order mark; TOML does not forbid to skip it.
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), line, "", "is not UTF-8", "UTF-8 text") from error


def _document(text: str, file: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(file, 0, "", "is nested too deeply", "TOML") from error
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python takes
        message, line = _located(str(error), text)
        raise ConfigError(file, line, "", message, "TOML") from error


def _located(message: str, text: str) -> tuple[str, int]:
    """Splits tomllib's message from its "(at line 3, column 7)"."""
    what, _, where = message.rpartition(" (at ")
    if not what:
        return _lowered(message), 0
    if where.startswith("line "):
        return _lowered(what), int(where.removeprefix("line ").partition(",")[0])
    return _lowered(what), len(text.rstrip("\n").split("\n"))


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _section(text: str, path: Path) -> bool:
    """Whether a pyproject.toml has a [tool.raccord]."""
    tool = _document(text, str(path)).get("tool")
    return isinstance(tool, dict) and "raccord" in tool
