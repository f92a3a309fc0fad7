"""Finds the alembic configuration of a worktree and says which databases and version folders it means.

Only reads text, and the environment: no module of the project is imported, env.py is not run, no database is
asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from raccord.errors import CannotRun, ConfigError
from raccord.migrations.envfile import Env, Option, Told, Variable, read_env
from raccord.migrations.literals import Unclear
from raccord.migrations.origin import LITERAL, OPTION, Origin, Value, valued
from raccord.migrations.places import is_package, located
from raccord.migrations.regular import regular
from raccord.migrations.settings import LARGEST, MAIN, Settings, has_table
from raccord.model.text import shown

DEFAULT_TABLE = "alembic_version"
# What `alembic init` writes for the person to replace.
_PLACEHOLDER = re.compile(r"driver://user:pass@localhost/dbname\d*")


@dataclass(frozen=True, slots=True)
class Database:
    """One database and the history of revisions that it follows.

    Attributes:
        section: the section of the ini file, which `alembic -n` takes.
        engine: the name within a template for several databases; "" elsewhere.
        script: the folder of env.py.
        versions: the version folders in alembic's order, there or not.
        unresolved: version locations in packages that are not in the worktree, as written; what lies there is
            not known.
        url: the SQLAlchemy URL, with its password; None where only running env.py would tell.
        url_unclear: why it is None; "" where it is not.
        origin: where it stands; None where it is None.
        version_table: the table's name.
        version_schema: its schema; None for the connection's own.
        unclear: those of "version_table" and "version_schema" that env.py may set to something else.
        is_async: whether env.py connects through an asynchronous engine, so the URL may name such a driver.
        variables: the environment variables that env.py reads by name.
        recursive: whether version folders hold subfolders.
        sourceless: whether bytecode without a source counts.
        listed: whether the configuration lists the version folders; another one can then be added there.
        file_template: how files are named, as in `"%(rev)s_%(slug)s" % {…}`.
        truncate_slug_length: the longest slug, in characters.
        timezone: of "Create Date"; "" for local time.
        output_encoding: of new files.
        sys_path: what alembic puts before `sys.path`, as written.
    """

    section: str
    engine: str
    script: Path
    versions: tuple[Path, ...]
    unresolved: tuple[str, ...] = ()
    url: str | None = field(default=None, repr=False)
    url_unclear: str = ""
    origin: Origin | None = None
    version_table: str = DEFAULT_TABLE
    version_schema: str | None = None
    unclear: tuple[str, ...] = ()
    is_async: bool = False
    variables: tuple[str, ...] = ()
    recursive: bool = False
    sourceless: bool = False
    listed: bool = False
    file_template: str = "%(rev)s_%(slug)s"
    truncate_slug_length: int = 40
    timezone: str = ""
    output_encoding: str = "utf-8"
    sys_path: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call it among the project's databases."""
        return self.engine or self.section


@dataclass(frozen=True, slots=True)
class Project:
    """One alembic environment in one worktree.

    Attributes:
        root: the worktree.
        backend: the folder to run alembic in.
        ini: the alembic.ini, or the pyproject.toml where there is no ini file.
        databases: at least one.
    """

    root: Path
    backend: Path
    ini: Path
    databases: tuple[Database, ...]


def read_project(root: Path, ini: Path, backend: Path | None = None) -> Project:
    """What a configuration file says.

    Args:
        root: the worktree.
        ini: an alembic.ini or pyproject.toml.
        backend: the folder to run alembic in; by default that of the file.

    Raises:
        ConfigError: a file says something that alembic would refuse too.
        CannotRun: a file can't be read, or no env.py is found.
    """
    folder = ini.parent
    settings = settings_of(ini)
    places = tuple(dict.fromkeys([folder, backend or folder, root]))
    found: list[Database] = []
    for section in _sections(settings):
        found += _databases(settings, section, places, backend or folder)
    return Project(root, backend or folder, ini, tuple(found))


def settings_of(ini: Path) -> Settings:
    """The options that a configuration file and the pyproject.toml beside it give.

    Raises:
        ConfigError: one of them can't be read.
    """
    beside = ini.parent / "pyproject.toml"
    toml = ini if ini.name == "pyproject.toml" else beside if has_table(beside) else None
    return Settings(None if toml == ini else ini, toml)


def _sections(settings: Settings) -> tuple[str, ...]:
    named = tuple(one for one in settings.sections() if settings.has(one, "script_location"))
    return named or (MAIN,)


