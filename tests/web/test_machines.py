"""What a machine shows of the others: in its routes, on its page and on its command line, with no network."""

from __future__ import annotations

import json

import pytest

from tests import pgkit
from tests.hubkit import clones
from tests.webkit import save, site, until

CONFIGURATION = """
[coordination]
hub = "env:RACCORD_HUB"
project = "shop"
threshold = 0
"""


@pytest.fixture
def url():
    server = pgkit.server()
    with server.lent() as name:
        yield server.url(name)


def test_others_changes_reports_and_runs_are_shown_as_theirs(tmp_path, url, monkeypatch):
    monkeypatch.setenv("RACCORD_HUB", url)
    with (
        clones(tmp_path, url, more='project = "shop"') as (far,),
        site(tmp_path / "s", configuration=CONFIGURATION) as here,
    ):
        far.start()
        save(far.path / "AGENTS.md", "# Agents\nfar away\n")
        pending = until(
            lambda: here.client.get("/api/sync/pending-changes?everywhere=true").json()["changes"]
        )
        assert [(one["file_path"], one["machine"]) for one in pending] == [("AGENTS.md", "m1")]
        # It is not this machine's to report, nor to count.
        assert here.client.get("/api/sync/pending-changes").json()["count"] == 0
        assert here.client.get("/api/sync/status").json()["pending_changes"] == 0
        assert here.client.post("/api/sync/consolidate").json()["changes_consolidated"] == 0
        counted = [
            line.split()[-1]
            for line in here.client.get("/metrics").text.splitlines()
            if line.startswith("sync_changes_detected_total{")
        ]
        assert set(counted) == {"0.0"}
        assert here.client.get(f"/api/sync/changes/{pending[0]['id']}/diff").json()["kept"] is False

        assert far.run("consolidate").returncode == 0
        told = until(lambda: here.client.get("/api/sync/history").json()["consolidations"])
        assert [(one["machine"], one["changes_consolidated"]) for one in told] == [("m1", 1)]
        until(lambda: here.client.get("/api/sync/history").json()["consolidations"][0]["placed"])
        assert here.client.get("/api/sync/pending-changes?everywhere=true").json()["count"] == 0
        assert not (here.main / "SYNC_STATUS.md").exists()

        assert far.run("snapshot").returncode == 0
        until(
            lambda: (
                [one["state"] for one in here.client.get("/api/sync/machines/runs").json()["runs"]]
                == ["done"]
            )
        )
        (run,) = here.client.get("/api/sync/machines/runs").json()["runs"]
        assert (run["machine"], run["verb"], run["lanes"]) == ("m1", "snapshot", 1)

        machines = here.client.get("/api/sync/machines").json()
        assert (machines["joined"], machines["connected"], machines["waiting"]) == (True, True, 0)
        assert [one["own"] for one in machines["machines"] if one["name"] == "m1"] == [False]
        assert sum(one["own"] for one in machines["machines"]) == 1
        assert pgkit.PASSWORD not in json.dumps(machines)

        said = json.loads(far.run("hub", "--json").stdout)
        assert said["connected"] is True
        assert said["hub"] == "env:RACCORD_HUB"
        assert len(said["machines"]) == 2
        save(here.other / "ROADMAP.md", "of the second\n")
        listed = until(
            lambda: [
                one for one in json.loads(far.run("changes", "--json").stdout)["changes"] if one["machine"]
            ]
        )
        assert listed[0]["path"] == "ROADMAP.md"
        assert listed[0]["machine"].endswith(":main")
        far.kill()
        page = far.run("hub").stdout
        assert "m1" in page
        assert ":main" in page
        assert far.run("changes", "--pending").stdout.count("ROADMAP.md") == 1


def test_without_a_hub_there_is_one_machine(tmp_path):
    with site(tmp_path) as here:
        assert here.client.get("/api/sync/machines").json() == {
            "joined": False, "connected": False, "since": None, "why": "", "waiting": 0, "machines": [],
        }  # fmt: skip
        assert here.client.get("/api/sync/machines/runs").json() == {"count": 0, "runs": []}


def test_a_hub_is_taken_up_and_left_while_the_service_runs(tmp_path, url, monkeypatch):
    monkeypatch.setenv("RACCORD_HUB", url)
    with site(tmp_path) as here:

        def machines():
            return here.client.get("/api/sync/machines").json()

        save(here.main / "raccord.toml", CONFIGURATION)
        until(lambda: machines()["connected"] and machines()["waiting"] == 0)
        save(here.main / "raccord.toml", CONFIGURATION.replace("RACCORD_HUB", "NOWHERE"))
        until(lambda: "NOWHERE" in machines()["why"])
        assert "NOWHERE" in here.client.get("/api/sync/status").json()["errors"]["hub"]
        save(here.other / "AGENTS.md", "seen meanwhile\n")
        until(lambda: machines()["waiting"] == 1)
        save(here.main / "raccord.toml", CONFIGURATION)
        until(lambda: machines()["connected"] and machines()["waiting"] == 0)
        assert here.client.get("/api/sync/status").json()["errors"] == {}
        save(here.main / "raccord.toml", "")
        until(lambda: not machines()["joined"])
