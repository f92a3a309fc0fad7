"""Counters of what runs did: what real pushes bring, in a text that Prometheus takes."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from raccord.model.options import SyncOptions
from raccord.workspace import Workspace
from tests import webkit
from tests.fileskit import Two
from tests.litekit import lite

NAMED = ("-c", "user.name=Ada", "-c", "user.email=a@b")


def counters(text: str) -> dict[str, float]:
    """Each sample of a counter or gauge by its name and labels."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_rows_that_a_push_brings_are_counted_and_stay_so(tmp_path):
    with lite(tmp_path) as pair:
        pair.both("create table shop (id integer primary key, name text); insert into shop values (1, 'old')")
        pair.run(
            "dev",
            "insert into shop values (2, 'two'), (3, 'three'); update shop set name = 'new' where id = 1",
        )
        pair.configure(("shop",))
        assert pair.push().state == "done"
        with Workspace.open(pair.repo.path) as workspace:
            said = workspace.totals()
            (name,) = said["promoted"]["rows"]
            assert said["promoted"]["rows"][name]["prod"] == {"added": 2, "changed": 1, "removed": 0}
            assert said["runs"] == {"data push": {"done": 1}}
        assert pair.undo().state == "done"
        with Workspace.open(pair.repo.path) as workspace:
            assert workspace.totals()["promoted"] == said["promoted"]


def test_objects_and_bytes_that_a_push_brings_are_counted(tmp_path):
    two = Two(tmp_path)
    two.put("dev", {"a.txt": b"12345", "b.txt": b"1"})
    assert two.push().state == "done"
    assert two.undo().state == "done"
    with Workspace.open(two.repo.path) as workspace:
        promoted = workspace.totals()["promoted"]
    (name,) = promoted["objects"]
    assert promoted["objects"][name]["prod"] == {"added": 2, "changed": 0, "removed": 0}
    assert promoted["bytes"][name]["prod"] == {"added": 6}


def test_the_text_is_sound_and_tells_of_runs(tmp_path):
    with webkit.site(tmp_path) as site:
        assert counters(site.client.get("/metrics").text)["raccord_conflicts_total"] == 0
        behind = ["git", "worktree", "add", "-q", "-b", "t", str(tmp_path / "t")]
        subprocess.run(behind, cwd=site.main, check=True)
        for place in (site.main, site.other):
            (place / "AGENTS.md").write_text(f"of {place.name}\n")
            subprocess.run(["git", *NAMED, "commit", "-qam", "mine"], cwd=place, check=True)
        with Workspace.open(site.main) as mine:
            mine.sync(SyncOptions(all=True))
        said = site.client.get("/api/metrics").text
        assert {
            'raccord_runs_total{state="partial",verb="sync"}': 1.0,
            'raccord_runs_unfinished{state="stopped"}': 0.0,
            'raccord_lanes_stopped_total{finding="replay.conflict"}': 1.0,
            "raccord_conflicts_total": 1.0,
        }.items() <= counters(said).items()
        promtool = shutil.which("promtool")
        if promtool is None:
            pytest.skip("no promtool here")
        done = subprocess.run(
            [promtool, "check", "metrics"], input=said, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
