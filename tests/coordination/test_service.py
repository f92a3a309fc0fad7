"""The service as a program uses it, with and without git, and what it keeps when it is killed."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raccord.coordination import service as module
from raccord.coordination.keeper import Keeper
from raccord.coordination.ledger import Ledger
from raccord.coordination.service import (
    AutoSyncService,
    ConsolidationTrigger,
    FileChecksum,
    SyncEvent,
    get_auto_sync_service,
)
from raccord.coordination.spec import Spec, due
from raccord.kernel.store import Store
from raccord.model.coordination import Root
from tests.webkit import save, until


@pytest.fixture
def service(tmp_path):
    save(tmp_path / "AGENT_SYNC.md", "# Agents\n")
    made = AutoSyncService(
        repo_root=tmp_path,
        check_interval_seconds=30,
        consolidation_threshold=3,
        consolidation_interval_minutes=60,
        trigger_check_seconds=1,
    )
    yield made
    made.end()


def test_it_lives_and_ends(service):
    async def life():
        await service.start()
        assert service._running is True
        assert service.get_status()["running"] is True
        await service.stop()
        assert service._running is False

    asyncio.run(life())


def test_checksums_are_there_once_it_runs(service):
    service.begin()
    assert isinstance(service.checksums["AGENT_SYNC.md"], FileChecksum)
    assert len(service.checksums["AGENT_SYNC.md"].checksum) == 32
    assert asyncio.run(_awaited(service._initialize_checksums())) == service._initialize_checksums()


async def _awaited(value):
    return await value


def test_each_kind_of_change_is_seen_as_it_happens(service, tmp_path):
    service.begin()
    save(tmp_path / "AGENT_SYNC.md", "# Agents\nmore\n")
    one = until(lambda: service.pending_changes)[0]
    assert isinstance(one, SyncEvent)
    assert (one.event_type, one.file_path, one.agent_owner) == ("modified", "AGENT_SYNC.md", "unknown")
    assert one.old_checksum != one.new_checksum
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "passation.md").write_text("x")
    until(lambda: [e for e in service.pending_changes if e.event_type == "created"])
    (tmp_path / "AGENT_SYNC.md").unlink()
    until(lambda: [e for e in service.pending_changes if e.event_type == "deleted"])
    assert service.watching is not None
    assert service.watching.name == "events"


def test_polling_sees_changes_too_and_says_that_it_polls(tmp_path):
    service = AutoSyncService(tmp_path, polling=True)
    service.begin()
    save(tmp_path / "ROADMAP.md", "x")
    until(lambda: service.pending_changes)
    assert service.watching is not None
    assert (service.watching.name, service.watching.why) == ("polling", "asked for")
    service.end()


def test_patterns_may_be_added_at_any_time(service, tmp_path):
    service.begin()
    service.watched_files.append("notes/*.txt")
    (tmp_path / "notes").mkdir()
    service._running_now.again()
    until(lambda: service.watching and service.watching.folders == 2)
    until(lambda: "notes/*.txt" in str(service.keeper.ledger.patterns(str(tmp_path))))
    (tmp_path / "notes" / "a.txt").write_text("1")
    until(lambda: [e for e in service.pending_changes if e.file_path == "notes/a.txt"])


def test_the_threshold_consolidates_and_calls_back(service, tmp_path):
    calls: list[ConsolidationTrigger] = []
    later: list[ConsolidationTrigger] = []

    async def slow(trigger):
        later.append(trigger)

    def broken(trigger):
        raise ValueError("mine")

    for call in (broken, calls.append, slow):
        service.register_consolidation_callback(call)
    service.begin()
    for name in ("AGENT_SYNC.md", "AGENTS.md", "ROADMAP.md"):
        save(tmp_path / name, "new")
    until(lambda: later)
    assert calls[0].trigger_type == "threshold"
    assert calls[0].conditions_met == {"pending_changes": 3, "threshold": 3}
    assert service.pending_changes == []
    text = (tmp_path / "SYNC_STATUS.md").read_text()
    assert "**AGENTS.md**" in text
    assert service.get_status()["last_consolidation"] == calls[0].timestamp.isoformat()
    service.keeper.look()
    assert service.pending_changes == []


def test_by_hand_it_answers_as_the_route_does(service, tmp_path):
    service.begin()
    save(tmp_path / "AGENT_SYNC.md", "more")
    said = asyncio.run(_awaited(service.trigger_manual_consolidation()))
    assert (said["status"], said["changes_consolidated"]) == ("success", 1)
    assert said["trigger"]["conditions_met"] == {"pending_changes": 1}
    assert service.trigger_manual_consolidation()["changes_consolidated"] == 0
    trigger = ConsolidationTrigger("manual", {}, service.checksums["AGENT_SYNC.md"].last_modified)
    assert "### Consolidation" in service._generate_consolidation_report(trigger)
    assert service._get_file_type("AGENT_SYNC.md") == "sync"


def test_a_document_that_cannot_be_written_keeps_the_report_for_later(service, tmp_path):
    service.begin()
    (tmp_path / "SYNC_STATUS.md").mkdir()
    save(tmp_path / "AGENTS.md", "x")
    until(lambda: service.pending_changes)
    said = service.trigger_manual_consolidation()
    assert said["status"] == "error"
    (tmp_path / "SYNC_STATUS.md").rmdir()
    service.keeper.tick()
    assert "AGENTS.md" in (tmp_path / "SYNC_STATUS.md").read_text()


def test_a_report_written_over_somebodys_edit_does_not_hide_it(tmp_path):
    kept = by_hand(tmp_path)
    save(tmp_path / "SYNC_STATUS.md", "# mine\n")
    save(tmp_path / "AGENTS.md", "x")
    kept.look({str(tmp_path): ["AGENTS.md"]})
    assert kept.consolidate() is not None
    kept.look()
    text = (tmp_path / "SYNC_STATUS.md").read_bytes()
    assert b"# mine" in text and b"AGENTS.md" in text
    one = kept.ledger.changes(pending=True)[-1]
    assert (one.kind, one.path, kept.ledger.content(one.new)) == ("created", "SYNC_STATUS.md", b"# mine\n")
    kept.ledger._store.close()


def test_a_report_that_a_kill_kept_from_the_document_does_not_make_the_last_one_a_change(tmp_path):
    kept = by_hand(tmp_path)
    save(tmp_path / "AGENTS.md", "x")
    kept.look()
    assert kept.consolidate() is not None
    kept.ledger.writing(str(tmp_path), "SYNC_STATUS.md", "0" * 32)
    kept.look()
    assert [one.path for one in kept.ledger.changes()] == ["AGENTS.md"]
    save(tmp_path / "SYNC_STATUS.md", "of a person")
    kept.look()
    assert [one.path for one in kept.ledger.changes(pending=True)] == ["SYNC_STATUS.md"]
    kept.ledger._store.close()


def by_hand(root):
    kept = Keeper(Ledger(Store(root / "state.db")), lambda: [Root(str(root), "here", "", True)])
    kept.look()
    return kept


@pytest.mark.parametrize(
    ("pending", "minutes", "expected"),
    [(0, 999, None), (4, 59, None), (5, 0, "threshold"), (1, 60, "time_based"), (1, -5, "time_based")],
)
def test_triggers(pending, minutes, expected):
    fired = due(Spec(), pending, 10_000.0, 10_000.0 + minutes * 60)
    assert (fired[0] if fired else None) == expected


def test_there_is_one_service_for_a_process(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_service", None)
    assert get_auto_sync_service(repo_root=tmp_path) is get_auto_sync_service()


def test_changes_made_while_nobody_watched_are_found_at_the_start(tmp_path):
    one = AutoSyncService(tmp_path)
    save(tmp_path / "AGENTS.md", "1")
    one.begin()
    one.end()
    save(tmp_path / "AGENTS.md", "2")
    save(tmp_path / "ROADMAP.md", "new")
    two = AutoSyncService(tmp_path)
    two.begin()
    assert [(e.event_type, e.file_path) for e in two.pending_changes] == [
        ("modified", "AGENTS.md"),
        ("created", "ROADMAP.md"),
    ]
    two.end()


def test_two_at_once_record_each_change_once(tmp_path):
    save(tmp_path / "AGENTS.md", "1")
    services = [AutoSyncService(tmp_path) for _ in range(2)]
    for one in services:
        one.begin()
    for number in range(20):
        save(tmp_path / "AGENTS.md", f"{number} new")
        time.sleep(0.12)
    until(lambda: len(services[0].pending_changes) >= 20)
    chain = services[1].pending_changes
    assert [one.old_checksum for one in chain[1:]] == [one.new_checksum for one in chain[:-1]]
    for one in services:
        one.end()


CHILD = """
import sys, threading
from raccord.coordination.service import AutoSyncService
service = AutoSyncService(sys.argv[1], consolidation_threshold=2, trigger_check_seconds=0.02)
service.begin()
print("up", flush=True)
threading.Event().wait()
"""


@pytest.mark.long_but(1)
@pytest.mark.parametrize(
    "seed", [pytest.param(n, marks=pytest.mark.long if n > 3 else ()) for n in range(60)]
)
def test_a_kill_loses_no_change_and_tells_none_twice(tmp_path, seed):
    """Five kills for each seed, while files change and are consolidated."""
    chance = random.Random(seed)
    names = ["AGENTS.md", "ROADMAP.md", "docs/passation.md"]
    (tmp_path / "docs").mkdir()
    for name in names:
        save(tmp_path / name, "start")
    first = AutoSyncService(tmp_path)
    first.begin()
    first.end()
    wrote = 0
    for _ in range(5):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        until_kill = time.monotonic() + chance.random() * 0.3
        while time.monotonic() < until_kill:
            wrote += 1
            (tmp_path / chance.choice(names)).write_text(f"{seed} {wrote}")
            time.sleep(chance.random() * 0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        (tmp_path / chance.choice(names)).write_text(f"{seed} {wrote} while dead")
    _judge(tmp_path, names)


def _judge(root: Path, names: list[str]) -> None:
    last = AutoSyncService(root)
    last.begin()
    said = last.trigger_manual_consolidation()
    assert said["status"] == "success"
    last.end()
    store = Store(root / ".raccord" / "state.db")
    ledger = Ledger(store)
    text = (root / "SYNC_STATUS.md").read_text()
    archive = root / "SYNC_STATUS_ARCHIVE.md"
    text += archive.read_text() if archive.exists() else ""
    told = 0
    for one in ledger.consolidations():
        assert text.count(f"<!-- raccord:consolidation:{one.id} -->") == 1
        assert one.placed
        assert len(ledger.changes(consolidation=one.id)) == one.changes
        told += one.changes
    assert told == len(ledger.changes())
    for name in names:
        chain = [one for one in ledger.changes() if one.path == name]
        assert [one.old for one in chain[1:]] == [one.new for one in chain[:-1]]
        assert ledger.content(chain[-1].new) == (root / name).read_bytes()
    assert not [one for one in ledger.changes() if one.path.startswith("SYNC_STATUS")]
    store.close()
