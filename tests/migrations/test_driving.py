"""The project's own Python, driven: connections lead to a clone or nowhere, and env.py is asked."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from raccord.database.clone import clone, drop
from raccord.database.url import parse
from raccord.errors import CannotRun
from raccord.migrations.driving import Interpreter, Lead, asked, driven, interpreter
from raccord.migrations.project import Project, read_project
from tests import pgkit

# Another one shows that an older alembic or SQLAlchemy is driven as well.
PYTHON = os.environ.get("RACCORD_DRIVEN_PYTHON", sys.executable)
HOW = Interpreter((PYTHON,))
DRIVERS = ("psycopg", "psycopg2", "asyncpg", "pg8000", "+psycopg")  # +: asynchronously
ASYNCHRONOUS = ("aiosqlite", "asyncpg", "+psycopg")
SYNC = """
import os
from alembic import context
from sqlalchemy import create_engine
with create_engine(os.environ.get("AN_ALIAS", URL)).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
ASYNC = """
import asyncio
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine
def work(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
async def main():
    async with create_async_engine(URL).connect() as connection:
        await connection.run_sync(work)
asyncio.run(main())
"""


def project(path: Path, env: str, url: str, also: str = "") -> Project:
    """An alembic environment with two revisions whose configuration tells no URL."""
    versions = path / "migrations/versions"
    versions.mkdir(parents=True)
    (path / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    (path / "migrations/env.py").write_text(f"URL = {url!r}\n{also}\n{env}")
    for id_, down in (("r1", None), ("r2", "r1")):
        (versions / f"{id_}.py").write_text(
            f"revision = {id_!r}\ndown_revision = {down!r}\nfrom alembic import op\n"
            f"def upgrade():\n    op.execute('create table t_{id_} (x int)')\n"
            f"def downgrade():\n    op.execute('drop table t_{id_}')\n"
        )
    return read_project(path, path / "alembic.ini")


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as db:
        return {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}


@pytest.fixture
def real(tmp_path):
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as db:
        db.execute("create table mine (x)")
    return path


def lead(tmp_path: Path, real: Path) -> Lead:
    target = parse(f"sqlite:///{real}", tmp_path)
    return Lead(target, clone(target, str(tmp_path / "clones/one.db")).target)


def test_a_sqlite_database_is_led_to_its_clone(tmp_path, real):
    one = lead(tmp_path, real)
    made = project(tmp_path, SYNC, f"sqlite:///{real}", "print('noise')")
    with driven(HOW, made, made.databases[0], [one]) as driver:
        assert driver.run("upgrade", "r1").check().ok
        assert tables(Path(one.goal.path)) == {"mine", "t_r1", "alembic_version"}
        answer = driver.steps([("up", "r1"), ("up", "r2"), ("down", "r2"), ("down", "r1")]).check()
        assert answer.steps == (("up", "r2"), ("down", "r2"), ("down", "r1"))
        assert driver.run("heads").output.strip() == "r2 (head)"
        assert "CREATE TABLE alembic_version" in driver.run("upgrade", "r1", "--sql").output
        failed = driver.run("upgrade", "nowhere")
        assert not failed.ok and "nowhere" in failed.error and failed.trace
        assert driver.steps([("up", "r1")]).check().steps == (("up", "r1"),)
    assert tables(real) == {"mine"}
    assert not list(tmp_path.rglob("__pycache__"))


def there(scheme: str) -> bool:
    """Whether that Python has a driver; an asynchronous one needs greenlet besides."""
    names = scheme.lstrip("+") + (", greenlet" if scheme in ASYNCHRONOUS else "")
    return subprocess.run([PYTHON, "-c", f"import {names}"], capture_output=True).returncode == 0


@pytest.mark.skipif(not there("aiosqlite"), reason="no aiosqlite in that Python")
def test_an_asynchronous_environment_is_led_and_asked(tmp_path, real):
    one, url = lead(tmp_path, real), f"sqlite+aiosqlite:///{real}"
    made = project(tmp_path, ASYNC, url)
    (told,) = asked(HOW, made, made.databases[0])
    assert (told.url, told.driver, told.heads) == (url, "aiosqlite", ())
    with driven(HOW, made, made.databases[0], [one]) as driver:
        assert driver.run("upgrade", "head").check().ok
        assert driver.steps([("down", "r2")]).check().steps == (("down", "r2"),)
    assert tables(real) == {"mine"} and "t_r1" in tables(Path(one.goal.path))


@pytest.mark.long_but(1)
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sqlite3; sqlite3.connect('other.db')", "other.db"),
        ("import _sqlite3; _sqlite3.connect(URL[10:])", "app.db"),
        ("import subprocess; subprocess.run(['sh', '-c', 'psql -c x'])", "psql"),
        ("import sqlalchemy; sqlalchemy.create_engine('sqlite:///other.db').connect()", "other.db"),
        (
            (
                "import sqlalchemy, _sqlite3 as s\n"
                "try: sqlalchemy.create_engine('sqlite://', creator=lambda: s.connect(URL[10:])).connect()\n"
                "except Exception: pass"
            ),
            "app.db",
        ),
    ],
)
def test_other_databases_are_refused(tmp_path, real, code, said):
    one = lead(tmp_path, real)
    made = project(tmp_path, SYNC, f"sqlite:///{real}", code)
    with driven(HOW, made, made.databases[0], [one]) as driver:
        answer = driver.run("upgrade", "head")
    assert answer.ok == ("except" in code) and said in answer.refused[0], answer
    assert tables(real) == {"mine"} and not (tmp_path / "other.db").exists()


