"""Rows of SQLite in archives and CSV files: there and back with every value as it was, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raccord.data import sqlite_rows
from raccord.errors import CannotRun, RaccordError, UsageError
from raccord.model.options_data import DataExportOptions, DataImportOptions, DataRestoreOptions, KeyOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.model.report_data import DataExport
from tests import pgkit
from tests.datakit import Two, two, why
from tests.litekit import lite
from tests.verbs.test_data_archive import notes
from tests.verbs.test_data_lite import ODD, ODD_ROWS, SETUP

KEY = KeyOptions(passphrase="env:ARCHIVE_PASSPHRASE")
LONG = """
create table long (id integer primary key, t text, b blob);
create table no_row (id integer primary key);
create table one (v);
"""
LONG_ROWS = """
insert into long values (1, printf('%.*c', 300000, 'x'), zeroblob(200000)), (2, '', x''), (3, null, null),
  (4, cast(zeroblob(70000) as text), randomblob(100000)),
  (5, replace(hex(zeroblob(20000)), '0', 'é"'), 'text');
insert into one values (null), (''), (x''), (1);
"""
# No file may have the name of the last one.
FILED = ("plain", "strict_one", "without_rowid", "keyless", "computed", "long", "no_row", "one")


@pytest.fixture
def odd(tmp_path):
    with lite(tmp_path) as found:
        found.both(ODD + LONG)
        found.run("dev", ODD_ROWS + LONG_ROWS)
        yield found


@pytest.fixture
def shops(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHIVE_PASSPHRASE", "correct horse")
    with lite(tmp_path) as found:
        found.both(SETUP)
        found.configure(("shop", "sale"))
        yield found


def export(pair: Two, **options: Any) -> DataExport:
    with pair.workspace as workspace:
        return workspace.archives.export(DataExportOptions("all", **options))


def bring(pair: Two, path: str, **options: Any) -> RunReport:
    with pair.workspace as workspace:
        report = workspace.archives.bring(DataImportOptions(path, "prod", **options))
    assert isinstance(report, RunReport)
    return report


def plan(pair: Two, path: str, **options: Any) -> Plan:
    with pair.workspace as workspace:
        report = workspace.archives.bring(DataImportOptions(path, "prod", dry_run=True, **options))
    assert isinstance(report, Plan)
    return report


def held(found: Plan) -> str:
    lane = found.stages[0].lanes[0]
    return lane.held.message if lane.held else ""


@pytest.mark.parametrize("form", ["archive", "csv"])
@pytest.mark.parametrize("fresh", [True, False])
def test_every_kind_of_table_and_of_value(odd, form, fresh):
    odd.configure(("*",) if form == "archive" else FILED, mode="replace" if fresh else "mirror")
    if not fresh:
        odd.run("prod", ODD_ROWS + LONG_ROWS)
        odd.run(
            "prod",
            "update plain set v = '1' where k in ('a', 'b'); delete from keyless where v = '1';"
            "insert into keyless values (7, 'own'); update without_rowid set a = 'KEY' where a = 'Key';"
            "update long set b = x'00' where id = 1; delete from strict_one where n = 3",
        )
    tables = [name for name in odd.rows("dev") if form == "archive" or name in FILED]
    before = odd.rows("prod")
    made = export(odd, form=form)
    assert {one.table: one.rows for one in made.tables}["plain"] == 10
    path = made.path
    assert any("from dev (SQLite 3" in one for one in notes(plan(odd, path, form=form)))
    report = bring(odd, path, form=form)
    assert (report.state, why(report)) == ("done", ""), report
    assert odd.rows("prod", *tables) == odd.rows("dev", *tables)
    assert bring(odd, path, form=form).state == "nothing"
    assert odd.undo(report.id).state == "done" and odd.rows("prod") == before
    assert sorted(one.name for one in odd.path("prod").parent.glob("*.db*")) == ["dev.db", "prod.db"]


def test_no_wider_than_memory(odd):
    odd.configure(("long",))
    made = export(odd)
    assert Path(made.path).stat().st_mode & 0o777 == 0o600
    assert made.tables[0].rows == 5


@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
def test_modes_and_the_numbers_before_and_after(shops, mode):
    shops.configure(("shop", "sale"), secrets="exclude")
    shops.run(
        "dev", "insert into shop values (3, 'three', null, 'no'); update shop set note = 'new' where id = 1"
    )
    shops.run("prod", "insert into shop values (9, 'nine', null, 'own'); delete from shop where id = 2")
    made = export(shops)
    assert b"dev-canary" not in Path(made.path).read_bytes()
    assert made.next_command == f"raccord data import {made.path} --to prod --dry-run"
    found = plan(shops, made.path, mode=mode)
    after = {"insert": 4, "upsert": 4, "mirror": 3}[mode]
    assert f"shop: 2 rows before, {after} after" in notes(found)
    before = shops.rows("prod")
    report = bring(shops, made.path, mode=mode)
    assert (report.state, why(report)) == ("done", "")
    wanted = {
        "insert": [(1, "n1"), (2, "n2"), (3, None), (9, None)],
        "upsert": [(1, "new"), (2, "n2"), (3, None), (9, None)],
        "mirror": [(1, "new"), (2, "n2"), (3, None)],
    }
    assert shops.run("prod", "select id, note from shop order by id") == wanted[mode]
    # What stays behind stays as it is.
    assert shops.run("prod", "select api_token from shop where id = 1") == [("dev-canary",)]
    assert shops.undo().state == "done" and shops.rows("prod") == before


@pytest.mark.long
def test_sealed_restored_and_in_the_status(shops):
    with pytest.raises(UsageError, match=r"shop.api_token may hold secrets, which no archive holds in clear"):
        export(shops)
    made = export(shops, key=KEY)
    assert made.sealed == "passphrase" and b"dev-canary" not in Path(made.path).read_bytes()
    with pytest.raises(CannotRun, match="sealed to a passphrase"):
        bring(shops, made.path)
    shops.run("prod", "update shop set note = 'lost'; delete from sale; insert into shop (id) values (7)")
    lost = shops.rows("prod")
    with shops.workspace as workspace:
        report = workspace.archives.restore(DataRestoreOptions(made.path, "prod", key=KEY))
        assert isinstance(report, RunReport) and report.state == "done", report
        assert shops.rows("prod") == shops.rows("dev")
        status = next(one for one in workspace.data_status().sets if one.environment == "prod")
        assert status.push is not None
        back = workspace.archives.restore(DataRestoreOptions(report.id, "prod"))
    assert isinstance(back, RunReport) and back.state == "done", back
    assert shops.rows("prod") == lost


def test_an_export_goes_on_where_it_was_cut_off(shops, monkeypatch):
    shops.configure(("shop", "sale"), secrets="exclude")
    whole = export(shops)
    real, calls = sqlite_rows.packed, []

    def cut(rows):
        calls.append(1)
        if len(calls) == 2:
            raise CannotRun("cut off")
        yield from real(rows)

    monkeypatch.setattr(sqlite_rows, "packed", cut)
    with pytest.raises(CannotRun, match="cut off"):
        export(shops)
    monkeypatch.setattr(sqlite_rows, "packed", real)
    made = export(shops)
    assert made.resumed == 1 and [one.rows for one in made.tables] == [one.rows for one in whole.tables]
    # Another state: what was written before is written again.
    calls.clear()
    monkeypatch.setattr(sqlite_rows, "packed", cut)
    with pytest.raises(CannotRun, match="cut off"):
        export(shops)
    monkeypatch.setattr(sqlite_rows, "packed", real)
    shops.run("dev", "update shop set note = 'since' where id = 2")
    made = export(shops)
    assert made.resumed == 0
    assert bring(shops, made.path).state == "done"
    assert shops.run("prod", "select note from shop where id = 2") == [("since",)]


def test_part_of_a_table_with_masks(shops):
    """`where` and `mask` see the tables of dev; of their SQL the archive has fingerprints alone."""
    keys = {"where": {"shop": "id in (select shop from sale)"}, "exclude": ["shop.api_token"]}
    shops.configure(("shop",), mask={"shop.name": "'masked ' || id", "shop.note": "mask:null"}, **keys)
    shops.run("prod", "insert into shop values (5, 'five', 'mine', null)")
    made = export(shops)
    assert made.tables[0].masked == {"name": made.tables[0].masked["name"], "note": "mask:null"}
    path = Path(made.path)
    assert bring(shops, made.path).state == "done"
    assert shops.run("prod", "select id, name, note from shop order by id") == [
        (1, "masked 1", None), (2, "two", "n2"), (5, "five", "mine"),
    ]  # fmt: skip
    shops.configure(("shop",), where={"shop": "id < 9"}, exclude=["shop.api_token"])
    assert "holds rows of shop that another condition chose" in held(plan(shops, str(path)))
    shops.configure(("shop",), where={"shop": "no such column"}, exclude=["shop.api_token"])
    with pytest.raises(RaccordError):
        export(shops)
    assert {one.name for one in path.parent.iterdir()} == {".gitignore", path.name}


def test_what_leaves_a_protected_environment_takes_a_word(shops):
    shops.configure(("shop",), protected=True, exclude=["shop.api_token"], mask={"shop.name": "mask:none"})
    with pytest.raises(UsageError, match="a pull of it would be masked"):
        export(shops, origin="prod")
    made = export(shops, origin="prod", masked=True)
    found = plan(shops, made.path)
    assert "masked: they would overwrite there" in held(found)


@pytest.mark.parametrize("left", ["UTF-8", "UTF-16le"])
def test_files_of_both_encodings(tmp_path, left):
    with lite(tmp_path) as pair:
        for name, kind in (("dev", left), ("prod", "UTF-16be")):
            pair.path(name).unlink()
            pair.run(name, f"pragma encoding = '{kind}'; {ODD}")
        pair.configure(("plain", "keyless"))
        pair.run(
            "dev",
            "insert into plain values ('é😀' || char(0), x'ff00'), ('', 1.0);"
            "insert into keyless values ('ß', '')",
        )
        for form in ("archive", "csv"):
            made = export(pair, form=form)
            report = bring(pair, made.path, form=form)
            assert (report.state, why(report)) == ("done", "")
            assert pair.rows("prod", "plain", "keyless") == pair.rows("dev", "plain", "keyless")
            assert pair.undo().state == "done"


def test_refused_by_name_with_nothing_changed(shops, tmp_path):
    shops.configure(("shop", "sale"), secrets="exclude")
    made = export(shops)
    before = shops.rows("prod")
    assert made.dry_run is False
    shops.run("prod", "alter table shop add column more")
    assert "shop.more is missing in the archive" in str(plan(shops, made.path))
    shops.run("prod", "alter table shop drop column more")
    data = Path(made.path).read_bytes()
    for bad in (data[:-9], data[:200] + bytes([data[200] ^ 1]) + data[201:], b"none"):
        (tmp_path / "bad.raccord").write_bytes(bad)
        with pytest.raises(CannotRun):
            plan(shops, str(tmp_path / "bad.raccord"))
    shops.configure(("shop",), secrets="exclude")
    assert "holds sale, which the set all doesn't name" in held(plan(shops, made.path))
    shops.configure(("shop", "sale"), secrets="exclude", closure=True)
    with pytest.raises(CannotRun, match="closure is for PostgreSQL databases, and dev is a SQLite file"):
        export(shops)
    assert shops.rows("prod") == before


@pytest.mark.parametrize(
    ("line", "why_not"),
    [
        ('1,"one","n1"\n1,"two","n2"', "two rows have the same key"),
        (',"one","n1"', "a row has no id"),
        ('1,"one"', "row 1 has 2 values, and not 3"),
        ('1,"o"ne,3', "quotes stand where none may be"),
    ],
)
def test_csv_files_of_others(shops, tmp_path, line, why_not):
    shops.configure(("shop",), exclude=["shop.api_token"])
    before, folder = shops.rows("prod"), tmp_path / "csv"
    folder.mkdir()
    path = folder / "shop_20260101_120000.csv"
    path.write_text(f"id,name,note\n{line}\n")
    with pytest.raises(CannotRun, match=rf"shop_20260101_120000.csv: .*{why_not}.*; nothing was changed"):
        plan(shops, str(folder), form="csv")
    assert shops.rows("prod") == before
    path.write_text('id,name,note\n1,one,\n2,007,""\n')
    found = plan(shops, str(folder), form="csv")
    assert any(one.startswith("nothing says from where these files are") for one in notes(found))
    assert bring(shops, str(folder), form="csv").state == "done"
    assert shops.run("prod", "select id, name, note from shop") == [(1, "one", None), (2, "007", "")]


def test_a_file_that_was_changed_is_read_as_those_of_others(shops):
    shops.configure(("shop",), exclude=["shop.api_token"])
    made = export(shops, form="csv")
    path = next(Path(made.path).glob("shop_*.csv"))
    path.write_text(path.read_text().replace('"n2"', "12"))
    assert any("not as they were exported: shop" in one for one in notes(plan(shops, made.path, form="csv")))
    assert bring(shops, made.path, form="csv").state == "done"
    assert shops.run("prod", "select note, typeof(note) from shop where id = 2") == [("12", "text")]


CROSSING = """
create table every_one (
  id integer primary key, t text, b {blob}, r double precision, yes boolean, n integer)
