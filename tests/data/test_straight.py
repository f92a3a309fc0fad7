"""Tables that are filled straight, empty or anew: when, what readers see, what stands against it, undone."""

from __future__ import annotations

import pytest

from raccord.data import plan, push
from tests import pgkit
from tests.datakit import ROWS, SEED, Two, two, why

SETUP = """
create table a (id int primary key, v text);
create table b (id serial primary key, a int references a on delete cascade, v text);
insert into a select g, 'x' from generate_series(1, 40) g;
insert into b (a, v) select g, 'x' from generate_series(1, 40) g;
"""
ALL = """
update a set v = 'prod'; update b set v = 'prod'; insert into a values (90, 'p'); delete from b where id = 3;
"""
TRIGGER = """
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger t before delete on a for each row execute function f()
"""
COUNT = "select count(*), min(v), max(v) from a"


@pytest.fixture
def pair(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "FEW_ROWS", 10)
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def ways(pair: Two, **options) -> dict[str, str]:
    notes = [note for lane in pair.plan(**options).stages[0].lanes for note in lane.notes]
    return {note.data["table"]: note.data["way"] for note in notes if note.name == "data.table"}


def meanwhile(monkeypatch, act) -> None:
    """Does something between the plan and the push."""
    real = push.push

    def late(*words):
        act()
        real(*words)

    monkeypatch.setattr("raccord.data.push.push", late)


def test_empty_tables_are_filled(pair):
    pair.run("prod", "truncate a, b")
    assert ways(pair) == {"a": "fill", "b": "fill"} == ways(pair, mode="upsert")
    assert ways(pair, mode="insert") == {"a": "whole", "b": "whole"}
    assert pair.push().state == "done" and pair.rows("prod", "a", "b") == pair.rows("dev", "a", "b")
    pair.run("prod", "insert into b (v) values ('next')")
    assert pair.run("prod", "select max(id) from b") == [(41,)]
    # What others added stays, and what it needs is not taken away from under it.
    assert pair.undo().state == "done" and pair.run("prod", "select v from b") == [("next",)]


@pytest.mark.long
def test_where_most_rows_differ_all_go_and_all_come(pair):
    pair.run("prod", ALL)
    before = pair.rows("prod", "a", "b")
    assert ways(pair) == {"a": "anew", "b": "anew"}
    assert "of the rows differ, so all go" in str(pair.plan())
    report = pair.push()
    assert report.state == "done", report
    assert pair.rows("prod", "a", "b") == pair.rows("dev", "a", "b") and pair.diff().equal
    undone = pair.undo()
    assert undone.state == "done" and pair.rows("prod", "a", "b") == before, undone
    assert pair.undo(undone.id).state == "done" and pair.diff().equal


PARTED = """
create table parted (id int primary key, v text) partition by range (id);
create table low partition of parted for values from (0) to (50);
create table high partition of parted default;
create table kept (id int primary key, v text);
create table heir (w text) inherits (kept);
create table keyless (v text, n int);
"""
PARTED_ROWS = """
insert into parted select g, 'x' from generate_series(1, 90) g;
insert into kept select g, 'x' from generate_series(1, 30) g;
insert into heir select g, 'x', 'own' from generate_series(1, 5) g;
insert into keyless select 'x', g / 2 from generate_series(1, 30) g;
"""


def test_identity_generated_and_partitioned_rows_and_circles(pair):
    """What a COPY straight into a table must not trip over."""
    pair.both("drop table a, b;" + SEED + PARTED + ROWS + PARTED_ROWS)
    pair.run(
        "prod",
        "update knowledge_base set title = title || id; update knowledge_base_chunks set n = n + 5;"
        "update parted set v = 'p'; update kept set v = 'p'; update keyless set n = n + 100",
    )
    pair.configure(("knowledge_*", "parted", "kept", "keyless"))
    tables = ("knowledge_base", "knowledge_base_chunks", "parted", "keyless", "only kept")
    before = pair.rows("prod", *tables)
    found = ways(pair)
    assert {one for one in found if found[one] == "anew"} == {*tables[:2], "parted", "kept", "keyless"}
    report = pair.push()
    assert report.state == "done", report
    assert pair.rows("prod", *tables) == pair.rows("dev", *tables)
    assert pair.run("prod", "select distinct v from heir") == [("p",)]
    assert pair.undo().state == "done" and pair.rows("prod", *tables) == before


def test_rows_of_others_survive_an_undo(pair):
    pair.run("prod", ALL)
    before = pair.rows("prod", "a", "b")
    assert pair.push().state == "done"
    pair.run("prod", "insert into a values (500, 'own')")
    assert pair.undo().state == "done"
    pair.run("prod", "delete from a where id = 500")
    assert pair.rows("prod", "a", "b") == before


