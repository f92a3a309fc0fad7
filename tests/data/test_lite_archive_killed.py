"""Exports, imports and restores of SQLite's rows, struck at any write: whole or not there, old or new."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from raccord.model.options_data import DataExportOptions, DataImportOptions
from raccord.model.report import RunReport
from tests.data.test_archive_killed import archives, struck
from tests.data.test_lite_killed import OTHER, SETUP, WHY_NOT
from tests.faults import inject
from tests.faults.inject import Fault
from tests.litekit import Lite, lite

COUNTS: dict[str, int] = {}
NONE = Fault()

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture
def pair(tmp_path):
    with lite(tmp_path) as found:
        found.run("dev", SETUP)
        shutil.copyfile(found.path("dev"), found.path("prod"))
        found.run("prod", OTHER)
        found.configure(mode="mirror")
        yield found


def exported(pair: Lite, fault: Fault) -> None:
    old, before = pair.rows("prod"), {*archives(pair)}
    ran = struck(pair, fault, "export", "all")
    assert ran.hit or ran.exit == 0, ran.output
    assert "Traceback" not in ran.output and "a bug" not in ran.output, ran.output
    made = {*archives(pair)} - before
    with pair.workspace as workspace:
        done = workspace.archives.export(DataExportOptions("all"))
        assert Path(done.path) in {*archives(pair)} - made
        assert not [*(pair.repo.path / "exports").glob("*.part")]
        report = workspace.archives.bring(DataImportOptions(done.path, "prod"))
    assert isinstance(report, RunReport) and report.state == "done", report
    assert pair.rows("prod") == pair.rows("dev")
    assert pair.undo().state == "done" and pair.rows("prod") == old
    for one in archives(pair):
        one.unlink()


def brought(pair: Lite, words: tuple[str, ...], new: dict[str, list[tuple]], fault: Fault) -> None:
    old = pair.rows("prod")
    ran = struck(pair, fault, *words)
    assert ran.hit or ran.exit == 0, ran.output
    assert "Traceback" not in ran.output and "a bug" not in ran.output, ran.output
    # Asked before anything is done about it.
    at = pair.rows("prod")
    assert at in (old, new) and (ran.exit != 0 or at == new), ran.output
    again = struck(pair, NONE, *words)
    assert again.exit == 0, again.output
    assert pair.rows("prod") == new
    assert pair.undo().state == "done" and pair.rows("prod") == old
    assert sorted(one.name for one in pair.path("prod").parent.glob("*.db*")) == ["dev.db", "prod.db"]


def ready(pair: Lite, verb: str) -> tuple[tuple[str, ...], dict[str, list[tuple]]]:
    """A command, and what it makes of prod; it was done and taken back once."""
    if verb == "import":
        with pair.workspace as workspace:
            what = workspace.archives.export(DataExportOptions("all")).path
    else:
        what = pair.push().id
        pair.run("prod", "update a set v = 'since' where id < 9; delete from b where id between 5 and 7")
    words = (verb, what, "--to", "prod")
    count = struck(pair, NONE, *words)
    assert count.exit == 0, count.output
    COUNTS[verb] = len(count.calls)
    new = pair.rows("prod")
    assert pair.undo().state == "done"
    return words, new


def counted(pair: Lite) -> int:
    if "export" not in COUNTS:
        COUNTS["export"] = len(struck(pair, NONE, "export", "all").calls)
    return COUNTS["export"]


@pytest.mark.long_but(1)
@pytest.mark.parametrize("share", [0.6, 0.3, 0.9])
def test_an_export_killed_at_a_write(pair, share):
    exported(pair, Fault("kill-all", max(1, int(counted(pair) * share))))


@pytest.mark.long_but(1)
@pytest.mark.parametrize(("verb", "share"), [("import", 0.7), ("import", 0.85), ("restore", 0.8)])
def test_brought_back_and_killed_at_a_write(pair, verb, share):
    words, new = ready(pair, verb)
    brought(pair, words, new, Fault("kill-all", max(1, int(COUNTS[verb] * share))))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verb", ["export", "import", "restore"])
@pytest.mark.parametrize("do", inject.faults_known() if not WHY_NOT else ["none"])
@pytest.mark.parametrize("part", range(4))
def test_struck_at_every_write(pair, verb, do, part):
    if verb == "export":
        for where in range(1 + part, counted(pair) + 1, 4):
            exported(pair, Fault(do, where))
        return
    words, new = ready(pair, verb)
    for where in range(1 + part, COUNTS[verb] + 1, 4):
        brought(pair, words, new, Fault(do, where))
