"""Schemas of applications, pushed by roles that are no superusers: equal afterwards, or refused by name."""

from __future__ import annotations

import pytest

from tests import pgkit
from tests.datakit import Two, two, why


@pytest.fixture(params=[(16, 18), pytest.param((18, 16), marks=pytest.mark.long)], ids=["up", "down"])
def ends(tmp_path, request):
    """On servers of two releases."""
    try:
        with two(tmp_path, *request.param) as found:
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def test_rows_within_rows_are_compared_by_their_names(ends: Two):
    """Their text says values alone: parts in another order would trade places, and look equal."""
    made = "create type big as (n int, at spot); create table t (id int primary key, v big, w big[])"
    ends.run("dev", f"create type spot as (street text, city text); {made}")
    ends.run("prod", f"create type spot as (city text, street text); {made}")
    ends.run("dev", "insert into t values (1, row(1, row('s', 'c')::spot), null)")
    ends.configure(("t",))
    said = "n integer, at public.spot (street text, city text) in dev"
    assert f"t.v: values is {said}" in why(ends.plan()) and f"t.w: values is {said}" in str(ends.plan())
    assert ends.push().state == "partial" and ends.run("prod", "select * from t") == []


# What somebody may have set for a role: to spell values, to end what takes long, to hide rows.
SETTINGS = {
    "array_nulls": "off",
    "bytea_output": "escape",
    "datestyle": "German, DMY",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-15",
    "idle_in_transaction_session_timeout": "5s",
    "idle_session_timeout": "5s",
    "intervalstyle": "sql_standard",
    "lock_timeout": "1ms",
    "quote_all_identifiers": "on",
    "search_path": "",
    "standard_conforming_strings": "off",
    "statement_timeout": "5s",
    "timezone": "Asia/Kathmandu",
    "transform_null_equals": "on",
    "xmloption": "document",
}
SET = """
create type spot as (x int, note text);
create table t (id int primary key, d date, i interval, f float8, b bytea, s spot[], n text[]);
insert into t select g, '2024-03-04', '-1 year 2 mons 3 days 04:05:06.7', g / 3.0, '\\x5c27ff',
  array[row(g, 'a"\\b')::spot, null], array[null, 'null'] from generate_series(1, 50) g;
"""


def test_what_is_set_for_a_role_changes_nothing(ends: Two):
    with ends.roles("own"):
        ends.users = {"dev": "own", "prod": "own"}
        ends.both("set role own;" + SET)
        ends.run("dev", "update t set d = 'infinity', s = array[null, row(1, null)::spot] where id < 9")
        ends.run("prod", "delete from t where id > 40; insert into t (id) values (99)")
        for name, (_, database) in ends.ends.items():
            for key, value in SETTINGS.items():
                ends.run(name, f"alter role own in database {database} set {key} to '{value}'")
        ends.configure(("public.*",))
        before = ends.rows("prod", "t")
        report = ends.push()
        assert report.state == "done" and "verified" in report.lanes[0].steps[-1].note, why(report)
        assert ends.rows("prod", "t") == ends.rows("dev", "t")
        undone = ends.undo()
        assert undone.state == "done" and ends.rows("prod", "t") == before, why(undone)