def _databases(settings: Settings, section: str, places: tuple[Path, ...], backend: Path) -> list[Database]:
    paths = settings.paths(section, "prepend_sys_path")
    script = _script(settings, section, places, paths)
    env = _env(script)
    locations = settings.paths(section, "version_locations")
    found_at = {one: located(one, places, paths) for one in locations}
    # A folder may be made later; a package that isn't here can't be found without running Python.
    unresolved = tuple(one for one, path in found_at.items() if path is None and is_package(one))
    versions = tuple(found_at[one] or places[0] / one for one in locations if one not in unresolved)
    names = settings.option(section, "databases")
    engines = [one for one in re.split(r",\s*", names.strip()) if one] if names else []
    found = []
    for engine in engines or [""]:
        known = _url(settings, engine or section, env, script, backend)
        table, table_clear = _value(settings, section, env.version_table, DEFAULT_TABLE)
        schema, schema_clear = _value(settings, section, env.version_schema, None)
        clear = {"version_table": table_clear, "version_schema": schema_clear}
        found.append(
            Database(
                section=section,
                engine=engine,
                script=script,
                versions=versions if locations else (script / "versions",),
                unresolved=unresolved,
                url=known.text,
                url_unclear=known.unclear,
                origin=known.origin,
                version_table=table or DEFAULT_TABLE,
                version_schema=schema,
                unclear=tuple(name for name, is_clear in clear.items() if not is_clear),
                is_async=env.is_async,
                variables=env.variables,
                recursive=settings.flag(section, "recursive_version_locations"),
                sourceless=settings.flag(section, "sourceless"),
                listed=bool(locations),
                file_template=settings.text(section, "file_template", "%(rev)s_%(slug)s"),
                truncate_slug_length=_slug_length(settings, section),
                timezone=settings.text(section, "timezone"),
                output_encoding=settings.text(section, "output_encoding", "utf-8"),
                sys_path=paths,
            )
        )
    return found


def _script(settings: Settings, section: str, places: tuple[Path, ...], paths: tuple[str, ...]) -> Path:
    location = settings.text(section, "script_location")
    if not location:
        # Flask-Migrate keeps its ini file beside env.py and sets the option itself.
        if (places[0] / "env.py").is_file():
            return places[0]
        raise ConfigError(
            shown(settings.file), 0, f"[{section}] script_location", "is not set", "the folder of env.py"
        )
    found = located(location, places, paths)
    if found is None:
        raise CannotRun(
            f"{shown(settings.file)}: [{section}] script_location is {shown(location)!r}, no folder of "
            + ", ".join(shown(str(place)) for place in places),
            hint="alembic init, or name the folder that alembic is run in",
        )
    return found


def _env(script: Path) -> Env:
    try:
        return read_env(regular(script / "env.py", LARGEST)[0])
    except OSError as error:
        why = Unclear(0, f"is set by env.py, which can't be read: {error.strerror or error}")
        return Env(why, why, why)


def _value(settings: Settings, section: str, told: Told, default: str | None) -> tuple[str | None, bool]:
    """A value that env.py gives, and whether that is certain."""
    if isinstance(told, Unclear | Variable):
        return default, False
    if isinstance(told, Option):
        return settings.option(told.section or section, told.name) or told.default or default, True
    return default if told is None else told, True


def _url(settings: Settings, section: str, env: Env, script: Path, backend: Path) -> Value:
    """The URL, where it stands, or why it is not known."""
    told = env.url
    if isinstance(told, Unclear):
        line = f" (line {told.line})" if told.line else ""
        return Value(unclear=f"the URL {told.reason}, in env.py{line}")
    literal = Origin(LITERAL, "", str(script / "env.py"))
    if isinstance(told, Variable):
        name = f"the variable {told.name}"
        found = valued(told, env.files, script, backend)
        if found.text and told.filled:
            found = replace(found, text=found.text.replace("%%", "%"))
        if found.unclear:
            return Value(unclear=f"the URL {found.unclear}")
        if found.text:
            return _checked(found, name)
        told = told.default
        if told is None:
            return Value(unclear=f"{name} is not set")
    if isinstance(told, str):
        return Value(told, literal)
    option = told or Option("sqlalchemy.url")
    name = f"[{option.section or section}] {option.name}"
    try:
        url = settings.option(option.section or section, option.name)
    except ConfigError as error:
        return Value(unclear=error.message)
    where = Origin(OPTION, option.name, settings.file) if url else literal
    return _checked(Value(url or option.default, where), name)


def _checked(value: Value, name: str) -> Value:
    """A URL, if it may be one."""
    if not value.text:
        return Value(unclear=f"{name} is not set")
    if ":" not in value.text:
        return Value(unclear=f"{name} is no URL")
    if _PLACEHOLDER.fullmatch(value.text):
        return Value(unclear=f"{name} is still the one that `alembic init` wrote")
    return value


def _slug_length(settings: Settings, section: str) -> int:
    text = settings.text(section, "truncate_slug_length")
    try:
        return int(text) if text else 40
    except ValueError as error:
        key = f"[{section}] truncate_slug_length"
        raise ConfigError(shown(settings.file), 0, key, f"{text!r} is no number") from error
