"""Looks at the repositories that it is given, in every way this room knows; prints what came of each."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from raccord.errors import RaccordError
from raccord.git import listing
from raccord.git.graph import graph, same_changes
from raccord.git.hooks import find_hook
from raccord.git.refs import Change, read, update
from raccord.git.repo import open_repository
from raccord.git.status import hidden, ignored, status
from raccord.git.worktrees import worktrees


def look(path: Path) -> str:
    """What a `raccord status` asks of this room; the private ref is one that a snapshot would write."""
    repo = open_repository(path)
    trees = worktrees(repo)
    there = [tree for tree in trees if not tree.missing and not tree.bare]
    for tree in there:
        git = repo.git.at(tree.path)
        status(git)
        hidden(git)
        ignored(git, ["f", "none"])
    heads = read(repo.git, "refs").heads
    found = graph(repo.git, list(heads.values()))
    for base in found.tips:
        for tip in found.tips:
            same_changes(repo.git, found.picks(base, tip) or (), found.picks(tip, base) or ())
    find_hook(repo, "pre-rebase", path)
    tip = next(tip for tip in found.tips if tip not in found.missing)
    update(repo.git, [Change("refs/raccord/look", tip, None)], "raccord: look")
    return f"ok {len(there)} of {len(trees)}"


def told(path: str) -> str:
    """The outcome in one line."""
    try:
        return look(Path(path))
    except RaccordError as error:
        return f"{type(error).__name__}: {error.message}"


def main() -> None:
    """Reads paths as JSON from the standard input; prints outcomes as JSON."""
    listing.OPENING_S = 1.0
    places = json.load(sys.stdin)
    with ThreadPoolExecutor(4) as pool:
        outcomes = dict(zip(places, pool.map(told, places.values()), strict=True))
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
