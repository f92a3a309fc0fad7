"""Rows of prod in files: masked as a pull masks them, or with a word and a reason; nothing goes round it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from raccord.data import archived
from raccord.data.sealing import Opener
from raccord.errors import CannotRun, UsageError
from raccord.model.options_data import (
    DataExportOptions,
    DataImportOptions,
    DataPullOptions,
    DataRestoreOptions,
)
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.model.report_data import DataExport
from tests import pgkit, warm
from tests.datakit import Two, two, why
from tests.verbs.test_data_pull import ROWS, SETUP, TABLES

CSV = pytest.mark.parametrize("form", ["archive", "csv"])


@pytest.fixture
def crm(tmp_path):
    try:
        with two(tmp_path) as found:
            found.both(SETUP)
            found.run("prod", ROWS)
            # What stays behind needs a value where rows come without a mask.
            found.both("alter table users alter password_hash set default ''")
            found.configure(TABLES, secrets="exclude", protected=True)
            yield found
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")


def export(crm: Two, **options) -> DataExport:
    asked = {"origin": "prod", "yes_to": "prod"} | options
    return crm.workspace.archives.export(DataExportOptions("all", **asked))


def bring(crm: Two, path: str, goal: str = "dev", **options) -> RunReport:
    report = crm.workspace.archives.bring(DataImportOptions(path, goal, **options))
    assert isinstance(report, RunReport)
    return report


def planned(crm: Two, path: str, goal: str = "dev", **options) -> Plan:
    report = crm.workspace.archives.bring(DataImportOptions(path, goal, dry_run=True, **options))
    assert isinstance(report, Plan)
    return report


def notes(plan: Plan) -> str:
    return "\n".join(note.message for stage in plan.stages for lane in stage.lanes for note in lane.notes)


def rows(crm: Two, name: str) -> str:
    return str(crm.rows(name, *TABLES))


@CSV
def test_what_leaves_prod_takes_a_word(crm, form):
    for dry_run in (False, True):
        with pytest.raises(UsageError, match="a pull of it would be masked") as error:
            export(crm, form=form, dry_run=dry_run)
        assert error.value.hint == (
            f"raccord data export all --from prod{' --format csv' * (form == 'csv')} --masked,"
            ' or --unmasked --reason "…"'
        )
    for options, said in (
        ({"unmasked": True}, "--unmasked needs --reason"),
        ({"reason": "x"}, "--reason is for --unmasked"),
        ({"masked": True, "unmasked": True, "reason": "x"}, "say the opposite"),
    ):
        with pytest.raises(UsageError, match=said):
            export(crm, form=form, **options)
    assert not (crm.repo.path / "exports").exists()
    # What the set comes from takes none.
    assert export(crm, origin="dev", form=form).masked is False


@CSV
def test_masked_as_a_pull_does(crm, form):
    made = export(crm, masked=True, form=form)
    assert made.masked and {one.table: dict(one.masked) for one in made.tables}["logins"] == {
        "email": "mask:email", "ip_address": "mask:ip",
    }  # fmt: skip
    written = Path(made.path).glob("*20*") if form == "csv" else [Path(made.path)]
    assert all(one.stat().st_mode & 0o077 == 0 and b"c4n4ry" not in one.read_bytes() for one in written)
    assert "data.mask" in {one.name for one in made.notes}
    report = bring(crm, made.path, form=form)
    assert (report.state, why(report)) == ("done", "")
    assert "c4n4ry" not in rows(crm, "dev") and "192.0.2" not in rows(crm, "dev")
    pulled = crm.workspace.data_pull(DataPullOptions("all", "prod"))
    assert isinstance(pulled, RunReport) and pulled.state == "nothing"
    # Masked rows never go back over what they stand for.
    before = rows(crm, "prod")
    report = bring(crm, made.path, "prod", form=form, yes_to="prod")
    assert "they would overwrite there what the masks stand for" in why(report)
    assert rows(crm, "prod") == before


def test_the_archive_says_by_which_masks(crm):
    crm.configure(TABLES, mask={"users.note": "'note ' || id", "users.nom": "mask:none"}, protected=True)
    made = export(crm, masked=True)
    with archived.opened(Path(made.path), Opener()) as found:
        said = found.manifest
    assert (said.made.environment, said.made.protected, said.made.masked) == ("prod", True, True)
    users = next(one for one in said.tables if one.id[1] == "users")
    assert users.masked["note"] == "SQL of the set" and users.masked["email"] == "mask:email"
    assert "nom" not in users.masked
    assert "exported" in notes(planned(crm, made.path)) and ", masked" in notes(planned(crm, made.path))


@CSV
def test_unmasked_for_a_reason(crm, form):
    with pytest.raises(UsageError, match="prod is protected") as error:
        export(crm, unmasked=True, reason="order 7", form=form, secrets="exclude", in_clear=True, yes_to="")
    more = "--format csv --secrets exclude" if form == "csv" else "--secrets exclude"
    again = f"raccord data export all --from prod {more} --secrets-in-clear --unmasked"
    again += " --reason 'order 7' --yes-to prod"
    assert error.value.hint == again and not (crm.repo.path / "exports").exists()
    made = export(crm, unmasked=True, reason="order 7", form=form, secrets="exclude", in_clear=True)
    assert not made.masked
    before = rows(crm, "dev")
    plan = planned(crm, made.path, form=form)
    held = plan.stages[0].lanes[0].held
    assert held is not None and "which is protected, and are not masked; dev is not protected" in held.message
    assert held.hint.startswith("export them with --masked, or raccord data import ")
    assert held.hint.endswith(' --unmasked --reason "…"') and "unmasked: order 7" in notes(plan)
    report = bring(crm, made.path, form=form)
    assert report.state == "partial" and rows(crm, "dev") == before
    with pytest.raises(UsageError, match="--unmasked needs --reason"):
        bring(crm, made.path, form=form, unmasked=True)
    report = bring(crm, made.path, form=form, unmasked=True, reason="order 8")
    assert report.state == "done" and "c4n4ry1@corp.example" in rows(crm, "dev")
    with crm.workspace as workspace:
        waivers = workspace.show(report.id).waivers
    assert [(one.guard, one.reason) for one in waivers] == [("data.masking", "order 8")]
    # Back to where they are from they go without.
    crm.run("prod", "update files set size = 2")
    report = bring(crm, made.path, "prod", form=form, yes_to="prod")
    assert (report.state, why(report)) == ("done", "")
    assert crm.run("prod", "select size from files") == [(1,)]


def test_a_restore_of_an_archive_is_refused_as_its_import_is(crm):
    made = export(crm, unmasked=True, reason="order 7")
    before = rows(crm, "dev")
    with crm.workspace as workspace:
        report = workspace.archives.restore(DataRestoreOptions(made.path, "dev"))
    assert isinstance(report, RunReport) and "and are not masked" in why(report)
    assert report.state == "partial" and rows(crm, "dev") == before
    hint = next(lane.finding.hint for lane in report.lanes if lane.finding)
    words = shlex.split(hint.partition(", or raccord ")[2].replace("…", "order 8"))
    done = warm.run("raccord", (*words, "--yes"), crm.repo.path)
    assert done.returncode == 0 and "c4n4ry1@corp.example" in rows(crm, "dev"), done


def test_it_is_the_archive_that_says_so(crm):
    """Another repository, whose configuration knows nothing of prod."""
    made = export(crm, unmasked=True, reason="r")
    path = crm.repo.path / "raccord.toml"
    text = path.read_text().replace("protected = true", "").replace("environments.prod", "environments.copy")
    path.write_text(text)
    for goal in ("dev", "copy"):
        assert "which is protected, and are not masked" in why(planned(crm, made.path, goal))


def test_csv_files_that_say_nothing_or_something_else(crm):
    made = export(crm, masked=True, form="csv")
    folder = Path(made.path)
    (told,) = folder.glob("raccord_*.json")
    assert json.loads(told.read_text())["tables"]["files"]["rows"] == 1
    whole = told.read_bytes()
    changed = next(folder.glob("files_*.csv"))
    rows_of = changed.read_bytes()
    changed.write_bytes(rows_of.replace(b"a.pdf", b"b.pdf"))
    plan = planned(crm, made.path, form="csv")
    assert "which is protected, and are not masked" in why(plan)
    assert "not as they were exported: files" in notes(plan)
    changed.write_bytes(rows_of)
    for bad in (
        b"",
        b"[]",
        b"{}",
        whole[:-9],
        b"[" * 100_000,
        whole.replace(b'"masked": {', b'"masked": [{'),
    ):
        told.write_bytes(bad)
        with pytest.raises(CannotRun, match="is not what raccord writes there"):
            planned(crm, made.path, form="csv")
    told.unlink()
    told.mkdir()
    with pytest.raises(CannotRun, match="is not what raccord writes there"):
        planned(crm, made.path, form="csv")
    shutil.rmtree(told)
    plan = planned(crm, made.path, form="csv")
    assert why(plan) == "" and "nothing says from where these files are" in notes(plan)


def test_the_command_line(crm):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return warm.run("raccord", ("data", *words), crm.repo.path)

    bare = run("export", "all", "--from", "prod")
    assert bare.returncode == 2 and " data export all --from prod --masked" in bare.stderr
    made = run("export", "all", "--from", "prod", "--masked", "--json")
    said = json.loads(made.stdout)
    assert made.returncode == 0 and said["masked"] and said["tables"][0]["masked"] is not None
    open_ = run(
        "export",
        "all",
        "--from",
        "prod",
        "--unmasked",
        "--reason",
        "order 7",
        "--out",
        "open.raccord",
        "--yes-to",
        "prod",
    )
    assert open_.returncode == 0 and "may hold personal data, and come as they are" in open_.stdout
    held = run("import", "open.raccord", "--to", "dev")
    assert held.returncode == 5 and "not masked" in held.stdout
    done = run("import", "open.raccord", "--to", "dev", "--unmasked", "--reason", "order 8", "--yes")
    assert done.returncode == 0, done
    assert run("import", said["path"], "--to", "dev", "--yes").returncode == 0
    assert "c4n4ry" not in rows(crm, "dev")
