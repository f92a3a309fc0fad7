"""Schemas that nobody would think of: a push makes of them what dev has, and an undo what there was."""

from __future__ import annotations

import contextlib

import psycopg
import pytest

from raccord.data import back, change, push
from tests import pgkit
from tests.datakit import two, why


@pytest.fixture(params=[(16, 18), pytest.param((18, 16), marks=pytest.mark.long)], ids=["up", "down"])
def ends(tmp_path, request):
    """On servers of two releases."""
    dev, prod = request.param
    try:
        with two(tmp_path, dev, prod) as found:
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


LONG = "ä" * 31  # 62 bytes
NAMES = [
    "rel", "tid", "ctid_", "h", "n", "b", "k0", "p", "t", "g", "x", "select", "A b", "it's", 'do"t', "%s",
    "{}", "{0}", "a\nb", "tab\t", "\\", "$1", ":x", "--", "/*", LONG, "öß€", " ", "raccord_put_0",
]  # fmt: skip


def quoted(name: str) -> str:
    return pgkit.quoted(name)


@pytest.mark.long
@pytest.mark.parametrize("key", ["", "primary key"])
def test_names(ends, key):
    columns = ", ".join(f"{quoted(name)} text" for name in NAMES)
    schema = quoted("s'c\"h %s{}")
    for table in NAMES[:3] + NAMES[11:]:
        ends.both(
            f"create schema if not exists {schema};"
            f"create type {schema}.{quoted(f'e{table}'[:31])} as enum ('a', '%', '\"''');"
            f"create table {schema}.{quoted(table)} ({columns}, {quoted('kéy')} serial {key},"
            f" {quoted('typ%')} {schema}.{quoted(f'e{table}'[:31])})"
        )
        of = f"{schema}.{quoted(table)} ({quoted(NAMES[0])}, {quoted(NAMES[-2])}, {quoted('typ%')})"
        ends.run("dev", f"insert into {of} values ('a', 'x', 'a'), ('b', '%s', '%'), ('c', null, '\"''')")
        ends.run("prod", f"insert into {of} values ('a', 'x', 'a'), ('b', 'y', '%')")
    ends.configure(("s'c\"h %s{}.*",))
    names = [f"{schema}.{quoted(table)}" for table in NAMES[:3] + NAMES[11:]]
    before = ends.rows("prod", *names)
    report = ends.push()
    assert report.state == "done", why(report)
    assert ends.rows("prod", *names) == ends.rows("dev", *names) and ends.diff().equal
    assert ends.undo().state == "done" and ends.rows("prod", *names) == before


def test_types_that_lie_in_another_schema(ends):
    for end, place in (("dev", "public"), ("prod", "extensions")):
        ends.run(
            end,
            f"create schema if not exists {place}; create extension vector schema {place};"
            f"create type {place}.mood as enum ('a', 'b');"
            f"create domain {place}.small as int check (value < 100); create table t"
            f" (m {place}.mood primary key, v {place}.vector(2), w {place}.mood[], s {place}.small)",
        )
    ends.run("dev", "insert into t values ('a', '[1,2]', '{a,b}', 1), ('b', '[1,3]', '{b}', 2)")
    ends.run("prod", "insert into t values ('a', '[1,5]', '{a}', 9)")
    ends.configure(("t",), mask={"t.v": "'[7,7]'"})
    before = ends.rows("prod", "t")
    assert ends.diff().tables[0].changed == 1
    report = ends.push()
    assert report.state == "done", why(report)
    assert ends.run("prod", "select m::text, v::text, w::text, s from t order by m") == [
        ("a", "[7,7]", "{a,b}", 1),
        ("b", "[7,7]", "{b}", 2),
    ]
    assert ends.undo().state == "done" and ends.rows("prod", "t") == before


SEQUENCES = """
create sequence bill_seq;
create table bill (no text primary key default 'B-' || nextval('bill_seq'), v int);
create table grown (id serial primary key);
alter table grown alter id type bigint;
create sequence down_seq increment -1;
create table down (id int primary key default nextval('down_seq'));
create table part (id numeric(12, 2) primary key default nextval('bill_seq'));
"""


def test_sequences_that_are_no_plain_ones(ends):
    ends.both(SEQUENCES)
    ends.run("prod", "alter sequence grown_id_seq as int")
    ends.run(
        "dev",
        "insert into bill values ('B-7', 1), ('C', 2); insert into grown values (8), (3000000000);"
        "insert into down values (-9), (4); insert into part values (5.5), ('NaN')",
    )
    ends.configure(("bill", "grown", "down", "part"))
    plan = str(ends.plan())
    assert "the sequence bill_seq of bill.no stays: its numbers are only a part of it" in plan
    report = ends.push()
    assert report.state == "done", why(report)
    assert ends.run("prod", "insert into grown default values returning id") == [(9,)]
    assert ends.run("prod", "insert into down default values returning id") == [(-10,)]


