"""The version table, read straight; and what is said of a database that can't be read."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from raccord.database.heads import heads
from raccord.database.url import Target, parse
from raccord.errors import DatabaseBusy, DatabaseError, DatabaseMissing
from raccord.kernel.extras import install
from tests import pgkit
from tests.kernel.forks import ended, forked

TABLE = "create table {} (version_num varchar(32) primary key)"


def table(*versions: str, name: str = "alembic_version") -> str:
    rows = "".join(f"; insert into {name} values ('{version}')" for version in versions)
    return TABLE.format(name) + rows + ";"


def make(target: Target, statements: str, *, wal: bool = False) -> None:
    db = sqlite3.connect(target.path)
    if wal:
        db.execute("pragma journal_mode = wal")
    db.executescript(f"begin; {statements}; commit")
    db.close()


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in folder.iterdir()}


# ---------------------------------------------------------------- PostgreSQL


def test_postgresql(place):
    assert heads(place.target) is None
    place.run(table())
    assert heads(place.target) == frozenset()
    place.run("insert into alembic_version values ('a1'), ('b2')")
    assert heads(place.target) == frozenset({"a1", "b2"})
    assert heads(place.target, "other") is None


def test_odd_names_and_schemas(place):
    place.run('create schema "Ten\'ant ""1"" é";' + table("x", name='"Ten\'ant ""1"" é"."Alembic ""V\'s"'))
    assert heads(place.target, "Alembic \"V's", 'Ten\'ant "1" é') == frozenset({"x"})
    assert heads(place.target, "alembic \"v's", 'Ten\'ant "1" é') is None
    assert heads(place.target, "Alembic \"V's") is None
    assert heads(place.target, "a", "no such schema") is None


def test_the_search_path_finds_the_table(place):
    place.run("create schema tenant;" + table("t", name="tenant.alembic_version"))
    assert heads(place.target) is None
    url = f"{place.server.url(place.name)}?options=-csearch_path%3Dtenant"
    assert heads(parse(url, "/")) == frozenset({"t"})


def test_another_table_of_that_name_is_no_version_table(place):
    place.run("create table alembic_version (id int)")
    with pytest.raises(DatabaseError, match="version_num"):
        heads(place.target)


def test_an_upgrade_at_work_is_not_waited_for_and_not_seen(place):
    place.run(table("a"))
    with place.server.connect(place.name) as db:
        db.autocommit = False
        db.execute("update alembic_version set version_num = 'b'")
        assert heads(place.target) == frozenset({"a"})
        db.rollback()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+asyncpg", "postgresql+psycopg2"])
def test_other_drivers_urls(place, scheme):
    place.run(table("a"))
    url = place.server.url(place.name, scheme=scheme) + "?ssl=prefer&prepared_statement_cache_size=0&x=1"
    assert heads(parse(url, "/")) == frozenset({"a"})


def test_over_the_socket(place):
    place.run(table("a"))
    url = f"postgresql://postgres:{quote(pgkit.PASSWORD, safe='')}@/{place.name}"
    assert heads(parse(f"{url}?host={place.server.folder}&port={place.server.port}", "/")) == frozenset({"a"})


def refused(target: Target, kind: type[DatabaseError] = DatabaseError) -> DatabaseError:
    with pytest.raises(kind) as caught:
        heads(target)
    error = caught.value
    said = f"{error}{error.hint}{error.data}"
    assert pgkit.PASSWORD not in said and quote(pgkit.PASSWORD, safe="") not in said
    assert error.hint
    assert error.__cause__ is None  # psycopg's own error may repeat what was passed to it
    return error


def test_a_wrong_password_is_not_repeated(pg):
    error = refused(parse(pg.url("postgres", password="wr0ng"), "/"))
    assert "wr0ng" not in f"{error}{error.hint}{error.data}"
    assert "postgresql://postgres:***@127.0.0.1" in str(error)
    assert "password" in error.hint


def test_no_password(pg):
    assert "PGPASSFILE" in refused(parse(pg.url("postgres", password=None), "/")).hint


def test_no_such_database(pg):
    error = refused(parse(pg.url('n"ope'), "/"), DatabaseMissing)
    assert error.hint == "createdb 'n\"ope'"


def test_connection_refused(pg):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = refused(replace(parse(pg.url("x"), "/"), port=str(port)))
    assert f"pg_isready -h 127.0.0.1 -p {port}" in error.hint


def test_a_role_that_may_not_look(pg, place):
    place.run(table("a") + "create role nobody_here login password 'pw'")
    error = refused(parse(pg.url(place.name, user="nobody_here", password="pw"), "/"))
    assert "permission denied" in str(error)
    assert "nobody_here" in error.hint


def test_another_kind_of_database():
    with pytest.raises(DatabaseError, match="mysql"):
        heads(parse("mysql://u:pw@h/n", "/"))


def test_without_psycopg(tmp_path):
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from raccord.database.heads import heads\nfrom raccord.database.url import parse\n"
        "from raccord.errors import DriverMissing\n"
        "try:\n    heads(parse('postgresql://u:s3cret@h/n', '/'))\n"
        "except DriverMissing as error:\n    print(error, '|', error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith(f"| {install('postgresql')}\n"), done.stderr
    assert "s3cret" not in done.stdout


# -------------------------------------------------------------------- SQLite


@pytest.mark.parametrize("wal", [False, True])
def test_sqlite_leaves_no_trace(file, tmp_path, wal):
    make(file, table("a", "b"), wal=wal)
    before = everything(tmp_path)
    assert heads(file) == frozenset({"a", "b"})
    assert heads(file, "other") is None
    assert everything(tmp_path) == before


def test_sqlite_sees_what_is_in_the_log_alone(file):
    make(file, table("a"), wal=True)
    db = sqlite3.connect(file.path)
    db.execute("pragma wal_autocheckpoint = 0")
    db.execute("update alembic_version set version_num = 'b'")
    db.commit()
    assert heads(file) == frozenset({"b"})
    db.execute("update alembic_version set version_num = 'c'")
    assert heads(file) == frozenset({"b"})
    db.close()


def test_sqlite_while_somebody_writes(file):
    make(file, table("0") + "create table t (a)", wal=True)
    stop = threading.Event()

    def write():
        count = 0
        while not stop.is_set():
            count += 1
            # Opened and closed each time, so that the log comes and goes.
            db = sqlite3.connect(file.path, isolation_level=None)
            db.execute("pragma synchronous = off")
            db.executescript(f"begin; update alembic_version set version_num = {count}; commit")
            db.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [int(next(iter(heads(file) or {"-1"}))) for _ in range(10)]
    finally:
        stop.set()
        writer.join()
    assert seen == sorted(seen)
    assert seen[-1] > 0


def test_sqlite_names(file):
    make(file, table("x", name='"Odd ""n\'ame"'))
    assert heads(file, "Odd \"n'ame") == frozenset({"x"})
    assert heads(file, "odd \"N'AME", "main") == frozenset({"x"})
    with pytest.raises(DatabaseError, match="attached"):
        heads(file, schema="other")


def test_a_missing_file_is_named_and_not_made(file, tmp_path):
    with pytest.raises(DatabaseMissing, match=r"app\.db is not there"):
        heads(file)
    with pytest.raises(DatabaseMissing):
        heads(replace(file, path=str(tmp_path / "no" / "dir" / "a.db")))
    assert not list(tmp_path.iterdir())


def test_no_database_file(file, tmp_path):
    Path(file.path).write_bytes(b"hello, " * 1000)
    with pytest.raises(DatabaseError, match="not a database") as caught:
        heads(file)
    assert file.path in caught.value.hint
    with pytest.raises(DatabaseError, match="no file"):
        heads(replace(file, path=str(tmp_path)))
    with pytest.raises(DatabaseError, match="memory"):
        heads(parse("sqlite://", "/"))
    with pytest.raises(DatabaseError):
        heads(replace(file, path=f"{tmp_path}/a\0b"))


def test_an_empty_file_has_no_version_table(file):
    Path(file.path).touch()
    assert heads(file) is None


def test_a_damaged_file(file):
    make(file, "create table t (a);" + table(*[f"v{i}" for i in range(500)]))
    data = bytearray(Path(file.path).read_bytes())
    data[100:] = b"\xee" * (len(data) - 100)
    Path(file.path).write_bytes(data)
    with pytest.raises(DatabaseError, match="malformed"):
        heads(file)


def test_a_locked_file_is_waited_for_then_named(file, monkeypatch):
    monkeypatch.setattr("raccord.database.sqlite.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("raccord.database.sqlite.opened.__defaults__", ("mode=ro", 0.1))
    make(file, table("a"))
    db = sqlite3.connect(file.path, isolation_level=None)
    db.execute("begin exclusive")
    db.execute("insert into alembic_version values ('b')")
    with pytest.raises(DatabaseBusy, match="locked"):
        heads(file)
    db.execute("rollback")
    db.close()
    assert heads(file) == frozenset({"a"})


def test_the_transaction_of_a_killed_program_is_no_answer(file, tmp_path, open_folder):
    make(file, table("a") + "create table t (b)")
    db = sqlite3.connect(file.path, isolation_level=None)
    db.execute("pragma cache_size = 5")
    db.execute("begin")
    db.execute("update alembic_version set version_num = 'b'")
    db.execute("insert into t select zeroblob(4000) from (select 1 from pragma_function_list limit 100)")
    # As after a kill: half of it is in the file already, and the journal has what was there.
    for name in ("app.db", "app.db-journal"):
        shutil.copy(tmp_path / name, open_folder / name)
    db.execute("rollback")
    db.close()
    left = replace(file, path=str(open_folder / "app.db"))
    if os.geteuid() == 0:
        assert "takes the transaction back" in as_nobody(lambda: heads(left))
    assert heads(left) == frozenset({"a"})


def test_a_link_and_a_name_that_is_no_text(tmp_path):
    real = tmp_path / os.fsdecode(b"b\xe4\n?#%41.db")
    target = replace(parse("sqlite:///x", "/"), path=str(tmp_path / "link.db"))
    db = sqlite3.connect(os.fsencode(real))
    db.executescript("pragma journal_mode = wal;" + table("a"))
    (tmp_path / "link.db").symlink_to(real.name)
    assert heads(target) == frozenset({"a"})  # its log lies beside the real file
    db.close()
    assert heads(target) == frozenset({"a"})
    assert heads(replace(target, path=str(real))) == frozenset({"a"})


def as_nobody(work: Callable[[], object]) -> str:
    """What a function answers, or the error it raises, when somebody calls it who is not root."""
    reader, writer = os.pipe()

    def answer() -> None:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
        try:
            said = str(work())
        except DatabaseError as error:
            said = f"{error} | {error.hint}"
        os.write(writer, said.encode())

    assert ended(forked(answer)) == 0
    os.close(writer)
    with open(reader) as file:
        return file.read()


@pytest.fixture
def open_folder():
    """A folder that everybody reaches: those of pytest are their owner's alone."""
    import tempfile

    folder = Path(tempfile.mkdtemp(dir=pgkit.open_base()))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("wal", [False, True])
def test_a_read_only_directory(open_folder, wal):
    target = parse(f"sqlite:///{open_folder}/app.db", "/")
    make(target, table("a"), wal=wal)
    open_folder.chmod(0o555)
    assert as_nobody(lambda: heads(target)) == "frozenset({'a'})"
    os.chmod(target.path, 0)
    assert "unable to open" in as_nobody(lambda: heads(target))


def test_a_log_in_a_read_only_directory_is_not_passed_over(open_folder):
    target = parse(f"sqlite:///{open_folder}/app.db", "/")
    make(target, table("a"), wal=True)
    db = sqlite3.connect(target.path)
    db.execute("update alembic_version set version_num = 'b'")
    db.commit()
    # As after a kill: the log is there, its index isn't.
    copies = {name: Path(target.path + name).read_bytes() for name in ("", "-wal")}
    db.close()
    for name, data in copies.items():
        Path(target.path + name).write_bytes(data)
    open_folder.chmod(0o555)
    said = as_nobody(lambda: heads(target))
    assert "'a'" not in said
    assert "'b'" in said or "can't be used" in said
