"""Copies to work on: equal to what they were made of, and nothing else is ever dropped."""

from __future__ import annotations

import os
import sqlite3
import threading
from dataclasses import replace

import pytest

from raccord.database import owned, postgres
from raccord.database.backup import backup, forget
from raccord.database.catalog import catalog, differences
from raccord.database.clone import (
    clear,
    clone,
    cut_off,
    drop,
    empty,
    purpose,
    remade,
)
from raccord.database.contents import contents
from raccord.database.url import parse
from raccord.errors import DatabaseBusy, DatabaseError, LockTimeout, NotOurs
from tests import pgkit


@pytest.fixture
def full(place):
    place.run(
        "create table t (a int, b text); insert into t select g, 'x' || g from generate_series(1, 1000) g;"
        "create type mood as enum ('ok'); create table m (m mood)"
    )
    yield place
    for made in owned.made(place.target):
        place.server.run(f"drop database {pgkit.quoted(made.name)} with (force)")


def same(one, other) -> bool:
    return not contents(one).differences(contents(other)) and not differences(catalog(one), catalog(other))


@pytest.mark.parametrize("name", ['Ünï "q" \'s', "raccord-fork", "x" * 63])
def test_a_clone_and_its_end(full, name):
    full.server.run(f"alter database {full.name} set work_mem = '9MB'")
    made = clone(full.target, name, what="a test's")
    assert full.server.run("show work_mem", name) == [("9MB",)]
    assert (made.how, made.note, made.target.name) == ("template", "", name)
    assert same(full.target, made.target)
    assert owned.made(full.target) == (owned.Made(name, "a test's"),)
    full.server.run("insert into t values (0)", name)
    assert not same(full.target, made.target)
    with full.server.connect(name):  # a session does not keep it
        assert drop(made.target)
    assert not drop(made.target)


def test_others_who_are_connected_are_named_or_gone_around(full):
    with full.server.connect(full.name) as db:
        db.execute("set application_name = 'the app'")
        with pytest.raises(DatabaseBusy, match="the app of postgres") as caught:
            clone(full.target, "c", wait=0.1)
        assert "release 18" in str(caught.value)  # and why it could not be dumped
        made = clone(full.target, "c", wait=0.1, tools=[full.server.bin])
        assert made.how == "dump"
        assert "the app" in made.note
        assert same(full.target, made.target)
        drop(made.target)
        assert clone(full.target, "c", evict=True).how == "template"
    drop(made.target)
    assert owned.made(full.target) == ()


def test_nothing_is_left_of_a_clone_that_failed(full):
    full.run("create function f() returns int language sql as 'select 1'")
    with full.server.connect(full.name), pytest.raises(DatabaseBusy):
        clone(full.target, "c", wait=0)
    with pytest.raises(DatabaseError, match="already"):
        clone(full.target, full.name)
    for name in ("", "é" * 32):
        with pytest.raises(DatabaseError, match="bytes"):
            clone(full.target, name)
    with pytest.raises(DatabaseError):
        clone(replace(full.target, name="no such"), "c")
    assert owned.made(full.target) == ()


def test_what_is_not_raccords_stays(full, pg):
    for name in (full.name, "postgres", "template1"):
        with pytest.raises(NotOurs):
            drop(replace(full.target, name=name))
    made = clone(full.target, "c")
    full.server.run("comment on database c is 'now somebody works in it'")
    with pytest.raises(NotOurs):
        drop(made.target)
    full.server.run("drop database c")


def test_one_that_was_cut_off_is_known_and_dropped(full):
    with postgres.administering(full.target) as db:
        new = owned.template(db, full.target, full.name, wait=5)
        assert owned.made(full.target) == (owned.Made(new, ""),)
        assert owned.drop(db, new)


def test_what_the_server_is_still_making_is_waited_for(full):
    id_ = "0123456789abcdef"
    with full.server.connect(full.name) as db:
        # As a copy whose client was killed.
        asked = threading.Thread(target=db.execute, args=(f"select pg_sleep(0.4) /* {owned.fresh(id_)} */",))
        asked.start()
        while not full.server.run("select 1 from pg_stat_activity where query like 'select pg_sleep(0.4)%'"):
            pass
        with pytest.raises(DatabaseBusy, match="still making"):
            clear(full.target, id_, wait=0)
        full.server.run(f"create database {owned.fresh(id_)}")
        assert cut_off(full.target, id_, wait=10)
        asked.join()
    clear(full.target, id_)
    assert not cut_off(full.target, id_) and owned.made(full.target) == ()


