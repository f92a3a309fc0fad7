"""What others do in the target before, while and after a push is neither overwritten nor hindered."""

from __future__ import annotations

import pytest

from tests import pgkit
from tests.datakit import two, why
from tests.litekit import lite


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.fixture
def files(tmp_path):
    with lite(tmp_path / "files") as found:
        yield found


@pytest.mark.parametrize("kind", ["pair", "files"])
def test_an_undo_leaves_rows_that_somebody_completed(request, kind):
    """A push adds a row without its secret; whoever typed that in doesn't lose it with the row."""
    pair = request.getfixturevalue(kind)
    pair.both("create table c (key text primary key, value text default '', note text)")
    pair.run("dev", "insert into c (key, note) values ('a', 'new'), ('b', 'new')")
    pair.run("prod", "insert into c values ('b', 'mine', 'old')")
    pair.configure(("c",), exclude=["c.value"])
    assert pair.push().state == "done"
    # Of a row that was there already the column stays, whatever is in it.
    pair.run("prod", "update c set value = 'later' where key = 'b'")
    pair.run("prod", "update c set value = 'typed in' where key = 'a'")
    assert "1 rows of c (key a)" in why(pair.undo())
    assert pair.run("prod", "select value from c order by key") == [("typed in",), ("later",)]
    pair.run("prod", "update c set value = '' where key = 'a'")
    undone = pair.undo()
    assert undone.state == "done", undone
    assert pair.run("prod", "select * from c") == [("b", "later", "old")]
    assert pair.undo(undone.id).state == "done"
    assert pair.run("prod", "select * from c order by key") == [("a", "", "new"), ("b", "later", "new")]


@pytest.mark.long
def test_an_undo_leaves_them_in_a_table_that_was_empty(pair):
    pair.both("create table c (key text primary key, value text default '')")
    pair.run("dev", "insert into c (key) values ('a'), ('b')")
    pair.configure(("c",), exclude=["c.value"])
    assert pair.push().state == "done"
    pair.run("prod", "update c set value = 'typed in' where key = 'a'")
    assert "1 rows of c (key a)" in why(pair.undo()) and len(pair.rows("prod", "c")["c"]) == 2
    pair.run("prod", "update c set value = ''")
    assert pair.undo().state == "done" and pair.rows("prod", "c") == {"c": []}
