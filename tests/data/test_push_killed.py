"""A push killed anywhere leaves the old rows or the new ones, and the next command knows which."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import pgkit
from tests.datakit import Two, two

ROOT = Path(__file__).resolve().parent.parent.parent
SETUP = """
create table a (id int primary key, v text);
create table b (id serial primary key, a int references a, v text);
insert into a select g, 'x' from generate_series(1, 50) g;
insert into b (a, v) select g, 'x' from generate_series(1, 50) g;
"""
OTHER = """
update a set v = 'prod' where id % 7 = 1; delete from b where id > 40; insert into b (id, a) values (90, 1);
"""
# Most rows differ: all go, and all come.
MANY = """
insert into a select g, 'x' from generate_series(51, 1500) g;
insert into b (id, a, v) select g + 100, g, 'x' from generate_series(51, 1500) g;
"""
SESSIONS = """
select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
"""


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("prod", OTHER)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def killed(pair: Two, where: str) -> bool:
    """Whether a push was killed there; it may have ended before."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.killed", str(pair.repo.path), where], cwd=ROOT, capture_output=True
    )
    assert done.returncode in (0, -9), done.stderr.decode()
    return done.returncode == -9


def idle(pair: Two) -> None:
    """Waits until the server has noticed."""
    until = time.monotonic() + 20
    while pair.run("prod", SESSIONS) != [(0,)]:
        assert time.monotonic() < until
        time.sleep(0.02)


def settled(pair: Two, old: dict, new: dict) -> None:
    """Old or new, and nothing left behind; the next push finishes it, and an undo takes it back."""
    idle(pair)
    assert pair.rows("prod", "a", "b") in (old, new)
    assert pair.run("prod", "select count(*) from pg_class where relpersistence = 't'") == [(0,)]
    report = pair.push()
    assert report.state in ("done", "nothing"), report
    assert pair.rows("prod", "a", "b") == new
    undone = pair.undo()
    assert undone.state == "done", undone
    assert pair.rows("prod", "a", "b") == old


@pytest.mark.long
@pytest.mark.parametrize("where", ["commit", "committed"])
def test_around_the_commit(pair, where):
    old, new = pair.rows("prod", "a", "b"), pair.rows("dev", "a", "b")
    assert killed(pair, where)
    idle(pair)
    # Asked before anything is done about it.
    assert pair.rows("prod", "a", "b") == (new if where == "committed" else old)
    settled(pair, old, new)


@pytest.mark.long_but(1)
@pytest.mark.parametrize("where", [1, 90, 140, 180])
def test_anywhere(pair, where):
    old, new = pair.rows("prod", "a", "b"), pair.rows("dev", "a", "b")
    killed(pair, str(where))
    settled(pair, old, new)


@pytest.mark.long
@pytest.mark.parametrize("where", ["commit", "committed", "105"])
def test_tables_that_are_filled_anew(pair, where):
    pair.both(MANY)
    pair.run("prod", "update a set v = 'prod'; update b set v = 'prod'")
    assert "anew" in str(pair.plan())
    old, new = pair.rows("prod", "a", "b"), pair.rows("dev", "a", "b")
    killed(pair, where)
    settled(pair, old, new)


@pytest.mark.long_but(1)
@pytest.mark.parametrize("where", ["commit", "committed", "150", "200"])
def test_tables_that_are_exchanged(pair, where):
    pair.both(MANY + "create index on b using gin (to_tsvector('simple', v))")
    pair.run("prod", "update a set v = 'prod'; update b set v = 'prod'")
    assert "filled aside" in str(pair.plan())
    old, new = pair.rows("prod", "a", "b"), pair.rows("dev", "a", "b")
    killed(pair, where)
    settled(pair, old, new)
    assert pair.run("prod", "select count(*) from pg_class where relname ~ 'raccord'") == [(0,)]


@pytest.mark.long
@pytest.mark.parametrize("where", range(2, 300, 2))
def test_tables_that_are_exchanged_everywhere(pair, where):
    test_tables_that_are_exchanged(pair, str(where))


@pytest.mark.long
@pytest.mark.parametrize("where", range(2, 160, 2))
def test_tables_that_are_filled_anew_everywhere(pair, where):
    test_tables_that_are_filled_anew(pair, str(where))


@pytest.mark.long
@pytest.mark.parametrize("where", range(2, 260, 3))
def test_everywhere(pair, where):
    test_anywhere(pair, where)
