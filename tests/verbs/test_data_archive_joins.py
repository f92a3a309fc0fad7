"""Rows in files meet what a push does as well: masks, fingerprints of SQL, tables that are exchanged."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from raccord.data import arrival, blocks, compare, container, exchangeable, outline, sealing
from raccord.data import plan as planning
from raccord.data.pairs import Pair
from raccord.data.sealing import Damaged
from raccord.errors import CannotRun, UsageError
from raccord.model.options_data import DataImportOptions
from tests import pgkit
from tests.datakit import Two, two, why
from tests.verbs.test_data_archive import bring, export, plan

SETUP = """
create table users (id int primary key, email varchar(40) unique, note text default '');
create table logins (id int primary key, email varchar(40) references users (email));
create table docs (id int primary key, title text, words tsvector generated always as
  (to_tsvector('simple', title)) stored);
"""
ROWS = """
insert into users select g, 'c4n4ry' || g || '@example.com', 'n' from generate_series(1, 40) g;
insert into logins select g, 'c4n4ry' || g || '@example.com' from generate_series(1, 40) g;
insert into docs select g, 'doc ' || g from generate_series(1, 40) g;
"""


@pytest.fixture
def pair(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "FEW_ROWS", 10)
    monkeypatch.setattr(exchangeable, "MANY_ROWS", 20)
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("dev", ROWS)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def ways(pair: Two, path: str, **options) -> dict[str, str]:
    found = [note for lane in plan(pair, path, **options).stages[0].lanes for note in lane.notes]
    return {note.data["table"]: note.data["way"] for note in found if note.name == "data.table"}


def number(pair: Two, table: str) -> list[tuple]:
    return pair.run("prod", f"select '{table}'::regclass::oid")


def test_named_masks_are_keyed_and_stay_joinable(pair):
    pair.configure(("users", "logins"), mask={"users.email": "mask:email"})
    assert export(pair, dry_run=True).tables and not (pair.repo.path / ".git/raccord/mask.key").exists()
    made = export(pair)
    assert bring(pair, made.path).state == "done"
    join = "select l.id, u.id from logins l join users u using (email) order by 1"
    assert pair.run("prod", join) == pair.run("dev", join)
    (email,) = pair.run("prod", "select email from users where id = 1")[0]
    assert re.fullmatch(r"[0-9a-f]+@example\.org", email)
    # A push masks with the same key.
    assert pair.push().state == "nothing"


def test_a_mask_that_does_not_fit_is_refused_before_anything_is_written(pair):
    pair.configure(("users",), mask={"users.email": "'x' || (id / 2)"})
    with pytest.raises(CannotRun, match="of users would get one email, which is unique"):
        export(pair)
    assert not list(Path(pair.repo.path).glob("exports/*"))


def test_sql_of_a_set_is_in_no_archive_and_no_journal(pair):
    keys = {"where": {"users": "note <> 's3cr3t'"}, "mask": {"users.note": "'m4sk' || id"}}
    pair.configure(("users",), **keys)
    made = export(pair)
    assert bring(pair, made.path).state == "done"
    assert pair.run("prod", "select count(*) from users where note ~ '^m4sk'") == [(40,)]
    with container.opened(Path(made.path), sealing.Opener()) as opened:
        assert "s3cr3t" not in str(opened.manifest) and "m4sk" not in str(opened.manifest)
    for one in (pair.repo.path / ".git/raccord").glob("state.db*"):
        assert b"s3cr3t" not in one.read_bytes() and b"m4sk" not in one.read_bytes(), one
    assert pair.undo().state == "done" and pair.run("prod", "select * from users") == []


def test_large_tables_are_exchanged_and_come_back(pair):
    pair.configure(("users", "docs"))
    pair.run("prod", "alter table logins drop constraint logins_email_fkey")
    pair.run("prod", "insert into users values (1, 'old', 'old'); insert into docs values (90, 'own')")
    before, numbers = pair.rows("prod", "users", "docs"), number(pair, "users") + number(pair, "docs")
    made = export(pair)
    assert ways(pair, made.path) == {"users": "swap", "docs": "swap"}
    report = bring(pair, made.path)
    assert (report.state, why(report)) == ("done", ""), report
    assert pair.rows("prod", "users", "docs") == pair.rows("dev", "users", "docs")
    assert not {*numbers} & {*number(pair, "users"), *number(pair, "docs")}
    assert bring(pair, made.path).state == "nothing"
    assert pair.undo().state == "done" and pair.rows("prod", "users", "docs") == before


def test_a_file_with_columns_that_stay_behind_is_copied_into_the_old_table(pair):
    pair.configure(("docs",))
    pair.run("prod", "insert into docs values (90, 'own')")
    before = number(pair, "docs")
    folder = pair.repo.path / "exports"
    folder.mkdir()
    rows = pair.run("dev", "select id, title, words::text from docs order by id")
    lines = ["id,title,words", *(f'{id_},{title},"{words}"' for id_, title, words in rows)]
    (folder / "docs_20260101_120000.csv").write_text("\n".join(lines) + "\n")
    assert ways(pair, "exports", form="csv") == {"docs": "anew"}
    assert bring(pair, "exports", form="csv").state == "done"
    assert number(pair, "docs") == before and pair.rows("prod", "docs") == pair.rows("dev", "docs")


def test_a_protected_environment_is_named_for_an_import_and_for_its_undo(pair):
    pair.configure(("docs",), protected=True)
    made = export(pair)
    with pytest.raises(UsageError, match="prod is protected") as raised:
        bring(pair, made.path)
    assert raised.value.hint == f"raccord data import {made.path} --to prod --yes-to prod"
    pair.workspace.archives.bring(DataImportOptions(made.path, "prod", yes_to="prod"))
    with pytest.raises(UsageError, match="prod is protected"):
        pair.undo()


@pytest.mark.parametrize("key", ["primary key", ""])
def test_a_large_table_that_differs_is_not_loaded_to_plan(pair, monkeypatch, key):
    for module in (compare, outline):
        monkeypatch.setattr(module, "KEPT_KEYS", 100)
    monkeypatch.setattr(outline, "FEWEST", 3)
    loaded: list[str] = []
    real = arrival.Landing.ready

    def ready(self: arrival.Landing, one: Pair) -> None:
        loaded.append(one.shown)
        real(self, one)

    monkeypatch.setattr(arrival.Landing, "ready", ready)
    pair.configure(("notes",))
    pair.both(f"create table notes (id int {key}, t text)")
    pair.run("dev", "insert into notes select g, 'new ' || g from generate_series(1, 2000) g; analyze notes")
    pair.run("prod", "insert into notes select g, 'old ' || g from generate_series(1, 2100) g; analyze notes")
    before, made = pair.rows("prod", "notes"), export(pair)
    assert ways(pair, made.path) == {"notes": "swap"} and not loaded
    assert (report := bring(pair, made.path)).state == "done" and not loaded, report
    assert pair.rows("prod", "notes") == pair.rows("dev", "notes")
    assert pair.undo().state == "done" and pair.rows("prod", "notes") == before
    # A few rows, and those of the first half alone, are told one by one.
    few = "truncate notes; insert into notes select g, 'new ' || g from generate_series(1, 2000) g;"
    pair.run("prod", f"{few} update notes set t = 'x' where id % 32 = 0")
    assert ways(pair, made.path) == {"notes": "delta" if key else "whole"} and loaded
    assert bring(pair, made.path).state == "done"
    assert pair.rows("prod", "notes") == pair.rows("dev", "notes")


def test_what_an_archive_says_of_its_blocks_is_not_believed(pair, monkeypatch):
    for module in (compare, outline):
        monkeypatch.setattr(module, "KEPT_KEYS", 100)
    monkeypatch.setattr(outline, "FEWEST", 3)
    pair.configure(("notes",))
    pair.both("create table notes (id int primary key, t text)")
    pair.run("dev", "insert into notes select g, 'new ' || g from generate_series(1, 2000) g; analyze notes")
    pair.run("prod", "insert into notes select g, 'new ' || g from generate_series(1, 1999) g; analyze notes")
    before = pair.rows("prod", "notes")

    def lies(one: outline.Outline) -> bytes:
        sums = blocks.Sums(
            one.sums.digest, {part: (bytes(len(sums)), "") for part, (sums, _) in one.sums.parts.items()}
        )
        sampled = {number: dict.fromkeys(rows, 0) for number, rows in one.sampled.items()}
        return real(replace(one, sums=sums, sampled=sampled))

    real = outline.packed
    monkeypatch.setattr(outline, "packed", lies)
    made = export(pair)
    assert bring(pair, made.path).state == "done"  # more was done than it took, and all of it is right
    assert pair.rows("prod", "notes") == pair.rows("dev", "notes")
    assert pair.undo().state == "done" and pair.rows("prod", "notes") == before
    for said in (b"[]", b"{}", b"\xff", b'{"key": 1}', b"[" * 100_000, b" " * (1 << 24)):
        monkeypatch.setattr(outline, "packed", lambda one, said=said: said)
        made = export(pair)
        with pytest.raises(Damaged, match="of its blocks"):
            plan(pair, made.path)
    assert pair.rows("prod", "notes") == before
