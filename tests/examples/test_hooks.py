"""Hooks around a promotion, called for real: they stop it, follow it, wait, and run twice only if asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raccord.errors import CannotRun, ObjectsError, UsageError
from raccord.model.options_data import DataPushOptions, FilesPushOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.objects.local import Local
from tests.datakit import why
from tests.examples.cabinet import Cabinet, NoServer, cabinet, killed
from tests.sitekit import CUT, HANG, Reply, Web, web

ROOT = Path(__file__).resolve().parents[2]
BOTH = "web-sources-files"
CANARY = "canary-7f3a"
KINDS = ["files.put", "files.verify", "data.keep", "data.push"]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Cabinet]:
    try:
        with cabinet(tmp_path) as found:
            found.fill("dev", 10)
            yield found
    except NoServer as error:
        pytest.skip(f"no server: {error}")


def hooks(office: Cabinet, site: Web, **more: object) -> None:
    """The profile of both gets a hook before it and one after it."""
    office.configure()
    keys = {"retry_seconds": 0, "retries": 1} | more
    said = "".join(f"{name} = {json.dumps(value)}\n" for name, value in keys.items())
    path = office.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace('after = ["web-crawler"]\n', ""))
    path.write_text(path.read_text().partition("\n# Makes the embeddings")[0] + "\n")
    text = 'before = ["freeze"]\nafter = ["crawl"]\n'
    text += "".join(f'[hooks.{name}]\nurl = "{site.url}/{name}"\n{said}' for name in ("freeze", "crawl"))
    path.write_text(path.read_text() + text)


def paths(site: Web) -> list[str]:
    return [one.path for one in site.got]


def pages(office: Cabinet) -> int:
    return office.run("prod", "select count(*) from web_pages")[0][0]


@pytest.mark.long
def test_around_a_promotion(office: Cabinet) -> None:
    with web() as site:
        hooks(office, site, answer='"ok": true')
        plan = office.planned(BOTH)
        assert [step.kind for step in plan.steps()] == ["hook.call", *KINDS, "hook.call"]
        assert paths(site) == []
        report = office.promote(BOTH)
        assert report.state == "done" and paths(site) == ["/freeze", "/crawl"], report
        assert pages(office) == 20
        # Nothing to do, nothing to call.
        assert office.promote(BOTH).state == "nothing" and len(site.got) == 2
        undone = office.undo()
        assert undone.state == "done" and pages(office) == 0 and len(site.got) == 2
        said = [note.message for lane in undone.lanes for note in lane.notes]
        assert any("crawl" in one and "what it did in prod stays" in one for one in said), said


def test_one_before_that_fails_stops_all(office: Cabinet) -> None:
    with web(Reply(503, "not now")) as site:
        hooks(office, site)
        before = office.state("prod")
        report = office.promote(BOTH)
    assert report.state == "partial" and "freeze in prod: answered 503: not now, tried 2 times" in why(report)
    assert office.state("prod") == before and paths(site) == ["/freeze", "/freeze"]
    assert [lane.state for lane in report.lanes] == ["held", "held", "held"]


@pytest.mark.long
def test_one_after_that_fails_waits_and_the_push_stands(office: Cabinet) -> None:
    with web(Reply(), Reply(500, "busy"), Reply(500, "busy"), Reply()) as site:
        hooks(office, site)
        report = office.promote(BOTH)
        assert report.state == "stopped" and pages(office) == 20, report
        assert report.next_command == f"raccord continue --run {report.id}"
        for status in (office.workspace.data_status(), office.workspace.profile_status(BOTH)):
            (one,) = status.pending
            assert (one.name, one.environment, one.unknown) == ("crawl", "prod", False)
            assert "answered 500: busy" in one.why and status.next_command == report.next_command
        assert office.workspace.status().next_command == report.next_command
        assert office.workspace.continue_().state == "done"
        assert paths(site) == ["/freeze", "/crawl", "/crawl", "/crawl"]
        assert office.workspace.data_status().pending == ()
        assert office.undo().state == "done" and pages(office) == 0


@pytest.mark.long_but(1)
@pytest.mark.parametrize("named", [False, True])
def test_a_push_is_taken_back_while_its_hook_waits(office: Cabinet, named: bool) -> None:
    before = office.state("prod")
    with web(Reply(), CUT) as site:
        hooks(office, site)
        report = office.promote(BOTH)
        assert report.state == "stopped" and "not known" in why(report), report
        asked = len(site.got)
        plan = office.workspace.undo(dry_run=True)
        assert isinstance(plan, Plan)
        assert [step.kind for step in plan.steps()][-1] == "files.put"
        assert [note.message for note in plan.notes] == ["crawl, after the push: waits, and is left"]
        assert office.workspace.data_status().pending
        assert office.undo(report.id if named else None).state == "done"
        assert office.state("prod") == before and len(site.got) == asked
        assert office.workspace.data_status().pending == ()


@pytest.mark.long
def test_a_hook_that_waits_can_be_left(office: Cabinet) -> None:
    with web(Reply(), Reply(404)) as site:
        hooks(office, site)
        assert office.promote(BOTH).state == "stopped"
        assert paths(site) == ["/freeze", "/crawl"]  # the same answer would come again
        assert office.workspace.skip().state == "partial"
        assert office.workspace.data_status().pending == () and pages(office) == 20


@pytest.mark.long
def test_a_later_push_goes_its_way(office: Cabinet) -> None:
    with web(Reply(), Reply(404)) as site:
        hooks(office, site)
        assert office.promote(BOTH).state == "stopped"
        office.run("dev", "insert into web_sources (name, base_url) values ('x', 'https://x.example.org/')")
        site.answers = [Reply()]
        assert office.promote(BOTH).state == "done"
        assert len(office.workspace.data_status().pending) == 1
        assert office.workspace.continue_().state == "done"


def test_what_was_corrected_is_called_as_it_is_now(office: Cabinet) -> None:
    with web(Reply(), Reply(404), Reply()) as site:
        hooks(office, site)
        assert office.promote(BOTH).state == "stopped"
        path = office.repo.path / "raccord.toml"
        path.write_text(path.read_text().replace("/crawl", "/api/crawl"))
        assert office.workspace.continue_().state == "done"
        assert paths(site)[-1] == "/api/crawl"


def ended(office: Cabinet, site: Web, path: str, how: signal.Signals) -> int:
    """Promotes, and ends that once something was called; its exit code."""
    words = [sys.executable, "-m", "raccord", "-C", str(office.repo.path), "promote", BOTH, "--to", "prod"]
    env, quiet = {**os.environ, "PYTHONPATH": str(ROOT / "src")}, subprocess.DEVNULL
    with subprocess.Popen(words, env=env, stdin=quiet, stdout=quiet, stderr=quiet) as child:
        end = time.monotonic() + 30
        while path not in paths(site):
            assert time.monotonic() < end
            time.sleep(0.01)
        child.send_signal(how)
        return child.wait(30)


def test_killed_between_the_call_and_its_answer(office: Cabinet) -> None:
    with web(Reply(), HANG) as site:
        hooks(office, site)
        ended(office, site, "/crawl", signal.SIGKILL)
        site.answers = [Reply()]
        (one,) = office.workspace.data_status().pending
        assert one.unknown and pages(office) == 20
        # The next command finishes what it can, and this it can't know.
        office.run("dev", "insert into web_sources (name, base_url) values ('x', 'https://x.example.org/')")
        assert office.promote(BOTH).state == "done"
        assert paths(site) == ["/freeze", "/crawl", "/freeze", "/crawl"]
        (one,) = office.workspace.data_status().pending
        assert one.unknown and one.next_command == f"raccord continue --run {one.run}"
        report = office.workspace.continue_()
        assert report.state == "done" and paths(site)[-1] == "/crawl" and len(site.got) == 5


@pytest.mark.long
def test_killed_before_the_call_it_is_called(office: Cabinet) -> None:
    with web() as site:
        hooks(office, site)
        assert killed(office, BOTH, "data", "committed")
        assert paths(site) == ["/freeze"]
        assert office.promote(BOTH).state == "nothing"
        assert paths(site) == ["/freeze", "/crawl"] and office.workspace.data_status().pending == ()


@pytest.mark.long
def test_killed_in_the_call_before_it(office: Cabinet) -> None:
    before = office.state("prod")
    with web(HANG) as site:
        hooks(office, site)
        ended(office, site, "/freeze", signal.SIGKILL)
        site.answers = [Reply()]
        # A new promotion waits for a word on the old one.
        assert office.promote(BOTH).state == "partial" and office.state("prod") == before
        assert paths(site) == ["/freeze"]
        report = office.workspace.continue_()
        assert (
            report.state == "done" and paths(site) == ["/freeze", "/freeze", "/crawl"] and pages(office) == 20
        )


@pytest.mark.long
def test_killed_in_the_call_before_it_and_given_up(office: Cabinet) -> None:
    before = office.state("prod")
    with web(HANG) as site:
        hooks(office, site)
        ended(office, site, "/freeze", signal.SIGKILL)
        assert office.workspace.abort().state == "aborted"
        assert office.state("prod") == before and paths(site) == ["/freeze"]


@pytest.mark.long
def test_hooks_wait_for_objects_that_were_cut_off(office: Cabinet, monkeypatch) -> None:
    whole, left = Local.write, [1]

    def write(self, key, *more):
        left[0] -= not key.startswith(".raccord-")
        if left[0] < 0:
            raise ObjectsError("it can't be reached")
        return whole(self, key, *more)

    with web() as site:
        hooks(office, site)
        monkeypatch.setattr(Local, "write", write)
        assert office.promote(BOTH).state == "stopped" and paths(site) == ["/freeze"]
        assert office.workspace.data_status().pending[0].why == "crawl in prod: not called yet"
        monkeypatch.undo()
        report = office.workspace.continue_()
        assert report.state == "done" and paths(site) == ["/freeze", "/crawl"] and pages(office) == 20, report


@pytest.mark.long
def test_ctrl_c_while_it_waits(office: Cabinet) -> None:
    with web(Reply(), HANG) as site:
        hooks(office, site)
        assert ended(office, site, "/crawl", signal.SIGINT) == 130
        assert office.workspace.data_status().pending[0].unknown
        site.answers = [Reply()]
        assert office.workspace.continue_().state == "done" and pages(office) == 20


def test_a_set_has_hooks_of_its_own_and_each_is_called_once(office: Cabinet) -> None:
    with web() as site:
        hooks(office, site)
        path = office.repo.path / "raccord.toml"
        text = path.read_text()
        for name in ("[data.web-sources]", "[files.web-files]"):
            text = text.replace(f"{name}\n", f'{name}\nafter = ["crawl"]\n')
        path.write_text(text)
        files = office.workspace.files_push(FilesPushOptions("web-files", "prod"))
        assert isinstance(files, RunReport) and files.state == "done"
        assert paths(site) == ["/crawl"]
        rows = office.workspace.data_push(DataPushOptions("web-sources", "prod"))
        assert isinstance(rows, RunReport) and rows.state == "done"
        assert paths(site) == ["/crawl", "/crawl"]
        assert office.undo().state == "done" and office.undo().state == "done"
        assert office.promote(BOTH).state == "done"
        assert paths(site)[2:] == ["/freeze", "/crawl"]


def test_commands_run_there(office: Cabinet) -> None:
    log = office.path / "log"
    with web() as site:
        hooks(office, site)
    path = office.repo.path / "raccord.toml"
    text = path.read_text().replace(f'url = "{site.url}/freeze"', 'command = ["false"]')
    path.write_text(text.replace(f'url = "{site.url}/crawl"', f"shell = 'echo $((6 * 7)) >> {log}'"))
    report = office.promote(BOTH)
    assert report.state == "partial" and "freeze in prod: failed (1)" in why(report) and pages(office) == 0
    path.write_text(path.read_text().replace('command = ["false"]', 'command = ["true"]'))
    assert office.promote(BOTH).state == "done" and log.read_text() == "42\n"


@pytest.mark.parametrize(
    ("hook", "said"), [("", "there is no hook nope"), ("[hooks.nope]\n", "none of url, command and shell")]
)
def test_a_hook_that_says_nothing_sensible_changes_nothing(office: Cabinet, hook: str, said: str) -> None:
    path = office.repo.path / "raccord.toml"
    path.write_text(
        path.read_text().replace(f"[profiles.{BOTH}]\n", f'[profiles.{BOTH}]\nafter = ["nope"]\n') + hook
    )
    before = office.state("prod")
    with pytest.raises(UsageError, match=said):
        office.promote(BOTH)
    assert office.state("prod") == before


def test_a_secret_that_is_missing_stops_it_before(office: Cabinet) -> None:
    path = office.repo.path / "raccord.toml"
    path.write_text(path.read_text().replace(f"file:{office.path}/cron", "env:NO_SUCH_VARIABLE"))
    before = office.state("prod")
    with pytest.raises(CannotRun, match="the header Authorization of the hook web-crawler"):
        office.promote(BOTH)
    assert office.state("prod") == before


KILLS = range(8)


@pytest.mark.long
@pytest.mark.parametrize("where", KILLS)
def test_killed_wherever_something_is_written_down(office: Cabinet, where: int) -> None:
    before = office.state("prod")
    with web() as site:
        hooks(office, site)
        assert killed(office, BOTH, "hooks", str(where))
        asked = len(site.got)
        # Nobody asks for it: what was sent is not sent again.
        office.promote(BOTH)
        waiting = office.workspace.data_status().pending
        assert all(one.unknown or "not called yet" in one.why for one in waiting)
        stopped = [run.id for run in office.workspace.status().stopped]
        assert paths(site).count("/freeze") <= 1 and paths(site).count("/crawl") <= 1
        for run in stopped:
            assert office.workspace.continue_(run=run).state == "done"
        assert pages(office) == 20 and len(site.got) >= max(2, asked)
        assert paths(site)[-1] == "/crawl" and office.workspace.data_status().pending == ()
        assert office.undo().state == "done" and office.state("prod") == before


def test_a_secret_reaches_the_target_and_nothing_else(office: Cabinet, capfd) -> None:
    (office.path / "bearer").write_text(f"Bearer {CANARY}\n")
    with web(Reply(), Reply(500, f"I got Bearer {CANARY}")) as site:
        hooks(office, site)
        path = office.repo.path / "raccord.toml"
        secret = f"headers = {{ Authorization = 'file:{office.path}/bearer' }}\nbody = 'in-{CANARY}'\n"
        path.write_text(path.read_text() + secret)
        report = office.promote(BOTH)
        assert report.state == "stopped" and "I got ***" in why(report)
        assert site.got[-1].headers["Authorization"] == f"Bearer {CANARY}"
    for one in (office.repo.path / ".git").rglob("*"):
        assert not one.is_file() or CANARY.encode() not in one.read_bytes(), one
    assert CANARY not in repr(report) + repr(office.workspace.data_status()) + "".join(capfd.readouterr())
    (office.path / "bearer").write_bytes(f"Bearer {CANARY}\x01\n".encode())
    assert CANARY not in why(office.workspace.continue_())
