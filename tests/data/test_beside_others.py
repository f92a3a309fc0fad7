"""What others do in the target before, while and after a push is neither overwritten nor hindered."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from raccord.data import push, transaction
from tests import pgkit
from tests.data.test_push_killed import OTHER, ROOT, SETUP, killed
from tests.datakit import Two, two, why
from tests.litekit import lite


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.fixture
def files(tmp_path):
    with lite(tmp_path / "files") as found:
        yield found


@pytest.mark.parametrize("kind", ["pair", "files"])
def test_an_undo_leaves_rows_that_somebody_completed(request, kind):
    """A push adds a row without its secret; whoever typed that in doesn't lose it with the row."""
    pair = request.getfixturevalue(kind)
    pair.both("create table c (key text primary key, value text default '', note text)")
    pair.run("dev", "insert into c (key, note) values ('a', 'new'), ('b', 'new')")
    pair.run("prod", "insert into c values ('b', 'mine', 'old')")
    pair.configure(("c",), exclude=["c.value"])
    assert pair.push().state == "done"
    # Of a row that was there already the column stays, whatever is in it.
    pair.run("prod", "update c set value = 'later' where key = 'b'")
    pair.run("prod", "update c set value = 'typed in' where key = 'a'")
    assert "1 row of c (key a)" in why(pair.undo())
    assert pair.run("prod", "select value from c order by key") == [("typed in",), ("later",)]
    pair.run("prod", "update c set value = '' where key = 'a'")
    undone = pair.undo()
    assert undone.state == "done", undone
    assert pair.run("prod", "select * from c") == [("b", "later", "old")]
    assert pair.undo(undone.id).state == "done"
    assert pair.run("prod", "select * from c order by key") == [("a", "", "new"), ("b", "later", "new")]


@pytest.mark.long
def test_an_undo_leaves_them_in_a_table_that_was_empty(pair):
    pair.both("create table c (key text primary key, value text default '')")
    pair.run("dev", "insert into c (key) values ('a'), ('b')")
    pair.configure(("c",), exclude=["c.value"])
    assert pair.push().state == "done"
    pair.run("prod", "update c set value = 'typed in' where key = 'a'")
    assert "1 row of c (key a)" in why(pair.undo()) and len(pair.rows("prod", "c")["c"]) == 2
    pair.run("prod", "update c set value = ''")
    assert pair.undo().state == "done" and pair.rows("prod", "c") == {"c": []}


FOLLOWS = """
create table p (id int primary key, code text unique);
create table c (id int primary key, code text references p (code) on update cascade, w int);
"""


@pytest.mark.parametrize("kind", ["pair", "files"])
def test_rows_that_follow_a_value_go_back_with_it(request, kind):
    pair = request.getfixturevalue(kind)
    pair.both(FOLLOWS)
    pair.run("dev", "insert into p values (1, 'new'); insert into c values (1, 'new', 1)")
    pair.run("prod", "insert into p values (1, 'old'); insert into c values (1, 'old', 1)")
    pair.configure(("p", "c"))
    report = pair.push()
    assert report.state == "done" and "0 added, 2 changed, 0 removed" in report.lanes[0].steps[-1].note
    undone = pair.undo()
    assert undone.state == "done", undone
    assert pair.run("prod", "select p.code, c.code from p, c") == [("old", "old")]


@pytest.mark.long_but(1)
@pytest.mark.parametrize("options", [{"where": {"c": "w < 10"}}, {"mode": "upsert"}])
@pytest.mark.parametrize("kind", ["pair", "files"])
def test_rows_that_would_follow_and_are_not_pushed_stop_it(request, kind, options):
    """Nobody would have kept them, and no undo could bring them back."""
    pair = request.getfixturevalue(kind)
    pair.both(FOLLOWS)
    pair.run("dev", "insert into p values (1, 'new'); insert into c values (1, 'new', 1)")
    pair.run("prod", "insert into p values (1, 'old'); insert into c values (1, 'old', 1), (2, 'old', 99)")
    pair.configure(("p", "c"), **options)
    said = why(pair.push())
    assert said.startswith("1 row of c ") and said.endswith("and would stay otherwise")
    assert pair.run("prod", "select distinct code from c") == [("old",)]


