"""Several machines on one hub: nothing is lost or told twice, whoever is cut off or killed meanwhile."""

from __future__ import annotations

import signal

import pytest

from tests import pgkit
from tests.data.wire import Wire
from tests.hubkit import clones, entries
from tests.webkit import save, until


@pytest.fixture
def base():
    server = pgkit.server()
    with server.lent() as name:
        yield server, name


def agreed(server, name, machines, total):
    """Whether all machines and the hub know the same changes, each once."""
    hub = entries(server, name)
    known = [one.events for one in machines]
    return (
        len(hub) == len(set(hub)) == total
        and all(one == known[0] for one in known)
        and {row[0] for row in known[0]} == set(hub)
        and not any(one.waiting for one in machines)
    )


@pytest.mark.long
def test_three_machines_agree_though_one_was_cut_off_for_a_while(tmp_path, base):
    server, name = base
    url = server.url(name)
    wire = Wire(server.port)
    with clones(tmp_path, url, url, url.replace(f":{server.port}/", f":{wire.port}/")) as machines:
        for one in machines:
            one.start()
        until(lambda: all(len(one.rows("select 1 from machines")) == 3 for one in machines))
        save(machines[0].path / "ROADMAP.md", "first\n")
        until(lambda: all(len(one.events) == 1 for one in machines))
        wire.part(True)
        cut = machines[2]
        until(lambda: cut.rows("select 1 from hub where not connected and why <> ''"))
        for number in range(5):
            for one in machines:
                save(one.path / "AGENTS.md", f"{one.path.name} {number}\n")
            until(lambda number=number: all(one.own >= number + 1 for one in machines))
        # A save may be seen as two changes: how many there are is known once nobody saves any more.
        one, two, _ = machines
        until(lambda: len(one.events) == len(two.events) == one.own + two.own)
        until(lambda: len(cut.events) - 1 == cut.own == cut.waiting)
        wire.part(False)
        until(lambda: agreed(server, name, machines, sum(one.own for one in machines)), 60)
        # What others saw stands in the hub's order, whoever looks.
        orders = [[row[0] for row in one.rows("select uid from changes order by id")] for one in machines]
        hub = entries(server, name)
        for one, order in zip(machines, orders, strict=True):
            own = {row[0] for row in one.rows("select uid from changes where machine = ''")}
            assert [uid for uid in order if uid not in own] == [uid for uid in hub if uid not in own]
    wire.close()


@pytest.mark.long
def test_a_killed_daemon_sends_what_it_had_recorded(tmp_path, base):
    server, name = base
    wire = Wire(server.port)
    direct = server.url(name)
    with clones(tmp_path, direct.replace(f":{server.port}/", f":{wire.port}/"), direct) as (one, two):
        one.start()
        two.start()
        until(lambda: len(one.rows("select 1 from machines")) == len(two.rows("select 1 from machines")) == 2)
        wire.part(True)
        save(one.path / "AGENTS.md", "recorded, and not sent\n")
        until(lambda: one.waiting == 1)
        one.kill(signal.SIGKILL)
        save(one.path / "ROADMAP.md", "while nobody watched\n")
        wire.part(False)
        one.start()
        until(lambda: agreed(server, name, (one, two), 2))
    wire.close()


@pytest.mark.long
def test_a_daemon_starts_without_its_hub_and_says_so_once(tmp_path):
    with pgkit.own() as server:
        server.create(name="hub")
        with clones(tmp_path, server.url("hub"), server.url("hub")) as (one, two):
            server.halt()
            one.start()
            until(lambda: one.rows("select 1 from hub where why <> ''"))
            save(one.path / "AGENTS.md", "seen all the same\n")
            until(lambda: one.waiting == 1)
            server.start()
            two.start()
            until(lambda: agreed(server, "hub", (one, two), 1), 60)
            # It may go away again later, in the middle of everything.
            server.halt()
            save(two.path / "AGENTS.md", "and again\n")
            until(lambda: two.waiting == 1)
            server.start()
            until(lambda: agreed(server, "hub", (one, two), 2), 90)
            assert one.said.count("Connection refused") <= 2
            assert one.said.count("the hub is there again") in (1, 2)
            assert pgkit.PASSWORD not in one.said


def test_a_wrong_password_is_told_and_never_shown(tmp_path, base):
    server, name = base
    with clones(tmp_path, server.url(name, password="wr0ng-s3cret")) as (one,):
        one.start()
        until(lambda: one.rows("select 1 from hub where why <> ''"))
        assert "password authentication failed" in one.rows("select why from hub")[0][0]
        one.kill(signal.SIGINT)
        assert one.said.count("password authentication failed") == 1
        assert "wr0ng-s3cret" not in one.said + one.rows("select why from hub")[0][0]


def test_a_copied_clone_is_a_machine_of_its_own_and_a_lost_hub_is_filled_again(tmp_path, base):
    import shutil

    server, name = base
    url = server.url(name)
    with clones(tmp_path, url, url) as (one, two):
        one.start()
        save(one.path / "AGENTS.md", "one\n")
        until(lambda: len(entries(server, name)) == 1)
        one.kill(signal.SIGINT)
        shutil.rmtree(two.path)
        shutil.copytree(one.path, two.path, symlinks=True)
        server.run("drop schema raccord cascade", name)
        one.start()
        two.start()
        until(lambda: one.rows("select machine from hub") != two.rows("select machine from hub"))
        save(two.path / "ROADMAP.md", "two\n")
        until(lambda: agreed(server, name, (one, two), 2))
        assert len(server.run("select 1 from raccord.machines", name)) == 2
