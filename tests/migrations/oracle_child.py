"""Answers for real alembic: loads version folders with it and prints what it makes of them.

Run as a process of its own, since alembic executes every file. All imports but those of the standard library,
of alembic and of SQLAlchemy are stubs, so that files of any project load; processes, sockets and writes are
refused.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import sqlalchemy.dialects.mysql
import sqlalchemy.dialects.postgresql
import sqlalchemy.ext.declarative
import sqlalchemy.orm
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.sql import coercions

sys.dont_write_bytecode = True
REAL = {
    *sys.stdlib_module_names,
    "alembic",
    "sqlalchemy",
    "mako",
    "markupsafe",
    "typing_extensions",
    "greenlet",
}


class Anything:
    """Is called, indexed, iterated, entered, compared and inherited from; its parts are named after it."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(f"{self._name}.{name}")

    def __call__(self, *args, **kwargs):
        # As a decorator it leaves what it decorates.
        one = args[0] if len(args) == 1 and not kwargs else None
        return one if callable(one) and not isinstance(one, Anything) else self

    def __eq__(self, other):
        return isinstance(other, Anything) and self._name == other._name

    def __hash__(self):
        return hash(self._name)

    def __str__(self):
        return self._name

    def __mro_entries__(self, bases):
        return ()

    def __getitem__(self, key):
        return self

    def __setitem__(self, key, value):
        pass

    def __contains__(self, key):
        return False

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0

    def __bool__(self):
        return True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def __or__(self, other):
        return self

    __ror__ = __and__ = __add__ = __radd__ = __sub__ = __mul__ = __truediv__ = __mod__ = __or__

    def __lt__(self, other):
        return False

    __gt__ = __le__ = __ge__ = __lt__


class Model(type):
    """The class of models: they have every attribute."""

    def __getattr__(cls, name):
        if name.startswith("__") and name not in ("__table__", "__mapper__"):
            raise AttributeError(name)
        return Anything(f"{cls.__name__}.{name}")


class StubModule(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(f"{self.__name__}.{name}")


class Stubs(MetaPathFinder, Loader):
    """Finds every module that is not real."""

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in REAL else ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return StubModule(spec.name)

    def exec_module(self, module):
        pass


def make_lenient():
    """Models are stubs too, as releases of SQLAlchemy differ in what they map; SQL of stubs is some SQL."""
    expect = coercions.expect
    parts: tuple[object, ...] = (
        sqlalchemy.text("anything"),
        sqlalchemy.column("anything"),
        sqlalchemy.table("anything"),
    )

    def lenient(role, element, **more):
        if not isinstance(element, Anything | Model):
            return expect(role, element, **more)
        for part in parts:
            try:
                return expect(role, part, **more)
            except sqlalchemy.exc.ArgumentError:
                pass
        return expect(role, element, **more)

    def base(*args, **kwargs):
        return Model("Base", (), {})

    coercions.expect = lenient
    sqlalchemy.orm.declarative_base = sqlalchemy.ext.declarative.declarative_base = base


def refuse(event, args):
    """Files of strangers are executed here: they may look, and nothing else."""
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    harm = event.startswith(
        ("subprocess.", "socket.", "shutil.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork")
    )
    harm = harm or event in (
        "os.system",
        "os.remove",
        "os.rename",
        "os.mkdir",
        "os.rmdir",
        "os.link",
        "os.symlink",
    )
    if harm or (event == "open" and isinstance(args[2], int) and args[2] & writing):
        raise PermissionError(f"refused: {event} {args!r}")


def listed(value):
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def answer(folders, recursive=False, ask=(), paths=()):
    """What alembic makes of version folders.

    Args:
        folders: the version locations.
        recursive: whether they hold subfolders.
        ask: words for revisions to resolve.
        paths: pairs of heads of a database and a target to upgrade to.
    """
    script = ScriptDirectory(folders[0], version_locations=folders, recursive_version_locations=recursive)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        # Those of alembic alone: files warn too.
        revisions = list(script.walk_revisions("base", "heads"))
        warned = [str(one.message) for one in said if "evision" in str(one.message)]
    map_ = script.revision_map
    return {
        "warned": warned,
        "heads": script.get_heads(),
        "effective_heads": list(map_._real_heads),
        "bases": script.get_bases(),
        "order": [one.revision for one in revisions],
        "parents": {one.revision: listed(one.down_revision) for one in revisions},
        "depends": {one.revision: listed(one.dependencies) for one in revisions},
        "resolved": {one.revision: list(one._resolved_dependencies) for one in revisions},
        "near": {one.revision: len(one._normalized_resolved_dependencies) for one in revisions},
        "labels": {one.revision: sorted(map(str, one.branch_labels)) for one in revisions},
        "doc": {one.revision: one.longdoc for one in revisions},
        "merges": [one.revision for one in revisions if one.is_merge_point],
        "branch_points": [one.revision for one in revisions if one.is_branch_point],
        "ask": {word: resolved(map_, word) for word in ask},
        "paths": [upgrade(script, tuple(current), target) for current, target in paths],
    }


def configured(ini, toml, section):
    """What alembic makes of a configuration, run in the folder of its files."""
    os.chdir(os.path.dirname(ini or toml))
    config = Config(ini, toml_file=toml, ini_section=section)
    script = ScriptDirectory.from_config(config)
    return {
        "script": os.path.abspath(script.dir),
        "versions": [os.path.normpath(one) for one in script._version_locations],
        "file_template": script.file_template,
        "timezone": script.timezone or "",
        "truncate_slug_length": script.truncate_slug_length,
        "output_encoding": script.output_encoding,
        "sourceless": script.sourceless,
        "recursive": script.recursive_version_locations,
        "url": config.get_section_option(section, "sqlalchemy.url") if ini else None,
    }


def resolved(map_, word):
    try:
        return [getattr(one, "revision", one) for one in map_.get_revisions(word)]
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


def upgrade(script, current, target):
    try:
        return [step.revision.revision for step in script._upgrade_revs(target, current)]
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


def main():
    make_lenient()
    sys.meta_path.insert(0, Stubs())
    sys.addaudithook(refuse)
    out = sys.stdout
    sys.stdout = sys.stderr  # files print
    for line in sys.stdin:
        try:
            question = json.loads(line)
            reply = configured(**question) if "section" in question else answer(**question)
        except BaseException as error:  # noqa: BLE001
            reply = {"error": type(error).__name__, "text": str(error)}
        out.write(json.dumps(reply) + "\n")
        out.flush()


main()
