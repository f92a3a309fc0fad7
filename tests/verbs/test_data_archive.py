"""Rows in archives: exported, imported in every mode, sealed, resumed, and refused where they don't fit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raccord.data import sealing
from raccord.errors import CannotRun, RaccordError, UsageError
from raccord.model.options_data import DataExportOptions, DataImportOptions, KeyOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.model.report_data import DataExport
from tests import pgkit, warm
from tests.datakit import ROWS, SEED, SENT, Two, two, why

KEY = KeyOptions(passphrase="env:ARCHIVE_PASSPHRASE")
# Without the table that has secrets, archives are in clear, which is quicker.
PLAIN = ("knowledge_base", "knowledge_base_chunks", "knowledge_categories", "templates")
UGLY = """
create type mood as enum ('good', 'it''s "so"');
create domain short as text check (length(value) < 20);
create table ugly (
  id numeric primary key,
  "a ""b"", c" text, empty text, nothing text, bytes bytea, words text[], moods mood[],
  doc jsonb, embedding vector(3), mood mood, short short, span int4range, at timestamptz, wait interval,
  price money, always int generated always as identity, twice text generated always as (empty || 'x') stored);
create table keyless (a int, b text);
create table parts (id int, b text, primary key (id)) partition by range (id);
create table parts_1 partition of parts for values from (0) to (10);
create table parts_2 partition of parts for values from (10) to (20);
"""
UGLY_ROWS = """
insert into ugly values (1.50, E'x\\ny\\t"z"\\\\N,', '', null, '\\x00ff0a2c',
  array['a,b', null, '', '{"x"}', 'NULL'], array['good', 'it''s "so"']::mood[],
  '{"a": null, "b": "\\u00e9 \\\\."}', '[1,-0.5,3e-8]', 'it''s "so"', 'déjà', '[1,5)',
  '2020-02-29 23:59:60+05', '1 mon -2 days 03:00', '12.30', default, default),
  (2, '\\.', ' ', 'Ã©\\xff', '', '{}', null, 'null', null, null, null, 'empty', 'infinity', null, null,
  default, default);
