"""One at a time, whoever asks: threads, processes, and after the holder was killed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from raccord.database.lock import advisory_key, lock
from raccord.database.url import Target, parse
from raccord.errors import DatabaseError, LockTimeout, WorldMoved
from tests import pgkit
from tests.kernel.forks import ended, forked, together


@pytest.fixture(params=["postgresql", "sqlite"])
def target(request, tmp_path) -> Target:
    if request.param == "sqlite":
        return parse(f"sqlite:///{tmp_path}/app.db", "/")
    return request.getfixturevalue("place").target


def add_one(path: Path) -> None:
    """What goes wrong if two do it at once."""
    count = int(path.read_text())
    time.sleep(0.005)
    path.write_text(str(count + 1))


def test_twenty_threads(target, tmp_path):
    count = tmp_path / "count"
    count.write_text("0")

    def work():
        with lock(target, tmp_path / "locks", wait=30):
            add_one(count)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "20"


@pytest.mark.long_but(1)
def test_twenty_processes(target, tmp_path):
    count = tmp_path / "count"
    count.write_text("0")

    def work():
        with lock(target, tmp_path / "locks", wait=30):
            add_one(count)

    assert together([work] * 20) == [0] * 20
    assert count.read_text() == "20"


def test_who_holds_it_is_named(target, tmp_path):
    waited: list[str] = []
    started = time.monotonic()
    with lock(target, tmp_path) as held:
        assert not held.waited
        held.check()
        other = lock(target, tmp_path, wait=0.2, waiting=waited.append)
        with pytest.raises(LockTimeout, match=f"process {os.getpid()}") as caught, other:
            raise AssertionError
    assert time.monotonic() - started < 5
    assert len(waited) == 1 and f"process {os.getpid()}" in waited[0]
    assert "locked" not in caught.value.hint and caught.value.hint
    with lock(target, tmp_path, wait=0) as held:
        assert not held.waited


def test_who_waited_is_told(target, tmp_path):
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock(target, tmp_path))
        timer = threading.Timer(0.15, stack.close)
        timer.start()
        with lock(target, tmp_path, wait=10) as held:
            assert held.waited
        timer.join()


def test_a_killed_holder_frees_it(target, tmp_path):
    reader, writer = os.pipe()

    def hold():
        with lock(target, tmp_path):
            os.write(writer, b"x")
            time.sleep(60)

    pid = forked(hold)
    os.read(reader, 1)
    with pytest.raises(LockTimeout), lock(target, tmp_path, wait=0):
        raise AssertionError
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) == -signal.SIGKILL
    with lock(target, tmp_path, wait=10):
        pass


def test_another_version_table_is_another_lock(target, tmp_path):
    with lock(target, tmp_path), lock(target, tmp_path, version_table="other", wait=0):
        pass


def test_an_error_within_is_not_changed_and_frees_it(target, tmp_path):
    with pytest.raises(ZeroDivisionError), lock(target, tmp_path):
        raise ZeroDivisionError
    with lock(target, tmp_path, wait=0):
        pass


# ---------------------------------------------------------------- PostgreSQL


def test_spellings_of_the_schema_are_one_lock(place, tmp_path):
    with lock(place.target, tmp_path, schema="public") as held:
        with pytest.raises(LockTimeout), lock(place.target, tmp_path, wait=0):
            raise AssertionError
        with lock(place.target, tmp_path, schema="Other \"s'", wait=0) as other:
            assert held.key != other.key
    assert held.key == advisory_key(place.name, "public", "alembic_version")


def test_who_waits_does_not_hold_up_an_index_built_concurrently(place, tmp_path):
    place.run("create table t (a int)")
    entered = []

    def wait():
        with lock(place.target, tmp_path, wait=30):
            entered.append(time.monotonic())

    with lock(place.target, tmp_path):
        threads = [threading.Thread(target=wait) for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        with place.server.connect(place.name) as db:
            db.execute("set statement_timeout = '10s'")
            db.execute("create index concurrently on t (a)")
        assert not entered
    for thread in threads:
        thread.join()
    assert len(entered) == 5


def test_no_limit_of_the_role_ends_it(pg, place, tmp_path):
    pg.run(
        f"create role hasty login superuser password 'pw'; grant all on database {place.name} to hasty;"
        " alter role hasty set idle_in_transaction_session_timeout = '100ms';"
        " alter role hasty set transaction_timeout = '100ms';"
        " alter role hasty set statement_timeout = '100ms';"
        " alter role hasty set default_transaction_isolation = 'serializable'"
    )
    with lock(parse(pg.url(place.name, user="hasty", password="pw"), "/"), tmp_path) as held:
        time.sleep(0.4)
        held.check()


def test_a_lost_connection_is_noticed(place, tmp_path):
    with lock(place.target, tmp_path) as held:
        place.run("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
        with pytest.raises(WorldMoved):
            held.check()
    with lock(place.target, tmp_path, wait=0):
        pass


def test_no_server_is_said(place, tmp_path):
    with pytest.raises(DatabaseError) as caught, lock(replace(place.target, port="1"), tmp_path):
        raise AssertionError
    assert pgkit.PASSWORD not in str(caught.value)


# -------------------------------------------------------------------- SQLite


def test_a_child_that_has_the_file_holds_it_after_its_parent_was_killed(file, tmp_path):
    reader, writer = os.pipe()

    def hold():
        with lock(file, tmp_path) as held:
            assert held.file is not None
            os.set_inheritable(held.file.fileno(), True)
            os.write(writer, str(forked(lambda: time.sleep(60))).encode())
            time.sleep(60)

    pid = forked(hold)
    child = int(os.read(reader, 20))
    os.kill(pid, signal.SIGKILL)
    ended(pid)
    with pytest.raises(LockTimeout), lock(file, tmp_path, wait=0):
        raise AssertionError
    os.kill(child, signal.SIGKILL)
    with lock(file, tmp_path, wait=10):
        pass


def test_links_to_one_file_are_one_lock(file, tmp_path):
    (tmp_path / "link.db").symlink_to("app.db")
    other = replace(file, path=str(tmp_path / "link.db"))
    with lock(file, tmp_path), pytest.raises(LockTimeout), lock(other, tmp_path, wait=0):
        raise AssertionError


def test_memory_is_not_locked(tmp_path):
    with pytest.raises(DatabaseError, match="memory"), lock(parse("sqlite://", "/"), tmp_path):
        raise AssertionError