@pytest.mark.long_but(1)
@pytest.mark.parametrize("said", ["postgresql//me:hunter2@host/db", "password='hunter2' host=x"])
def test_a_password_that_only_env_py_knows_is_not_told(tmp_path, said):
    made = project(tmp_path, f"raise ValueError({said!r})", "sqlite:///app.db")
    with pytest.raises(CannotRun, match=r"can't be asked: ValueError") as caught:
        asked(HOW, made, made.databases[0])
    assert "hunter2" not in f"{caught.value.message}{caught.value.data}"


@pytest.mark.long
def test_no_other_file_is_attached(tmp_path, real):
    other, one = tmp_path / "other.db", lead(tmp_path, real)
    sqlite3.connect(other).execute("create table theirs (x)")
    also = f"""
from sqlalchemy import event
from sqlalchemy.engine import Engine
@event.listens_for(Engine, "connect")
def more(db, record):
    db.execute("attach ':memory:' as notes")
    db.execute("attach {str(other)!r} as other")
"""
    made = project(tmp_path, SYNC, f"sqlite:///{real}", also)
    with driven(HOW, made, made.databases[0], [one]) as driver:
        answer = driver.run("upgrade", "head")
    assert not answer.ok and answer.refused == (f"to attach the database {other}",), answer
    (tmp_path / "again").mkdir()
    made = project(tmp_path / "again", SYNC, f"sqlite:///{real}", also.replace(f"{str(other)!r}", "''"))
    with driven(HOW, made, made.databases[0], [one]) as driver:
        assert driver.run("upgrade", "head").check().ok


def test_an_env_py_that_never_answers(tmp_path, monkeypatch):
    monkeypatch.setattr("raccord.migrations.driving.ASK_SECONDS", 1.0)
    made = project(tmp_path, "import time\ntime.sleep(600)", "sqlite:///app.db")
    with pytest.raises(CannotRun, match=r"env\.py said nothing for 1 s"):
        asked(HOW, made, made.databases[0])
    os.mkfifo(tmp_path / "pyproject.toml")
    with pytest.raises(CannotRun, match=r"pyproject\.toml is no regular file"):
        asked(HOW, made, made.databases[0])
    (tmp_path / "pyproject.toml").unlink()
    place = tmp_path / "migrations/env.py"
    place.unlink()
    with pytest.raises(CannotRun, match="not there"):
        asked(HOW, made, made.databases[0])
    os.mkfifo(place)
    with pytest.raises(CannotRun, match="no regular file"):
        asked(HOW, made, made.databases[0])


def test_env_py_is_asked_and_changes_nothing(tmp_path, real, monkeypatch):
    monkeypatch.setenv("AN_ALIAS", f"sqlite:///{real}")
    made = project(
        tmp_path,
        SYNC.replace(
            "    context.configure",
            "    connection.exec_driver_sql('create table no (x)')\n    context.configure",
        ),
        "",
    )
    (answer,) = asked(HOW, made, made.databases[0])
    assert (answer.url, answer.heads, answer.version_table) == (f"sqlite:///{real}", (), "alembic_version")
    assert tables(real) == {"mine"}
    with sqlite3.connect(real) as db:
        db.execute("create table alembic_version (version_num text)")
        db.execute("insert into alembic_version values ('r1')")
    (answer,) = asked(HOW, made, made.databases[0])
    assert answer.heads == ("r1",)
    monkeypatch.setenv("AN_ALIAS", f"sqlite:///{tmp_path / 'not there.db'}")
    (answer,) = asked(HOW, made, made.databases[0])
    assert answer.heads == () and not (tmp_path / "not there.db").exists()


@pytest.fixture(scope="module")
def pg():
    return pgkit.server()


