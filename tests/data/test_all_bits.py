"""Values are told apart of which the server's own hashes are one, since these keep 32 of 64 bits."""

from __future__ import annotations

import pytest

from tests import pgkit
from tests.datakit import Two, two

MAKE = """
create table ranged (id bigint primary key, v bigint, at timestamptz, t timestamp);
create table sparse (id bigint primary key, v text);
create table whole (id bigint primary key);
create table keyless (v bigint, at timestamptz);
create table paired (a bigint, b bigint, primary key (a, b));
"""
DEV = """
insert into ranged values (1, -1, null, null), (2, 0, '1999-12-31 23:59:59.999999Z', null),
  (3, 5, null, '1999-12-31 23:59:59.999999'), (4, null, null, null), (5, 7, '2020-01-01Z', 'infinity');
insert into sparse values (-1, 'x'), (7, 'y');
insert into whole values (-1);
insert into keyless values (-1, null), (3, '1999-12-31 23:59:59.999999Z');
insert into paired values (1, -1), (2, 2);
"""
PROD = """
insert into ranged values (1, 4294967295, null, null), (2, 0, '2000-01-01 01:11:34.967295Z', null),
  (3, 5, null, '2000-01-01 01:11:34.967295'), (4, null, null, null), (5, 7, '2020-01-01Z', 'infinity');
insert into sparse values (4294967295, 'x'), (7, 'y');
insert into whole values (4294967295);
insert into keyless values (4294967295, null), (3, '2000-01-01 01:11:34.967295Z');
insert into paired values (1, 4294967295), (2, 2);
"""
TABLES = ("keyless", "paired", "ranged", "sparse", "whole")
EXPECTED = {
    "keyless": (2, 0, 2), "paired": (1, 0, 1), "ranged": (0, 3, 0), "sparse": (1, 0, 1), "whole": (1, 0, 1),
}  # fmt: skip


@pytest.fixture
def pair(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(MAKE)
            found.run("dev", DEV)
            found.run("prod", PROD)
            found.configure(tables=TABLES)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def test_they_differ(pair: Two):
    # The server itself takes them for one.
    same = (
        "select hash_record_extended(row((-1)::bigint), 0) = hash_record_extended(row(4294967295::bigint), 0)"
    )
    assert pair.run("dev", same) == [(True,)]
    found = {one.table: one for one in pair.diff().tables}
    assert {name: (one.added, one.changed, one.removed) for name, one in found.items()} == EXPECTED
    (row,) = found["ranged"].rows[:1]
    assert row.key == ("1",)
    assert [(cell.column, cell.source, cell.target) for cell in row.cells] == [("v", "-1", "4294967295")]


def test_they_are_pushed_and_come_back(pair: Two):
    before = pair.rows("prod", *TABLES)
    assert pair.push(mode="mirror").state == "done"
    assert pair.rows("prod", *TABLES) == pair.rows("dev", *TABLES)
    assert pair.undo().state == "done"
    assert pair.rows("prod", *TABLES) == before
