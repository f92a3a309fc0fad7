"""Answers that are kept are never older than what they are made of."""

from __future__ import annotations

import itertools
import threading

import pytest

from raccord.coordination.keeper import Keeper
from raccord.coordination.ledger import Ledger
from raccord.coordination.spec import Owners, Spec
from raccord.coordination.tally import Tally
from raccord.errors import CannotRun
from raccord.kernel.store import Store
from raccord.model.coordination import Root
from raccord.web.kept import MOST, Kept, Recent
from raccord.workspace import Workspace
from tests import webkit


@pytest.fixture
def site(tmp_path):
    with webkit.site(tmp_path) as made:
        yield made


def test_an_answer_is_made_once_until_somebody_writes(tmp_path):
    store, other = (Store(tmp_path / "state.db") for _ in range(2))
    kept, numbers = Kept(store.generation), itertools.count(1)

    def ask() -> bytes:
        return kept.body("q", lambda: str(next(numbers)).encode())

    assert [ask(), ask()] == [b"1", b"1"]
    with store.transaction() as db:
        db.execute("insert into alerts values ('a', '')")
    assert [ask(), ask()] == [b"2", b"2"]
    with other.transaction() as db:
        db.execute("insert into alerts values ('b', '')")
    assert [ask(), ask()] == [b"3", b"3"]
    assert store.generation() != other.generation()


def test_what_is_written_while_an_answer_is_made_makes_it_an_old_one():
    now = [1]
    kept = Kept(lambda: now[0])

    def make() -> bytes:
        said = str(now[0]).encode()
        now[0] = 2
        return said

    assert [kept.body("q", make), kept.body("q", make)] == [b"1", b"2"]


def test_few_questions_are_remembered():
    kept = Kept(lambda: 0)
    for number in range(3 * MOST):
        kept.body(number, lambda: b"x" * 1000)
    assert len(kept._kept) == MOST


def test_routes_tell_what_another_process_recorded_at_once(site):
    assert site.client.get("/api/sync/pending-changes").json()["count"] == 0
    before = site.client.get("/metrics").text
    for number in range(3):
        with Workspace.open(site.main) as mine:
            webkit.save(site.main / "AGENTS.md", f"{number}\n")
            mine.coordination.watching().keeper.look()
            seen = len(mine.coordination.changes(pending=True))
        said = site.client.get("/api/sync/pending-changes").json()
        assert said["count"] == len(said["changes"]) == seen
        assert [one["id"] for one in said["changes"]] == sorted(one["id"] for one in said["changes"])
        assert site.client.get("/metrics").text != before
    with Workspace.open(site.main) as mine:
        mine.coordination.consolidate()
    assert site.client.get("/api/sync/pending-changes").json() == {"count": 0, "changes": []}
    assert site.client.get("/api/sync/history").json()["count"] == 1
    assert (
        'sync_consolidations_triggered_total{trigger_type="manual"} 1.0' in site.client.get("/metrics").text
    )


def test_worktrees_are_looked_at_again_and_say_when_they_were(site):
    def first() -> dict:
        said = site.client.get("/api/worktrees").json()
        assert said["seen"] > 0
        return next(one for one in said["worktrees"] if one["path"] == str(site.other))

    assert first()["untracked"] == 0
    (site.other / "new.txt").write_text("new")  # nobody watches that one
    assert webkit.until(lambda: first()["untracked"]) == 1
    assert webkit.until(lambda: not site.client.get("/api/worktrees").json()["refreshing"])


def test_a_look_in_the_background_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(Recent, "FRESH_SECONDS", 0.0)
    broken = threading.Event()

    def look() -> dict:
        if broken.is_set():
            raise CannotRun("no repository any more")
        return {"answer": 1}

    recent = Recent(look, lambda: 0)
    assert recent.answer()["answer"] == 1
    broken.set()
    with pytest.raises(CannotRun):
        webkit.until(lambda: recent.answer() and None, 10)


def test_sums_of_changes_are_those_of_all_changes(tmp_path):
    store = Store(tmp_path / "state.db")
    ledger, root = Ledger(store), Root(str(tmp_path), "r")
    tally = Tally(ledger)
    keeper = Keeper(ledger, lambda: [root], Spec(watches=("*.md",)))
    keeper.look()
    for number in range(6):
        owner = ("a", "b")[number % 2]
        keeper.owners = _all_of(owner)
        webkit.save(tmp_path / "one.md", f"{number}\n")
        keeper.look()
        assert tally.owners() == {(str(tmp_path), "one.md"): owner}
        assert sum(tally.counts().values()) == number + 1 == len(ledger.changes())
    assert tally.counts() == Tally(ledger).counts() == {("docs", "a"): 3, ("docs", "b"): 3}


def _all_of(owner: str) -> Owners:
    return lambda root, contents, past: dict.fromkeys(contents, (owner, "x"))
