"""Data sets between SQLite files: what is theirs alone, and what a push refuses by name."""

from __future__ import annotations

import os
import sqlite3

import pytest

from raccord.errors import CannotRun, DatabaseError, DatabaseMissing, RaccordError
from raccord.model.options_data import (
    DataPullOptions,
    DataPushOptions,
    PromoteOptions,
)
from raccord.model.report import RunReport
from tests.datakit import why
from tests.litekit import Lite, lite

SETUP = """
create table shop (id integer primary key, name text unique, note text, api_token text);
create table sale (id integer primary key autoincrement, shop integer references shop on delete cascade);
insert into shop values (1, 'one', 'n1', 'dev-canary'), (2, 'two', 'n2', null);
insert into sale values (1, 1);
"""


@pytest.fixture
def shops(tmp_path):
    with lite(tmp_path) as found:
        found.both(SETUP)
        found.configure(("shop", "sale"))
        yield found


def there_and_back(pair: Lite, *tables: str, **options) -> None:
    """Pushed, prod has what dev has; undone, what it had; and nothing is left beside the files."""
    before = pair.rows("prod", *tables)
    report = pair.push(**options)
    assert (report.state, why(report)) == ("done", ""), report
    assert pair.rows("prod", *tables) == pair.rows("dev", *tables)
    undone = pair.undo()
    assert undone.state == "done" and pair.rows("prod", *tables) == before, undone
    assert pair.undo(undone.id).state == "done"
    assert pair.rows("prod", *tables) == pair.rows("dev", *tables)
    folder = pair.path("prod").parent
    assert sorted(one.name for one in folder.glob("*.db*")) == ["dev.db", "prod.db"]


ODD = """
create table plain (k text primary key, v);
create table strict_one (k any primary key, n integer, v any) strict;
create table without_rowid (a text collate nocase, b integer, v real, primary key (a, b)) without rowid;
create table keyless (v, w text);
create table computed (id integer primary key, n, twice as (n * 2), thrice as (n * 3) stored);
create table "or""der" ("group" integer primary key, "select" blob, "rowid" text);
create view seen as select * from plain;
"""
ODD_ROWS = """
insert into plain values ('a', 1), ('b', 1.0), ('c', '1'), ('d', x'31'), ('e', null), ('f', 9e999),
 (cast(x'ff00fe' as text), cast(x'c328' as text)), ('g' || char(0) || 'h', 'i' || char(0)),
 ('max', 9223372036854775807), ('third', 0.1 + 0.2);
insert into strict_one values ('1', 1, '1'), (1, 2, 1), (x'01', 3, 1.5);
insert into without_rowid values ('Key', 1, 1), ('key', 2, 2.5), ('other', 1, 9e999);
insert into keyless values (1, 'x'), (1, 'x'), (1.0, 'x'), ('1', 'x'), (null, null), (null, null);
insert into computed (id, n) values (1, 5), (2, 'x');
insert into "or""der" values (1, x'00ff', 'r'), (2, zeroblob(3000), char(0));
"""


@pytest.mark.long_but(2)
@pytest.mark.parametrize("mode", ["replace", "mirror"])
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_every_kind_of_table_and_of_value(tmp_path, mode, journal):
    with lite(tmp_path) as pair:
        pair.both(ODD)
        pair.run("dev", ODD_ROWS)
        for name in ("dev", "prod"):
            pair.run(name, f"pragma journal_mode = {journal}")
        there_and_back(pair, mode=mode)
        pair.run(
            "prod",
            "update plain set v = '1' where k in ('a', 'b'); update plain set v = 1 where k = 'c';"
            "update strict_one set v = 1 where n = 1; delete from strict_one where n = 3;"
            "update without_rowid set a = 'KEY' where b = 1 and a = 'key'; delete from keyless where v = '1';"
            "insert into keyless values (1, 'x'), (7, 'own'); update computed set n = 6 where id = 1;"
            "insert into plain values ('own', x'ff')",
        )
        found = {one.table: (one.added, one.changed, one.removed) for one in pair.diff().tables}
        assert found == {
            "plain": (0, 3, 1), "strict_one": (1, 1, 0), "without_rowid": (0, 1, 0), "keyless": (1, 0, 2),
            "computed": (0, 1, 0), 'or"der': (0, 0, 0),
        }  # fmt: skip
        there_and_back(pair, mode=mode)


