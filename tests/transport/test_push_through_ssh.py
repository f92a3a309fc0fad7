"""Rows that travel through a real ssh server."""

from __future__ import annotations

import pytest

from raccord.errors import RaccordError
from tests import pgkit
from tests.datakit import ROWS, SEED, SENT, two


@pytest.fixture
def seed(tmp_path, far):
    try:
        with two(tmp_path) as found:
            found.both(SEED)
            found.run("dev", ROWS)
            found.behind(far, "prod")
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


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


def test_a_server_that_is_not_there(seed, far):
    server, database = seed.ends["prod"]
    url = server.url(database).replace(f":{server.port}/", ":1/")
    path = seed.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace(server.url(database), url))
    with pytest.raises(RaccordError) as caught:
        seed.diff()
    assert "127.0.0.1:1" in caught.value.message and "through far" in caught.value.message
    assert "raccord-" not in caught.value.message, caught.value.message
