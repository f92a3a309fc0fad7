"""The configuration of a running service: asked, set over HTTP, edited by hand, and taken up at once."""

from __future__ import annotations

import logging

import pytest

from raccord.workspace import Workspace
from tests import webkit

FILE = """\
# ours
[coordination]
threshold = 0  # by hand
trigger_check_seconds = 3600

[channels.team]
url = "https://hooks.example/T0KEN"
events = ["none"]
"""


@pytest.fixture
def site(tmp_path):
    with webkit.site(tmp_path, configuration=FILE) as made:
        yield made


def config(site):
    return site.client.get("/api/sync/config").json()


def patch(site, values, **options):
    return site.client.patch("/api/sync/config", json=values, **options)


def test_what_is_in_force_is_told_without_secrets(site):
    said = config(site)
    assert (said["consolidation_threshold"], said["check_interval_seconds"]) == (0, 30)
    assert said["consolidation_interval_minutes"] == 60
    assert (said["error"], said["fixed"]["dev"]) == (None, False)
    settings = {one["key"]: one for one in said["settings"]}
    assert settings["coordination.threshold"]["where"] == "raccord.toml:3"
    assert settings["channels.team.url"]["hidden"]
    assert "T0KEN" not in str(said)


def test_a_key_that_is_set_is_in_force_at_once_and_its_undo_is(site):
    said = patch(site, {"consolidation_threshold": 1, "coordination.trigger_check_seconds": 1.0}).json()
    assert said["consolidation_threshold"] == 1
    assert (site.main / "raccord.toml").read_text() == FILE.replace("= 0  #", "= 1  #").replace("3600", "1")
    # The triggers were to be looked at in an hour: they are looked at each second now.
    webkit.save(site.other / "AGENTS.md", "something\n")
    history = webkit.until(lambda: site.client.get("/api/sync/history").json()["consolidations"])
    assert history[0]["trigger"]["conditions_met"] == {"pending_changes": 1, "threshold": 1}
    shown = site.client.get(f"/api/runs/{said['run']}").json()
    assert shown["lanes"][0]["steps"][0]["title"].startswith("coordination.threshold: 0 → 1; ")
    assert site.client.post(f"/api/runs/{said['run']}/undo").status_code == 200
    webkit.until(lambda: config(site)["consolidation_threshold"] == 0)
    assert (site.main / "raccord.toml").read_text() == FILE


def test_watches_owners_language_and_the_worktree_of_reports_are_taken_up(site):
    webkit.save(site.other / "NOTES.md", "before\n")
    said = patch(
        site,
        {
            "watched_files": ["NOTES.md"],
            "coordination.owners": {"claude-*": "Ada"},
            "coordination.worktree": "claude-1",
            "language": "fr",
        },
    ).json()
    assert (said["watched_files"], said["language"]) == (["NOTES.md"], "fr")

    def asked(path):
        return site.client.get(f"/api/sync/{path}").json()

    webkit.until(lambda: [one["file_path"] for one in asked("checksums")["checksums"]] == ["NOTES.md"])
    webkit.save(site.other / "NOTES.md", "after\n")
    (one,) = webkit.until(lambda: asked("pending-changes")["changes"])
    assert (one["file_path"], one["agent_owner"]) == ("NOTES.md", "Ada")
    site.client.post("/api/sync/consolidate")
    assert "Synchronisation automatique" in (site.other / "SYNC_STATUS.md").read_text()


@pytest.mark.parametrize(
    ("values", "status", "said"),
    [
        ({"consolidation_threshold": -1}, 422, "coordination.threshold: is -1; expected a whole number"),
        ({"consolidation_threshold": 2, "nonsense": 1}, 422, "nonsense: is no section"),
        ({"coordination.watch": ["../x"]}, 409, "leads out of the worktree"),
        ({"coordination.watch": "x"}, 422, "coordination.watch: is a string"),
        ({"channels.team.events": [3]}, 422, "channels.team.events: item 1 is a number"),
        ({"coordination.worktree": "nowhere"}, 409, "no worktree nowhere"),
        ({"consolidation_threshold": 2, "coordination.threshold": 3}, 409, "are the same key"),
        ({"port": 1}, 422, "raccord serve --port"),
        ({"channels.team.url": "https://x/S3CRET"}, 409, "may be a secret"),
        ({}, 422, ""),
        ([], 422, ""),
    ],
)
def test_what_is_refused_changes_nothing(site, values, status, said):
    answer = patch(site, values)
    assert answer.status_code == status
    assert said in str(answer.json()["detail"])
    assert "S3CRET" not in answer.text
    assert (site.main / "raccord.toml").read_text() == FILE
    assert config(site)["consolidation_threshold"] == 0
    assert site.client.get("/api/runs").json() == {"runs": []}


def test_an_edit_by_hand_is_taken_up_and_a_broken_one_is_not(site, caplog):
    caplog.set_level(logging.INFO, "raccord.coordination")
    file = site.main / "raccord.toml"
    webkit.save(file, FILE.replace("threshold = 0", "threshold = 7"))
    webkit.until(lambda: config(site)["consolidation_threshold"] == 7)
    webkit.until(lambda: "taken up: coordination.threshold" in caplog.text)
    webkit.save(file, FILE.replace("threshold = 0", "threshold = 'x'"))
    said = webkit.until(lambda: config(site)["error"])
    assert "raccord.toml:3: coordination.threshold: is a string" in said
    assert config(site)["consolidation_threshold"] == 7
    status = site.client.get("/api/sync/status").json()
    assert (status["consolidation_threshold"], status["errors"]) == (7, {"configuration": said})
    assert site.client.get("/api/worktrees").status_code == 200
    assert patch(site, {"language": "fr"}).status_code == 409
    webkit.save(site.other / "AGENTS.md", "still seen\n")
    webkit.until(lambda: site.client.get("/api/sync/status").json()["pending_changes"])
    assert caplog.text.count("Error in configuration") == 1
    webkit.save(file, FILE)
    webkit.until(lambda: config(site)["consolidation_threshold"] == 0)
    assert config(site)["error"] is None


def test_what_another_process_sets_is_taken_up(site):
    with Workspace.open(site.main) as workspace:
        workspace.configuration.put("coordination.check_interval_seconds", "9")
    webkit.until(lambda: config(site)["check_interval_seconds"] == 9)
