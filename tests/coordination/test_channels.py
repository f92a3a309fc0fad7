"""Who is told of what: signed, once, again until it arrives, and never the URL."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.server
import itertools
import json
import logging
import threading
import time
from collections.abc import Iterator

import pytest

from raccord.coordination.outbox import OLDEST_SECONDS, Outbox, wait
from raccord.kernel.store import Store
from raccord.notify import services, webhook
from raccord.verbs.channels import courier
from raccord.verbs.room import Room
from raccord.workspace import Workspace
from tests import webkit
from tests.gitkit import Repo

SECRET = "s3cret-of-the-team"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it gets, and answers with the next of its statuses."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?key=abc"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status == 302:
            self.send_header("location", self.server.url)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.contextmanager
def telling(tmp_path, receiver, monkeypatch, channel='secret = "env:TEAM_SECRET"\n'):
    """A keeper and the courier over it, over a workspace with one channel."""
    monkeypatch.setenv("TEAM_HOOK", receiver.url)
    monkeypatch.setenv("TEAM_SECRET", SECRET)
    repo = Repo.init(tmp_path / "main")
    text = f'[channels.team]\nurl = "env:TEAM_HOOK"\n{channel}'
    repo.commit({"AGENTS.md": "1", "raccord.toml": text}, "start")
    with Workspace.open(repo.path) as workspace:
        running = workspace.coordination.watching()
        made = courier(workspace._room, running)
        running.keeper.look()
        made.gather()
        yield repo, running, made


def test_a_report_is_told_once_signed_and_with_its_text(tmp_path, receiver, monkeypatch):
    with telling(tmp_path, receiver, monkeypatch) as (repo, running, made):
        (repo.path / "AGENTS.md").write_text("2")
        running.keeper.look()
        running.keeper.consolidate()
        made.gather()
        made.gather()
        assert made.deliver() == 1
        assert made.deliver() == 0
    ((headers, body),) = receiver.got
    signed = hmac.new(SECRET.encode(), f"{headers[webhook.TIME]}.".encode() + body, hashlib.sha256)
    assert headers[webhook.SIGNATURE] == f"sha256={signed.hexdigest()}"
    document = json.loads(body)
    assert (document["event"], document["changes_consolidated"]) == ("consolidation", 1)
    assert "AGENTS.md" in document["report"]


def test_what_does_not_arrive_is_sent_again_under_the_same_name(tmp_path, receiver, monkeypatch, caplog):
    receiver.answers = [500, 302]
    with telling(tmp_path, receiver, monkeypatch) as (_, _, made), caplog.at_level(logging.INFO):
        made.tell("trouble", "one", "text", {})
        made.tell("trouble", "one", "text", {})
        assert made.deliver() == 0
        assert made.deliver() == 0  # not due yet
        for _ in range(2):
            with made.outbox._store.transaction() as db:
                db.execute("update letters set next = 0")
            made.deliver()
        assert made.outbox.due(1e12) == []
    assert len(receiver.got) == 3
    assert len({headers[webhook.DELIVERY] for headers, _ in receiver.got}) == 1
    assert "answered 500" in caplog.text
    assert "key=abc" not in caplog.text
    assert SECRET not in caplog.text


def test_trouble_is_told_once_for_each_state(tmp_path, receiver, monkeypatch):
    with telling(tmp_path, receiver, monkeypatch) as (_, running, made):
        for why in ("denied", "denied", "full", "", ""):
            running.errors = {"consolidation": why} if why else {}
            made.look()
        made.deliver()
    assert [json.loads(body)["event"] for _, body in receiver.got] == ["trouble", "trouble", "recovered"]


def test_each_channel_gets_the_events_that_it_wants(tmp_path, receiver, monkeypatch):
    with telling(tmp_path, receiver, monkeypatch, 'events = ["chang*"]\n') as (repo, running, made):
        (repo.path / "AGENTS.md").write_text("2")
        running.keeper.look()
        running.keeper.consolidate()
        made.gather()
        made.deliver()
    assert [json.loads(body)["event"] for _, body in receiver.got] == ["change"]
    assert webhook.SIGNATURE not in receiver.got[0][0]


def test_what_happened_while_nobody_told_is_told_later_and_once(tmp_path, receiver, monkeypatch):
    with telling(tmp_path, receiver, monkeypatch, 'events = ["*"]\n') as (repo, running, _):
        (repo.path / "AGENTS.md").write_text("2")
        with Workspace.open(repo.path) as other:  # a person's command line
            other.coordination.consolidate()
        for _ in range(2):  # two services, or one that was killed and started again
            made = courier(_room(repo), running)
            made.gather()
            made.deliver()
    assert [json.loads(body)["event"] for _, body in receiver.got] == ["change", "consolidation"]


def test_who_is_added_later_hears_of_nothing_old(tmp_path, receiver, monkeypatch):
    with telling(tmp_path, receiver, monkeypatch) as (repo, running, made):
        (repo.path / "AGENTS.md").write_text("2")
        known, made.channels = made.channels, {}
        made.gather()
        running.keeper.look()
        running.keeper.consolidate()
        made.channels = known
        made.gather()
        assert made.deliver() == 0
        (repo.path / "AGENTS.md").write_text("3")
        running.keeper.look()
        running.keeper.consolidate()
        made.gather()
        assert made.deliver() == 1


def test_a_kill_between_a_state_and_its_letter_leaves_neither(tmp_path, receiver, monkeypatch):
    with telling(tmp_path, receiver, monkeypatch, 'events = ["*"]\n') as (repo, running, made):
        (repo.path / "AGENTS.md").write_text("2")
        running.keeper.look()
        running.errors = {"checking": "denied"}
        with monkeypatch.context() as broken:
            broken.setattr(made, "tell", _killed)
            for work in (made.gather, made.look):
                with pytest.raises(KeyboardInterrupt):
                    work()
        made.gather()
        made.look()
        assert made.deliver() == 2


def _killed(*_):
    raise KeyboardInterrupt


def _room(repo: Repo) -> Room:
    return Room.open(repo.path)


def test_a_running_service_tells_by_itself(tmp_path, receiver, monkeypatch):
    with telling(tmp_path, receiver, monkeypatch, 'events = ["*"]\n') as (repo, running, _):
        running.start()
        (repo.path / "AGENTS.md").write_text("3")
        waiting = threading.Event()
        for _ in range(600):
            if receiver.got:
                break
            waiting.wait(0.05)
        running.stop()
    assert json.loads(receiver.got[0][1])["changes"][0]["file_path"] == "AGENTS.md"


def test_a_letter_is_given_up_once_nobody_wants_it_any_more(tmp_path):
    store = Store(tmp_path / "state.db")
    outbox = Outbox(store)
    outbox.put(["a"], "k", {"n": 1}, 100.0)
    (letter,) = outbox.due(100.0)
    assert outbox.failed(letter, 100.0, "no")
    assert outbox.due(100.0 + wait(0) - 1) == []
    assert outbox.due(100.0 + wait(0)) != []
    assert outbox.waiting() == [("a", 1, "no")]
    assert not outbox.failed(letter, 101.0 + OLDEST_SECONDS, "no")
    assert outbox.due(1e12) == []
    store.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its plugins, which it loads all
def test_a_service_is_told_through_apprise_and_a_bad_url_is_named_without_itself(receiver):
    host, port = receiver.server_address[:2]
    assert services.tell(f"json://{host!s}:{port}/x", "title", "text") == ""
    assert json.loads(receiver.got[0][1])["message"] == "text"
    assert "nothing" not in services.tell("nothing://secret", "t", "x")
    assert services.tell("nothing://secret", "t", "x")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://[broken", "https://", "http://h:99999/"])
def test_a_receiver_that_cannot_be_reached_is_no_failure_of_ours(url):
    assert webhook.post(url, {}, delivery="d", at=1) != ""


def test_a_channel_that_is_configured_while_a_service_runs_is_told(tmp_path, receiver, monkeypatch):
    monkeypatch.setenv("TEAM_HOOK", receiver.url)
    repo = Repo.init(tmp_path / "main")
    repo.commit({"AGENTS.md": "1"}, "start")
    with Workspace.open(repo.path) as workspace:
        running = workspace.coordination.watching()
        running.start()
        try:
            text = '[channels.team]\nurl = "env:TEAM_HOOK"\nevents = ["change"]\n'
            webkit.save(repo.path / "raccord.toml", text)
            webkit.until(lambda: workspace.configuration.file)
            # A channel is told of what happens from its first second on.
            for number in itertools.count(2):
                webkit.save(repo.path / "AGENTS.md", str(number))
                if receiver.got:
                    break
                time.sleep(0.05)
        finally:
            running.stop()
    assert json.loads(receiver.got[0][1])["event"] == "change"
