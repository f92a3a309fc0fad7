"""An export is in the journal: of what, why, by whom, into which file, and nothing that is secret."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from pathlib import Path

import pytest

from raccord.data.export_steps import ExportHandler, File, export_step
from raccord.data.manifest import Made
from raccord.errors import HeldBack, UsageError, WorldMoved
from raccord.model.handler import Context, Outcome, Position
from raccord.model.options_data import DataExportOptions, KeyOptions
from raccord.model.plan import Step
from tests import pgkit
from tests.datakit import Two, two

SETUP = "create table notes (id int primary key, api_key text)"
CONTEXT = Context("run", "lane", lambda text: None, lambda: False)


@pytest.fixture
def pair(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHIVE_PASSPHRASE", "c4n4ry-passphrase")
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("dev", "insert into notes select g, 'c4n4ry-' || g from generate_series(1, 20) g")
            found.configure(("notes",))
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


@pytest.mark.parametrize("form", ["archive", "csv"])
def test_the_journal_tells_of_it(pair: Two, form):
    key = KeyOptions(passphrase="env:ARCHIVE_PASSPHRASE") if form == "archive" else KeyOptions()
    options = DataExportOptions(
        "all", form=form, key=key, in_clear=form == "csv", by="ada", unmasked=True, reason="for the audit"
    )
    with pair.workspace as workspace:
        made = workspace.archives.export(options)
        (entry,) = workspace.log()
        assert (entry.id, entry.verb, entry.state) == (made.run, "data export", "done")
        told = workspace.show(made.run)
        assert workspace.totals()["runs"] == {"data export": {"done": 1}}
    said = json.dumps(dataclasses.asdict(told), default=str)
    for part in (made.path, "ada", "for the audit", "all of dev", "20 rows of notes"):
        assert part in said, part
    assert ("sealed to a passphrase" if form == "archive" else "in clear") in said
    shown = run_show(pair, made.run)
    assert "data export" in shown and "for the audit" in shown and "20 rows of notes" in shown
    for file in (pair.repo.path / ".git" / "raccord").rglob("*"):
        if file.is_file():
            assert b"c4n4ry" not in file.read_bytes(), file
    assert "c4n4ry" not in said + shown


def run_show(pair: Two, name: str) -> str:
    import subprocess
    import sys

    words = [sys.executable, "-m", "raccord", "-C", str(pair.repo.path), "show", name]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_it_is_not_taken_back_and_stands_in_no_way_of_what_is(pair: Two):
    assert pair.push().state == "done"
    pushed = pair.rows("prod", "notes")
    with pair.workspace as workspace:
        made = workspace.archives.export(
            DataExportOptions("all", key=KeyOptions(passphrase="env:ARCHIVE_PASSPHRASE"))
        )
    with pytest.raises(UsageError, match="yours to keep or remove") as caught:
        pair.undo(made.run)
    assert caught.value.hint == f"ls -l {made.path}" and Path(made.path).is_file()
    assert pair.undo().state == "done" and pair.rows("prod", "notes") != pushed


@pytest.mark.long
def test_what_was_cut_off_before_its_name_is_named_by_the_next_run(pair: Two, monkeypatch):
    words = DataExportOptions("all", key=KeyOptions(passphrase="env:ARCHIVE_PASSPHRASE"))

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("raccord.kernel.fs_part.publish", killed)
    with pytest.raises(Killed), pair.workspace as workspace:
        workspace.archives.export(words)
    monkeypatch.undo()
    monkeypatch.setenv("ARCHIVE_PASSPHRASE", "c4n4ry-passphrase")
    with sqlite3.connect(pair.repo.path / ".git" / "raccord" / "state.db") as db:
        (state,) = db.execute("select state from runs").fetchone()
    with pair.workspace as workspace:
        if state != "running":
            workspace.continue_()
        made = workspace.archives.export(words)
    there = sorted(one.name for one in Path(made.path).parent.glob("*.raccord*"))
    assert len(there) in (1, 2) and not [one for one in there if one.endswith(".part")], there


def step(folder: Path, *names: str) -> tuple[list[File], Step]:
    files = []
    for name in names:
        part = folder / f"{name}.part"
        part.write_text(f"rows of {name}")
        files.append(File.of(folder / name, part))
    made = Made("dev", "", 1.0, "", "", "ada")
    return files, export_step("all", "csv", "none", made, folder, files, dict.fromkeys(names, 1))


def test_files_that_are_named_in_part(tmp_path):
    handler = ExportHandler()
    files, one = step(tmp_path, "a", "b")
    assert handler.probe(one, CONTEXT) is Position.BEFORE
    files[0].part.rename(files[0].path)
    assert handler.probe(one, CONTEXT) is Position.BETWEEN
    handler.revert(one, CONTEXT)
    assert handler.probe(one, CONTEXT) is Position.BEFORE and not files[0].path.exists()
    files[0].part.rename(files[0].path)
    handler.apply(one, CONTEXT)
    assert handler.probe(one, CONTEXT) is Position.AFTER and handler.inverse(one, Outcome()) == ()
    files[1].path.write_text("mine")
    assert handler.probe(one, CONTEXT) is Position.NEITHER
    with pytest.raises(WorldMoved, match=r"b\.part is gone"):
        handler.apply(one, CONTEXT)
    files, one = step(tmp_path, "c")
    files[0].path.write_text("mine")
    with pytest.raises(HeldBack, match="is there by now"):
        handler.apply(one, CONTEXT)
    assert files[0].path.read_text() == "mine"