def test_a_changed_row_stands_against_an_undo(pair):
    pair.run("prod", ALL)
    assert pair.push().state == "done"
    pair.run("prod", "update b set v = 'own' where id = 7")
    before = pair.rows("prod", "a", "b")
    assert pair.undo().state != "done" and pair.rows("prod", "a", "b") == before


@pytest.mark.long_but(1)
@pytest.mark.parametrize(
    ("change", "options", "expected"),
    [
        # A row of b that stays refers to what would go.
        ("update b set v = 'x'", {}, {"a": "delta", "b": "delta"}),
        ("create table c (a int references a)", {}, {"a": "delta", "b": "anew"}),
        ("", {"mode": "mirror"}, {"a": "delta", "b": "delta"}),
        ("", {"mode": "upsert"}, {"a": "delta", "b": "delta"}),
    ],
)
def test_where_it_is_not_open(pair, change, options, expected):
    pair.configure(("a", "b"))
    pair.run("prod", ALL + change)
    assert ways(pair, **options) == expected
    report = pair.push(**options)
    assert report.state == "done", report
    assert options.get("mode") == "upsert" or pair.diff().equal


def test_columns_that_stay_behind_and_triggers_that_fire_keep_their_rows(pair):
    pair.run("prod", ALL + TRIGGER)
    pair.configure(("a", "b"), triggers="fire")
    assert ways(pair) == {"a": "delta", "b": "anew"}
    pair.run("prod", "drop trigger t on a; alter table b add w text default 'own'; update b set w = id::text")
    pair.run("dev", "alter table b add w text")
    pair.configure(("a", "b"), exclude=["b.w"])
    assert ways(pair) == {"a": "delta", "b": "delta"}
    assert pair.push().state == "done"
    assert pair.run("prod", "select count(*) from b where w = id::text") == [(39,)]


@pytest.mark.long_but(3)
@pytest.mark.parametrize("setup", [ALL, "truncate a, b", "delete from a where id = 7"])
@pytest.mark.parametrize(
    ("where", "moved"),
    [
        ("prod", "insert into a values (700, 'late')"),
        ("dev", "insert into a values (700, 'late')"),
        ("dev", "update a set v = 'late' where id = 30"),
    ],
)
def test_what_moved_since_the_plan_stops_it(pair, monkeypatch, setup, where, moved):
    """Unless it moved in dev, where nothing differed: prod is to be what dev was."""
    pair.run("prod", setup)
    meanwhile(monkeypatch, lambda: pair.run(where, moved))
    planned, before = pair.rows("dev", "a", "b"), pair.rows("prod", "a", "b")
    report = pair.push()
    after = pair.rows("prod", "a", "b")
    if report.state == "done":
        assert where == "dev" and after == planned and setup.startswith("delete")
        return
    assert report.lanes[0].finding
    assert after["b"] == before["b"] and len(after["a"]) == len(before["a"]) + (where == "prod")


def test_a_key_that_came_since_the_plan_stops_it(pair, monkeypatch):
    pair.run("prod", ALL)
    meanwhile(monkeypatch, lambda: pair.run("prod", "create table c (a int references a on delete cascade)"))
    before = pair.rows("prod", "a", "b")
    report = pair.push()
    assert "can no longer be filled" in why(report) and pair.rows("prod", "a", "b") == before


@pytest.mark.long_but(1)
@pytest.mark.parametrize("action", ["no action", "cascade", "set null"])
def test_a_row_that_came_since_the_plan_and_refers_to_what_goes_stops_it(pair, monkeypatch, action):
    pair.configure(("a", "b"))
    pair.run(
        "prod", f"create table c (a int references a on delete {action}); insert into a values (90, 'p')"
    )
    meanwhile(monkeypatch, lambda: pair.run("prod", "insert into c values (90)"))
    before = pair.rows("prod", "a", "b")
    assert "1 row of c refers by c_a_fkey" in why(pair.push())
    assert pair.rows("prod", "a", "b") == before and pair.run("prod", "select a from c") == [(90,)]
    # The next plan knows it.
    assert "1 row of c refers by c_a_fkey" in why(pair.plan())


def test_readers_see_the_old_rows_or_the_new(pair, monkeypatch):
    """Those who come during it, and those whose snapshot is older than it."""
    pair.run("prod", ALL)
    server, database = pair.ends["prod"]
    seen = []
    real = push.left

    def left(*words):
        seen.append(pair.run("prod", COUNT))
        return real(*words)

    monkeypatch.setattr(push, "left", left)
    with server.connect(database) as old, old.transaction():
        old.execute("set transaction isolation level repeatable read")
        assert old.execute("select count(*) from pg_class").fetchone()
        assert pair.push().state == "done"
        assert old.execute(COUNT).fetchall() == [(41, "p", "prod")]
    assert seen == [[(41, "p", "prod")]] * 2 and pair.run("prod", COUNT) == [(40, "x", "x")]
