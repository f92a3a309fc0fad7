"""Rows that a push kept, put back after others came: planned, guarded, undone, and refused by name."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from raccord.data import restore_steps
from raccord.errors import RaccordError, Unanswered, UsageError, WorldMoved
from raccord.model.options_data import DataExportOptions, DataRestoreOptions, PromoteOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from tests import pgkit, warm
from tests.datakit import SENT, Two, two, why
from tests.litekit import lite
from tests.verbs.test_data_archive import PLAIN, lend, notes
from tests.verbs.test_data_archive import differ as differ_plain
from tests.verbs.test_data_push import differ

SHOP = """
create table shop (id integer primary key, name text unique, note text, own text default 'new');
create table sale (id integer primary key, shop integer references shop on delete cascade, what text);
create table lines (a integer, b text);
"""
SHOP_ROWS = """
insert into shop values (1, 'one', 'n1', 'dev'), (2, 'two', 'n2', 'dev'), (4, 'four', 'n4', 'dev');
insert into sale values (1, 1, 'x'), (2, 2, 'y'), (3, 4, 'z');
insert into lines values (1, 'a'), (1, 'a'), (2, 'b'), (2, 'b');
"""
SHOP_OLD = """
insert into shop values (1, 'one', 'old', 'p1'), (2, 'two', 'n2', 'p2'), (3, 'three', 'n3', 'p3');
insert into sale values (1, 1, 'old'), (2, 2, 'y'), (9, 3, 'own');
insert into lines values (1, 'a'), (2, 'b'), (7, 'own'), (7, 'own');
"""


@pytest.fixture
def seed(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHIVE_PASSPHRASE", "correct horse")
    yield from lend(tmp_path)


@pytest.fixture(params=["postgresql", "sqlite"])
def shops(tmp_path, request):
    """The same tables in either kind; dev keeps `own` for itself."""
    try:
        with two(tmp_path) if request.param == "postgresql" else lite(tmp_path) as found:
            found.both(SHOP)
            found.run("dev", SHOP_ROWS)
            found.run("prod", SHOP_OLD)
            found.configure(("shop", "sale", "lines"), exclude=["shop.own"])
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


TABLES = ("shop", "sale", "lines")


def restore(seed: Two, run: str = "", **options: Any) -> RunReport:
    with seed.workspace as workspace:
        report = workspace.archives.restore(DataRestoreOptions(run, "prod", **options))
    assert isinstance(report, RunReport)
    return report


def plan(seed: Two, run: str = "", **options: Any) -> Plan:
    with seed.workspace as workspace:
        report = workspace.archives.restore(DataRestoreOptions(run, "prod", dry_run=True, **options))
    assert isinstance(report, Plan)
    return report


def counts(found: Plan) -> dict[str, tuple[int, int, int]]:
    said = [
        note.data
        for stage in found.stages
        for lane in stage.lanes
        for note in lane.notes
        if note.name == "data.table"
    ]
    return {str(one["table"]): (one["added"], one["changed"], one["removed"]) for one in said}


def cli(seed: Two, *words: str) -> subprocess.CompletedProcess[str]:
    return warm.run("raccord", ("data", "restore", *words), seed.repo.path)


@pytest.mark.long_but(1)
def test_after_later_runs_where_undo_refuses(shops):
    before = shops.rows("prod", *TABLES)
    first = shops.push()
    assert (first.state, why(first)) == ("done", ""), first
    # What the push touched is changed, removed and added to; so is what it did not touch.
    shops.run("prod", "update shop set note = 'since' where id = 1")
    shops.run("prod", "update shop set own = 'mine' where id = 2")
    shops.run("prod", "delete from sale where id = 3")
    shops.run("prod", "insert into shop values (70, 'seventy', 's', 's')")
    shops.run("dev", "update shop set note = 'n2 again' where id = 2")
    shops.configure(("shop",), where={"shop": "id = 2"}, exclude=["shop.own"])
    assert shops.push(mode="upsert").state == "done"
    refused = shops.undo(first.id)
    assert refused.state != "done", refused
    after = shops.rows("prod", *TABLES)

    found = plan(shops, first.id)
    assert counts(found) == {"shop": (1, 1, 1), "sale": (1, 1, 0), "lines": (2, 0, 2)}, found
    assert [step.kind for step in found.steps()] == ["data.keep", "data.restore"]
    assert shops.rows("prod", *TABLES) == after
    report = restore(shops, first.id)
    assert (report.state, why(report)) == ("done", ""), report
    assert "verified" in report.lanes[0].steps[-1].note
    now = shops.rows("prod", *TABLES)
    # What the first push touched is as before it; what only others touched is as they left it.
    assert now["sale"] == before["sale"] and now["lines"] == before["lines"]
    shop = {row[0]: row[1:] for row in shops.run("prod", "select id, name, note, own from shop")}
    assert shop == {
        1: ("one", "old", "p1"), 2: ("two", "n2 again", "mine"), 3: ("three", "n3", "p3"),
        70: ("seventy", "s", "s"),
    }  # fmt: skip
    assert restore(shops, first.id).state == "nothing"
    # Taken back, and again.
    undone = shops.undo(report.id)
    assert undone.state == "done" and shops.rows("prod", *TABLES) == after, undone
    assert shops.undo(undone.id).state == "done" and shops.rows("prod", *TABLES) == now
    # Its own backup can be put back as well.
    assert restore(shops, report.id).state == "done" and shops.rows("prod", *TABLES) == after


def test_the_newest_that_stands_without_a_name(shops):
    before = shops.rows("prod", *TABLES)
    assert shops.push().state == "done"
    after = shops.rows("prod", *TABLES)
    report = restore(shops)
    assert report.state == "done" and shops.rows("prod", *TABLES) == before
    assert shops.undo(report.id).state == "done" and shops.rows("prod", *TABLES) == after
    assert shops.undo().state == "done" and shops.rows("prod", *TABLES) == before
    with pytest.raises(UsageError, match="no push into prod that stands has kept rows; there are backups of"):
        restore(shops)


def test_a_table_without_a_key_only_as_it_was_left(shops):
    first = shops.push()
    before = shops.rows("prod", *TABLES)
    shops.run("prod", "insert into lines values (2, 'b')")
    report = restore(shops, first.id)
    assert "lines, which has no key, are neither as before that push nor as after it" in why(report), report
    assert shops.rows("prod", "sale") == {"sale": before["sale"]}
    # Back as before the push, it is let be.
    shops.run("prod", "delete from lines")
    shops.run("prod", "insert into lines values (1, 'a'), (2, 'b'), (7, 'own'), (7, 'own')")
    assert restore(shops, first.id).state == "done"
    assert len(shops.rows("prod", "lines")["lines"]) == 4


def test_rows_that_others_refer_to_are_never_taken_along(shops):
    first = shops.push()
    shops.both("create table visit (id integer primary key, shop integer references shop on delete cascade)")
    shops.run("prod", "insert into visit values (1, 4)")
    before = shops.rows("prod", *TABLES, "visit")
    found = restore(shops, first.id)
    assert "1 row of visit refers by" in why(found), found
    assert shops.rows("prod", *TABLES, "visit") == before


def test_rows_that_move_after_the_plan_change_nothing(shops, monkeypatch):
    first = shops.push()
    act = restore_steps.RestoreHandler.act

    def late(self, step, job, target):
        shops.run("prod", "update sale set what = 'late' where id = 2")
        shops.run("prod", "update shop set note = 'old' where id = 1")
        return act(self, step, job, target)

    monkeypatch.setattr(restore_steps.RestoreHandler, "act", late)
    report = restore(shops, first.id)
    assert report.state != "done" and "no longer those that were planned with" in why(report), report
    assert shops.run("prod", "select note from shop where id = 1") == [("old",)]
    assert shops.run("prod", "select count(*) from sale") == [(3,)]


@pytest.mark.long_but(1)
def test_other_columns_and_lost_backups(shops):
    first = shops.push()
    folder = shops.repo.path / ".git" / "raccord" / "rows"
    (part,) = folder.glob("*/0.old")
    whole = part.read_bytes()
    part.write_bytes(whole[:-3] + b"xyz")
    with pytest.raises(RaccordError, match="is not what was written into it"):
        restore(shops, first.id)
    part.write_bytes(whole)
    shops.run("prod", "alter table shop add more integer")
    with pytest.raises(WorldMoved, match="the columns of shop are others by now: more"):
        restore(shops, first.id)
    with pytest.raises(UsageError, match=r"no run .*nonsense.*; there are backups of .* \(all in prod\)"):
        restore(shops, "nonsense")
    with pytest.raises(UsageError, match="kept rows of all in prod; there are"):
        shops.workspace.archives.restore(DataRestoreOptions(first.id, "dev"))
    for one in folder.iterdir():
        (one / "archive.json").write_text("{}")
    with pytest.raises(RaccordError, match="can't be read"):
        restore(shops, first.id)
    assert "can't be read" in cli(shops, "--list").stdout
    for one in folder.iterdir():
        (one / "archive.json").unlink()
    with pytest.raises(UsageError, match="kept no rows, or what it kept is gone; there is no backup"):
        restore(shops, first.id)


def test_a_condition_does_not_stand_in_what_is_kept(shops):
    shops.configure(("shop", "sale", "lines"), where={"lines": "b <> 'canary-where'", "shop": "id < 100"})
    before = shops.rows("prod", *TABLES)
    first = shops.push()
    assert first.state == "done", first
    folder = shops.repo.path / ".git" / "raccord"
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"canary-where" not in path.read_bytes(), path
    # Another condition by now: rows are told apart by all that is in them.
    shops.configure(("shop", "sale", "lines"), where={"shop": "id < 50"})
    assert shops.undo(first.id).state == "done"
    assert shops.rows("prod", *TABLES) == before


def test_without_key_and_condition_equal_rows_are_not_guessed_at(shops):
    shops.both("create table tags (a integer, b text default 'mine')")
    shops.both("insert into tags values (1, 'mine'), (1, 'canary')")
    shops.run("dev", "update tags set a = 3 where b = 'mine'")
    shops.configure(("tags",), where={"tags": "b <> 'canary'"}, exclude=["tags.b"])
    before = shops.rows("prod", "tags")
    first = shops.push()
    assert (first.state, why(first)) == ("done", ""), first
    after = shops.rows("prod", "tags")
    shops.configure(("tags",), exclude=["tags.b"])
    with pytest.raises(WorldMoved, match="tags have no key, and their where is another by now"):
        restore(shops, first.id)
    assert shops.undo(first.id).state != "done" and shops.rows("prod", "tags") == after
    shops.configure(("tags",), where={"tags": "b <> 'canary'"}, exclude=["tags.b"])
    report = restore(shops, first.id)
    assert (report.state, why(report)) == ("done", "") and shops.rows("prod", "tags") == before


def test_whole_tables_and_every_type_after_more_pushes(seed):
    differ(seed)
    before = seed.rows("prod")
    first = seed.push(mode="mirror")
    seed.run("dev", "update knowledge_base set title = title || '!'; delete from templates")
    second = seed.push(allow_empty=True)
    assert (first.state, second.state) == ("done", "done")
    after = seed.rows("prod")
    assert restore(seed, second.id[-6:]).state == "done"
    assert restore(seed, first.id).state == "done"
    assert seed.rows("prod") == before
    seed.undo()
    seed.undo()
    assert seed.rows("prod") == after
    status = seed.workspace.data_status().sets[1].push
    assert status is not None and status.origin == f"what run {first.id} kept" and status.undone_by


def test_an_archive_replaces(seed):
    seed.configure(tables=PLAIN)
    differ_plain(seed)
    made = seed.workspace.archives.export(DataExportOptions("all"))
    before = seed.rows("prod")
    found = plan(seed, made.path)
    assert [step.kind for step in found.steps()] == ["data.keep", "data.import"]
    assert any("exported" in one for one in notes(found)) and found.verb == "data restore"
    report = restore(seed, made.path)
    assert (report.state, why(report)) == ("done", "")
    assert seed.rows("prod", *PLAIN) == seed.rows("dev", *PLAIN)
    assert seed.undo().state == "done" and seed.rows("prod") == before
    # What a restore has no option for is told as the import that it is.
    seed.run("dev", "delete from templates")
    empty = seed.workspace.archives.export(DataExportOptions("all", out="empty.raccord"))
    lane = plan(seed, empty.path).stages[0].lanes[0]
    assert lane.held and lane.held.hint.endswith("--to prod --mode replace --allow-empty")
    with pytest.raises(UsageError, match="is a folder, and no archive"):
        restore(seed, str(seed.repo.path / "exports"))
    with pytest.raises(RaccordError, match=r"nothing\.raccord"):
        restore(seed, "nothing.raccord")


@pytest.mark.long_but(1)
def test_a_run_of_several_sets(shops):
    """The set whose rows refer to the other's goes back first; `--set` takes one of them."""
    shops.configure(("shop",))
    config = shops.repo.path / "raccord.toml"
    config.write_text(
        config.read_text() + '[data.sales]\ntables = ["sale"]\n[profiles.both]\ndata = ["all", "sales"]\n'
    )
    shops.run("prod", "delete from sale; delete from shop")
    before = shops.rows("prod", *TABLES)
    with shops.workspace as workspace:
        run = workspace.promote(PromoteOptions("both", "prod"))
    assert isinstance(run, RunReport) and run.state == "done", run
    after = shops.rows("prod", *TABLES)
    with pytest.raises(UsageError, match="kept rows of all in prod, sales in prod"):
        restore(shops, run.id, set="other")
    assert restore(shops, run.id, set="sales").state == "done"
    assert shops.rows("prod", "sale") == {"sale": before["sale"]}
    assert shops.undo().state == "done" and shops.rows("prod", *TABLES) == after
    report = restore(shops, run.id)
    assert (report.state, len(report.lanes)) == ("done", 2), report
    assert shops.rows("prod", *TABLES) == before
    assert shops.undo().state == "done" and shops.rows("prod", *TABLES) == after


