"""Ctrl-C inside a push: the target stays as it was, at once, and the next command is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from raccord.data.compare import both
from tests import pgkit
from tests.data.test_push_killed import killed
from tests.datakit import Two, two

ROOT = Path(__file__).resolve().parents[2]
SETUP = """
create table a (id int primary key, v text);
insert into a select g, 'x' from generate_series(1, 50) g;
"""
# The last row takes its time: a trigger sleeps for longer than anybody waits.
SLOW = """
create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(300); return new; end';
create trigger slow before update on a for each row when (new.id = 50) execute function slow();
"""
SLEEPS = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("dev", "update a set v = 'y'")
            found.configure(("a",), triggers="fire")
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def heeding() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def cli(pair: Two, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "raccord", "-C", str(pair.repo.path), *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeding,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )


def sleeps(pair: Two, name: str, child: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while pair.run(name, SLEEPS) != [(1,)]:
        assert time.monotonic() < until and child.poll() is None, child.communicate()
        time.sleep(0.05)


def test_within_the_transaction(pair):
    pair.run("prod", SLOW)
    before = pair.rows("prod", "a")
    child = cli(pair, "data", "push", "all", "--to", "prod", "--yes")
    sleeps(pair, "prod", child)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "") and "next: raccord" in err, (out, err)
    assert pair.rows("prod", "a") == before
    status = pair.workspace.status()
    assert status.next_command.startswith("raccord continue"), status
    pair.run("prod", "drop trigger slow on a")
    assert pair.workspace.continue_().state == "done"
    assert pair.rows("prod", "a") == pair.rows("dev", "a")


def test_while_both_are_compared(pair):
    pair.configure(("a",), where={"a": "id > 0 or pg_sleep(300) is null"})
    # Only one of the two takes its time; the other has answered.
    pair.run("dev", "insert into a values (-1, 'late')")
    child = cli(pair, "data", "push", "all", "--to", "prod", "--yes")
    sleeps(pair, "dev", child)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130 and "next: raccord" in err, err
    assert pair.workspace.status().stopped == ()


def test_between_two_questions(pair):
    ended: list[str] = []

    def ask(server, name):
        with server.connect(name) as db:
            asked.append(db)
            barrier.wait()
            # Ctrl-C comes while nothing is asked, and ends nothing; the next question is asked nevertheless.
            time.sleep(0.5)
            try:
                db.execute("select pg_sleep(30)")
            except psycopg.errors.QueryCanceled:
                ended.append(name)

    asked: list[psycopg.Connection] = []
    barrier = threading.Barrier(3)

    def interrupt():
        barrier.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    dev, prod = pair.ends["dev"], pair.ends["prod"]
    with pytest.raises(KeyboardInterrupt):
        both(lambda: ask(*dev), lambda: ask(*prod), asked)
    assert sorted(ended) == sorted((dev[1], prod[1]))


@pytest.mark.long
def test_an_abort_after_it_landed_says_so(pair):
    assert killed(pair, "committed")
    new = pair.rows("prod", "a")
    assert new == pair.rows("dev", "a")
    # What had begun and landed is taken back.
    assert pair.workspace.abort().state == "aborted"
    assert pair.rows("prod", "a") != new
    assert killed(pair, "told")
    report = pair.workspace.abort()
    assert (report.state, pair.rows("prod", "a")) == ("done", new)
    said = [(one.message, one.hint) for one in report.notes]
    assert said == [("nothing was aborted: all of it had been done before", f"raccord undo {report.id}")]
    assert pair.undo().state == "done" and pair.rows("prod", "a") != new