@pytest.mark.long
@pytest.mark.parametrize("scheme", [one for one in DRIVERS if there(one)])
def test_postgresql_is_led_to_its_clone(tmp_path, pg, scheme):
    name = pg.create("create table mine (x int)")
    url = pg.url(name, scheme=f"postgresql+{scheme.lstrip('+')}")
    target = parse(url, tmp_path)
    copy = clone(target, f"clone_{name}").target
    env = ASYNC if scheme in ASYNCHRONOUS else SYNC
    made = project(tmp_path, env, url)
    (told,) = asked(HOW, made, made.databases[0])
    assert (told.database, parse(told.url, tmp_path).key, told.heads) == (name, target.key, ())
    with driven(HOW, made, made.databases[0], [Lead(target, copy)]) as driver:
        assert driver.run("upgrade", "head").check().ok
        assert driver.steps([("down", "r2")]).check().steps == (("down", "r2"),)
    listed = "select string_agg(tablename, ' ' order by tablename) from pg_tables where schemaname = 'public'"
    assert pg.run(listed, name) == [("mine",)]
    assert pg.run(listed, copy.name) == [("alembic_version mine t_r1",)]
    with driven(HOW, made, made.databases[0], [Lead(parse(pg.url("another"), tmp_path), copy)]) as driver:
        answer = driver.run("upgrade", "head")
    assert name in answer.refused[0] and pgkit.PASSWORD not in str(answer), answer
    # The database itself is meant where raccord holds its lock: one of that name on another server is not.
    for held, right in ((1 << 40 | 7, True), (8, False)):
        with (
            pg.connect(name) as db,
            driven(HOW, made, made.databases[0], [Lead(target, target, 1 << 40 | 7)]) as driver,
        ):
            db.execute("select pg_advisory_lock(%s)", [held])
            assert driver.run("upgrade", "r1").ok == right
            assert driver.run("downgrade", "base").ok == right
    assert drop(copy)


@pytest.mark.long_but(1)
@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("import psycopg; psycopg.connect(DSN).execute('create table raw ()').connection.commit()", True),
        ("import psycopg; psycopg.Connection.connect(WORDS).close()", True),
        ("import psycopg; psycopg.connect(WORDS, dbname='postgres')", False),
        ("import psycopg; psycopg.connect(DSN.rpartition('/')[0] + '/postgres')", False),
        (("import sqlalchemy as s, psycopg\n"
         "s.create_engine('postgresql+psycopg://', creator=lambda: psycopg.connect(DSN)).connect()"), True),
    ],
)  # fmt: skip
def test_drivers_are_led_as_well(tmp_path, pg, code, right):
    if not there("psycopg"):
        pytest.skip("no psycopg in that Python")
    name = pg.create()
    url = pg.url(name, scheme="postgresql+psycopg")
    words = f"host={pg.folder} port={pg.port} user=postgres password='{pgkit.PASSWORD}' dbname={name}"
    made = project(tmp_path, SYNC, url, f"DSN = {pg.url(name)!r}\nWORDS = {words!r}\n{code}")
    target = parse(url, tmp_path)
    copy = clone(target, f"clone_{name}").target
    with driven(HOW, made, made.databases[0], [Lead(target, copy)]) as driver:
        answer = driver.run("upgrade", "head")
    assert answer.ok == right, answer
    assert pg.run("select count(*) from pg_tables where schemaname = 'public'", name) == [(0,)]
    drop(copy)


def test_the_python_behind_the_words(tmp_path):
    script = tmp_path / "bin/alembic"
    script.parent.mkdir()
    script.write_text("#!/opt/a/bin/python3.9 -s\n")
    found = {
        (".venv/bin/python", "-m", "alembic", "-x", "a=b"): Interpreter(
            (".venv/bin/python",), ("-x", "a=b"), True
        ),
        ("uv", "run", "alembic", "-x", "a=b"): Interpreter(("uv", "run", "python"), ("-x", "a=b")),
        ("uv", "run", "-m", "alembic"): Interpreter(("uv", "run", "python"), (), True),
        (str(script),): Interpreter(("/opt/a/bin/python3.9",)),
    }
    for words, expected in found.items():
        assert interpreter(words) == expected
    script.write_text("#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\n")
    assert interpreter([str(script)]) == Interpreter(("/a b/bin/python",))
    script.write_text("#!/usr/bin/env bash\n")
    for odd in ([str(script)], ["flask", "db"], ["alembic"], []):
        with pytest.raises(CannotRun) as caught:
            interpreter(odd)
        assert "[migrations] command" in caught.value.hint
    (script.parent / "python").touch()
    assert interpreter([str(script)]) == Interpreter((str(script.parent / "python"),))


def test_a_python_without_alembic_is_named(tmp_path):
    made = project(tmp_path, SYNC, "sqlite://")
    how = Interpreter((PYTHON, "-I", "-S"))
    with driven(how, made, made.databases[0], ()) as driver:
        answer = driver.run("heads")
    assert not answer.ok and "sqlalchemy" in answer.error
    with driven(Interpreter(("false",)), made, made.databases[0], ()) as driver, pytest.raises(CannotRun):
        driver.run("heads")