def test_a_push_that_is_held_back_moves_no_sequence(ends):
    ends.both("create table t (id serial primary key, v text)")
    ends.run("dev", "insert into t (v) select 'x' from generate_series(1, 9)")
    ends.run(
        "prod",
        "create function f() returns trigger language plpgsql as 'begin new.v = 1; return new; end';"
        "create trigger t before insert on t for each row execute function f()",
    )
    ends.configure(("t",), triggers="skip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(push, "quiet", lambda *words: contextlib.nullcontext())
        assert "something in prod changes what is written" in why(ends.push())
    assert ends.run("prod", "select last_value, is_called from t_id_seq") == [(1, False)]


NUMBERED = "create table num (id int primary key, n int generated always as identity, v text)"


@pytest.mark.long_but(1)
@pytest.mark.parametrize("mode", ["replace", "upsert"])
def test_numbers_that_only_the_server_gives(ends, mode):
    ends.both(NUMBERED)
    ends.run("dev", "insert into num overriding system value values (1, 2, 'a'), (2, 1, 'b'), (3, 3, 'c')")
    ends.run("prod", "insert into num overriding system value values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'd')")
    ends.configure(("num",))
    before = ends.rows("prod", "num")
    report = ends.push(mode=mode)
    assert report.state == "done", why(report)
    assert ends.rows("prod", "num") == ends.rows("dev", "num")
    assert ends.undo().state == "done" and ends.rows("prod", "num") == before


UNIQUES = """
create table nulls (id int primary key, a int, b int, unique nulls not distinct (a, b));
create table swap (id int primary key, v int unique deferrable, w int unique);
create table room (id int primary key, at int4range, exclude using gist (at with &&));
create table late (id int primary key, up int references late deferrable initially deferred);
"""


def test_uniques_of_every_kind(ends):
    ends.both(UNIQUES)
    ends.run(
        "dev",
        "insert into nulls values (1, null, 1), (2, 1, null);"
        "insert into swap values (1, 2, 2), (2, 1, 1), (3, 3, 3);"
        "insert into room values (1, '[5,9)'), (2, '[1,5)'); insert into late values (1, 2), (2, 1)",
    )
    ends.run(
        "prod",
        "insert into nulls values (7, null, 1); insert into swap values (1, 1, 1), (2, 2, 2), (4, 3, 4);"
        "insert into room values (1, '[1,5)'), (2, '[5,9)'), (3, '[20,30)'); insert into late values (3, 3)",
    )
    tables = ("nulls", "swap", "room", "late")
    ends.configure(tables)
    before = ends.rows("prod", *tables)
    report = ends.push(mode="insert")
    assert report.state == "done", why(report)
    assert ends.run("prod", "select id from nulls order by 1") == [(2,), (7,)]
    assert ends.undo().state == "done" and ends.rows("prod", *tables) == before
    report = ends.push()
    assert report.state == "done", why(report)
    assert ends.rows("prod", *tables) == ends.rows("dev", *tables)
    assert ends.undo().state == "done" and ends.rows("prod", *tables) == before


def test_a_partition_by_itself_unlogged_tables_and_views(ends):
    ends.both(
        "create table parted (id int primary key, v text) partition by range (id);"
        "create table p1 partition of parted for values from (0) to (50);"
        "create table p2 partition of parted default;"
        "create unlogged table quick (id int primary key, v text);"
        "create view seen as select * from p1; create materialized view kept as select * from quick"
    )
    ends.run("dev", "insert into parted values (1, 'a'), (90, 'b'); insert into quick values (1, 'a')")
    ends.run("prod", "insert into parted values (1, 'x'), (91, 'own'); insert into quick values (2, 'x')")
    ends.configure(("p1", "quick"))
    before = ends.rows("prod", "parted", "quick")
    assert "quick is unlogged" in str(ends.plan()) and "kept" in str(ends.plan())
    report = ends.push()
    assert report.state == "done", why(report)
    assert ends.rows("prod", "p1", "seen", "quick") == ends.rows("dev", "p1", "seen", "quick")
    assert ends.run("prod", "select id from p2") == [(91,)]
    assert ends.undo().state == "done" and ends.rows("prod", "parted", "quick") == before


@pytest.mark.long
def test_triggers_of_partitions_are_switched_off_and_on_again(ends):
    table = (
        "create table parted (id int primary key, v text) partition by range (id);"
        "create table p1 partition of parted default;"
    )
    ends.both(table)
    ends.run(
        "prod",
        "create function f() returns trigger language plpgsql as 'begin new.v = tg_name; return new; end';"
        "create trigger up before insert on parted for each row execute function f();"
        "create trigger own before update on p1 for each row execute function f();"
        "insert into p1 values (1, 'p')",
    )
    ends.run("dev", "insert into parted values (1, 'x'), (2, 'x')")
    for name, triggers in (("parted", "own, up"), ("p1", "own, up")):
        ends.configure((name,))
        assert f"{name} has triggers that would fire in prod: {triggers}" in why(ends.plan())
        ends.configure((name,), triggers="skip")
        report = ends.push()
        assert report.state == "done", why(report)
        assert ends.rows("prod", "parted") == ends.rows("dev", "parted")
        assert ends.run("prod", "select tgname from pg_trigger where tgenabled <> 'O'") == []
        assert ends.undo().state == "done"


def test_tables_of_an_extension_are_not_meant_by_a_pattern(ends):
    ends.both("create table mine (id int primary key); create table theirs (id int primary key)")
    ends.both("create extension vector; alter extension vector add table theirs")
    ends.run("dev", "insert into mine values (1); insert into theirs values (1)")
    ends.configure(("*",))
    assert ends.push().state == "done"
    assert ends.run("prod", "select * from theirs") == [] and ends.run("prod", "select * from mine") == [(1,)]
    ends.both("alter extension vector drop table theirs")


@pytest.mark.long
def test_more_columns_than_one_answer_holds(ends):
    columns = ", ".join(f"c{at} int" for at in range(1_599))
    ends.both(f"create table wide (id int primary key, {columns})")
    ends.run("dev", "insert into wide (id, c1, c1598) select g, g, g from generate_series(1, 5) g")
    ends.run("prod", "insert into wide (id, c1) select g, g from generate_series(3, 6) g")
    ends.configure(("wide",))
    before = ends.rows("prod", "wide")
    table = ends.diff().tables[0]
    assert (table.added, table.changed, table.removed) == (2, 3, 1)
    assert [cell.column for cell in table.rows[0].cells] == ["c1598"]
    assert ends.push().state == "done" and ends.diff().equal
    assert ends.undo().state == "done" and ends.rows("prod", "wide") == before


CASCADE = """
create table a (id int primary key, code text unique);
create table c (id int references a on delete cascade, code text references a (code) on update cascade);
"""


@pytest.mark.parametrize(
    ("moved", "here"),
    [
        ("insert into c values (9)", "_refuse_referred"),
        ("insert into c (code) values ('x')", "_refuse_carried"),
    ],
)
def test_a_row_that_comes_to_refer_at_the_very_moment(ends, monkeypatch, moved, here):
    """It waits for the push, or the push sees it: nothing of others is ever carried away."""
    ends.both(CASCADE)
    ends.run("prod", "insert into a values (9, null), (1, 'x')")
    ends.run("dev", "insert into a values (1, 'y')")
    ends.configure(("a",))
    real = getattr(change, here)

    def late(*words):
        real(*words)
        server, database = ends.ends["prod"]
        with server.connect(database) as db:
            db.execute("set lock_timeout to 200")
            # It may come in where nothing is to be carried away: only the lock may be in the way.
            with contextlib.suppress(psycopg.errors.LockNotAvailable):
                db.execute(moved)

    monkeypatch.setattr(change, here, late)
    report = ends.push()
    assert report.state == "done" and ends.run("prod", "select * from c") == [], why(report)


END = "select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ 'process'"


@pytest.mark.long_but(1)
@pytest.mark.parametrize("when", ["left", "conclude"])
def test_a_lock_that_was_lost(ends, monkeypatch, when):
    """Before the commit it stops the push; after it, it is no matter."""
    ends.both("create table t (id int primary key)")
    ends.run("dev", "insert into t values (1)")
    ends.run("prod", "insert into t values (2)")
    real = getattr(push, when)

    def late(*words, **more):
        answer = real(*words, **more)
        ends.run(
            "prod",
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ 'process'",
        )
        return answer

    monkeypatch.setattr(push, when, late)
    report = ends.push()
    if when == "left":
        assert "the lock on the database was lost" in why(report), report
        assert ends.run("prod", "select id from t") == [(2,)]
    else:
        assert report.state == "done" and ends.run("prod", "select id from t") == [(1,)]
        assert ends.undo().state == "done" and ends.run("prod", "select id from t") == [(2,)]


def test_what_goes_wrong_after_the_commit_holds_nothing_back(ends, monkeypatch):
    ends.both("create table t (id int primary key)")
    ends.run("dev", "insert into t values (1)")
    real = back.moved

    def late(*words):
        ends.run("prod", "alter table t add v text")
        return real(*words)

    monkeypatch.setattr(back, "moved", late)
    report = ends.push()
    assert report.state == "done" and "not verified afterwards" in report.lanes[0].steps[-1].note, report


CIRCLE = """
create table a (k int primary key, down int); create table b (k int primary key, up int, me int);
"""


@pytest.mark.long_but(1)
@pytest.mark.parametrize("keys", ["", "deferrable", "on delete cascade deferrable", "on delete set null"])
def test_a_circle_of_keys(ends, keys):
    """Rows that go together are in nobody's way, and children without a parent stay out."""
    ends.both(CIRCLE)
    ends.run(
        "dev",
        "insert into a values (1, 19), (2, 38), (3, -2), (4, null);"
        "insert into b values (38, 4, 19), (-2, 1, 24), (24, 3, 9), (9, 2, 29), (29, 1, 19), (19, 4, 9)",
    )
    ends.run("prod", "insert into a values (9, null); insert into b values (5, null, 5), (40, 9, 5)")
    ends.both(
        f"alter table b add foreign key (up) references a {keys}, add foreign key (me) references b {keys};"
        f"alter table a add foreign key (down) references b {keys}"
    )
    ends.configure(("a", "b"))
    before = ends.rows("prod", "a", "b")
    for mode, rows in (("insert", (5, 8)), ("upsert", (5, 8)), ("replace", (4, 6))):
        report = ends.push(mode=mode)
        assert report.state == "done", why(report)
        counts = ends.run("prod", "select (select count(*) from a), (select count(*) from b)")
        assert counts == [rows]
        undone = ends.undo()
        assert undone.state == "done" and ends.rows("prod", "a", "b") == before, why(undone)


@pytest.mark.long_but(2)
@pytest.mark.parametrize("kind", ["text", "text not null", "int not null", "uuid unique nulls not distinct"])
def test_rows_trade_unique_values_where_others_refer_to_them(ends, kind):
    """In a circle besides, whose keys restrict: that is never put off to the commit."""
    ends.both(
        f"create table a (k int primary key, down int); create table b (k int primary key, up int, v {kind});"
        "create unique index on b (v)"
    )
    value = "lpad({}::text, 32, '0')::uuid" if "uuid" in kind else "{}"
    u, v, w = (value.format(number) for number in (1, 2, 3))
    ends.run(
        "dev", f"insert into a values (1, 2); insert into b values (2, 1, {u}), (3, 1, {v}), (4, 1, {w})"
    )
    ends.run(
        "prod", f"insert into a values (9, 8); insert into b values (8, 9, {u}), (2, 9, {v}), (3, null, {w})"
    )
    keys = "on delete restrict deferrable"
    ends.both(
        f"alter table b add foreign key (up) references a {keys};"
        f"alter table a add foreign key (down) references b {keys}"
    )
    ends.configure(("a", "b"))
    before = ends.rows("prod", "a", "b")
    report = ends.push()
    assert report.state == "done" and ends.rows("prod", "a", "b") == ends.rows("dev", "a", "b"), why(report)
    undone = ends.undo()
    assert undone.state == "done" and ends.rows("prod", "a", "b") == before, why(undone)


def test_an_empty_query_travels(ends):
    """PostgreSQL can't read its own binary form of it."""
    ends.both("create table t (id int primary key, q tsquery)")
    ends.run("dev", "insert into t values (1, ''), (2, '''a'' & !''b''')")
    ends.configure(("t",))
    assert ends.push().state == "done" and ends.rows("prod", "t") == ends.rows("dev", "t")


def test_an_insert_leaves_out_what_lacks_a_parent_by_any_of_its_keys(ends):
    ends.both(
        "create table a (k int primary key, one text unique);"
        "create table b (k int primary key, up int references a, me int references b)"
    )
    ends.run("prod", "insert into a values (9, 'x')")
    ends.run(
        "dev",
        "insert into a values (1, 'x'), (2, 'y'); insert into b values (1, 1, null), (2, 2, 1), (3, 2, 2)",
    )
    ends.run("dev", "insert into b values (4, 2, null)")
    ends.configure(("a", "b"))
    report = ends.push(mode="insert")
    assert report.state == "done", why(report)
    assert ends.run("prod", "select k from b") == [(4,)] and ends.run("prod", "select k from a") == [
        (9,),
        (2,),
    ]
    assert "1 row of b left out: the a it refers to" in report.lanes[0].steps[-1].note