insert into keyless values (1, 'a'), (1, 'a'), (null, null);
insert into parts values (1, 'a'), (11, 'b');
"""


def lend(tmp_path, *, schema=SEED, rows=ROWS, **releases):
    try:
        with two(tmp_path, **releases) as found:
            found.both(schema)
            found.run("dev", rows)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.fixture
def seed(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHIVE_PASSPHRASE", "correct horse")
    yield from lend(tmp_path)


@pytest.fixture
def plain(seed):
    seed.configure(tables=PLAIN)
    return seed


def export(seed: Two, **options: Any) -> DataExport:
    return seed.workspace.archives.export(DataExportOptions("all", **options))


def bring(seed: Two, path: str, **options: Any) -> RunReport:
    report = seed.workspace.archives.bring(DataImportOptions(path, "prod", **options))
    assert isinstance(report, RunReport)
    return report


def plan(seed: Two, path: str, **options: Any) -> Plan:
    report = seed.workspace.archives.bring(DataImportOptions(path, "prod", dry_run=True, **options))
    assert isinstance(report, Plan)
    return report


def notes(found: Plan) -> list[str]:
    return [note.message for stage in found.stages for lane in stage.lanes for note in lane.notes]


def differ(seed: Two) -> None:
    seed.run("prod", ROWS)
    seed.run(
        "prod",
        "delete from knowledge_base where id in (7, 8);"
        "update knowledge_base set title = 'other' where id < 5;"
        "update knowledge_base set wait = '24:00' where id = 20;"
        "insert into knowledge_base (id, category_id, title) values (9000, 3, 'own');"
        "insert into knowledge_base_chunks (document, n) values (9000, 1);"
        "delete from templates where name = 'empty'; insert into templates values ('own', 'x')",
    )


def test_sealed_to_a_passphrase_into_an_empty_database_and_back(seed):
    before = seed.rows("prod")
    with pytest.raises(UsageError, match=r"platform_config.value may hold secrets, which no archive holds"):
        export(seed)
    made = export(seed, key=KEY)
    assert {one.table: one.rows for one in made.tables}["knowledge_base"] == 300
    assert made.sealed == "passphrase" and made.secret == ("platform_config.value",)
    path = Path(made.path)
    assert b"gsk_canary" not in path.read_bytes() and path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir() if one.name != ".gitignore"] == [path.name]
    with pytest.raises(CannotRun, match="sealed to a passphrase"):
        bring(seed, made.path)
    report = bring(seed, made.path, key=KEY)
    assert (report.state, why(report)) == ("done", ""), report
    assert seed.rows("prod", *SENT) == seed.rows("dev", *SENT)
    assert seed.rows("prod", "outbox") == {"outbox": []}
    assert seed.diff().equal and seed.workspace.data_status().sets[1].push is not None
    assert seed.undo().state == "done" and seed.rows("prod") == before


def test_equal_afterwards_and_back_and_there_again(plain):
    differ(plain)
    before = plain.rows("prod")
    made = export(plain)
    assert made.sealed == "none"
    found = plan(plain, made.path)
    assert [step.kind for step in found.steps()] == ["data.keep", "data.import"]
    assert "knowledge_base: 299 rows before, 300 after" in notes(found)
    assert any(one.startswith("exported 2") and "from dev (PostgreSQL" in one for one in notes(found))
    assert plain.rows("prod") == before
    report = bring(plain, made.path)
    assert (report.state, why(report)) == ("done", "")
    assert report.lanes[0].steps[-1].note.startswith("5 added, 5 changed, 3 removed"), report
    after = plain.rows("prod")
    assert {name: after[name] for name in PLAIN} == plain.rows("dev", *PLAIN)
    assert bring(plain, made.path).state == "nothing"
    undone = plain.undo(report.id)
    assert undone.state == "done" and plain.rows("prod") == before
    assert plain.undo(undone.id).state == "done" and plain.rows("prod") == after


@pytest.mark.long
@pytest.mark.parametrize(("mode", "left"), [("upsert", (301, 'doc \t"3')), ("insert", (301, "other"))])
def test_other_modes(plain, mode, left):
    differ(plain)
    made = export(plain)
    before = plain.rows("prod")
    assert bring(plain, made.path, mode=mode).state == "done"
    assert plain.run("prod", "select count(*), max(title) filter (where id = 3) from knowledge_base") == [
        left
    ]
    assert plain.undo().state == "done" and plain.rows("prod") == before


def test_every_type_from_one_release_to_another(tmp_path):
    for found in lend(
        tmp_path, schema="create extension vector;" + UGLY, rows=UGLY_ROWS, dev=16, prod=pgkit.NEWEST
    ):
        made = export(found)
        found.run("prod", "insert into ugly (id, empty) values (1.5, 'old'), (7, '')")
        tables = ("ugly", "keyless", "parts")
        for mode in ("replace", "upsert"):
            if mode == "upsert":
                found.configure(tables=("ugly", "parts"))
                made = export(found)
                found.run("prod", "update ugly set empty = 'x'; delete from parts")
            assert bring(found, made.path, mode=mode).state == "done"
            assert found.rows("prod", *tables) == found.rows("dev", *tables)


def test_a_part_of_a_table(plain):
    keys = {
        "where": {"knowledge_base": "id < 100"},
        "exclude": ["knowledge_base.tags"],
        "mask": {"knowledge_base.title": "'m' || id"},
        "tables": ("knowledge_categories", "knowledge_base"),
    }
    plain.configure(**keys)
    made = export(plain)
    plain.run(
        "prod", "insert into knowledge_base (id, title, tags) values (5, 'x', '{kept}'), (500, 'own', '{}')"
    )
    assert bring(plain, made.path).state == "done"
    assert plain.run("prod", "select count(*), min(title) filter (where id = 5) from knowledge_base") == [
        (100, "m5")
    ]
    assert plain.run("prod", "select id, tags from knowledge_base where tags is not null order by id") == [
        (5, ["kept"]), (500, []),
    ]  # fmt: skip
    assert bring(plain, made.path).state == "nothing"
    plain.configure(**{**keys, "where": {"knowledge_base": "true"}})
    assert "another condition chose" in why(plan(plain, made.path))
    # What travelled may stay behind by now.
    plain.configure(**{**keys, "exclude": ["knowledge_base.tags", "knowledge_base.meta"]})
    plain.run("prod", "update knowledge_base set meta = '{}', title = 'y' where id = 5")
    assert bring(plain, made.path).state == "done"
    assert plain.run("prod", "select meta, title from knowledge_base where id = 5") == [({}, "m5")]


def test_secrets_stay_behind_unless_the_set_takes_them(seed, tmp_path):
    seed.configure(tables=("platform_config",), secrets="exclude")
    seed.run("prod", "insert into platform_config values ('theme', 'prod''s')")
    seed.run("prod", "alter table platform_config alter value set default '?'")
    made = export(seed)
    assert made.sealed == "none" and b"gsk_canary" not in Path(made.path).read_bytes()
    assert bring(seed, made.path).state == "done"
    assert seed.run("prod", "select value from platform_config order by key") == [("?",), ("prod's",)]
    # Keys, not a passphrase: that takes a second each time.
    mine = sealing.age().x25519.Identity.generate()
    (tmp_path / "mine").write_text(f"{mine}\n")
    sealed = export(
        seed, secrets="include", key=KeyOptions(recipients=(str(mine.to_public()),)), out="x.raccord"
    )
    key = KeyOptions(key_file=str(tmp_path / "mine"))
    assert bring(seed, sealed.path, key=key).state == "nothing"
    assert bring(seed, sealed.path, key=key, secrets="include").state == "done"
    assert seed.run("prod", "select value from platform_config order by key") == [("gsk_canary",), ("dark",)]


def test_sealed_to_keys(seed, tmp_path):
    pyrage = sealing.age()

    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    for name, one in (("mine", mine), ("other", other)):
        (tmp_path / name).write_text(f"# created: now\n{one}\n")
    key = KeyOptions(recipients=(str(mine.to_public()),))
    made = export(seed, key=key)
    with pytest.raises(CannotRun, match="sealed to age keys"):
        bring(seed, made.path)
    with pytest.raises(CannotRun, match="sealed to another key, or damaged"):
        bring(seed, made.path, key=KeyOptions(key_file=str(tmp_path / "other")))
    assert bring(seed, made.path, key=KeyOptions(key_file=str(tmp_path / "mine"))).state == "done"
    assert seed.diff().equal
    for wrong in ("age1x", str(mine)):
        with pytest.raises(CannotRun) as error:
            export(seed, key=KeyOptions(recipients=(wrong,)))
        assert str(mine) not in error.value.message


def test_a_passphrase_is_never_an_argument(seed):
    with pytest.raises(UsageError, match="says where it comes from") as error:
        export(seed, key=KeyOptions(passphrase="hunter2"))
    assert "hunter2" not in error.value.message


@pytest.mark.long
def test_another_passphrase(seed):
    made = export(seed, key=KEY)
    os.environ["ARCHIVE_PASSPHRASE"] = "wrong"
    with pytest.raises(CannotRun, match="the passphrase is another, or it is damaged"):
        bring(seed, made.path, key=KEY)


def test_refused_by_name(plain):
    made = export(plain)
    plain.configure(tables=("knowledge_base", "knowledge_categories"))
    assert "the archive holds knowledge_base_chunks, which the set all doesn't name" in str(
        [why(plan(plain, made.path)), *notes(plan(plain, made.path))]
    )
    plain.configure(tables=(*PLAIN, "platform_config"))
    assert why(plan(plain, made.path)) == "the archive has no table platform_config"
    plain.configure(tables=PLAIN)
    plain.run("prod", "alter table templates alter body type varchar(9)")
    assert "templates.body: type is text in the archive" in why(plan(plain, made.path))
    plain.run(
        "prod", "alter table templates alter body type text; create table child (t text references templates)"
    )
    plain.run("prod", "insert into templates values ('own'); insert into child values ('own')")
    assert "1 row of child refer" in why(plan(plain, made.path))
    before = plain.rows("prod", "templates")
    assert bring(plain, made.path).state == "partial" and plain.rows("prod", "templates") == before
    plain.run("prod", "drop table child; create function f() returns trigger language plpgsql as 'begin end'")
    plain.run("prod", "create trigger noisy before insert on templates for each row execute function f()")
    assert "would fire in prod: noisy" in why(plan(plain, made.path))
    plain.run("prod", "drop trigger noisy on templates")
    plain.run("dev", "delete from templates")
    emptied = export(plain, out="empty.raccord")
    found = plan(plain, emptied.path)
    assert "templates has no row in the archive, and 1 in prod" in why(found)
    held = found.stages[0].lanes[0].held
    assert held is not None and held.hint.endswith("empty.raccord --to prod --allow-empty")
    plain.configure(tables=PLAIN, protected=True)
    with pytest.raises(UsageError, match="prod is protected"):
        bring(plain, made.path)
    assert bring(plain, made.path, yes_to="prod").state == "done"


def test_an_archive_that_changed_since_the_plan_changes_nothing(plain, monkeypatch):
    from raccord.data import arrival

    made = export(plain)
    plain.run("prod", "insert into templates values ('own', 'x')")
    before = plain.rows("prod")
    whole, real = Path(made.path).read_bytes(), arrival.bring

    def late(*words: Any) -> None:
        # A part of the archive, which was verified a moment ago.
        Path(made.path).write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
        real(*words)

    monkeypatch.setattr(arrival, "bring", late)
    report = bring(plain, made.path)
    assert report.state == "partial" and "nothing was changed" in why(report), report
    assert plain.rows("prod") == before


CUT = """
import os, sys
from raccord.data import export
from raccord.model.options_data import *
from raccord.workspace import Workspace
real, left = export._table, [int(sys.argv[2])]
def table(*words):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), 9)
    return real(*words)