def test_one_after_the_other(full):
    with owned.queue(full.target, full.name, 1):
        with pytest.raises(LockTimeout):
            clone(full.target, "c", queue=0)
        other = clone(replace(full.target, name=full.server.create()), "c", queue=0)
    assert drop(other.target)
    assert drop(clone(full.target, "c", queue=0).target)


def test_one_is_made_again_of_its_backup(full, tmp_path):
    made = clone(full.target, "c", what="first")
    kept = backup(made.target, tmp_path)
    drop(made.target)
    remade(made.target, kept, full.target, what="again", id_="0123456789abcdef")
    assert same(full.target, made.target) and purpose(made.target) == "again"
    assert drop(made.target) and purpose(made.target) is None
    with pytest.raises(NotOurs):
        purpose(full.target)
    forget(full.target, kept)


def test_from_the_maintenance_database(pg):
    target = parse(pg.url("postgres"), "/")
    made = clone(target, "copy_of_postgres", wait=5)
    assert drop(made.target)


# -------------------------------------------------------------------- SQLite


@pytest.mark.parametrize("wal", [False, True])
def test_a_file(file, tmp_path, wal):
    db = sqlite3.connect(file.path)
    db.executescript(
        f"pragma journal_mode = {'wal' if wal else 'delete'}; create table t (a); insert into t values (1)"
    )
    made = clone(file, str(tmp_path / "forks" / "é 1.db"), what="a test's")  # while it is open
    db.close()
    assert (made.how, made.target.path) == ("copy", str(tmp_path / "forks" / "é 1.db"))
    assert same(file, made.target)
    db = sqlite3.connect(made.target.path)
    db.executescript("pragma journal_mode = wal; insert into t values (2)")
    (tmp_path / "forks" / "é 1.db.partial").touch()  # as a kill leaves it
    assert drop(made.target)
    db.close()
    assert not drop(made.target)
    assert os.listdir(tmp_path / "forks") == []


def test_a_file_that_is_not_raccords_stays(file, tmp_path):
    sqlite3.connect(file.path).execute("create table t (a)").connection.close()
    with pytest.raises(NotOurs):
        drop(file)
    with pytest.raises(DatabaseError, match="already"):
        clone(file, file.path)
    made = clone(file, str(tmp_path / "c.db"))
    with pytest.raises(DatabaseError, match="already"):
        clone(file, made.target.path)
    assert drop(made.target)


def test_nothing_is_left_of_a_file_that_could_not_be_copied(file, tmp_path):
    with pytest.raises(DatabaseError):
        clone(file, str(tmp_path / "c.db"))
    assert os.listdir(tmp_path) == []


def test_an_empty_database_beside_another(full, tmp_path):
    made = empty(full.target, "raccord_empty", what="a test's")
    assert not contents(made).tables and not catalog(made).objects.get("enum public.mood")
    assert owned.made(full.target) == (owned.Made("raccord_empty", "a test's"),)
    with pytest.raises(DatabaseError, match="already"):
        empty(full.target, "raccord_empty")
    assert drop(made)
    beside = empty(replace(full.target, name="no such database"), "raccord_empty")
    assert not contents(beside).tables and drop(beside)
    file = empty(parse("sqlite:///none.db", tmp_path), str(tmp_path / "new.db"))
    assert not contents(file).tables and not (tmp_path / "none.db").exists() and drop(file)


def test_what_was_left_half_made_is_swept_unless_a_raccord_is_at_it(full):
    full.server.run("create database raccord_new_0123456789abcdef; ")
    with full.server.connect("postgres") as other:
        other.execute("set application_name = 'raccord'")
        assert owned.sweep(full.target) == ()
    assert owned.sweep(full.target) == ("raccord_new_0123456789abcdef",)
    assert owned.sweep(full.target) == ()