def test_numbers_go_on_behind_those_that_came(shops):
    shops.run("dev", "insert into sale values (70, 2)")
    there_and_back(shops, "shop", "sale")
    assert shops.undo().state == "done"
    shops.run("prod", "insert into sale (shop) values (1)")
    # It never goes back: the number was given once.
    assert shops.run("prod", "select max(id) from sale") == [(71,)]


def test_circles_and_tables_that_refer_to_themselves(tmp_path):
    with lite(tmp_path) as pair:
        pair.both(
            "create table a (id integer primary key, b integer not null references b);"
            "create table b (id integer primary key, a integer not null references a);"
            "create table tree (id integer primary key, up integer references tree on delete cascade)"
        )
        for name, ids in (("dev", (1, 2)), ("prod", (2, 3))):
            for number in ids:
                pair.run(
                    name,
                    f"insert into a values ({number}, {number}); insert into b values ({number}, {number})",
                )
        pair.run("dev", "insert into tree values (1, 2), (2, null), (3, 1)")
        pair.run("prod", "insert into tree values (5, null), (6, 5), (7, 6), (1, 7)")
        there_and_back(pair)


@pytest.mark.parametrize(
    ("where", "change", "words"),
    [
        ("prod", "alter table shop drop note; alter table shop add note int", "is text in dev, int in"),
        ("prod", "alter table shop drop note; alter table shop add note text collate nocase", "nocase in"),
        ("prod", "alter table shop drop column note", "shop.note is missing in prod"),
        ("dev", "alter table shop drop column note", "shop.note is missing in dev"),
        ("prod", "drop table sale", "prod has no table sale"),
        ("prod", "create table gone (id references Shop); insert into gone values (2)", "1 row of gone"),
        ("prod", "create table gone (n references shop (name)); insert into gone values ('two')", "of gone"),
        ("prod", "drop table sale; create view sale as select 1 as id, 1 as shop", "sale is a view"),
        ("prod", "drop table sale; create virtual table sale using fts5(id, shop)", "is a virtual table"),
        ("dev", "drop table sale; create table sale (id integer, shop integer) strict", "strict in dev"),
    ],
)  # fmt: skip
def test_what_stands_against_it(shops, where, change, words):
    shops.run(where, change)
    shops.run("dev", "delete from shop where id = 2; update shop set name = 'x'")
    before = shops.rows("prod", "shop")
    assert words in " ".join([why(shops.plan()), *(one.message for one in shops.diff().refused)])
    assert shops.push().state == "partial"
    assert shops.rows("prod", "shop") == before


@pytest.mark.parametrize("action", ["", "on delete cascade", "on delete set null", "on delete restrict"])
def test_rows_outside_of_the_set_are_never_touched(shops, action):
    shops.run(
        "prod", f"create table gone (id integer references shop {action}); insert into gone values (2), (2)"
    )
    shops.run("dev", "delete from shop where id = 2")
    report = shops.push()
    assert "2 rows of gone refer by id to rows that would go from shop" in why(report)
    assert shops.run("prod", "select count(*) from gone where id = 2") == [(2,)]


def test_a_row_without_its_parent_is_refused_by_name(shops):
    shops.configure(("sale",))
    shops.run("dev", "insert into shop (id) values (9); insert into sale values (9, 9)")
    report = shops.push()
    assert "1 row of sale refers by shop to rows of shop that are not there" in why(report), report
    assert shops.run("prod", "select count(*) from sale") == [(1,)]


