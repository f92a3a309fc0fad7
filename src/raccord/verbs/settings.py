"""`raccord config`: what is configured and where that comes from, and keys that are set as a run."""

from __future__ import annotations

import contextlib
import os
import time
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from raccord.config import (
    FILE,
    Config,
    Key,
    Source,
    declared,
    parse,
    source,
    speaking,
    spoken,
    valid,
)
from raccord.config.edit import Unchangeable, found
from raccord.config.keys import NAMED, keys
from raccord.config.lines import line_of
from raccord.errors import ConfigError, UsageError
from raccord.model.plan import Json, Plan
from raccord.model.report import Answer, RunReport
from raccord.model.report_config import Setting
from raccord.model.text import shown
from raccord.settings.hiding import secretive
from raccord.settings.plan import Place, changes, edited, plan
from raccord.verbs.coordination import refuse_absent
from raccord.verbs.report import plan_report, run_report
from raccord.verbs.room import Room


def checked(text: str, place: Place) -> Config:
    """The configuration that a file would be.

    Raises:
        ConfigError: it would be refused.
    """
    return parse(text, os.path.join(place.root, place.file), place.prefix)


# Keys by their path, and the values that they are to have.
Wanted = Mapping[tuple[str, ...], tuple[Key, Json]]


class ConfigurationVerbs:
    """What can be asked of the configuration of a workspace, and changed in it."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def settings(self, name: str = "") -> tuple[Setting, ...]:
        """The keys that are in force: one of them, or all.

        Raises:
            UsageError: there is no such key.
            ConfigError: the file is broken.
        """
        self._room.config  # noqa: B018 - a broken file has no settings
        at = self._room.source
        document = tomllib.loads(at.text) if at is not None else {}
        if name:
            return (_setting(*_declared(name), at, document),)
        return tuple(_setting(path, key, at, document) for path, key in _all(at, document))

    @property
    def file(self) -> str:
        """The file that the configuration is in; "" where all is by default."""
        at = self._room.source
        return "" if at is None else str(at.file)

    def put(self, name: str, text: str | None, *, dry_run: bool = False, by: str = "") -> Answer:
        """Sets a key to what a person typed: TOML, or plain text; None takes it out of the file.

        Raises:
            UsageError, ConfigError: as for `change`.
        """
        values = {name: _typed(name, text)}
        if dry_run:
            return _plan(self._room, _valid(values), by)
        return self.change(values, by=by)

    def change(self, values: Mapping[str, Json], *, by: str = "") -> RunReport:
        """Sets keys, all of them or none; None takes one out of the file. What runs takes them up.

        Raises:
            UsageError: there is no such key, or it does not take the value; nothing was changed.
            ConfigError: the file is broken as it is.
        """
        wanted = _valid(values)
        engine = self._room.engine()
        engine.recover()
        done, record = engine.apply(lambda: _plan(self._room, wanted, by))
        for tell in list(self._room.reconfigured):
            tell()
        return run_report(record) if record else plan_report(done, time.time())


def _plan(room: Room, wanted: Wanted, by: str) -> Plan:
    at = source(room.home) or Source(room.home / FILE, (), b"")
    place = Place(str(at.file.parent), at.file.name, at.prefix)
    checked(at.text, place)
    document = tomllib.loads(at.text)
    for path, (key, value) in wanted.items():
        old = found(document, (*place.prefix, *path))
        if secretive(key, old):
            raise UsageError(
                f"{'.'.join(path)} has a value that may be a secret, which the journal must not have",
                hint=f"edit {shown(place.file)}",
                key=".".join(path),
            )
        if secretive(key, value):
            raise UsageError(
                f"{'.'.join(path)} may be a secret, which neither a command line nor the journal must have",
                hint=f"edit {shown(place.file)}, or give env:VARIABLE, file:PATH or keyring:SERVICE/USER",
                key=".".join(path),
            )
    some = changes(document, {(*place.prefix, *path): value for path, (_, value) in wanted.items()})
    try:
        after = checked(edited(at.text, some)[0], place)
    except Unchangeable as error:
        raise UsageError(str(error), hint=f"edit {shown(place.file)}") from None
    refuse_absent(room, after.coordination.worktree)
    return plan(place, some, by)


def _valid(values: Mapping[str, Json]) -> Wanted:
    wanted: dict[tuple[str, ...], tuple[Key, Json]] = {}
    for name, value in values.items():
        path, key = _declared(name)
        if value is not None:
            try:
                valid(path, key, value)
            except ConfigError as error:
                raise _refused(error, name) from None
        wanted[path] = key, value
    return wanted


def _declared(name: str) -> tuple[tuple[str, ...], Key]:
    try:
        return declared(name)
    except ConfigError as error:
        raise _refused(error, name) from None


def _refused(error: ConfigError, name: str) -> UsageError:
    """The very refusal of the file's, for a value that isn't in it."""
    said = error.message.removeprefix(f"{FILE}: ")
    return UsageError(said, hint="raccord config list", key=name, expected=error.data["expected"])


def _typed(name: str, text: str | None) -> Json:
    """What a person means by a value: TOML where the key takes that, else the text itself."""
    if text is None:
        return None
    path, key = _declared(name)
    readings: list[Json] = [*_toml(text), text]
    for value in readings:
        with contextlib.suppress(ConfigError):
            valid(path, key, value)
            return value
    return readings[0]


def _toml(text: str) -> list[Json]:
    try:
        document = tomllib.loads(f"value = {text}\n")
    except ValueError:
        return []
    return [document["value"]] if list(document) == ["value"] else []


def _all(at: Source | None, document: Mapping[str, Any]) -> Iterable[tuple[tuple[str, ...], Key]]:
    for key in keys():
        if key.section not in NAMED:
            yield (key.section, key.name) if key.section else (key.name,), key
            continue
        names = found(document, (*(at.prefix if at is not None else ()), key.section)) or {}
        yield from (((key.section, name, key.name), key) for name in names)


def _setting(path: tuple[str, ...], key: Key, at: Source | None, document: Mapping[str, Any]) -> Setting:
    dotted = ".".join(path)
    if at is not None and (value := found(document, (*at.prefix, *path))) is not None:
        hidden = secretive(key, value)
        where = f"{at.file.name}:{line_of(at.text, (*at.prefix, *path))}"
        return Setting(dotted, None if hidden else value, "file", where, hidden, key.kind.expected, key.doc)
    if dotted == "language" and (value := spoken()):
        return Setting(dotted, value, "environment", speaking(), False, key.kind.expected, key.doc)
    default = list(key.default) if isinstance(key.default, tuple) else key.default
    return Setting(dotted, default, "default", "", False, key.kind.expected, key.doc)