"""
CROSSED = [
    (1, "é\n\"'", b"\0\xff", 0.1, 1, None),
    (2, "", b"", -1.5, 0, 7),
    (3, "\\x41", None, None, None, 1),
]


def test_from_one_kind_of_database_to_the_other(tmp_path):
    """An archive is refused; CSV files go, either way."""
    try:
        with two(tmp_path / "pg") as server, lite(tmp_path / "lite") as files:
            server.both(CROSSING.format(blob="bytea"))
            files.both(CROSSING.format(blob="blob"))
            for pair in (server, files):
                pair.configure(("every_one",))
            with files.ends["dev"][0].connect("dev") as db:
                db.executemany("insert into every_one values (?, ?, ?, ?, ?, ?)", CROSSED)
            ends: tuple[tuple[Two, Two, str], ...] = (
                (files, server, "a SQLite file, and prod is a PostgreSQL database"),
                (server, files, "a PostgreSQL database, and prod is a SQLite file"),
            )
            for pair, other, kinds in ends:
                made = export(pair)
                with pytest.raises(CannotRun, match=f"holds rows of {kinds}") as said:
                    bring(other, made.path)
                assert said.value.hint.startswith(
                    "raccord data export all --from dev --format csv writes files"
                )
                made = export(pair, form="csv")
                report = bring(other, made.path, form="csv")
                assert (report.state, why(report)) == ("done", "")
                # What came is what goes back, and a row of nothing with it.
                server.run("prod", "insert into every_one (id) values (0) on conflict do nothing")
                server.ends["dev"] = server.ends["prod"]
                server.configure(("every_one",))
            rows = files.run("prod", "select * from every_one order by id")
            assert [*map(repr, rows)] == [*map(repr, [(0, *[None] * 5), *CROSSED])]
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")