TRIGGERS = """
create trigger stamp after update on shop begin update shop set note = 'stamped' where id = new.id; end;
create trigger "on update" before insert on shop when new.id > 100 begin select raise(abort, 'c4n4ry'); end;
create trigger counted after delete on sale begin update shop set note = 'left' where id = old.shop; end;
"""


def test_triggers(shops):
    shops.run("dev", "update shop set note = 'x'; insert into shop (id, name) values (101, 'new')")
    shops.run("prod", TRIGGERS)
    texts = "select name, sql from sqlite_schema where type = 'trigger' order by name"
    before, said = shops.rows("prod", "shop"), shops.run("prod", texts)
    assert "shop has triggers that would fire in prod: on update, stamp" in why(shops.push())
    shops.configure(("shop", "sale"), triggers="fire")
    report = shops.push()
    assert "a trigger raised an error" in why(report) and "c4n4ry" not in str(report)
    assert shops.rows("prod", "shop") == before
    shops.configure(("shop", "sale"), triggers="skip")
    there_and_back(shops, "shop", "sale")
    assert shops.run("prod", texts) == said
    shops.run("dev", "delete from shop where id > 100; update shop set note = 'y'")
    shops.configure(("shop", "sale"), triggers="fire")
    assert shops.push().state == "done"
    assert shops.run("prod", "select distinct note from shop") == [("stamped",)]


def test_full_text_stays_in_step_by_its_triggers(tmp_path):
    with lite(tmp_path) as pair:
        pair.both(
            "create table doc (id integer primary key, body text);"
            "create virtual table doc_fts using fts5(body, content=doc, content_rowid=id);"
            "create trigger di after insert on doc begin"
            " insert into doc_fts (rowid, body) values (new.id, new.body); end;"
            "create trigger dd after delete on doc begin"
            " insert into doc_fts (doc_fts, rowid, body) values ('delete', old.id, old.body); end;"
        )
        pair.run("dev", "insert into doc values (1, 'hello world')")
        pair.configure(triggers="fire")
        plan = str(pair.plan())
        assert "doc_fts is a virtual table, and stays as it is" in plan and "doc_fts_data" not in plan
        assert pair.push().state == "done"
        assert pair.run("prod", "select rowid from doc_fts('world')") == [(1,)]


def test_keys_with_several_spellings_and_indexes_over_parts(tmp_path):
    with lite(tmp_path) as pair:
        pair.both(
            "create table a (k text collate nocase primary key not null, v);"
            "create table b (id integer primary key, v text, w text, r int unique on conflict replace);"
            "create unique index b_part on b (v) where w is null; create unique index b_low on b (lower(w));"
        )
        pair.run(
            "dev", "insert into a values ('Key', 1); insert into b values (1, 'x', null, 1), (2, 'y', 'W', 2)"
        )
        pair.run(
            "prod",
            "insert into a values ('KEY', 1); insert into b values (1, 'y', null, 2), (9, 'x', 'w', 1)",
        )
        before = pair.rows("prod", "a", "b")
        assert [(one.added, one.changed, one.removed) for one in pair.diff().tables] == [(0, 1, 0), (1, 1, 1)]
        report = pair.push(mode="insert")
        assert "one of b_low, b_part has it" in report.lanes[0].steps[-1].note or "r is taken" in str(report)
        assert pair.rows("prod", "a", "b") == before
        there_and_back(pair, "a", "b")


def test_conditions_and_masks_see_the_tables_of_their_own_side(shops):
    shops.both("create table public (shop integer)")
    shops.run("dev", "insert into public values (1)")
    shops.run("prod", "insert into public values (2); update shop set note = 'p'")
    shops.configure(
        ("shop",),
        where={"shop": "id in (select shop from public) -- of mine"},
        mask={"shop.note": "name || (select count(*) from sale)"},
        mode="upsert",
    )
    report = shops.push()
    # Its own side leaves the row out that comes.
    assert "1 row of shop has the key of rows that where leaves out in prod" in why(report), report
    shops.run("prod", "insert into public values (1)")
    assert shops.push().state == "done"
    assert shops.run("prod", "select id, note from shop order by id") == [(1, "one1"), (2, "p")]


