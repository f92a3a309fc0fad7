"""Rows pushed from one environment to another: every mode, undone, refused, and never half done."""

from __future__ import annotations

import pytest

from tests import pgkit
from tests.datakit import ROWS, SEED, SENT, Two, two, why


@pytest.fixture(params=[(16, 18), pytest.param((18, 16), marks=pytest.mark.long)], ids=["up", "down"])
def seed(tmp_path, request):
    """On servers of two releases."""
    dev, prod = request.param
    try:
        with two(tmp_path, dev, prod) as found:
            found.both(SEED)
            found.run("dev", ROWS)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def differ(seed: Two) -> None:
    """Gives prod most of dev's rows, and some of its own."""
    seed.run("prod", ROWS)
    seed.run(
        "prod",
        "delete from knowledge_base where id in (7, 8);"
        "update knowledge_base set title = 'other' where id < 5;"
        "update knowledge_base set wait = '24:00' where id = 20;"
        "update knowledge_base set price = 33.0 where id = 30;"
        "insert into knowledge_categories (slug, parent_id) values ('own', 2);"
        "insert into knowledge_base (id, category_id, title) values (9000, 4, 'own');"
        "insert into knowledge_base_chunks (document, n) values (9000, 1);"
        "delete from templates where name = 'empty';"
        "insert into templates values ('own', 'x'); insert into outbox (message) values ('prod''s')",
    )


def test_to_an_empty_database_and_back(seed):
    before = seed.rows("prod")
    report = seed.push()
    assert (report.state, why(report)) == ("done", ""), report
    assert seed.rows("prod", *SENT) == seed.rows("dev", *SENT) and seed.rows("prod", "outbox") == {
        "outbox": []
    }
    assert seed.diff().equal and seed.push().state == "nothing"
    # Numbers go on behind those that came.
    seed.run("prod", "insert into knowledge_base (title) values ('new')")
    seed.run("prod", "insert into knowledge_categories (slug) values ('new')")
    assert seed.run("prod", "select max(id) from knowledge_base") == [(301,)]
    seed.run("prod", "delete from knowledge_base where id = 301")
    seed.run("prod", "delete from knowledge_categories where slug = 'new'")
    assert seed.undo().state == "done"
    assert seed.rows("prod") == before


@pytest.mark.long_but(1)
@pytest.mark.parametrize("mode", ["replace", "mirror"])
def test_equal_afterwards_and_back_and_there_again(seed, mode):
    differ(seed)
    before = seed.rows("prod")
    found = {one.table: (one.added, one.changed, one.removed) for one in seed.diff().tables}
    assert found["knowledge_base"] == (2, 6, 1) and found["templates"] == (1, 0, 1)
    plan = seed.plan(mode=mode)
    assert [step.kind for step in plan.steps()] == ["data.keep", "data.push"]
    assert seed.rows("prod") == before
    report = seed.push(mode=mode)
    assert report.state == "done", report
    after = seed.rows("prod")
    assert {name: after[name] for name in SENT} == seed.rows("dev", *SENT)
    assert after["outbox"] == before["outbox"]
    undone = seed.undo()
    assert undone.state == "done" and seed.rows("prod") == before, undone
    assert seed.undo(undone.id).state == "done" and seed.rows("prod") == after


def test_upsert_removes_nothing(seed):
    differ(seed)
    before = seed.rows("prod")
    assert seed.push(mode="upsert").state == "done"
    assert seed.run("prod", "select count(*) from knowledge_base") == [(301,)]
    assert seed.run("prod", "select title from knowledge_base where id = 3") == [('doc \t"3',)]
    assert seed.run("prod", "select count(*) from templates where name = 'own'") == [(1,)]
    assert seed.undo().state == "done" and seed.rows("prod") == before


def test_insert_overwrites_nothing(seed):
    differ(seed)
    seed.run("dev", "insert into knowledge_categories (slug) values ('own'), ('more')")
    seed.run("dev", "insert into knowledge_base (category_id, title) values (4, 'in own'), (5, 'in more')")
    # Dev's category 4 is another one here: the name is taken, by a row of another number.
    seed.run("prod", "update knowledge_base set category_id = null where id = 9000")
    seed.run("prod", "update knowledge_categories set id = default where slug = 'own'")
    before = seed.rows("prod")
    report = seed.push(mode="insert")
    assert report.state == "done", report
    assert seed.run("prod", "select title from knowledge_base where id = 3") == [("other",)]
    # A category of another number has the name: it stays out, and the document that is in it.
    assert seed.run("prod", "select count(*) from knowledge_base where title in ('in own', 'in more')") == [
        (1,)
    ]
    assert "slug is taken" in report.lanes[0].steps[-1].note
    assert seed.undo().state == "done" and seed.rows("prod") == before
