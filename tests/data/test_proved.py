"""What proves a push before it commits: blocks that differed, if nobody wrote meanwhile, else all rows."""

from __future__ import annotations

import pytest

from raccord.data import compare, places, push
from tests import pgkit
from tests.datakit import Two, two, why

SETUP = """
create table a (id int primary key, v text);
create table b (id int primary key, a int references a on delete cascade, v text);
create table other (n int);
insert into a select g, 'x' from generate_series(1, 400) g;
insert into b select g, g, 'x' from generate_series(1, 400) g;
"""


@pytest.fixture
def pair(tmp_path, monkeypatch):
    # The tests' servers put what was committed on the disk when they like.
    monkeypatch.setattr(places, "written", lambda db: "0/0")
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.configure(tables=("a", "b"))
            found.run("prod", "update a set v = 'prod' where id = 7; delete from a where id = 300")
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.fixture
def whole(monkeypatch):
    """The tables of the target that were hashed whole before a commit."""
    seen: list[str] = []
    real = compare.digest

    def digest(db, one, **more):
        seen.append(one.target.name)
        return real(db, one, **more)

    monkeypatch.setattr(push, "digest", digest)
    return seen


def meanwhile(monkeypatch, act) -> None:
    real = push.push

    def late(*words):
        act()
        real(*words)

    monkeypatch.setattr(push, "push", late)


def test_where_nobody_wrote_only_what_differed_is_hashed_again(pair: Two, whole):
    assert pair.push(mode="mirror").state == "done"
    # Rows of b went by themselves, as those went that they refer to: the server could have changed others.
    assert whole == ["b"]
    assert pair.rows("prod", "a", "b") == pair.rows("dev", "a", "b")
    assert pair.undo().state == "done"
    assert pair.run("prod", "select count(*), max(v) from a") == [(399, "x")]
    assert pair.run("prod", "select v from a where id = 7") == [("prod",)]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into other values (1)",
        "begin; insert into other values (1); rollback",
        "create table more (n int)",
    ],
)
def test_whatever_somebody_commits_or_takes_back_the_whole_table_is_hashed(
    pair: Two, whole, monkeypatch, statement
):
    meanwhile(monkeypatch, lambda: pair.run("prod", statement))
    assert pair.push(mode="mirror").state == "done" and whole == ["a", "b"]
    assert pair.rows("prod", "a", "b") == pair.rows("dev", "a", "b")


def test_a_change_where_nothing_differed_is_found(pair: Two, whole, monkeypatch):
    meanwhile(monkeypatch, lambda: pair.run("prod", "update a set v = 'late' where id = 150"))
    report = pair.push(mode="mirror")
    assert "no longer those that were planned with" in why(report) and "a" in whole
    assert pair.run("prod", "select v from a where id in (7, 150) order by id") == [("prod",), ("late",)]


def test_a_change_of_the_source_in_the_same_place_is_found(pair: Two, monkeypatch):
    with pair.ends["dev"][0].connect() as open_:  # another database than prod's, of the same server
        open_.execute("select pg_backend_pid()")
        monkeypatch.setattr(places, "state", lambda *_: "the same")
        meanwhile(monkeypatch, lambda: pair.run("dev", "update a set v = 'other' where id = 8"))
        report = pair.push(mode="mirror")
    assert report.state != "done", report
    assert pair.run("prod", "select v from a where id = 7") == [("prod",)]


def test_a_transaction_that_was_open_all_the_time_changes_nothing(pair: Two, whole):
    server, database = pair.ends["prod"]
    with server.connect(database) as other:
        other.autocommit = False
        other.execute("insert into other values (1)")
        assert pair.push(mode="mirror").state == "done" and whole == ["b"]
        other.rollback()


def test_what_a_crash_could_take_back_tells_nothing(pair: Two):
    server, database = pair.ends["prod"]
    with server.connect(database) as db:
        known = places.state(db)
        assert places.state(db, "FFFFFFFF/FFFFFFFF") == "" != known
        db.execute("insert into other values (1)")
        assert places.state(db) != known