def test_text_of_another_encoding(tmp_path):
    with lite(tmp_path) as pair:
        for name, encoding in (("dev", "UTF-16le"), ("prod", "UTF-8")):
            pair.path(name).unlink()
            pair.run(name, f"pragma encoding = '{encoding}'; create table a (k text primary key, v)")
        pair.run("dev", "insert into a values ('é', 'ü'), ('z', 'a' || char(0) || 'b')")
        there_and_back(pair, "a")


def test_others_in_the_way(shops):
    shops.configure(("shop", "sale"), lock_seconds=1)
    shops.run("dev", "update shop set note = 'x'")
    for mode, reads in (("delete", False), ("wal", True)):
        shops.run("prod", f"pragma journal_mode = {mode}")
        before = shops.rows("prod", "shop")
        with shops.ends["prod"][0].connect("prod") as db:
            db.execute("begin immediate")
            assert "others kept" in why(shops.push()) and shops.rows("prod", "shop") == before
            db.execute("rollback")
            # Who reads stands in the way of the commit, where there is no write-ahead log.
            db.execute("begin")
            assert db.execute("select count(*) from shop").fetchone() == (2,)
            report = shops.push()
            assert (report.state == "done") == reads, report
            assert db.execute("select note from shop where id = 1").fetchone() == (b"n1",)
        assert (shops.rows("prod", "shop") == before) != reads


def test_files_that_are_none(shops, tmp_path):
    prod = shops.path("prod")
    data = prod.read_bytes()
    shops.run("dev", "update shop set note = 'x'")
    prod.unlink()
    with pytest.raises(DatabaseMissing, match=r"prod\.db is not there"):
        shops.push()
    assert not prod.exists()
    prod.write_bytes(os.urandom(8192))
    with pytest.raises(DatabaseError, match="not a database"):
        shops.push()
    prod.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    with pytest.raises(RaccordError):
        shops.push()
    prod.unlink()
    prod.symlink_to(shops.path("dev"))
    with pytest.raises(CannotRun, match="the same"):
        shops.push()
    prod.unlink()
    os.link(shops.path("dev"), prod)
    with pytest.raises(CannotRun, match="the same file"):
        shops.push()
    prod.unlink()
    prod.mkdir()
    with pytest.raises(DatabaseError, match="is no file"):
        shops.push()


def test_a_file_that_may_not_be_written(shops, monkeypatch):
    shops.run("dev", "update shop set note = 'x'")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, how: path != str(shops.path("prod")) and real(path, how))
    assert "may not be written" in why(shops.push())


def test_of_different_kinds(shops):
    path = shops.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace(f"sqlite:///{shops.path('dev')}", "postgresql://127.0.0.1:1/x"))
    with pytest.raises(CannotRun, match="they are of different kinds"):
        shops.workspace.data_push(DataPushOptions("all", "prod"))


def test_what_moved_since_the_plan_stops_it(shops, monkeypatch):
    from raccord.data import job, sqlite_push

    shops.run("dev", "update shop set note = 'x'")
    real = job.alone

    def late(job_, target):
        shops.run("prod", "update shop set note = 'x' where id = 1")
        return real(job_, target)

    monkeypatch.setattr(sqlite_push, "alone", late)
    report = shops.push()
    assert "was planned with 0 rows to add, 2 to change" in why(report), report
    assert shops.run("prod", "select note from shop order by id") == [("x",), ("n2",)]


def test_readers_see_the_old_rows_or_the_new(shops, monkeypatch):
    from raccord.data import sqlite_kept

    shops.run("prod", "pragma journal_mode = wal")
    shops.run("dev", "update shop set note = 'x'")
    seen = []
    real = sqlite_kept.left

    def left(*words):
        seen.append(shops.run("prod", "select note from shop order by id"))
        return real(*words)

    monkeypatch.setattr(sqlite_kept, "left", left)
    assert shops.push().state == "done"
    assert seen == [[("n1",), ("n2",)]]
    assert shops.run("prod", "select distinct note from shop") == [("x",)]


