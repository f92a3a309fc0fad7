"""The example with prod behind a real ssh server: rows go through it, and hooks are called from there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sshkit
from tests.datakit import why
from tests.examples.cabinet import KNOWLEDGE, Cabinet, NoServer, cabinet

BOTH = "web-sources-files"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Cabinet]:
    try:
        with sshkit.host(tmp_path / "far") as far, cabinet(tmp_path, far=far) as found:
            found.fill("dev", 20)
            yield found
    except (*NoServer, sshkit.NoSshd) as error:
        pytest.skip(f"no server: {error}")


@pytest.mark.long
def test_every_mode(office: Cabinet) -> None:
    before = office.state("prod")
    for profile in ("web-sources", "full", BOTH):
        report = office.promote(profile)
        assert report.state == "done", report
    assert office.rows("prod", *KNOWLEDGE) == office.rows("dev", *KNOWLEDGE)
    # The last had files to bring only, and these have no hook.
    assert [one.path for one in office.site.got] == ["/api/cron/web-crawler"]
    assert office.far is not None and office.far.log.count("Accepted publickey") == 3
    for _ in range(3):
        assert office.undo().state == "done"
    assert office.state("prod") == before


def test_a_command_runs_there(office: Cabinet) -> None:
    path, log = office.repo.path / "raccord.toml", office.path / "log"
    text = path.read_text().partition("[hooks.web-crawler]")[0]
    path.write_text(f"{text}[hooks.web-crawler]\nshell = 'echo \"$SSH_CONNECTION\" > {log}'\n")
    assert office.promote("web-sources").state == "done"
    assert log.read_text().startswith("127.0.0.1 ")


@pytest.mark.long
def test_nobody_listens_there(office: Cabinet) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = office.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace(office.site.url, f"http://localhost:{port}"))
    report = office.promote("web-sources")
    assert report.state == "stopped" and "tried 4 times" in why(report), report
    (one,) = office.workspace.data_status().pending
    assert not one.unknown and f"localhost:{port} can't be reached" in one.why
    path.write_text(path.read_text().replace(f"http://localhost:{port}", office.site.url))
    assert office.workspace.continue_().state == "done" and len(office.site.got) == 1


def test_the_host_is_gone_when_the_hook_is_due(office: Cabinet) -> None:
    path = office.repo.path / "raccord.toml"
    text = path.read_text().partition("[hooks.web-crawler]")[0]
    assert office.far is not None
    # The command ends the connection that it came through, and with it what raccord could know of it.
    path.write_text(f"{text}[hooks.web-crawler]\nshell = 'kill -9 $PPID; sleep 20'\n")
    report = office.promote("web-sources")
    assert report.state == "stopped", report
    (one,) = office.workspace.data_status().pending
    assert one.unknown and "whether it ran is not known" in one.why, one
