"""Branches found in a real history: those that were merged, and stretches of it put elsewhere on it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from raccord.code.replay import Lane
from tests.code import rebases
from tests.gitkit import Repo, git

LONGEST = 8


@dataclass(frozen=True)
class Window:
    """A branch to replay.

    Attributes:
        kind: "merged", "back" or "forward".
        onto: where a transplanted stretch goes; "" for a branch that was merged.
    """

    kind: str
    lanes: tuple[Lane, ...]
    onto: str = ""


@dataclass
class Report:
    """How many replays agree with git, by kind and outcome; the others by name."""

    agreed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)


def clone(source: Path, target: Path) -> Repo:
    """A copy of its own: nothing is written into the source."""
    git(target.parent, "clone", "--quiet", "--no-hardlinks", source, target)
    return Repo(target)


def windows(repo: Repo, count: int, seed: int = 0) -> list[Window]:
    """Up to `count` windows of the history behind HEAD, merged branches first."""
    rng = random.Random(seed)
    line = repo.git("rev-list", "--first-parent", "--reverse", "--parents", "HEAD").splitlines()
    commits = [entry.split(" ") for entry in line]
    merges = [entry for entry in commits if len(entry) == 3]
    found = [
        Window("merged", (rebases.lane_of(repo, f"merged {entry[0]}", entry[1], entry[2]),))
        for entry in rng.sample(merges, min(len(merges), count // 2))
    ]
    stretches = transplants(commits, rng)
    while len(found) < count and len(commits) > 3:
        found.append(next(stretches))
    return found


def transplants(commits: list[list[str]], rng: random.Random) -> Iterator[Window]:
    """Stretches of the first-parent line put elsewhere on it, as `git rebase --onto` does."""
    while True:
        start = rng.randrange(1, len(commits) - 1)
        end = min(len(commits) - 1, start + rng.randrange(1, LONGEST))
        near = rng.choice([3, 20, len(commits)])
        onto = rng.randrange(max(0, start - near), min(len(commits), end + near))
        picks = tuple(entry[0] for entry in commits[start + 1 : end + 1] if len(entry) == 2)
        if onto == start or not picks or len(picks) < end - start:
            continue
        there = commits[onto][0]
        key = f"{start}..{end} onto {onto}"
        below = Lane(f"below {key}", there, there, (), onto=there)
        lane = Lane(key, commits[end][0], commits[start][0], picks, onto_lane=below.key)
        yield Window("back" if onto < start else "forward", (below, lane), there)


def compare(repo: Repo, scratch: Path, found: list[Window]) -> Report:
    """Replays all windows at once, then each with git in a worktree at `scratch`."""
    lanes = {lane.key: lane for window in found for lane in window.lanes}
    results = rebases.replayed(repo, list(lanes.values()))
    repo.git("worktree", "add", "--quiet", "--detach", scratch, "HEAD")
    tree, report = Repo(scratch), Report()
    for window in found:
        lane = window.lanes[-1]
        result = results[lane.key]
        try:
            why = rebases.disagreement(tree, lane, result, window.onto)
        except rebases.Refused:
            report.refused[window.kind] += 1
            continue
        if why:
            report.wrong[lane.key] = why
        else:
            report.agreed[f"{window.kind}: {result.outcome}"] += 1
    return report
