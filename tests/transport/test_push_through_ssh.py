"""Rows that travel through a real ssh server, and into containers, and what is left where that dies."""

from __future__ import annotations

import json

import psycopg
import pytest

from raccord.errors import RaccordError
from tests import pgkit, sshkit
from tests.canaries import Cage
from tests.data.test_push_killed import OTHER, SETUP, idle, killed, settled
from tests.datakit import ROWS, SEED, SENT, Two, two

TABLES = ("a", "b")


@pytest.fixture
def both(tmp_path):
    try:
        with two(tmp_path) as found:
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.fixture
def seed(both, far):
    both.both(SEED)
    both.run("dev", ROWS)
    both.behind(far, "prod")
    return both


@pytest.fixture
def pair(both, far, docker):
    """Prod is in a container on a host."""
    both.both(SETUP)
    both.run("prod", OTHER)
    docker.add("shop-db-1", "bash", "perl")
    both.behind(far, "prod", container="shop-db-1")
    return both


def test_rows_go_through_and_back(seed, far):
    before = seed.rows("prod")
    plan = seed.plan()
    assert "raccord-" not in str(plan)
    report = seed.push()
    assert report.state == "done", report
    # One connection for each command, whatever goes through it.
    assert far.log.count("Accepted publickey") == 2
    assert seed.rows("prod", *SENT) == seed.rows("dev", *SENT)
    found = seed.diff()
    assert found.equal and found.target.endswith(" through far")
    assert seed.undo().state == "done" and seed.rows("prod") == before


def at_nobodys(seed: Two) -> None:
    """Prod's address has a port where nobody listens."""
    server, database = seed.ends["prod"]
    url = server.url(database).replace(f":{server.port}/", ":1/")
    path = seed.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace(server.url(database), url))


def test_a_server_that_is_not_there(seed):
    at_nobodys(seed)
    with pytest.raises(RaccordError) as caught:
        seed.diff()
    assert "127.0.0.1:1" in caught.value.message and "through far" in caught.value.message
    assert "raccord-" not in caught.value.message, caught.value.message


@pytest.mark.long
@pytest.mark.parametrize(("remote", "program"), [(False, "perl"), (True, "bash")], ids=["here", "afar"])
def test_a_database_in_a_container(request, both, docker, program, remote):
    far = request.getfixturevalue("far") if remote else None
    both.both(SEED)
    both.run("dev", ROWS)
    docker.add("shop-db-1", program)
    both.behind(far, "prod", container="shop-db-1")
    before = both.rows("prod")
    assert both.push().state == "done"
    assert both.rows("prod", *SENT) == both.rows("dev", *SENT)
    found = both.diff()
    assert found.equal
    assert found.target.endswith(" through container shop-db-1" + (" on far" if remote else ""))
    assert pgkit.PASSWORD not in json.dumps(docker.calls, ensure_ascii=False)
    assert far is None or far.log.count("Accepted publickey") == 2
    assert both.undo().state == "done" and both.rows("prod") == before
    at_nobodys(both)
    with pytest.raises(RaccordError, match="refused") as caught:
        both.diff()
    assert "127.0.0.1:1" in caught.value.message and "raccord-" not in caught.value.message


@pytest.mark.long
@pytest.mark.parametrize(
    "where",
    ["committed", *(pytest.param(one, marks=pytest.mark.long) for one in ("40", "120", "commit"))],
)
def test_a_push_that_is_killed(pair, where):
    old, new = pair.rows("prod", *TABLES), pair.rows("dev", *TABLES)
    killed(pair, where)
    settled(pair, old, new)


# psycopg leaves a cursor open whose connection was lost, and warns of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("where", "inside"),
    [
        (60, False),
        (90, True),
        *(pytest.param(*one, marks=pytest.mark.long) for one in [(30, True), (120, False)]),
    ],
)
def test_a_host_that_dies_in_the_middle(pair, far, monkeypatch, where, inside):
    if not inside:
        pair.behind(far, "prod")
    old = pair.rows("prod", *TABLES)
    left = [where]
    exchange = psycopg.Connection.wait

    def counted(self, *words, **more):
        left[0] -= 1
        if left[0] == 0:
            far.kill()
        return exchange(self, *words, **more)

    monkeypatch.setattr(psycopg.Connection, "wait", counted)
    try:
        report = pair.push()
    except RaccordError as error:
        said, hint = error.message, error.hint
    else:
        assert report.state == "partial", report
        finding = report.lanes[0].finding
        assert finding is not None
        said, hint = finding.message, finding.hint
    # Between two connections the next one finds nobody.
    lost = "far can't be used" in said and hint == "raccord env check"
    assert left[0] <= 0 and (lost or "nobody listens there" in said), (said, hint)
    idle(pair)
    assert pair.rows("prod", *TABLES) == old


def test_a_password_is_nowhere(tmp_path):
    """The host asks for it and refuses it; nobody else sees it."""
    secret = "cnry ssh'\"€ 41"
    (tmp_path / "word").write_text(secret + "\n")
    try:
        with (
            two(tmp_path) as pair,
            sshkit.host(tmp_path / "far", PasswordAuthentication="yes", PubkeyAuthentication="no") as far,
        ):
            pair.both("create table t (id int primary key)")
            pair.behind(far, "prod", ssh_password=f"file:{tmp_path}/word")
            cage = Cage(pair.repo.path, {"password of ssh": secret, "password": pgkit.PASSWORD})
            code, said = cage.watched("data", "push", "all", "--to", "prod", "--yes")
            assert code == 6 and "Failed password" in far.log, said
    except (pgkit.NoServer, sshkit.NoSshd) as error:
        pytest.skip(str(error))
    assert cage.sing() == {}
