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


@pytest.mark.long
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


TRIGGERS = """
create table post (id int primary key, v text, touched int default 0);
create table topic (id int primary key, posts int);
create table audit (what text);
create function touch() returns trigger language plpgsql as $$ begin
  new.touched = 1; insert into audit values (tg_op); return new; end $$;
create trigger touch before insert or update on post for each row execute function touch();
insert into post select g, 'x', 0 from generate_series(1, 30) g; insert into topic values (1, 30);
update post set touched = 0; truncate audit;
"""
COUNTED = """
create function count_up() returns trigger language plpgsql as $$ begin
  update topic set posts = posts + (select count(*) from added); return null; end $$;
create trigger count_up after insert on post referencing new table as added
  for each statement execute function count_up();
create function keep() returns trigger language plpgsql as 'begin return new; end';
create trigger keep before update on topic for each row execute function keep();
"""


def test_what_triggers_make_other_is_told(ends: Two):
    """Of the table itself, and of tables outside the set; by an undo too."""
    ends.both(TRIGGERS.replace("update post", "alter table post disable trigger touch; update post"))
    ends.run("dev", "update post set v = 'dev' where id < 4")
    ends.both("alter table post enable trigger touch")
    ends.configure(("post",), triggers="fire")
    report = ends.push()
    assert report.state == "done", why(report)
    for one, said in ((report, "was sent"), (ends.undo(), "they were")):
        note = one.lanes[0].steps[-1].note
        assert f"3 rows of post are not what {said}" in note, note
        assert "triggers wrote into audit, which is not in the set" in note, note


def test_a_trigger_of_another_table_changes_none_that_was_equal(ends: Two):
    """Not even one that has triggers of its own, which then fire as well."""
    ends.both(TRIGGERS + COUNTED)
    ends.run("prod", "delete from post where id > 28; update post set touched = 1")
    ends.run("dev", "update post set v = v")
    ends.configure(("post", "topic"), triggers="fire")
    report = ends.push()
    assert "rows of topic would change, which were to stay" in why(report), why(report)
    found = report.lanes[0].finding
    assert found is not None and 'triggers = "skip" in [data.all]' in found.hint
    assert ends.run("prod", "select count(*) from post") == [(28,)]
    ends.configure(("post", "topic"), triggers="skip")
    assert ends.push().state == "done"
    assert ends.rows("prod", "post", "topic") == ends.rows("dev", "post", "topic")


def test_a_source_of_which_some_columns_may_be_read(ends: Two):
    """As much as the role may read travels, once the rest is left out by name."""
    with ends.roles("own", "reader"):
        ends.both("set role own; create table person (id int primary key, name text, salary int)")
        ends.run("dev", "insert into person select g, 'p' || g, g from generate_series(1, 9) g")
        ends.run("prod", "insert into person values (1, 'old', 7), (99, 'gone', 7)")
        ends.run("dev", "grant select (id, name) on person to reader")
        ends.users = {"dev": "reader", "prod": "own"}
        ends.configure(("person",))
        assert "the role may not select salary of person in dev" in why(ends.plan())
        ends.configure(("person",), exclude=["person.salary"])
        before = ends.rows("prod", "person")
        report = ends.push()
        assert report.state == "done", why(report)
        assert ends.run("prod", "select count(*), max(salary), max(id) from person") == [(9, 7, 9)]
        assert ends.undo().state == "done" and ends.rows("prod", "person") == before


EVENTS = """
create table ddl (tag text); grant insert on ddl to public;
create function told() returns event_trigger language plpgsql as
  'begin insert into public.ddl values (tg_tag); end';
create event trigger told on ddl_command_end execute function told();
"""


@pytest.mark.long
def test_event_triggers_that_fire_as_temporary_tables_are_made_are_told(ends: Two):
    with ends.roles("own"):
        ends.users = {"dev": "own", "prod": "own"}
        ends.both("set role own; create table t (id int primary key, v text); insert into t values (1, 'x')")
        ends.run("prod", "update t set v = 'y';" + EVENTS)
        ends.configure(("t",))
        try:
            assert "event triggers of prod fire when temporary tables are made: told" in str(ends.plan())
            report = ends.push()
            note = report.lanes[0].steps[-1].note
            assert report.state == "done" and "triggers wrote into ddl, which is not in the set" in note
        finally:
            ends.run("prod", "drop event trigger told")