def test_a_sequence_that_others_draw_from_meanwhile_never_goes_back(pair, monkeypatch):
    pair.both("create table s (id serial primary key, v text)")
    pair.run("dev", "insert into s (v) select 'x' from generate_series(1, 30)")
    pair.configure(("s",))
    real = transaction.number

    def late(*words):
        # No lock on a table keeps anybody from its sequence.
        pair.run("prod", "select nextval('s_id_seq') from generate_series(1, 77)")
        return real(*words)

    monkeypatch.setattr(push, "number", late)
    assert pair.push().state == "done"
    assert pair.run("prod", "select nextval('s_id_seq')") == [(78,)]


WAITING = "select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.pid <> %s"


def test_an_application_that_holds_one_table_and_wants_another_goes_first(pair):
    pair.both("create table a (v text); create table b (v text)")
    pair.run("dev", "insert into a values ('dev'); insert into b values ('dev')")
    pair.run("prod", "insert into a values ('prod'); insert into b values ('prod')")
    pair.configure(("a", "b"))
    server, name = pair.ends["prod"]
    found = []
    with server.connect(name) as app, server.connect(name) as look:
        app.execute("set deadlock_timeout to '5s'; begin; update b set v = 'app'")
        thread = threading.Thread(target=lambda: found.append(pair.push()))
        thread.start()
        while not look.execute(WAITING, [app.info.backend_pid]).fetchall():
            time.sleep(0.01)
        app.execute("update a set v = 'app'")
        app.execute("commit")
        thread.join()
    # It waited for all that, and kept it.
    assert found[0].state == "done" and pair.diff().equal, found
    assert pair.undo().state == "done"
    assert pair.run("prod", "select a.v, b.v from a, b") == [("app", "app")]


CUT_OFF = """
import sys
from raccord.data import back
from raccord.workspace import Workspace
from tests.data.killed import after
after(back, "take_back")
Workspace.open(sys.argv[1]).undo()
"""


@pytest.mark.long
@pytest.mark.parametrize("named", [False, True])
def test_an_undo_that_was_killed_takes_no_other_run_back_when_it_is_asked_for_again(pair, named):
    pair.both("create table a (id int primary key)")
    pair.configure(("a",))
    pushed = []
    for number in (1, 2):
        pair.run("dev", f"insert into a values ({number})")
        pushed.append(pair.push())
    words = [sys.executable, "-c", CUT_OFF, str(pair.repo.path)]
    assert subprocess.run(words, cwd=ROOT, capture_output=True).returncode == -9
    undone = pair.undo(pushed[1].id if named else None)
    assert (undone.state, undone.undo_of) == ("done", pushed[1].id), undone
    assert pair.run("prod", "select * from a") == [(1,)]


REPLICATED: dict[str, Any] = {"wal_level": "replica", "max_wal_senders": "2", "synchronous_commit": "on"}


@pytest.mark.long
@pytest.mark.parametrize("reached", [False, True])
def test_a_server_that_took_over_without_the_push_is_not_believed(tmp_path, reached):
    """Its standby had heard nothing of the push, and gives the number to others."""
    with pgkit.own(**REPLICATED) as server, pgkit.server().lent() as dev:
        pair = Two(tmp_path, (pgkit.server(), dev), (server, server.create()))
        pair.both(SETUP)
        pair.run("prod", OTHER)
        old, new = pair.rows("prod", "a", "b"), pair.rows("dev", "a", "b")
        data, copy = server.folder / "data", server.folder / "copy"
        server.halt(signal.SIGINT)
        subprocess.run(["cp", "-a", data, copy], check=True)
        server.start()
        assert killed(pair, "committed") and pair.rows("prod", "a", "b") == new
        server.halt()
        shutil.rmtree(data)
        copy.rename(data)
        shutil.copy2(data / "PG_VERSION", data / "standby.signal")
        shutil.chown(data / "standby.signal", data.stat().st_uid, data.stat().st_gid)
        server.start()
        assert server.run("select pg_promote()") == [(True,)]
        if reached:
            with server.connect() as db:
                db.execute("create table n (n int)")
                for _ in range(50):
                    db.execute("insert into n values (1)")
        assert pair.rows("prod", "a", "b") == old
        report = pair.push()
        assert report.state in ("done", "nothing") and pair.rows("prod", "a", "b") == new, report
        with pair.workspace as workspace:
            assert [one.state for one in workspace.log(9)] == ["done"]
        assert pair.undo().state == "done" and pair.rows("prod", "a", "b") == old
