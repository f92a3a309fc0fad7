"""The routes against their own description, with whatever schemathesis thinks of."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests import webkit

RUN = "from schemathesis.cli import schemathesis; schemathesis()"


@pytest.fixture
def site(tmp_path):
    with webkit.site(tmp_path) as made:
        webkit.save(made.other / "AGENTS.md", "something\n")
        webkit.until(lambda: made.client.get("/api/sync/pending-changes").json()["count"])
        yield made


def fuzzed(site, folder, *options: str) -> str:
    """Runs it with every check; what it says."""
    words = [
        "run", f"{site.server.url}openapi.json", "--checks", "all", "--request-timeout", "60",
        # That answer never ends; it is looked at where pages listen.
        "--exclude-path", "/api/events",
        # Requests without a token are a part of it, and the server stops to answer who sends many of them.
        "--rate-limit", "15/s",
        "--header", f"Authorization: Bearer {site.token}", "--no-color", *options,
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_a_few_requests_of_each_kind_get_what_the_description_says(site, tmp_path):
    said = fuzzed(site, tmp_path, "--phases", "fuzzing", "--max-examples", "1", "--seed", "1")
    found = re.search(r"(\d+) generated", said)
    assert found is not None
    assert int(found[1]) >= 24


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_many_requests_get_what_the_description_says(site, tmp_path):
    fuzzed(site, tmp_path, "--max-examples", "25", "--continue-on-failure")
