"""Pushes that are struck: a few of those of `tests.data.prove`, and more of them among the long tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest

from raccord.data import transaction
from raccord.data.spec import Spec
from raccord.database.url import parse
from tests import pgkit
from tests.data.strikes import FAULTS, SCENARIOS, Case, drawn
from tests.data.struck import Bench

SOME = (
    "delta-replace commit@0.9000 continue",
    "delta-replace commit-kill@0.5000 again",
    "delta-replace target@0.8000 abort",
    "swap-replace client@0.9000 continue",
    "import-delta-replace target@0.7000 continue",
    "import-fill-replace commit@0.5000 again",
    "restore-delta-replace client@0.9000 continue",
    "restore-delta-replace commit-kill@0.7000 abort",
    "undo-delta-replace commit@0.9000 continue",
    "undo-swap-replace target@0.9000 abort",
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    try:
        found = Bench(tmp_path_factory.mktemp("struck"))
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")
    yield found
    found.close()


@pytest.mark.long
@pytest.mark.parametrize("case", SOME)
def test_some(bench, case):
    result = bench.run(Case.parse(case))
    assert result.losses == ()
    assert result.polls


@pytest.mark.long
@pytest.mark.parametrize("case", drawn(2 * len(SCENARIOS) * len(FAULTS), 7), ids=str)
def test_more(bench, case):
    if case.fault == "full" and not bench.disk.there:
        pytest.skip("nothing can be mounted here")
    assert bench.run(case).losses == ()


def test_a_number_that_a_crash_took_is_nobody_elses():
    with pgkit.own(synchronous_commit="on") as server:
        server.run("create table t (n int)")
        target = parse(server.url("postgres"), "/")
        with contextlib.closing(server.connect()) as db:
            db.execute("begin")
            db.execute("insert into t values (1)")
            known = transaction.number(db, target)
            os.kill(db.info.backend_pid, signal.SIGKILL)
        until = time.monotonic() + 30
        made = 0
        while made < 5:
            try:
                server.run("insert into t values (2)")
                made += 1
            except psycopg.OperationalError:  # it is starting again
                assert time.monotonic() < until
                time.sleep(0.05)
        assert transaction.status(target, known) == transaction.ABORTED
        assert server.run("select distinct n from t") == [(2,)]


def test_a_commit_is_on_disk_when_it_is_answered():
    with pgkit.own(synchronous_commit="off") as server:
        target = parse(server.url("postgres"), "/")
        with transaction.transaction(target, Spec("all", "dev", "prod", ("t",)), ()) as db:
            assert db.execute("show synchronous_commit").fetchone() == ("local",)


LOST = """
import sys
from raccord.database import postgres
from raccord.database.url import parse
from raccord.errors import HeldBack
target = parse(sys.argv[1], "/")
try:
    with postgres.connected(target) as other, postgres.connected(target) as db, db.transaction():
        db.execute("select 1")
        other.execute("select pg_terminate_backend(%s, 10000)", [db.info.backend_pid])
        raise HeldBack("why")
except HeldBack as error:
    print(error.message)
"""


def test_a_lost_connection_is_told_once():
    """psycopg's own words about the rollback that failed as well don't come to a terminal."""
    server = pgkit.server()
    with server.lent() as name:
        done = subprocess.run(
            [sys.executable, "-c", LOST, server.url(name)], capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "why\n"), done
