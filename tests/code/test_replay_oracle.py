"""Replays in memory make what real rebases make, on generated histories and on this project's own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.code import histories, rebases, windows
from tests.gitkit import Repo, git

ROOT = Path(__file__).resolve().parents[2]


def check(tmp_path: Path, seeds: range) -> Counter[str]:
    repo = histories.scratch(tmp_path)
    cases = histories.write(repo, seeds)
    lanes = [rebases.lane_of(repo, case.name, case.main, case.topic) for case in cases]
    results = rebases.replayed(repo, lanes)
    repo.git("worktree", "add", "--quiet", "--detach", tmp_path / "tree", cases[0].main)
    tree = Repo(tmp_path / "tree")
    wrong, refused = {}, 0
    for lane in lanes:
        try:
            why = rebases.disagreement(tree, lane, results[lane.key])
        except rebases.Refused:
            refused += 1
            continue
        if why:
            wrong[lane.key] = why
    assert wrong == {}
    assert refused * 5 < len(lanes)
    return Counter(result.outcome for result in results.values())


@pytest.mark.long_but(1)
@pytest.mark.parametrize("start", range(0, 100, 25))
def test_generated_histories(tmp_path: Path, start: int) -> None:
    assert len(check(tmp_path, range(start, start + 25))) > 1


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", range(10_000, 13_000, 100))
def test_thousands_of_generated_histories(tmp_path: Path, start: int) -> None:
    outcomes = check(tmp_path, range(start, start + 100))
    assert outcomes.keys() >= {"already-merged", "conflict", "merged-base", "replayed", "up-to-date"}


@pytest.mark.long
@pytest.mark.parametrize("count", [12, 30])
def test_this_project_s_own_history(tmp_path: Path, count: int) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not in a clone")
    commits = int(git(ROOT, "rev-list", "--count", "--first-parent", "HEAD", check=False) or 0)
    if commits < 20:
        pytest.skip(f"its history has only {commits} commits")
    repo = windows.clone(ROOT, tmp_path / "clone")
    report = windows.compare(repo, tmp_path / "scratch", windows.windows(repo, count))
    assert report.wrong == {}
    assert report.agreed.total() > count * 2 // 3