def test_gc_leaves_what_a_stopped_restore_reads(shops, monkeypatch):
    before = shops.rows("prod", *TABLES)
    first = shops.push()
    config = shops.repo.path / "raccord.toml"
    config.write_text(config.read_text() + "[snapshots]\nkeep_days = 0\nkeep_last = 1\n")

    def stopped(*words):
        raise Unanswered("nobody says")

    with monkeypatch.context() as patched:
        patched.setattr(restore_steps.RestoreHandler, "act", stopped)
        assert restore(shops, first.id).state == "stopped"
    with shops.workspace as workspace:
        workspace.gc()
        assert workspace.continue_().state == "done"
    assert shops.rows("prod", *TABLES) == before
    with shops.workspace as workspace:
        assert f"run {first.id}" in workspace.gc().removed


@pytest.mark.long_but(1)
def test_listed_and_asked_as_a_push_is(shops):
    said = json.loads(cli(shops, "--list", "--json").stdout)
    assert said["kind"] == "data-backups" and said["backups"] == []
    first = shops.push()
    listed = cli(shops, "--list")
    assert first.id in listed.stdout and "kept until" in listed.stdout, listed
    (one,) = json.loads(cli(shops, "--list", "--json").stdout)["backups"]
    assert (one["run"], one["name"], one["environment"]) == (first.id, "all", "prod")
    assert one["rows"] == 6 and one["size"] > 0 and one["until"] > one["at"] and one["undone_by"] == ""
    assert set(one["tables"]) == set(TABLES)
    shops.configure(("shop", "sale", "lines"), protected=True, exclude=["shop.own"])
    before = shops.rows("prod", *TABLES)
    dry = cli(shops, first.id, "--to", "prod", "--dry-run", "--json")
    assert dry.returncode == 0 and json.loads(dry.stdout)["kind"] == "plan", dry
    refused = cli(shops, first.id, "--to", "prod")
    assert refused.returncode == 2 and f"restore {first.id} --to prod --yes-to prod" in refused.stderr
    assert shops.rows("prod", *TABLES) == before
    assert cli(shops, first.id, "--to", "prod", "--yes-to", "prod").returncode == 0
    assert shops.rows("prod", *TABLES) != before
    missing = cli(shops, first.id)
    assert missing.returncode == 2 and "--to is missing" in missing.stderr
    told = cli(shops, "--help").stdout
    assert "raccord undo" in told and "Example: raccord data restore" in told


def test_filled_straight_and_exchanged(seed):
    seed.configure(tables=SENT)
    empty = seed.rows("prod")
    first = seed.push()
    assert first.state == "done"
    # One table was touched since, so it goes back row by row, and the others whole.
    seed.run("prod", "update templates set body = 'since' where name = 'letter'")
    seed.run("prod", "insert into templates values ('mine', 'mine')")
    found = plan(seed, first.id)
    assert counts(found)["templates"] == (0, 0, 3) and counts(found)["knowledge_base"] == (0, 0, 300)
    report = restore(seed, first.id)
    assert (report.state, why(report)) == ("done", ""), report
    assert seed.rows("prod", "templates") == {"templates": [("(mine,mine)",)]}
    assert seed.rows("prod", *SENT[:4]) == {name: empty[name] for name in SENT[:4]}
