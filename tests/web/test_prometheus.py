"""A real Prometheus scrapes the server and runs every query of the rules and of the dashboard."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests import webkit

PROGRAMS = [shutil.which(name) for name in ("prometheus", "promtool")]
pytestmark = pytest.mark.skipif(None in PROGRAMS, reason="no prometheus here")
MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
# As teams have them in their own dashboards.
SEED = (
    "rate(sync_changes_detected_total[5m]) * 60",
    "rate(sync_consolidation_duration_seconds_sum[5m]) / rate(sync_consolidations_triggered_total[5m])",
    "sync_status != 1",
    "increase(sync_consolidations_triggered_total[1h])",
)


def queries() -> list[str]:
    """Those of the dashboard and of the rules."""
    board = json.loads((MONITORING / "grafana.json").read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = re.findall(r"expr: (?:>-\s+)?([^\n]+)", (MONITORING / "alerts.yml").read_text())
    assert len(shown) > 8
    assert len(rules) > 4
    return [*SEED, *shown, *rules]


def test_the_rules_are_sound(tmp_path):
    promtool = PROGRAMS[1]
    assert promtool
    shutil.copytree(MONITORING, tmp_path / "m")
    for what, name in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        done = subprocess.run(
            [promtool, "check", what, *(["--syntax-only"] if what == "config" else []), name],
            cwd=tmp_path / "m",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_real_prometheus_runs_every_query(tmp_path):
    with webkit.site(tmp_path / "site") as site:
        port = _free()
        (tmp_path / "token").write_text(site.scrape)
        shutil.copy(MONITORING / "alerts.yml", tmp_path)
        text = (MONITORING / "prometheus.yml").read_text()
        text = text.replace("127.0.0.1:8000", site.host).replace("15s", "200ms")
        text = text.replace("/etc/prometheus/raccord-scrape-token", str(tmp_path / "token"))
        (tmp_path / "prometheus.yml").write_text(text)
        program = PROGRAMS[0]
        assert program
        child = subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                webkit.until(lambda: _value(client, 'up{job="raccord"} == 1'), 60)
                for number in range(3):
                    webkit.save(site.main / "AGENTS.md", f"change {number}\n")
                    webkit.until(lambda: site.client.get("/api/sync/pending-changes").json()["count"])
                    site.client.post("/api/sync/consolidate")
                webkit.save(site.main / "AGENTS.md", "pending\n")
                # The mean has a value only where sums and counts carry the same labels.
                webkit.until(lambda: _finite(client, SEED[1], "manual"), 90)
                assert webkit.until(lambda: _value(client, SEED[0]), 60)
                assert webkit.until(lambda: _value(client, SEED[2]), 60)
                for query in queries():
                    answer = client.get("/api/v1/query", params={"query": query}).json()
                    assert answer["status"] == "success", (query, answer)
                rules = client.get("/api/v1/rules").json()["data"]["groups"][0]["rules"]
                assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
        finally:
            child.terminate()
            child.wait(30)


def _value(client: httpx.Client, query: str) -> list[dict]:
    try:
        answer = client.get("/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []
    return answer.json()["data"]["result"] if answer.status_code == 200 else []  # it starts


def _finite(client: httpx.Client, query: str, trigger: str) -> bool:
    found = [one for one in _value(client, query) if one["metric"].get("trigger_type") == trigger]
    return bool(found) and found[0]["value"][1] != "NaN"


def _free() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])
