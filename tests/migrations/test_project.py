"""Configurations are read as alembic reads them, and as text alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raccord.errors import CannotRun, ConfigError, UsageError
from raccord.migrations.places import candidates, find
from raccord.migrations.project import Database, read_project

CONFIGURE = "from alembic import context\ncontext.configure(connection=c)\nengine_from_config(x)\n"
FROM_INI = "config.get_main_option('sqlalchemy.url')"
BOTH = ("version_table", "version_schema")


def project(
    root: Path, ini: str = "", *, toml: str = "", env: str = CONFIGURE, script: str = "alembic"
) -> Path:
    (root / script).mkdir(parents=True, exist_ok=True)
    (root / script / "env.py").write_text(env)
    if ini:
        (root / "alembic.ini").write_text(ini)
    if toml:
        (root / "pyproject.toml").write_text(toml)
    return root


def one(root: Path) -> Database:
    found = read_project(root, find(root))
    assert len(found.databases) == 1
    return found.databases[0]


def test_the_plain_case(tmp_path):
    root = project(
        tmp_path,
        "[alembic]\nscript_location = alembic\nsqlalchemy.url = postgresql://u:p%%40w@h/db\n"
        "file_template = %%(year)d_%%(rev)s\ntimezone = UTC\ntruncate_slug_length = 9\n",
    )
    found = one(root)
    assert found.script == tmp_path / "alembic" and found.versions == (tmp_path / "alembic/versions",)
    assert found.url == "postgresql://u:p%40w@h/db" and "p%40w" not in repr(found)
    assert (found.file_template, found.timezone, found.truncate_slug_length) == ("%(year)d_%(rev)s", "UTC", 9)
    assert (found.version_table, found.version_schema, found.unclear) == ("alembic_version", None, ())
    assert not (found.is_async or found.recursive or found.sourceless or found.listed)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("version_locations = a b", ["a", "b"]),
        ("version_locations = a, b,c", ["a", "b", "c"]),
        (f"version_locations = a{os.pathsep}b c\npath_separator = os", ["a", "b c"]),
        ("version_locations = a:b\nversion_path_separator = :", ["a", "b"]),
        ("version_locations = a;b\nversion_path_separator = ;\n", ["a", "b"]),
        ("version_locations = a b\nversion_path_separator = space", ["a", "b"]),
        ("version_locations =\n  a\n  b c\npath_separator = newline", ["a", "b c"]),
        ("version_locations = a;b c\npath_separator = ;\nversion_path_separator = :", ["a", "b c"]),
        ("version_locations = %(here)s/a %(other)s\nother = b", ["a", "b"]),
        ("version_locations = pkg.sub:a alembic:versions", ["pkg/sub/a", "alembic/versions"]),
        ("version_locations = far:a\nprepend_sys_path = .:lib", ["lib/far/a"]),
        ("version_locations = far:a\nprepend_sys_path = lib\npath_separator = space", ["lib/far/a"]),
        ("version_locations = in_src:a", ["src/in_src/a"]),
    ],
)
def test_version_locations(tmp_path, options, expected):
    for folder in ("a", "b", "c", "b c", "pkg/sub/a", "lib/far/a", "src/in_src/a", "alembic/versions"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    root = project(tmp_path, f"[alembic]\nscript_location = alembic\n{options}\n")
    found = one(root)
    assert found.listed and [os.path.relpath(path, tmp_path) for path in found.versions] == expected


def test_paths_with_a_percent_sign_and_locations_that_are_not_there(tmp_path):
    root = project(
        tmp_path / "50%off",
        "[alembic]\nscript_location = %(here)s/alembic\nversion_locations = gone alembic/v\n",
    )
    assert one(root).versions == (root / "gone", root / "alembic/v")


def test_a_package_that_is_elsewhere_is_named(tmp_path):
    found = one(project(tmp_path, "[alembic]\nscript_location = alembic\nversion_locations = far:a near\n"))
    assert found.unresolved == ("far:a",) and found.versions == (tmp_path / "near",)


def test_pyproject_alone_and_beside_an_ini_file(tmp_path):
    table = '[tool.alembic]\nscript_location = "%(here)s/alembic"\nversion_locations = ["%(here)s/x", "y"]\n'
    table += 'recursive_version_locations = true\nfile_template = "%%(rev)s"\n'
    root = project(tmp_path, toml=table)
    found = one(root)
    assert found.versions == (tmp_path / "x", tmp_path / "y") and found.recursive
    assert found.file_template == "%(rev)s" and found.url is None
    assert read_project(root, find(root)).ini.name == "pyproject.toml"
    (root / "alembic.ini").write_text("[alembic]\nversion_locations = z\nsqlalchemy.url = sqlite:///x.db\n")
    found = one(root)
    assert found.versions == (tmp_path / "z",) and found.url == "sqlite:///x.db" and found.recursive


def test_several_environments_and_several_databases(tmp_path):
    project(tmp_path, script="logs")
    root = project(
        tmp_path,
        "[DEFAULT]\nsqlalchemy.url = sqlite:///shared.db\n[alembic]\nscript_location = alembic\n"
        "databases = first, second\n[first]\nsqlalchemy.url = sqlite:///1.db\n[second]\n"
        "[logs]\nscript_location = logs\n[loggers]\nkeys = root\n",
    )
    found = read_project(root, find(root)).databases
    assert [(db.section, db.engine, db.url) for db in found] == [
        ("alembic", "first", "sqlite:///1.db"),
        ("alembic", "second", "sqlite:///shared.db"),
        ("logs", "", "sqlite:///shared.db"),
    ]
    assert [db.name for db in found] == ["first", "second", "logs"] and found[2].script == tmp_path / "logs"


@pytest.mark.parametrize(
    ("env", "table", "schema", "unclear"),
    [
        ("context.configure(version_table='v', version_table_schema='s')", "v", "s", ()),
        (
            "T = 'v'\ndef f():\n  s = 's'\n  context.configure(version_table=T, version_table_schema=s)",
            "v",
            "s",
            (),
        ),
        ("context.configure(version_table=config.get_main_option('table_name', 'd'))", "fromini", None, ()),
        (
            "context.configure(version_table=config.get_section_option('other', 'table_name'))",
            "fromother",
            None,
            (),
        ),
        ("context.configure(version_table=config.get_main_option('nothing', 'd'))", "d", None, ()),
        ("opts = dict(version_table='v')\ncontext.configure(**opts)", "v", None, ()),
        (
            "opts = {'version_table': 'v'}\nopts['version_table_schema'] = 's'\ncontext.configure(**opts)",
            "v",
            "s",
            (),
        ),
        ("context.configure(version_table=NAME)", "alembic_version", None, ("version_table",)),
        ("context.configure(version_table_schema=meta.schema)", "alembic_version", None, ("version_schema",)),
        (
            "context.configure(version_table='a')\ncontext.configure(version_table='b')",
            "alembic_version",
            None,
            ("version_table",),
        ),
        ("context.configure(**conf)", "alembic_version", None, BOTH),
        ("from base import run\nrun()", "alembic_version", None, BOTH),
        ("context.configure(", "alembic_version", None, BOTH),
    ],
)
def test_the_version_table_is_what_env_py_says(tmp_path, env, table, schema, unclear):
    ini = "[alembic]\nscript_location = alembic\ntable_name = fromini\n[other]\ntable_name = fromother\n"
    found = one(project(tmp_path, ini, env=env))
    assert (found.version_table, found.version_schema, found.unclear) == (table, schema, unclear)


@pytest.mark.parametrize(
    ("env", "url", "why"),
    [
        ("engine_from_config(section)", "sqlite:///ini.db", ""),
        ("async_engine_from_config(section)", "sqlite:///ini.db", ""),
        (f"u = {FROM_INI}\ncreate_engine(u)", "sqlite:///ini.db", ""),
        (
            f"def a():\n  url = {FROM_INI}\ndef b():\n  url = {FROM_INI}\n  create_engine(url)",
            "sqlite:///ini.db",
            "",
        ),
        (
            "config.set_main_option('sqlalchemy.url', 'sqlite:///a%%20b.db')\nengine_from_config(x)",
            "sqlite:///a%20b.db",
            "",
        ),
        ("URL = 'sqlite:///e.db'\ncreate_engine(URL)", "sqlite:///e.db", ""),
        ("engine_from_config({'sqlalchemy.url': 'sqlite:///e.db'})", "sqlite:///e.db", ""),
        (
            "config.set_main_option('sqlalchemy.url', os.environ['DB_URL'])\nengine_from_config(x)",
            None,
            "is not set here",
        ),
        (
            "if X:\n  config.set_main_option('sqlalchemy.url', 'sqlite://')\nengine_from_config(x)",
            None,
            "condition",
        ),
        ("section['sqlalchemy.url'] = get_url()\nengine_from_config(section)", None, "computed"),
        ("engine_from_config(section, url=settings.url)", None, "computed"),
        ("from app import engine\nengine.connect()", None, "another module"),
        ("create_engine('a://')\ncreate_engine('b://')", None, "several"),
    ],
)
def test_the_url_is_known_only_where_it_is_certain(tmp_path, env, url, why):
    ini = "[alembic]\nscript_location = alembic\nsqlalchemy.url = sqlite:///ini.db\n"
    found = one(project(tmp_path, ini, env=env))
    assert found.url == url and why in found.url_unclear and bool(found.url) != bool(found.url_unclear)
    assert found.is_async == ("async" in env)
    assert found.variables == (("DB_URL",) if "DB_URL" in env else ())


LOADED = "load_dotenv()\n"
READS = "os.environ['DB_URL']"
WHERE_SET = "url = os.getenv('DB_URL')\nif url:\n  config.set_main_option('sqlalchemy.url', url)\n"


@pytest.mark.parametrize(
    ("env", "around", "files", "url"),
    [
        (f"create_engine({READS})", "a://e", {}, "a://e"),
        (
            f"create_engine({READS})",
            None,
            {".env": "DB_URL=a://f"},
            None,
        ),  # nothing loads it, as far as is seen
        (f"{LOADED}create_engine({READS})", None, {".env": "DB_URL=a://f"}, "a://f"),
        (f"{LOADED}create_engine({READS})", "a://e", {".env": "DB_URL=a://f"}, "a://e"),
        (f"load_dotenv(override=True)\ncreate_engine({READS})", "a://e", {".env": "DB_URL=a://f"}, "a://f"),
        (f"{LOADED}create_engine({READS})", None, {"alembic/.env": "X=1", ".env": "DB_URL=a://f"}, None),
        (f"load_dotenv('.env.dev')\ncreate_engine({READS})", None, {".env.dev": "DB_URL=a://d"}, "a://d"),
        (f"load_dotenv('.env.dev')\ncreate_engine({READS})", None, {".env": "DB_URL=a://f"}, None),
        (f"load_dotenv(HERE / '.env')\ncreate_engine({READS})", None, {".env": "DB_URL=a://f"}, "a://f"),
        (f"{LOADED}create_engine(os.getenv('DB_URL', 'a://d'))", None, {".env": ""}, "a://d"),
        ("create_engine(os.getenv('DB_URL', 'a://d'))", None, {}, None),
        ("create_engine(os.getenv('DB_URL') or 'a://d')", "a://e", {}, "a://e"),
        ("def u():\n  return os.environ.get('DB_URL')\ncreate_engine(u())", "a://e", {}, "a://e"),
        (
            f"config.set_main_option('sqlalchemy.url', {READS})\nengine_from_config(x)",
            "a://e%%20",
            {},
            "a://e%20",
        ),
        (
            f"config.set_main_option('sqlalchemy.url', {READS}.replace('%', '%%'))\nengine_from_config(x)",
            "a://e%20",
            {},
            "a://e%20",
        ),
        (
            f"{LOADED}{WHERE_SET}engine_from_config(x)",
            None,
            {".env": ""},
            "sqlite:///ini.db",
        ),
        (
            f"{WHERE_SET}engine_from_config(x)",
            "a://e",
            {},
            "a://e",
        ),
        (f"create_engine({READS} + '?x')", "a://e", {}, None),
        (f"u = {READS}\nu = u.replace('postgres:', 'postgresql:')\ncreate_engine(u)", "a://e", {}, None),
    ],
)
def test_the_url_of_a_variable(tmp_path, monkeypatch, env, around, files, url):
    monkeypatch.delenv("DB_URL", raising=False)
    if around is not None:
        monkeypatch.setenv("DB_URL", around)
    ini = "[alembic]\nscript_location = alembic\nsqlalchemy.url = sqlite:///ini.db\n"
    root = project(tmp_path, ini, env=f"import os\n{env}\n")
    for name, text in files.items():
        (root / name).write_text(text)
    found = one(root)
    assert found.url == url and bool(found.url) != bool(found.url_unclear), found.url_unclear
    if url == "a://f":
        assert found.origin is not None and found.origin.file == str(root / ".env")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("driver://user:pass@localhost/dbname", "alembic init"),
        ("", "not set"),
        ('""', "no URL"),
        ("postgresql://%(DB_USER)s@h/db", "db_user"),
        ("postgresql://u:p%40w@h/db", "%"),
    ],
)
def test_a_url_that_is_none(tmp_path, url, why):
    found = one(project(tmp_path, f"[alembic]\nscript_location = alembic\nsqlalchemy.url = {url}\n"))
    assert found.url is None and why in found.url_unclear.lower() + found.url_unclear


def test_a_configuration_beside_env_py(tmp_path):
    project(tmp_path, script="migrations")
    (tmp_path / "migrations" / "alembic.ini").write_text("[alembic]\nfile_template = %%(rev)s\n")
    found = one(tmp_path)
    assert found.script == tmp_path / "migrations" and found.versions == (tmp_path / "migrations/versions",)


@pytest.mark.parametrize(
    ("ini", "words"),
    [
        (b"script_location = alembic\n", r":1: stands before the first"),
        (
            b"[alembic]\nscript_location = a\nscript_location = b\n",
            r"alembic.ini:3: \[alembic\] script_location: is there twice",
        ),
        (b"[alembic]\nx = 1\n[alembic]\n", r":3: \[alembic\]: is there twice"),
        (
            b"[alembic]\nscript_location = alembic\nversion_locations = a\npath_separator = comma\n",
            "path_separator: 'comma'",
        ),
        (b"[alembic]\nscript_location = %(nowhere)s\n", "script_location"),
        (b"[alembic]\nscript_location = alembic\ntruncate_slug_length = x\n", "is no number"),
        (b"[alembic]\n", "script_location: is not set"),
        (b"", "script_location: is not set"),
    ],
)
def test_what_alembic_would_refuse_is_refused_with_its_place(tmp_path, ini, words):
    project(tmp_path, "x")
    (tmp_path / "alembic.ini").write_bytes(ini)
    with pytest.raises(ConfigError, match=words):
        read_project(tmp_path, find(tmp_path))


@pytest.mark.parametrize(
    "toml",
    [
        "[tool.alembic\n",
        "[tool]\nalembic = 3\n",
        "[tool.alembic]\nscript_location = 3.5\n",
        "[tool.alembic]\nscript_location = '%(nope)s'\n",
        "[tool.alembic]\nscript_location = 'alembic'\nsourceless = 'x'\n",
        "[tool.alembic]\nscript_location = 'alembic'\nversion_locations = 'x'\n",
    ],
)
def test_a_pyproject_that_alembic_would_refuse(tmp_path, toml):
    project(tmp_path, "", toml=toml)
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        read_project(tmp_path, find(tmp_path))


def test_a_script_folder_that_is_not_there(tmp_path):
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = gone\n")
    with pytest.raises(CannotRun, match="'gone'"):
        read_project(tmp_path, find(tmp_path))


def test_finding_none_one_and_two(tmp_path):
    with pytest.raises(CannotRun, match=r"no alembic\.ini"):
        find(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nname = 'alembic'\n")
    for skipped in (".venv/x", "node_modules/x", "env/lib", "other", "lib/site-packages/x"):
        (tmp_path / skipped).mkdir(parents=True)
        (tmp_path / skipped / "alembic.ini").write_text("")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "other" / ".git").write_text("gitdir: elsewhere\n")
    project(tmp_path / "backend", "[alembic]\nscript_location = alembic\n")
    assert find(tmp_path) == tmp_path / "backend/alembic.ini"
    (tmp_path / "loop").symlink_to(tmp_path)
    second = project(tmp_path / "second", toml="[tool.alembic]\nscript_location = 'alembic'\n")
    with pytest.raises(UsageError, match=r"backend/alembic\.ini, second/pyproject\.toml"):
        find(tmp_path)
    assert find(tmp_path, second) == second / "pyproject.toml"
    assert find(tmp_path, tmp_path / "backend/alembic.ini") == tmp_path / "backend/alembic.ini"
    assert len([*candidates(tmp_path)]) == 2
    (tmp_path / "alembic.ini").write_text("")
    assert find(tmp_path) == tmp_path / "alembic.ini"


def test_a_path_counts_from_where_alembic_is_run(tmp_path):
    root = project(tmp_path, script="db/migrations")
    (root / "config").mkdir()
    ini = root / "config" / "alembic.ini"
    ini.write_bytes(b"\xef\xbb\xbf[alembic]\r\nscript_location = db/migrations\r\n# \xff\r\n")
    assert read_project(root, ini, backend=root).databases[0].script == root / "db/migrations"
    assert read_project(root, ini).databases[0].script == root / "db/migrations"


def test_nothing_of_a_project_is_executed(tmp_path):
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n"
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text(trap)
    root = project(
        tmp_path,
        "[alembic]\nscript_location = pkg:alembic\nprepend_sys_path = .\n",
        env=trap,
        script="pkg/alembic",
    )
    assert one(root).script == tmp_path / "pkg/alembic"
    assert not (tmp_path / "sprung").exists()
