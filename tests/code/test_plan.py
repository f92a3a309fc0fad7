"""The decision of a sync as a table: every row, and that earlier rows win."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raccord.code.facts import BranchFacts, PushIntent
from raccord.code.fates import Result
from raccord.code.plan import OUTCOMES, decide
from raccord.model.options import SyncOptions
from raccord.model.plan import Finding

OLD, NEW, THEIRS = "1" * 40, "2" * 40, "3" * 40
GOOD = BranchFacts(
    key="/w/a",
    name="a",
    gitdir="/g",
    branch="a",
    tip=OLD,
    onto="b" * 40,
    onto_name="origin/main",
    remote="origin",
    dest="refs/heads/a",
    upstream=OLD,
    upstream_in_new=False,
    outcome="replayed",
    new=NEW,
)
SYNC = SyncOptions()
DIRTY = SyncOptions(allow_dirty=True, reason="why")


def test_a_replayed_branch_moves_and_is_pushed_over_what_it_integrated() -> None:
    decision = decide(GOOD, SYNC)
    assert decision.move_to == NEW and decision.held is None and not decision.snapshot
    assert decision.push == PushIntent("origin", "refs/heads/a", NEW, OLD, force=True)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"missing": True}, "worktree.missing"),
        ({"missing": True, "locked": ""}, "worktree.locked"),
        ({"operation": "rebase", "dirty": (1, 0, 0, 1)}, "worktree.operation"),
        ({"branch": ""}, "worktree.detached"),
        ({"unread": "no access"}, "worktree.unread"),
        ({"dirty": (0, 0, 0, 1)}, "worktree.unmerged"),
        ({"dirty": (0, 0, 1, 0)}, "clean"),
        ({"outcome": "conflict", "conflict": ("x",)}, "replay.conflict"),
        ({"outcome": "parent-held"}, "stack.parent"),
        ({"outcome": "unrelated"}, "replay.unrelated"),
        ({"outcome": "unknown"}, "replay.unknown"),
        ({"protected": True}, "push.protected"),
    ],
)
def test_what_is_held_back_moves_and_pushes_nothing(change: dict[str, object], finding: str) -> None:
    decision = decide(replace(GOOD, **change), SYNC)  # type: ignore[arg-type]
    assert decision.held is not None and decision.held.name == finding and decision.held.hint
    assert not decision.move_to and decision.push is None


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"tip": ""}, "branch.unborn"),
        ({"onto": ""}, "base.none"),
        ({"outcome": "already-merged"}, "branch.merged"),
    ],
)
def test_what_needs_nothing_says_so(change: dict[str, object], note: str) -> None:
    decision = decide(replace(GOOD, **change), SYNC)  # type: ignore[arg-type]
    assert decision.held is None and not decision.move_to and decision.push is None
    assert [found.name for found in decision.notes] == [note]


def test_a_detached_worktree_is_a_note_among_all_and_a_refusal_alone() -> None:
    loose = replace(GOOD, branch="")
    assert decide(loose, replace(SYNC, all=True)).held is None
    assert decide(loose, SYNC).held is not None


def test_dirty_with_a_reason_is_kept_first_and_refused_where_it_overlaps() -> None:
    dirty = replace(GOOD, dirty=(1, 1, 1, 0))
    assert decide(dirty, DIRTY).snapshot and decide(dirty, DIRTY).move_to == NEW
    overlap = replace(dirty, problems=(Finding("follow.staged", "fail", "x", "y"),))
    held = decide(overlap, DIRTY).held
    assert held is not None and held.name == "follow.staged"


def test_by_hand_needs_a_clean_worktree_and_nothing_of_others() -> None:
    clash = replace(GOOD, outcome="conflict", conflict=("x",))
    by_hand = SyncOptions(resolve_by_hand=True)
    assert decide(clash, by_hand).by_hand and decide(clash, by_hand).snapshot
    assert not decide(replace(clash, dirty=(1, 0, 0, 0)), replace(by_hand, allow_dirty=True)).by_hand
    assert not decide(replace(clash, integrated=False), by_hand).by_hand


@pytest.mark.parametrize(
    ("change", "options", "push"),
    [
        ({"upstream": None, "upstream_in_new": True}, SYNC, ("lease", None, False)),
        ({"upstream_in_new": True}, SYNC, ("lease", OLD, False)),
        ({"upstream": NEW}, SYNC, None),
        ({"remote": ""}, SYNC, None),
        ({"upstream": None, "gone": True}, SYNC, None),
        ({}, SyncOptions(no_push=True, reason="why"), None),
        ({"outcome": "up-to-date", "upstream": THEIRS}, SYNC, ("lease", THEIRS, True)),
    ],
)
def test_what_is_pushed(
    change: dict[str, object], options: SyncOptions, push: tuple[str, object, bool] | None
) -> None:
    decision = decide(replace(GOOD, **change), options)  # type: ignore[arg-type]
    found = decision.push
    assert (found is None) == (push is None)
    if found is not None and push is not None:
        assert (found.lease, found.force) == push[1:]


def test_every_outcome_of_a_replay_has_its_row() -> None:
    said = Result.__doc__ or ""
    assert all(f'"{outcome}"' in said for outcome in OUTCOMES)
    assert len(OUTCOMES) == 10