def test_an_archive_that_was_changed_is_not_put_back(shops):
    shops.run("dev", "update shop set note = 'x'")
    assert shops.push().state == "done"
    (part,) = (shops.repo.path / ".git/raccord/rows").rglob("*.old")
    assert part.stat().st_mode & 0o77 == 0
    part.write_bytes(part.read_bytes().replace(b"n1", b"n9"))
    report = shops.undo()
    assert report.state != "done" and "is not what was written into it" in why(report), report
    assert shops.run("prod", "select distinct note from shop") == [("x",)]


def test_a_foreign_program_may_write_to_the_source_afterwards(shops):
    shops.run("dev", "pragma journal_mode = wal; update shop set note = 'x'")
    with sqlite3.connect(shops.path("dev")) as db:
        db.execute("update shop set note = 'y' where id = 2")
        assert shops.push().state == "done"  # sees what is committed
    db.close()
    assert shops.run("prod", "select note from shop order by id") == [("x",), ("x",)]


def test_a_file_of_another_host(shops):
    path = shops.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace("protected =", 'ssh = "prod.example.org"\nprotected ='))
    with pytest.raises(DatabaseError, match="a file of another host"):
        shops.plan()


def test_a_pull_masks_by_sql_or_not_at_all(tmp_path):
    with lite(tmp_path) as pair:
        pair.both("create table person (id integer primary key, email text, city text)")
        pair.run("prod", "insert into person values (1, 'ada@corp', 'Paris')")
        pair.configure(secrets="exclude")
        asked = DataPullOptions("all", "prod")
        with pair.workspace as workspace:
            report = workspace.data_pull(asked)
        assert isinstance(report, RunReport)
        # A name for a mask that SQLite has not: null takes its place.
        assert report.state == "done" and pair.run("dev", "select * from person") == [(1, None, "Paris")]
        pair.configure(secrets="exclude", mask={"person.email": "mask:email"})
        with pair.workspace as workspace:
            report = workspace.data_pull(asked)
        assert isinstance(report, RunReport) and "person.email can't be masked with mask:email" in why(report)
        pair.configure(secrets="exclude", mask={"person.email": "'p' || id || '@example.org'"})
        with pair.workspace as workspace:
            report = workspace.data_pull(asked)
        assert isinstance(report, RunReport) and report.state == "done", report
        assert pair.run("dev", "select email from person") == [("p1@example.org",)]
        assert pair.run("prod", "select email from person") == [("ada@corp",)]


def test_rows_that_nothing_refers_to_are_counted(shops):
    path = shops.repo.path / "raccord.toml"
    path.write_text(path.read_text() + 'without = { shop = "sale", sale = "shop", gone = "sale" }\n')
    with shops.workspace as workspace:
        found = {one.environment: one for one in workspace.data_status("all").sets}
    assert not found["prod"].unread
    assert [(one.table, one.rows) for one in found["prod"].without] == [
        ("shop", 1), ("sale", None), ("gone", None),
    ]  # fmt: skip
    assert [one.why for one in found["prod"].without[1:]] == [
        "shop has no foreign key to sale", "there is no table gone",
    ]  # fmt: skip


def test_a_profile_of_files_is_promoted_and_taken_back(shops):
    shops.run("dev", "insert into sale values (2, 2)")
    before = shops.rows("prod")
    path = shops.repo.path / "raccord.toml"
    path.write_text(path.read_text() + '[profiles.shops]\ndata = ["all"]\n')
    with shops.workspace as workspace:
        report = workspace.promote(PromoteOptions("shops", "prod"))
    assert isinstance(report, RunReport) and report.state == "done", report
    assert shops.rows("prod", "sale") == shops.rows("dev", "sale")
    assert shops.undo(report.id).state == "done" and shops.rows("prod") == before
