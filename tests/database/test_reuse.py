"""Connections that wait for their next use within a run."""

from __future__ import annotations

import time

import pytest

from raccord.database import postgres, reuse_postgres
from raccord.database.url import Target
from raccord.errors import DatabaseError

WHO = b"select pg_backend_pid()"


def used(target: Target, name: str = postgres.ROWS) -> int:
    with postgres.connected(target, name=name) as db:
        return db.execute(WHO).fetchall()[0][0]


def test_a_session_serves_again_and_ends_with_the_run(place):
    assert used(place.target) != used(place.target)
    with reuse_postgres.kept():
        first = used(place.target)
        with reuse_postgres.kept():
            assert used(place.target) == first
        assert used(place.target) == first
        with (
            postgres.connected(place.target, name=postgres.ROWS),
            postgres.connected(place.target, name=postgres.ROWS) as db,
        ):
            assert db.execute(WHO).fetchall()[0][0] != first
        # Neither of another name, such as the one that holds a lock.
        assert used(place.target, "raccord process 1") not in (first, used(place.target, "raccord process 1"))
    left = "select count(*) from pg_stat_activity where application_name = 'raccord data' and datname = '{}'"
    until = time.monotonic() + 10
    while place.run(left.format(place.name)) != [(0,)]:
        assert time.monotonic() < until


def test_nothing_of_one_use_is_left_for_the_next(place):
    with reuse_postgres.kept():
        with postgres.connected(place.target, name=postgres.ROWS) as db, postgres.looking(db):
            db.execute("select 1")
        with postgres.connected(place.target, name=postgres.ROWS) as db:
            now = "select current_setting('transaction_read_only'), current_setting('row_security')"
            assert db.execute(now).fetchall() == [("off", "on")]
            assert (db.isolation_level, db.read_only, db.autocommit) == (None, None, True)


def test_one_that_ended_or_failed_is_not_lent_again(place):
    with reuse_postgres.kept():
        first = used(place.target)
        place.run(f"select pg_terminate_backend({first}, 10000)")
        second = used(place.target)
        assert second != first
        with pytest.raises(DatabaseError), postgres.connected(place.target, name=postgres.ROWS) as db:
            db.execute("select 1 / 0")
        assert used(place.target) != second


def test_one_within_a_transaction_is_closed(place):
    with reuse_postgres.kept():
        with postgres.connected(place.target, name=postgres.ROWS) as db:
            first = db.execute(WHO).fetchall()[0][0]
            db.autocommit = False
            db.execute("select 1")
        assert used(place.target) != first