@pytest.mark.parametrize("key", ["primary key", ""])
def test_a_value_that_two_rows_exchange_is_seen(pair: Two, key):
    """The sums that a row's hash is made of are found so that these rows come to the same in both."""
    one, other = 87406, 103349
    flags = "select bit_xor(hash_record_extended(row(id, v), 0)) from (values {}) t (id, v)"
    ways = [f"({one}, {first}), ({other}, not {first})" for first in ("true", "false")]
    assert len({pair.run("prod", flags.format(values))[0] for values in ways}) == 1
    pair.both(f"create table flags (id int {key}, v bool)")
    for name, values in zip(("dev", "prod"), ways, strict=True):
        pair.run(name, f"insert into flags values {values}")
    pair.configure(tables=("flags",))
    assert pair.diff().equal is False
    assert pair.push().state == "done" and pair.rows("prod", "flags") == pair.rows("dev", "flags")


TRIGGER = "create trigger t after update on a for each row execute function disturb();"
DISTURBED = {
    "a trigger of another table": TRIGGER,
    "one that is always on": TRIGGER + "alter table a enable always trigger t;",
    "one that waits for the commit": TRIGGER.replace("create", "create constraint").replace(
        "for each", "deferrable initially deferred for each"
    ),
}


@pytest.mark.parametrize("differs", [True, False])
@pytest.mark.parametrize("what", DISTURBED)
def test_what_the_push_itself_sets_off_elsewhere_is_found(pair: Two, what, differs):
    pair.both("drop table b; create table b (id int primary key, v text);"
              "insert into b select g, 'x' from generate_series(1, 400) g;")  # fmt: skip
    if differs:
        pair.run("dev", "update b set v = 'dev' where id = 9; delete from a where id = 400")
    pair.run(
        "prod",
        "create function disturb() returns trigger language plpgsql as"
        " 'begin update b set v = $$disturbed$$ where id = 222; return null; end';" + DISTURBED[what],
    )
    pair.configure(tables=("a", "b"), triggers="fire")
    before = pair.rows("prod", "a", "b")
    report = pair.push(mode="mirror")
    assert report.state != "done" and pair.rows("prod", "a", "b") == before, report


@pytest.mark.long
@pytest.mark.parametrize("ends", ["before the plan", "between", "while it waits"])
def test_a_prepared_transaction_is_somebody_who_writes(tmp_path, monkeypatch, whole, ends):
    """It has no session, and is under way until somebody says how it ends."""
    monkeypatch.setattr(places, "written", lambda db: "0/0")
    with pgkit.own(18, max_prepared_transactions="5") as server, server.lent() as one, server.lent() as other:
        pair = Two(tmp_path, (server, one), (server, other))
        pair.both(SETUP)
        pair.configure(tables=("a", "b"), lock_seconds=2)
        pair.run("prod", "update a set v = 'prod' where id = 7")
        pair.run("prod", "begin; update a set v = 'late' where id = 150; prepare transaction 'other'")
        if ends == "before the plan":
            # One that wrote elsewhere stays open all the time, and is in nobody's way.
            pair.run("prod", "rollback prepared 'other'")
            pair.run("prod", "begin; insert into other values (1); prepare transaction 'other'")
            assert pair.push(mode="mirror").state == "done" and whole == ["b"]
            assert pair.rows("prod", "a", "b") == pair.rows("dev", "a", "b")
            pair.run("prod", "commit prepared 'other'")
            assert pair.undo().state == "done"
            return
        if ends == "between":
            with monkeypatch.context() as patch:
                meanwhile(patch, lambda: pair.run("prod", "commit prepared 'other'"))
                assert "no longer those that were planned with" in why(pair.push(mode="mirror"))
        else:
            assert "(the prepared transaction other: a)" in why(pair.push(mode="mirror"))
            pair.run("prod", "commit prepared 'other'")
        assert pair.run("prod", "select v from a where id in (7, 150) order by id") == [("prod",), ("late",)]
        assert pair.push(mode="mirror").state == "done"
        assert pair.rows("prod", "a", "b") == pair.rows("dev", "a", "b")
