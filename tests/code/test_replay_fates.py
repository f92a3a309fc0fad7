"""The truth tables, row by row."""

from __future__ import annotations

from itertools import product

import pytest

from raccord.code.fates import STANDS, Branch, Pick, Replayed, after, at_once, before, judge, judge_merge
from raccord.git.merge import Merged


def test_every_commit_before_a_merge():
    told = {bits: before(Pick(*bits)) for bits in product([False, True], repeat=4)}
    for (merges, began_empty, upstream, in_place), fate in told.items():
        if merges:
            assert fate == "flattened"
        elif upstream and not began_empty:
            assert fate == "duplicate"
        else:
            assert fate == ("kept" if in_place else "")


@pytest.mark.parametrize(
    ("state", "tree", "began_empty", "fate"),
    [
        ("clean", "new", False, "picked"),
        ("clean", "new", True, "picked"),
        ("clean", "head", True, "picked"),
        ("clean", "head", False, "became empty"),
        ("conflict", "head", False, "conflict"),
        ("unknown", "", True, "unknown"),
    ],
)
def test_every_commit_after_a_merge(state: str, tree: str, began_empty: bool, fate: str):
    assert after(Pick(False, began_empty, False, False), Merged(state, tree), "head") == fate


@pytest.mark.parametrize(
    ("tip", "onto", "base", "squashed", "outcome"),
    [
        ("tip", "", "base", "", "parent-held"),
        ("tip", "onto", "", "", "unrelated"),
        ("tip", "onto", "onto", "", "up-to-date"),
        ("same", "same", "same", "", "up-to-date"),
        ("tip", "onto", "tip", "", "fast-forward"),
        ("tip", "onto", "base", "commit", "already-merged"),
        ("tip", "onto", "base", "", ""),
    ],
)
def test_every_branch_before_a_replay(tip: str, onto: str, base: str, squashed: str, outcome: str):
    assert at_once(Branch(tip, onto, base, squashed)) == outcome


@pytest.mark.parametrize(
    ("state", "tree", "empty", "merges", "changes", "outcome"),
    [
        ("unknown", "new", False, True, True, "unknown"),
        ("conflict", "new", False, False, True, ""),
        ("clean", "new", False, True, True, ""),
        ("clean", "onto", True, False, True, "already-merged"),
        ("clean", "onto", True, False, False, "already-merged"),
        ("clean", "onto", False, False, True, "already-merged"),
        ("clean", "onto", False, False, False, "replayed"),  # a change and its revert, or empty commits
        ("clean", "new", False, False, True, "replayed"),
    ],
)
def test_every_branch_after_a_replay(
    state: str, tree: str, empty: bool, merges: bool, changes: bool, outcome: str
):
    assert judge(Replayed(state, tree, "onto", empty, merges, changes)) == outcome


@pytest.mark.parametrize(
    ("replayed", "straight", "outcome"),
    [
        # state, tree, empty, merges, changes
        (("conflict", "", False, False, True), ("unknown", ""), "conflict"),
        (("conflict", "", False, True, True), ("unknown", ""), "unknown"),
        (("conflict", "", False, False, True), ("clean", "onto"), "already-merged"),
        (("conflict", "", False, False, False), ("clean", "onto"), "conflict"),
        (("conflict", "", False, False, True), ("clean", "other"), "conflict"),
        (("conflict", "", False, False, True), ("conflict", "x"), "conflict"),
        (("clean", "new", False, True, True), ("clean", "new"), "replayed"),
        (("clean", "onto", True, True, False), ("clean", "onto"), "already-merged"),
        (("clean", "new", False, True, True), ("clean", "other"), "merged-base"),
        (("conflict", "", False, True, True), ("clean", "other"), "merged-base"),
        (("clean", "new", False, True, True), ("conflict", "new"), "conflict"),
        (("clean", "new", False, True, True), ("unknown", ""), "unknown"),
        (("clean", "new", False, True, True), ("clean", "onto"), "already-merged"),
    ],
)
def test_every_branch_by_its_straight_merge(
    replayed: tuple[str, str, bool, bool, bool], straight: tuple[str, str], outcome: str
):
    state, tree, empty, merges, changes = replayed
    assert judge_merge(Replayed(state, tree, "onto", empty, merges, changes), Merged(*straight)) == outcome


def test_what_is_unclear_never_stands():
    assert STANDS.isdisjoint({"unknown", "conflict", "unrelated", "parent-held", ""})
