"""A hub: entries in one order that nobody misses, each once, and tables that any number of machines make."""

from __future__ import annotations

import threading

import pytest

from raccord.database import hub, hub_schema
from raccord.database.url import parse
from raccord.errors import DatabaseError
from raccord.model.hub import Entry, Machine
from tests import pgkit
from tests.webkit import until


@pytest.fixture
def base():
    server = pgkit.server()
    with server.lent() as name:
        yield server, name


@pytest.fixture
def target(base):
    server, name = base
    return parse(server.url(name), "/")


def entry(uid):
    return Entry(uid, "change", '{"path":"a\\u0000\\udcff"}')


def test_what_was_added_is_read_in_order_and_once(target):
    with hub.opened(target, "p") as one, hub.opened(target, "p") as two, hub.opened(target, "q") as other:
        one.add("a", [entry("1"), entry("2")])
        two.add("b", [entry("3"), entry("2")])
        one.add("a", [entry("1"), entry("2")])
        found = two.after(0, 100)
        assert [(one.uid, one.machine) for one in found] == [("1", "a"), ("2", "a"), ("3", "b")]
        assert found[0].document == entry("1").document
        assert [one.uid for one in one.after(found[0].seq, 1)] == ["2"]
        assert one.uid(found[2].seq) == "3"
        assert one.uid(10**9) == ""
        assert other.after(0, 100) == []
        assert one.id == two.id == other.id


def test_who_waits_is_told_and_only_of_its_project(target):
    with hub.opened(target, "p") as one, hub.opened(target, "p") as two, hub.opened(target, "q") as other:
        one.add("a", [entry("1")])
        assert two.wait(30)
        other.add("a", [entry("1")])
        assert other.wait(30)
        assert not two.wait(0.2)


def test_no_number_shows_up_behind_one_that_was_read(base, target):
    """A transaction that has a number and has not committed holds the next number back."""
    server, name = base
    with hub.opened(target, "p") as one, hub.opened(target, "p") as two:
        with server.connect(name) as slow:
            slow.execute("begin")
            slow.execute("update raccord.projects set last = last + 1 where project = 'p'")
            slow.execute(
                "insert into raccord.entries (project, seq, uid, machine, kind, document)"
                " values ('p', 1, 'slow', 's', 'change', '{}')"
            )
            quick = threading.Thread(target=one.add, args=("a", [entry("quick")]))
            quick.start()
            until(lambda: server.run("select 1 from pg_stat_activity where wait_event_type = 'Lock'", name))
            assert two.after(0, 10) == []
            slow.execute("commit")
            quick.join()
        assert [one.uid for one in two.after(0, 10)] == ["slow", "quick"]


def test_many_writers_at_once_lose_nothing_and_number_nothing_twice(target):
    read: list[Entry] = []
    ended = threading.Event()

    def reader():
        with hub.opened(target, "p") as one:
            while True:
                last = ended.is_set()
                found = one.after(read[-1].seq if read else 0, 7)
                read.extend(found)
                if last and not found:
                    return
                one.wait(0.05)

    def writer(who):
        with hub.opened(target, "p") as one:
            for number in range(40):
                one.add(who, [entry(f"{who}{number}"), entry(f"{who}{number}+"), entry(f"same{number}")])

    threads = [threading.Thread(target=writer, args=(name,)) for name in "abcd"]
    reading = threading.Thread(target=reader)
    for one in (reading, *threads):
        one.start()
    for one in threads:
        one.join()
    ended.set()
    reading.join()
    uids = [one.uid for one in read]
    assert len(uids) == len(set(uids)) == 4 * 40 * 2 + 40
    for who in "abcd":
        own = [uid for uid in uids if uid.startswith(who)]
        assert own == [f"{who}{number}{end}" for number in range(40) for end in ("", "+")]


def test_machines_are_known_with_the_time_since_they_were_seen(base, target):
    server, name = base
    with hub.opened(target, "p") as one:
        one.greet(Machine("1", "laptop", "/srv/shop", "0.1"))
        server.run("update raccord.machines set seen = seen - interval '1 hour'", name)
        found = one.greet(Machine("2", "desktop", "/srv/shop", "0.1"))
        assert [(one.id, one.name) for one in found] == [("2", "desktop"), ("1", "laptop")]
        assert 3590 < found[0].seen - found[1].seen < 3700
        assert len(one.greet(Machine("2", "other", "/srv/shop", "0.1"))) == 2


def test_what_can_not_be_numbered_is_not_taken_for_sent(base, target):
    server, name = base
    with hub.opened(target, "p") as one:
        one.add("a", [entry("1")])
        server.run("truncate raccord.projects cascade", name)
        with pytest.raises(DatabaseError, match="has lost this project"):
            one.add("a", [entry("2")])
    with hub.opened(target, "p") as one:
        one.add("a", [entry("2")])
        assert [one.uid for one in one.after(0, 9)] == ["2"]


def test_several_make_the_tables_at_once(base, target):
    server, name = base
    ids = []

    def come():
        with hub.opened(target, "p") as one:
            ids.append(one.id)

    for _ in range(5):
        ids.clear()
        server.run("drop schema if exists raccord cascade", name)
        threads = [threading.Thread(target=come) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(ids) == 6
        assert len(set(ids)) == 1


def test_a_newer_hub_is_refused_also_where_it_became_so_meanwhile(base, target):
    server, name = base
    with hub.opened(target, "p") as one:
        server.run(f"update raccord.hub set version = {hub_schema.VERSION + 1}", name)
        with pytest.raises(DatabaseError, match="made by a newer raccord"):
            one.greet(Machine("1", "laptop", "/srv/shop", "0.1"))
    with pytest.raises(DatabaseError, match="made by a newer raccord") as caught, hub.opened(target, "p"):
        pass
    assert "newest raccord" in caught.value.hint
    assert pgkit.PASSWORD not in caught.value.message


def test_a_role_without_rights_is_told_so(base):
    server, name = base
    server.run("drop role if exists guest; create role guest login password 'of-a-guest'")
    with (
        pytest.raises(DatabaseError, match="insufficient privilege"),
        hub.opened(parse(server.url(name, user="guest", password="of-a-guest"), "/"), "p"),
    ):
        pass
    # Who may create nothing can use what somebody made for it.
    server.run("create schema raccord authorization guest", name)
    with hub.opened(parse(server.url(name, user="guest", password="of-a-guest"), "/"), "p") as one:
        one.add("a", [entry("1")])
        assert [one.uid for one in one.after(0, 1)] == ["1"]
