"""A set with a closure in an archive: an import does what a push would, and no row goes for a closure."""

from __future__ import annotations

from pathlib import Path

import pytest

from raccord.data import closure, container, leaving_postgres
from raccord.errors import CannotRun, UsageError
from tests.datakit import why
from tests.verbs.test_data_archive import bring, export, plan
from tests.verbs.test_data_closure import SET, TABLES, WHERE
from tests.verbs.test_data_closure import notes as came
from tests.verbs.test_data_closure import pair as pair

OWN = (
    "insert into land values (100, 'mine'), (2, 'old');"
    "insert into category values (500, null, 'mine'), (39, null, 'old');"
    "insert into article (id, category, live, name) values (600, 500, false, 'mine'),"
    " (601, 500, true, 'goes'), (22, 500, true, 'a parent, live here')"
)


@pytest.mark.long_but(1)
@pytest.mark.parametrize("mode", ["replace", "insert", pytest.param("upsert", marks=pytest.mark.long)])
def test_an_import_does_what_a_push_would(pair, mode):
    pair.run("prod", OWN)
    before, told = pair.rows("prod", *TABLES), came(pair.plan(mode=mode))
    pushed = pair.push(mode=mode)
    assert (pushed.state, why(pushed)) == ("done", "")
    after = pair.rows("prod", *TABLES)
    assert pair.undo().state == "done" and pair.rows("prod", *TABLES) == before
    made = export(pair)
    rows = {one.table: one.rows for one in made.tables}
    assert (rows["article"], rows["land"]) == (8, 6)
    # What dev becomes afterwards is not in it.
    pair.run("dev", "update article set live = true, name = 'since'")
    found = plan(pair, made.path, mode=mode)
    assert came(found) == told and pair.rows("prod", *TABLES) == before
    report = bring(pair, made.path, mode=mode)
    assert (report.state, why(report)) == ("done", ""), report
    assert pair.rows("prod", *TABLES) == after
    assert bring(pair, made.path, mode=mode).state == "nothing"
    assert pair.undo(report.id).state == "done" and pair.rows("prod", *TABLES) == before


def test_refused_where_the_set_is_another(pair, monkeypatch):
    pair.run("prod", OWN)
    before, made = pair.rows("prod", *TABLES), export(pair)
    pair.configure(SET, where=WHERE)
    held = plan(pair, made.path).stages[0].lanes[0].held
    assert held is not None and "holds land, which the set all doesn't name" in str(held)
    pair.configure(SET, where=WHERE, closure=True)
    held = plan(pair, made.path).stages[0].lanes[0].held
    assert held is not None and "holds land, which the set all doesn't name" in str(held)
    pair.configure((*SET, "land"), where=WHERE | {"land": "false"})
    lane = plan(pair, made.path).stages[0].lanes[0]
    assert "that came by closure, and the set has none" in str((lane.held, lane.notes))
    pair.configure(SET, where=WHERE | {"article": "id = 1"}, closure="all")
    assert "that another condition chose" in str(plan(pair, made.path).stages[0].lanes[0].held)
    pair.configure(SET, where=WHERE, closure="all")
    with pytest.raises(UsageError, match="CSV files don't say which rows came by it"):
        export(pair, form="csv")
    # Keys of rows that are not in it would take rows of prod away.
    monkeypatch.setattr(leaving_postgres, "keyed", _others(closure.keyed))
    bad = export(pair)
    with pytest.raises(CannotRun, match="the rows of article are not those that the archive says"):
        plan(pair, bad.path)
    assert pair.rows("prod", *TABLES) == before


def _others(real):
    """Asks for the key of a row of prod in the place of one."""

    def keyed(one):
        if one.id[1] != "article":
            return real(one)
        return f"{real(one)} where id <> 22 union all select 600"

    return keyed


def test_an_export_goes_on_where_it_was_cut_off(pair, monkeypatch):
    real, calls = container.Writer.part, []

    def cut(self, blocks):
        calls.append(1)
        if len(calls) == 6:
            raise CannotRun("cut off")
        return real(self, blocks)

    def stopped():
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(container.Writer, "part", cut)
            with pytest.raises(CannotRun, match="cut off"):
                export(pair)

    stopped()
    made = export(pair)
    assert made.resumed >= 2
    stopped()
    # The same rows of land come, and others of what refers to them.
    pair.run("dev", "update category set name = 'since'")
    again = export(pair)
    assert again.resumed < made.resumed and Path(again.path).is_file()
    report = bring(pair, again.path)
    assert (report.state, why(report)) == ("done", "")
    assert {*pair.rows("prod", "category")["category"]} < {*pair.rows("dev", "category")["category"]}
    pair.configure(SET, where=WHERE, closure="all")
    assert pair.diff().equal
