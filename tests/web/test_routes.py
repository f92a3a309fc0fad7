"""What the routes say, with the very names that programs were written against."""

from __future__ import annotations

import asyncio
import json
import threading

import httpx
import pytest
from fastapi import FastAPI

from raccord.coordination.service import AutoSyncService
from raccord.web.sync import router
from tests import webkit

STATUS = {
    "running", "pending_changes", "last_consolidation", "watched_files", "checksums_tracked",
    "consolidation_threshold", "check_interval_seconds",
}  # fmt: skip
CHANGE = {"file_path", "event_type", "timestamp", "old_checksum", "new_checksum", "agent_owner"}


@pytest.fixture
def site(tmp_path):
    with webkit.site(tmp_path) as made:
        yield made


def pending(site):
    return site.client.get("/api/sync/pending-changes").json()["changes"]


def test_a_change_goes_from_a_save_to_a_report(site):
    status = site.client.get("/api/sync/status").json()
    assert set(status) >= STATUS
    assert (status["running"], status["pending_changes"]) == (True, 0)
    webkit.save(site.other / "AGENTS.md", "# Agents\nmore\n")
    (one,) = webkit.until(lambda: pending(site))
    assert set(one) >= CHANGE
    assert (one["file_path"], one["event_type"], one["worktree"]) == (
        "AGENTS.md",
        "modified",
        str(site.other),
    )
    diff = site.client.get(f"/api/sync/changes/{one['id']}/diff").json()
    assert "+more" in diff["lines"]
    sums = site.client.get("/api/sync/checksums").json()["checksums"]
    assert {(row["worktree"], row["file_path"]): row["status"] for row in sums} == {
        (str(site.main), "AGENTS.md"): 1,
        (str(site.other), "AGENTS.md"): 0,
    }
    said = site.client.post("/api/sync/consolidate").json()
    assert (said["status"], said["changes_consolidated"]) == ("success", 1)
    assert said["trigger"]["trigger_type"] == "manual"
    assert said["trigger"]["conditions_met"] == {"pending_changes": 1}
    assert pending(site) == []
    (kept,) = site.client.get("/api/sync/history", params={"search": "AGENTS"}).json()["consolidations"]
    assert kept["report"] in (site.main / "SYNC_STATUS.md").read_text()
    assert site.client.get("/api/sync/history", params={"search": "nothing"}).json()["count"] == 0


def test_events_come_live_and_none_is_lost_between_two_connections(site):
    webkit.save(site.main / "AGENTS.md", "1")
    first = webkit.until(lambda: pending(site))[0]["id"]
    webkit.save(site.main / "AGENTS.md", "2")
    webkit.until(lambda: len(pending(site)) == 2)
    seen: list[dict] = []

    def listen():
        with site.client.stream("GET", "/api/events", headers={"last-event-id": str(first)}) as answer:
            for line in answer.iter_lines():
                if line.startswith('data: {"id"'):
                    seen.append(json.loads(line.removeprefix("data: ")))
                if len(seen) == 2:
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    webkit.until(lambda: seen)
    webkit.save(site.main / "AGENTS.md", "3")
    thread.join(30)
    assert [one["id"] for one in seen[:2]] == [first + 1, first + 2]


def test_metrics_have_the_names_and_labels_that_queries_ask_for(site):
    webkit.save(site.main / "AGENTS.md", "1")
    webkit.until(lambda: pending(site))
    before = site.client.get("/api/metrics").text
    site.client.post("/api/sync/consolidate")
    after = site.client.get("/metrics").text
    for line in (
        'sync_changes_detected_total{agent="unknown",file_type="docs"} 1.0',
        'sync_consolidations_triggered_total{trigger_type="manual"} 1.0',
        'sync_consolidations_triggered_total{trigger_type="threshold"} 0.0',
        'sync_consolidation_duration_seconds_count{trigger_type="manual"} 1.0',
        'sync_status{file_path="AGENTS.md"} 1.0',
    ):
        assert line in after.splitlines(), line
    assert 'sync_status{file_path="AGENTS.md"} 0.0' in before.splitlines()
    assert "sync_check_duration_seconds_bucket{le=" in after


def test_worktrees_and_runs_are_told(site):
    trees = site.client.get("/api/worktrees").json()["worktrees"]
    assert [one["name"] for one in trees] == ["main", "claude-1"]
    assert site.client.get("/api/runs").json() == {"runs": []}
    answer = site.client.get("/api/runs/nothing")
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_a_run_has_its_plan_and_the_plan_of_its_undo(site):
    run = site.client.patch("/api/sync/config", json={"consolidation_threshold": 2}).json()["run"]
    title = "coordination.threshold: (default) → 2"
    plan = site.client.get(f"/api/runs/{run}/plan").json()
    assert (plan["verb"], plan["stages"][0]["lanes"][0]["steps"][0]["title"]) == ("config", title)
    undo = site.client.get(f"/api/runs/{run}/undo").json()
    assert (undo["undo_of"], undo["stages"][0]["lanes"][0]["steps"][0]["title"]) == (
        run,
        "coordination.threshold: 2 → (default)",
    )
    assert site.client.get("/api/runs/nothing/plan").status_code == 404


def test_every_route_is_described_with_who_may_call_it_and_an_example(site):
    said = site.client.get("/openapi.json").json()
    models = said["components"]["schemas"]
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            assert operation["description"] or operation["summary"], (method, path)
            assert bool(operation["security"]) != path.startswith("/health"), (method, path)
            answer = operation["responses"]["200"]["content"]
            model = models.get(
                str(next(iter(answer.values())).get("schema", {}).get("$ref")).rpartition("/")[2], {}
            )
            shown = any("example" in one for one in answer.values()) or model.get("examples")
            assert shown or path.startswith("/health"), (method, path)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/sync/changes/999/diff", 404),
        ("/api/sync/changes/0/diff", 422),
        ("/api/sync/changes/x/diff", 422),
        ("/api/sync/history?limit=0", 422),
        ("/api/sync/changes?after=-1", 422),
        ("/api/runs?limit=99999999999999999999", 422),
    ],
)
def test_bad_input_is_refused(site, path, status):
    assert site.client.get(path).status_code == status


def test_other_methods_are_told_which_there_are(site):
    answer = site.client.put("/api/sync/config")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PATCH")


def test_somebody_elses_application_includes_the_routes(tmp_path):
    webkit.save(tmp_path / "AGENT_SYNC.md", "x")
    service = AutoSyncService(repo_root=tmp_path)
    app = FastAPI()
    app.include_router(router(service))

    async def asked(method, path):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return (await client.request(method, f"/api/sync/{path}")).json()

    assert asyncio.run(asked("GET", "status"))["running"] is False
    service.begin()
    webkit.save(tmp_path / "AGENT_SYNC.md", "y")
    webkit.until(lambda: asyncio.run(asked("GET", "pending-changes"))["count"])
    assert asyncio.run(asked("POST", "consolidate"))["changes_consolidated"] == 1
    service.end()
