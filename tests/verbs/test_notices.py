"""What heals and upgrades did is counted, kept, summed up and told."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from raccord.model.event import Event
from raccord.model.options import HealOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.notify.command import send
from raccord.workspace import Workspace
from tests.gitkit import Repo
from tests.verbs.test_migrations import Shop, revision

HEALED = {"heals": 1, "revisions_copied": 2, "by_source": {"worktree": 2}}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def lacking(shop: Shop) -> Repo:
    """A worktree that lacks two revisions of another."""
    one, other = shop.tree("one"), shop.tree("other")
    one.commit({shop.file("r2"): revision("r2", "r1"), shop.file("r3"): revision("r3", "r2")})
    shop.applied("r3")
    return other


def told(repo: Repo, command: list[str]) -> None:
    repo.write(
        "raccord.toml",
        f"[notify]\ncommand = {json.dumps(command)}\n[snapshots]\nkeep_days = 0\nkeep_last = 0\n",
    )


def test_counts_are_events_are_kept_and_summed_up(shop: Shop) -> None:
    other = lacking(shop)
    events: list[Event] = []
    report = Workspace.open(other.path, listen=events.append).migration_heal()
    assert isinstance(report, RunReport) and report.state == "done"
    (counted,) = [event for event in events if event.what == "counted"]
    assert counted.data == HEALED and counted.lane == str(other.path)
    kept = [
        step.counts for lane in shop.at(other).show(report.id).lanes for step in lane.steps if step.counts
    ]
    assert kept == [HEALED]
    assert shop.at(other).migration_status().counts == HEALED
    shop.heal(shop.main)
    both = {"heals": 2, "revisions_copied": 4, "by_source": {"worktree": 4}}
    assert shop.at(other).migration_status().counts == both
    told(other, ["true"])
    shop.at(other).gc()
    assert shop.at(other).log() == () and shop.at(other).migration_status().counts == both, (
        "gc forgets no sum"
    )


def test_what_was_taken_back_at_once_does_not_count(shop: Shop) -> None:
    other = lacking(shop)
    shop.heal(other)
    shop.at(other).undo()
    assert shop.at(other).migration_status().counts == HEALED, "an undo is no heal"


def test_a_command_is_told_at_the_end_of_the_run(shop: Shop) -> None:
    other, heard = lacking(shop), shop.path / "heard"
    told(other, ["sh", "-c", f"cat >> {heard}; pwd >> {heard}"])
    plan = shop.at(other).migration_heal(HealOptions(dry_run=True))
    assert isinstance(plan, Plan) and [note.name for note in plan.notes] == ["notify.command"]
    assert not heard.exists()
    report = shop.heal(other)
    line, where = heard.read_text().splitlines()
    document = json.loads(line)
    assert (document["version"], document["kind"], document["run"]) == (1, "notice", report.id)
    assert document["counts"] == HEALED and document["state"] == "done"
    assert document["text"] == (
        "raccord migrations heal: 1 worktree healed, 2 revisions put back (worktree 2)"
    )
    assert where == str(other.path)
    shop.heal(other)
    assert len(heard.read_text().splitlines()) == 2, "nothing was done, nobody is told"


@pytest.mark.parametrize("command", [["false"], ["no-such-program-anywhere"]])
def test_a_command_that_fails_is_a_note_and_no_failure(shop: Shop, command: list[str]) -> None:
    other = lacking(shop)
    told(other, command)
    report = shop.heal(other)
    assert report.state == "done" and [note.name for note in report.notes][1:] == ["notify.failed"]
    assert shop.at(other).show(report.id).notes == report.notes, "the journal has it"


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    said = send(["sleep", "60"], {"a": 1}, tmp_path, seconds=0.2)
    assert "longer than 0.2 s" in said and time.monotonic() - begun < 30
    assert send(["true"], {"a": "x" * 1_000_000}, tmp_path) == "", "it need not read what it is told"


def test_every_handler_that_is_loaded_late_is_there(shop: Shop) -> None:
    from raccord.verbs import handlers

    room = Workspace.open(shop.main.path)._room
    for kinds, make in handlers.LATE:
        assert sorted((one.kind, one.version) for one in make(room)) == [(kind, 1) for kind in kinds]
