"""Backups are proven when made, restores are exact, and a kill leaves the old state or the new one."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from raccord.database import clone as clones
from raccord.database import owned, postgres
from raccord.database.backup import backup, forget, restore
from raccord.database.catalog import catalog, differences
from raccord.database.contents import contents
from raccord.database.keeping import Backup
from raccord.database.url import Target, parse
from raccord.errors import CannotRun, DatabaseBusy, DatabaseError, DatabaseMissing, NotOurs, RestoreFailed
from raccord.kernel import proc
from tests import pgkit
from tests.kernel.forks import ended, forked

ODD = r"""
create schema "Odd ""S
x"; create extension vector; create type mood as enum ('sad', 'ok');
create table p (
  id bigint generated always as identity primary key, m mood not null default 'ok',
  g int generated always as (1 + 1) stored, "Ü x" text collate "C", e vector(3), b bytea,
  at timestamptz default now(),
  f float8, n numeric);
insert into p ("Ü x", e, b, f, n) select E'a\tb\\.\n\r' || g, '[1,2,3]', decode('00ff5c', 'hex'), random(),
  1.10
  from generate_series(1, 500) g;
insert into p ("Ü x", f) values (null, 'NaN'), ('', '-0'), ('\N', '1e-300');
create table "Odd ""S
x"."T (x) FROM stdin;" ("a, b" int, "c
d" text);
insert into "Odd ""S
x"."T (x) FROM stdin;" values (1, '\.'), (2, E'COPY p FROM stdin;\n\\.\n');
create table nothing (); insert into nothing default values; create table empty ();
create table derived (g int generated always as (1) stored); insert into derived default values;
create table part (d date) partition by range (d);
create table part1 partition of part for values from ('2020-01-01') to ('2021-01-01');
insert into part values ('2020-02-02');
create table parent (a int); create table child () inherits (parent);
insert into parent values (1); insert into child values (2);
create sequence s; select nextval('s'), nextval('s'); create materialized view mv as select count(*) from p;
"""
CHANGE = """
drop table p cascade; create table extra (a int); create type left_over as enum ('x');
insert into parent values (9);
create schema more; select nextval('s'); delete from child;
"""


@contextlib.contextmanager
def unchanged(target: Target) -> Iterator[None]:
    """What is in a database stays as it is."""
    before = contents(target), catalog(target)
    yield
    after = contents(target), catalog(target)
    assert before[0].differences(after[0]) == ()
    assert differences(before[1], after[1]) == ()


@pytest.fixture
def leftovers(pg) -> Iterator[None]:
    """No database in the making is left behind."""
    yield
    names = [name for (name,) in pg.run("select datname from pg_database where datname like 'raccord%'")]
    for name in names:
        pg.run(f"drop database {pgkit.quoted(name)} with (force)")
    assert names == []


# ---------------------------------------------------------------- PostgreSQL


@pytest.mark.long_but(1)
@pytest.mark.usefixtures("leftovers")
@pytest.mark.parametrize("tooled", [True, False], ids=["dump", "clone"])
def test_there_and_back(place, tmp_path, tooled):
    place.run(ODD)
    name, server = pgkit.quoted(place.name), place.server
    place.run(
        f"alter database {name} set bytea_output = escape;"
        f" alter database {name} set search_path = 'Odd, x', public;"
        f" alter database {name} set timezone = 'Asia/Tokyo'; comment on database {name} is 'it''s mine';"
    )
    with contextlib.suppress(Exception):
        server.run("create role friend")
    place.run(f"grant connect on database {name} to friend with grant option")
    properties = (
        "select (select array_agg(a::text order by a::text) from unnest(datacl) a), datconnlimit, datdba,"
        " shobj_description(oid, 'pg_database'), datcollate, encoding,"
        " (select array_agg(setconfig::text order by setrole)"
        " from pg_db_role_setting where setdatabase = d.oid)"
        f" from pg_database d where datname = '{place.name}'"
    )
    before = server.run(properties)
    tools = [server.bin] if tooled else []
    with unchanged(place.target):
        kept = backup(place.target, tmp_path / "backups", tools=tools)
        assert Backup.parse(kept.document()) == kept
        place.run(CHANGE)
        assert restore(place.target, kept, tools=tools).how == "swap"
    assert place.run("select last_value, is_called from s") == [(2, True)]
    assert place.run("select count from mv") == [(503,)]
    assert server.run(properties) == before
    if tooled:
        assert stat.S_IMODE(os.stat(kept.place).st_mode) == 0o600
        assert (kept.kind, os.listdir(tmp_path / "backups")) == ("dump", [f"{kept.id}.dump"])
    else:
        assert kept.kind == "clone"
        assert "release 18" in kept.note  # why there is no dump
    assert forget(place.target, kept)
    assert not forget(place.target, kept)
    server.run(f"revoke all on database {name} from friend; drop role friend")


def test_a_dump_while_others_write(place, tmp_path):
    place.run("create table t (a int); insert into t select generate_series(1, 1000)")
    stop = threading.Event()

    def write():
        with place.server.connect(place.name) as db:
            while not stop.is_set():
                db.execute("insert into t values (0)")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        kept = backup(place.target, tmp_path, tools=[place.server.bin])
    finally:
        stop.set()
        writer.join()
    assert kept.rows >= 1000


@pytest.mark.usefixtures("leftovers")
def test_a_role_that_may_not_make_databases(pg, tmp_path):
    pg.run("drop role if exists app; create role app login password 'pw'")
    name = pg.create()
    pg.run(f"alter database {name} owner to app")
    target = parse(pg.url(name, user="app", password="pw"), "/")
    own = "set role app; "
    pg.run(own + ODD.replace("create extension vector;", "").replace(", e vector(3)", "").replace("e, b", "b")
           .replace("'[1,2,3]', ", ""), name)  # fmt: skip
    with unchanged(target):
        kept = backup(target, tmp_path, tools=[pg.bin])
        pg.run(own + CHANGE, name)
        done = restore(target, kept, tools=[pg.bin])
    assert done.how == "transaction"
    assert "may not make databases" in done.notes[0]
    assert pg.run("select last_value, is_called from s", name) == [(2, True)]
    # Somebody in the way: waited for, then named, and nothing has changed.
    pg.run(own + "create table after (a int)", name)
    with pg.connect(name) as db, unchanged(target):
        db.autocommit = False
        db.execute("lock table parent in access share mode")
        with pytest.raises(DatabaseBusy):
            restore(target, kept, tools=[pg.bin], wait=0.2)
        db.rollback()
    with pytest.raises(DatabaseError, match="may not make databases"):
        clones.clone(target, f"{name}_copy")
    pg.run(f"drop database {name} with (force)")
    pg.run("drop role app")


@pytest.mark.usefixtures("leftovers")
def test_others_who_are_connected(place, tmp_path):
    place.run("create table t (a int); insert into t values (1)")
    kept = backup(place.target, tmp_path, tools=[place.server.bin])
    place.run("insert into t values (2)")
    place.server.run(f"alter database {place.name} is_template true")
    with place.server.connect(place.name) as db:
        db.execute("set application_name = 'the app'")
        with unchanged(place.target), pytest.raises(DatabaseBusy, match="the app of postgres"):
            restore(place.target, kept, tools=[place.server.bin], wait=0.1)
        restore(place.target, kept, tools=[place.server.bin], evict=True)
        with pytest.raises(Exception, match=r"terminat|closed"):
            db.execute("select 1")
    assert place.run("select a from t") == [(1,)]
    template = f"select datistemplate from pg_database where datname = '{place.name}'"
    assert place.server.run(template) == [(True,)]
    place.server.run(f"alter database {place.name} is_template false")


@pytest.mark.long_but(2)
@pytest.mark.usefixtures("leftovers")
@pytest.mark.parametrize("cut", [0.0, 0.1, 0.5, 0.97])
def test_a_damaged_dump_changes_nothing(place, tmp_path, cut):
    place.run("create table t (a int); insert into t select generate_series(1, 1000)")
    kept = backup(place.target, tmp_path, tools=[place.server.bin])
    data = Path(kept.place).read_bytes()
    Path(kept.place).write_bytes(data[: int(len(data) * cut)])
    with unchanged(place.target), pytest.raises(RestoreFailed) as caught:
        restore(place.target, kept, tools=[place.server.bin])
    assert caught.value.hint


@pytest.mark.usefixtures("leftovers")
def test_a_backup_of_something_else_changes_nothing(place, tmp_path):
    place.run("create table t (a int); insert into t select generate_series(1, 1000)")
    kept = backup(place.target, tmp_path, tools=[place.server.bin])
    place.run("update t set a = 0 where a = 1")
    other = backup(place.target, tmp_path, tools=[place.server.bin])
    with unchanged(place.target):
        with pytest.raises(RestoreFailed, match="not what was recorded"):
            restore(place.target, replace(kept, place=other.place), tools=[place.server.bin])
        with pytest.raises(RestoreFailed, match="release 18"):
            restore(place.target, kept)
        with pytest.raises(RestoreFailed):
            restore(place.target, replace(kept, place=str(tmp_path / "none")), tools=[place.server.bin])
        with pytest.raises(RestoreFailed, match="is not there"):
            restore(place.target, replace(kept, kind="clone", place="none"))
        with pytest.raises(DatabaseError):
            restore(place.target, replace(kept, kind="copy"))


def test_no_secret_among_the_arguments(place, tmp_path, monkeypatch):
    seen: list[tuple] = []
    started = proc.started

    def spy(argv, **more):
        seen.append((tuple(argv), more.get("env")))
        return started(argv, **more)

    monkeypatch.setattr(proc, "started", spy)
    place.run("create table t (a int)")
    kept = backup(place.target, tmp_path, tools=[place.server.bin])
    restore(place.target, kept, tools=[place.server.bin])
    with place.server.connect(place.name):
        made = clones.clone(place.target, f"{place.name}_c", tools=[place.server.bin], wait=0)
    clones.drop(made.target)
    programs = [os.path.basename(argv[0]) for argv, _ in seen]
    assert {"pg_dump", "pg_restore"} <= set(programs) and made.how == "dump"
    for argv, _ in seen:
        assert pgkit.PASSWORD not in " ".join(argv)
        assert quote(pgkit.PASSWORD, safe="") not in " ".join(argv)
    assert any(env and env.get("PGPASSWORD") == pgkit.PASSWORD for _, env in seen)


@pytest.mark.usefixtures("leftovers")
def test_pg_dump_that_fails(place, tmp_path):
    place.run("create table t (a int)")
    with place.server.connect(place.name) as db:
        db.autocommit = False
        db.execute("lock table t in access exclusive mode")
        with pytest.raises(DatabaseBusy):
            backup(place.target, tmp_path, tools=[place.server.bin], wait=0.2)
        db.rollback()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_none(file, tmp_path):
    make(file, 10)
    (tmp_path / "f").touch()
    with pytest.raises((CannotRun, NotADirectoryError)):
        backup(file, tmp_path / "f" / "x")


def killed_after(seconds: float, work) -> bool:
    """Runs work in a process that is killed after a time; whether it was."""
    pid = forked(work)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return ended(pid) == -signal.SIGKILL


def restored_or_not(target: Target, states: list[str]) -> int:
    until = time.monotonic() + 10
    while True:
        try:
            return states.index(contents(target).digest)
        except DatabaseMissing:  # nobody may ever see the moment between the two names
            raise
        except DatabaseError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.long)])
def test_a_kill_leaves_the_old_or_the_new(place, tmp_path, kills):
    place.run(
        "create table t (a int, b text); insert into t select g, repeat('x', 50)"
        " from generate_series(1, 5000) g"
    )
    tools = [place.server.bin]
    kept = backup(place.target, tmp_path, tools=tools)
    place.run("update t set b = 'new' where a % 2 = 0")
    later = backup(place.target, tmp_path, tools=tools)
    started = time.monotonic()
    restore(place.target, later, tools=tools)
    takes = time.monotonic() - started
    seen = set()
    for _ in range(kills):
        goal = random.choice([kept, later])
        killed_after(
            random.uniform(0, 1.2 * takes), lambda goal=goal: restore(place.target, goal, tools=tools)
        )
        seen.add(restored_or_not(place.target, [kept.digest, later.digest]))
    # pg_restore of a killed parent runs on for a moment.
    until = time.monotonic() + 20
    restore(place.target, kept, tools=tools, evict=True)
    assert contents(place.target).digest == kept.digest
    while owned.made(place.target) and time.monotonic() < until:
        with postgres.administering(place.target) as db:
            for made in owned.made(place.target):
                owned.drop(db, made.name)


# -------------------------------------------------------------------- SQLite


def make(target: Target, rows: int, more: str = "", *, wal: bool = False) -> None:
    db = sqlite3.connect(target.path)
    if wal:
        db.execute("pragma journal_mode = wal")
    db.executescript(
        "begin; create table t (id integer primary key, b, c); "
        "create table w (k text primary key, v) without rowid;"
        'create table "o""dd" (rowid text, _rowid_ blob);'
        "create table s (a integer primary key autoincrement);"
        f"create virtual table f using fts5 (body); insert into f values ('some words'); {more} commit"
    )
    values = [(number, f"ü{number}" * 5, bytes([number % 256]) * 30) for number in range(rows)]
    with db:
        db.executemany("insert into t values (?, ?, ?)", values)
        db.executemany(
            "insert into w values (?, ?)", [(str(number), number / 7) for number in range(rows // 10)]
        )
        db.execute('insert into "o""dd" values (?, cast(? as text))', ("x", b"\xff\xfe"))
        db.execute("insert into t values (-1, 1.5, null)")
    db.close()


def change(target: Target) -> None:
    db = sqlite3.connect(target.path)
    db.executescript("begin; delete from t where id % 3 = 0; create table extra (a); drop table w; commit")
    db.close()


@pytest.mark.parametrize("wal", [False, True])
def test_sqlite_there_and_back(file, tmp_path, wal):
    make(file, 1000, wal=wal)
    inode = os.stat(file.path).st_ino
    with unchanged(file):
        kept = backup(file, tmp_path / "backups")
        assert os.listdir(tmp_path / "backups") == [f"{kept.id}.sqlite"]
        assert stat.S_IMODE(os.stat(kept.place).st_mode) == 0o600
        change(file)
        assert restore(file, kept).how == "copy"
    assert os.stat(file.path).st_ino == inode
    db = sqlite3.connect(file.path)
    assert db.execute("pragma journal_mode").fetchone() == ("wal" if wal else "delete",)
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()
    assert forget(file, kept) and not forget(file, kept)


def test_sqlite_that_others_have_open_goes_on(file, tmp_path):
    make(file, 100, wal=True)
    kept = backup(file, tmp_path)
    change(file)
    other = sqlite3.connect(file.path, isolation_level=None)
    assert other.execute("select count(*) from t").fetchone() == (67,)
    restore(file, kept)
    assert other.execute("select count(*) from t").fetchone() == (101,)
    other.execute("insert into t values (999, 1, 1)")  # and what it writes is not lost
    other.close()
    db = sqlite3.connect(file.path)
    assert db.execute("select count(*) from t").fetchone() == (102,)
    db.close()


@pytest.mark.parametrize("wal", [False, True])
def test_sqlite_backup_while_somebody_writes(file, tmp_path, wal):
    make(file, 500, "create table log (n); insert into log values (0);", wal=wal)
    stop = threading.Event()

    def write():
        db = sqlite3.connect(file.path, isolation_level=None, timeout=30)
        db.execute("pragma synchronous = off")
        while not stop.is_set():
            db.execute("insert into log select count(*) from log")
            time.sleep(0.001)
        db.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        kept = [backup(file, tmp_path) for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    assert len({one.id for one in kept}) == 3


def test_sqlite_that_is_locked(file, tmp_path):
    make(file, 100)
    kept = backup(file, tmp_path)
    change(file)
    db = sqlite3.connect(file.path, isolation_level=None)
    db.execute("begin")
    db.execute("select * from t").fetchone()
    with pytest.raises(DatabaseBusy):
        restore(file, kept, wait=0.2)
    assert db.execute("select count(*) from t").fetchone() == (67,)
    db.close()
    with unchanged(file):
        pass


@pytest.mark.parametrize("page", [512, 65536])
def test_sqlite_of_another_page_size(file, tmp_path, page):
    make(file, 100, wal=True)
    kept = backup(file, tmp_path)
    digest = contents(file).digest
    db = sqlite3.connect(file.path, isolation_level=None)
    db.executescript(
        f"pragma journal_mode = delete; pragma page_size = {page}; vacuum; pragma journal_mode = wal"
    )
    db.close()
    change(file)
    restore(file, kept)
    assert contents(file).digest == digest


@pytest.mark.parametrize("how", ["missing", "garbage", "garbage with a log", "empty"])
def test_sqlite_that_is_no_database_any_more(file, tmp_path, how):
    make(file, 100)
    kept = backup(file, tmp_path / "backups")
    digest = contents(file).digest
    if how == "missing":
        os.unlink(file.path)
    else:
        Path(file.path).write_bytes(b"" if how == "empty" else b"precious " * 900)
    if how == "garbage with a log":
        Path(file.path + "-wal").write_bytes(b"log " * 900)
    done = restore(file, kept)
    assert contents(file).digest == digest
    assert done.how == ("copy" if how == "empty" else "replace")
    beside = {entry.read_bytes()[:9] for entry in tmp_path.iterdir() if "broken" in entry.name}
    assert beside >= {"garbage": {b"precious "}, "garbage with a log": {b"precious ", b"log log l"}}.get(
        how, set()
    )


def test_sqlite_damaged_backup_changes_nothing(file, tmp_path):
    make(file, 1000)
    kept = backup(file, tmp_path)
    other = backup(file, tmp_path)
    change(file)
    data = Path(kept.place).read_bytes()
    for damaged in (b"", data[: len(data) // 2], b"\xee" * len(data), data.replace("ü77".encode(), b"xxxx")):
        Path(kept.place).write_bytes(damaged)
        with unchanged(file), pytest.raises(RestoreFailed):
            restore(file, kept)
    os.unlink(kept.place)
    with unchanged(file), pytest.raises(RestoreFailed):
        restore(file, kept)
    restore(file, other)


@pytest.mark.parametrize("kills", [3, pytest.param(80, marks=pytest.mark.long)])
@pytest.mark.parametrize("wal", [False, True])
def test_a_kill_leaves_the_old_or_the_new_file(file, tmp_path, wal, kills):
    make(file, 8000, wal=wal)
    kept = backup(file, tmp_path)
    change(file)
    later = backup(file, tmp_path)
    started = time.monotonic()
    restore(file, later)
    takes = time.monotonic() - started
    for _ in range(kills):
        goal = random.choice([kept, later])
        killed_after(random.uniform(0.3, 1.1) * takes, lambda goal=goal: restore(file, goal))
        db = sqlite3.connect(file.path)  # takes an unfinished transaction back
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        db.close()
        restored_or_not(file, [kept.digest, later.digest])
    restore(file, kept)
    assert contents(file).digest == kept.digest


def test_sqlite_in_memory_and_missing(file, tmp_path):
    for target in (file, parse("sqlite://", "/")):
        with pytest.raises(DatabaseError):
            backup(target, tmp_path / "backups")
    assert os.listdir(tmp_path / "backups") == []


def test_a_backup_that_is_none_of_raccords_is_not_dropped(place, tmp_path):
    place.run("create table t (a int)")
    kept = backup(place.target, tmp_path, tools=[place.server.bin])
    with unchanged(place.target), pytest.raises(NotOurs):
        forget(place.target, replace(kept, kind="clone", place=place.name))