export._table = table
Workspace.open(sys.argv[1]).archives.export(DataExportOptions("all", key=KeyOptions(sys.argv[3])))
"""


@pytest.mark.parametrize("key", [KeyOptions(), pytest.param(KEY, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_an_export_that_was_cut_off_goes_on(seed, key):
    seed.configure(tables=PLAIN)
    words = [sys.executable, "-c", CUT, str(seed.repo.path), "2", key.passphrase]
    assert subprocess.run(words, check=False).returncode == -9
    folder = seed.repo.path / "exports"
    (part,) = [one for one in folder.iterdir() if one.name != ".gitignore"]
    assert part.name.endswith(".raccord.part")
    with part.open("ab") as file:
        file.write(b"what was written last, and not whole")
    made = export(seed, key=key)
    assert made.resumed == 2 and made.path == str(part).removesuffix(".part") and not part.exists()
    assert bring(seed, made.path, key=key).state == "done" and seed.diff().equal
    # A source that changed: what was written of it is written again, and what comes after.
    assert subprocess.run(words, check=False).returncode == -9
    seed.run("dev", "update templates set body = 'new'")
    again = export(seed, key=key)
    assert again.resumed == 1 and again.path != made.path
    assert bring(seed, again.path, key=key).state == "done" and seed.diff().equal
    assert list((seed.repo.path / ".git" / "raccord" / "exports").iterdir()) == []


def test_a_name_that_is_taken(plain):
    (plain.repo.path / "there").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        export(plain, out="there")
    assert (plain.repo.path / "there").read_text() == "mine"
    assert export(plain, dry_run=True).dry_run and not (plain.repo.path / "exports").exists()


@pytest.mark.long
def test_the_command_line(seed):
    made = run(seed, "export", "all", "--passphrase", "env:ARCHIVE_PASSPHRASE", "--json")
    assert made.returncode == 0, made.stderr
    path = json.loads(made.stdout)["path"]
    bare = run(seed, "export", "all", "--passphrase", "prompt")
    assert bare.returncode == 2 and "no terminal" in bare.stderr
    done = run(seed, "import", path, "--to", "prod", "--passphrase", "env:ARCHIVE_PASSPHRASE")
    assert done.returncode == 0 and "601 added" not in done.stderr, done
    assert "gsk_canary" not in done.stdout + done.stderr and seed.diff().equal
    assert run(seed, "import", path, "--to", "prod", "--mode", "x").returncode == 2


def run(seed: Two, *words: str) -> subprocess.CompletedProcess[str]:
    return warm.run("raccord", ("data", *words), seed.repo.path)


CSV = {"form": "csv"}


def test_csv_files_there_and_back(seed):
    with pytest.raises(
        UsageError, match=r"platform_config.value may hold secrets, which would stand in clear"
    ):
        export(seed, **CSV)
    made = export(seed, in_clear=True, **CSV)
    files = [Path(one.file) for one in made.tables]
    stamps = {one.name[-19:] for one in files}
    assert len(stamps) == 1 and re.fullmatch(r"\d{8}_\d{6}\.csv", min(stamps))
    assert f"platform_config_{min(stamps)}" in {one.name for one in files}
    assert {one.stat().st_mode & 0o777 for one in files} == {0o600}
    config = next(one for one in files if "config" in one.name).read_text()
    assert config.startswith("key,value,updated_at\n") and "gsk_canary" in config
    before = seed.rows("prod")
    report = bring(seed, "exports", **CSV)
    assert (report.state, why(report)) == ("done", ""), report
    assert seed.diff().equal and bring(seed, "exports", **CSV).state == "nothing"
    assert seed.undo().state == "done" and seed.rows("prod") == before


def test_the_seeds_own_files(plain):
    """As its script writes them: by psql's copy."""
    folder = plain.repo.path / "exports"
    folder.mkdir()
    for stamp in ("20251010_143000", "20251011_090000"):
        for table in PLAIN:
            server, database = plain.ends["dev"]
            said = f"copy {table} to stdout with csv header"
            with server.connect(database) as db, db.cursor() as cursor, cursor.copy(said) as copy:
                (folder / f"{table}_{stamp}.csv").write_bytes(b"".join(map(bytes, copy)))
        plain.run("dev", "update knowledge_base set title = 'newer' where id = 1")
    (folder / "templates_20251012_000000.csv").write_text("name,body\n")
    (folder / "other_20251013_000000.csv").write_text("x\n")
    found = plan(plain, "exports", **CSV)
    assert "files of 20251011_090000" in notes(found)
    assert (
        "the files of 20251012_000000 are not complete: knowledge_base, knowledge_base_chunks,"
        " knowledge_categories missing" in notes(found)
    )
    assert bring(plain, "exports", **CSV).state == "done"
    assert plain.rows("prod", *PLAIN) == plain.rows("dev", *PLAIN)
    (folder / "knowledge_base_20251011_090000.csv").unlink()
    (folder / "knowledge_base_20251010_143000.csv").unlink()
    with pytest.raises(CannotRun, match=r"exports has no complete set of .*; the files of 20251012_000000"):
        bring(plain, "exports", **CSV)