TENANTS = """
create table tenant (id int primary key, name text); create table doc (id int primary key,
  tenant int references tenant, v text); alter table doc enable row level security;
create policy own on doc using (tenant = nullif(current_setting('app.tenant', true), '')::int);
"""
GRANTED = "grant select, insert, update, delete on tenant, doc to app, past;"
CANT = "row security hides rows of doc from the role that {}'s URL names"


@pytest.mark.long_but(1)
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize(
    ("users", "why_not"),
    [
        (("own", "own"), "prod if forced"),
        (("app", "own"), "dev unless prod"),
        (("own", "app"), "prod"),
        (("past", "past"), ""),
        (("app", "past"), "dev"),
        (("past", "own"), "prod if forced"),
    ],
)
def test_row_security_filters_nothing_in_silence(ends: Two, forced, users, why_not):
    """Whoever is let past it pushes; anybody else is told, and the hint says who may."""
    with ends.roles("own", "app", "past"):
        ends.both("set role own;" + TENANTS + GRANTED)
        ends.both("alter role past bypassrls")
        ends.run("dev", "insert into tenant values (1, 'a'), (2, 'b'); insert into doc values (1, 1, 'x')")
        ends.run("dev", "insert into doc values (2, 2, 'y')")
        ends.run("prod", "insert into tenant values (1, 'z'); insert into doc values (7, 1, 'x')")
        if forced:
            ends.both("alter table doc force row level security")
        ends.users = dict(zip(("dev", "prod"), users, strict=True))
        ends.configure(("tenant", "doc"))
        before = ends.rows("prod", "tenant", "doc")
        if not why_not or (why_not.endswith("if forced") and not forced):
            assert ends.push().state == "done" and ends.rows("prod", "doc") == ends.rows("dev", "doc")
            assert ends.undo().state == "done"
        else:
            end = "dev" if why_not.startswith("dev") and not (forced and "own" in users) else "prod"
            said = why(ends.plan())
            assert said == CANT.format(end), said
            report = ends.push()
            found = report.lanes[0].finding
            assert found is not None and found.hint.startswith("alter role … bypassrls")
            forced_on_owner = ends.users[end] == "own"
            assert ("its owner is not exempt" in found.hint) == forced_on_owner, found.hint
        assert ends.rows("prod", "tenant", "doc") == before


def test_large_objects_stay_behind_and_that_is_said(ends: Two):
    """A row has their numbers alone, which mean others elsewhere, or nothing."""
    ends.both("create table letter (id int primary key, body oid, kind oid)")
    ends.run("dev", "insert into letter select g, lo_from_bytea(0, 'x'), 25 from generate_series(1, 3) g")
    ends.configure(("letter",))
    try:
        plan = ends.plan()
        assert why(plan) == "3 rows of letter.body name large objects, which don't travel"
        assert ends.push().state == "partial" and ends.run("prod", "select * from letter") == []
        ends.configure(("letter",), exclude=["letter.body"])
        assert ends.push().state == "done"
        assert ends.run("prod", "select count(body), min(kind) from letter") == [(0, 25)]
        ends.configure(("letter",), mask={"letter.body": "body"})
        assert ends.push().state == "done" and ends.rows("prod", "letter") == ends.rows("dev", "letter")
    finally:
        ends.run("dev", "select lo_unlink(oid) from pg_largeobject_metadata")


@pytest.mark.long
def test_a_foreign_key_that_nobody_enforces_keeps_nothing_from_going(tmp_path):
    try:
        with two(tmp_path, 18, 18) as ends:
            ends.both(
                "create table q (id int primary key, v text);"
                "create table c (id int primary key, q int references q not enforced)"
            )
            ends.run("dev", "insert into q select g, 'x' from generate_series(1, 21000) g")
            ends.run(
                "prod", "insert into q values (1, 'y'), (30000, 'gone'); insert into c values (1, 30000)"
            )
            ends.configure(("q",))
            assert "the constraint c_q_fkey, which is not enforced" in str(ends.plan())
            before = ends.rows("prod", "q", "c")
            report = ends.push()
            assert report.state == "done", why(report)
            assert ends.rows("prod", "q") == ends.rows("dev", "q")
            assert ends.undo().state == "done" and ends.rows("prod", "q", "c") == before
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")