@pytest.mark.long
def test_every_type_in_csv(tmp_path):
    for found in lend(tmp_path, schema="create extension vector;" + UGLY, rows=UGLY_ROWS, dev=16):
        export(found, **CSV)
        found.run("prod", "insert into ugly (id, empty) values (1.5, 'old'), (7, '')")
        report = bring(found, "exports", **CSV)
        assert (report.state, why(report)) == ("done", "")
        assert found.rows("prod", "ugly", "keyless", "parts") == found.rows("dev", "ugly", "keyless", "parts")


@pytest.mark.long
def test_csv_files_that_don_t_fit(plain):
    plain.configure(tables=("templates",))
    folder = plain.repo.path / "exports"
    folder.mkdir()
    plain.run("prod", "insert into templates values ('own', 'x')")
    before = plain.rows("prod")
    path = folder / "templates_20251010_143000.csv"
    for text, said in (
        ("", "has no header"),
        ("name,body,more\na,b,c\n", "has the column more, which templates has not"),
        ("name,name\na,b\n", "names a column twice"),
        ("name,body\na,b,c\n", "line 2: the row has more or fewer columns"),
        ("name,body\na,b\na,c\n", "two rows have the same key (name)"),
        ('name,body\na,"b\n', "a quote that is not closed"),
        ("name,body\n,b\n", ""),
        ("name\na\n", "templates.body is missing in the CSV files"),
        ("name,body\n\xff\xfe,b\n", "line 2: it is not in UTF-8"),
    ):
        path.write_bytes(text.encode("latin-1"))
        try:
            held = why(bring(plain, "exports", **CSV))
        except RaccordError as error:
            held = error.message
        assert said in held and held and "gsk" not in held, (text, held)
        assert plain.rows("prod") == before
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(CannotRun, match="is no file"):
        bring(plain, "exports", **CSV)


def test_what_helps_an_archive_older_than_the_schema_is_said(plain):
    plain.configure(tables=("templates",))
    path = export(plain).path
    plain.both("alter table templates add more text")
    report = bring(plain, path)
    assert "templates.more is missing in the archive" in why(report)
    hint = next(lane.finding.hint for lane in report.lanes if lane.finding)
    assert hint.endswith("; where they are older than prod, export the rows again")


def test_csv_files_say_not_of_which_set_they_are(plain):
    with (plain.repo.path / "raccord.toml").open("a") as file:
        file.write('[data.other]\ntables = ["templates"]\n')
    export(plain, **CSV)
    with pytest.raises(UsageError, match="known: all, other"):
        bring(plain, "exports", **CSV)
    assert bring(plain, "exports", set="other", **CSV).state == "done"
    assert plain.rows("prod", "templates") == plain.rows("dev", "templates")
    assert plain.run("prod", "select count(*) from knowledge_base") == [(0,)]
