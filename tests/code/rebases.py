"""The oracle: what a real `git rebase` (and `git merge`) makes of a branch, to compare a replay with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from raccord.code.replay import Lane, Result, replay
from raccord.git.commits import Signature
from raccord.git.quarantine import quarantine
from raccord.git.run import Git
from tests.gitkit import Repo

COMMITTER = Signature("New", "new@example.invalid", 1_800_000_000, "+0000")
# Author, date and message as they are, in UTF-8, and the tree.
LOG = "--format=%an%x00%ae%x00%ad%x00%B%x00%T%x01"
QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "merge.stat=false", "-c", "rerere.enabled=false")


class Refused(Exception):
    """git would not rebase: by its attributes, a file looks edited as soon as it is checked out."""


@dataclass(frozen=True)
class Rebased:
    """How a real rebase ended.

    Attributes:
        stopped: the commit at which it stopped, or "".
        paths: the paths in conflict there.
        tree: at the end.
        log: one entry for each commit on top of the new base.
    """

    stopped: str = ""
    paths: tuple[str, ...] = ()
    tree: str = ""
    log: str = ""


def lane_of(repo: Repo, key: str, onto: str, tip: str) -> Lane:
    """Asks git for all that a lane needs."""
    base = repo.git("merge-base", onto, tip, check=False)
    span = f"{onto}...{tip}"
    marked = repo.git("rev-list", "--topo-order", "--reverse", "--right-only", "--cherry-mark", span).split()
    picks = tuple(each[1:] for each in marked)
    same = frozenset(each[1:] for each in marked if each[0] == "=")
    return Lane(key, tip, base, picks, onto=onto, duplicates=same, branch="topic", onto_ref="refs/heads/main")


def replayed(repo: Repo, lanes: list[Lane]) -> dict[str, Result]:
    """Replays in memory, and keeps what came of it."""
    common = repo.path / ".git"
    with quarantine(Git(repo.path), common, common) as place:
        results = replay(place, lanes, committer=COMMITTER)
        tips = [result.new for result in results.values() if result.new]
        place.keep(tips, [oid for lane in lanes for oid in (lane.onto, lane.tip) if oid])
    return results


def rebased(tree: Repo, onto: str, tip: str, upstream: str = "") -> Rebased:
    """Rebases with git's own defaults.

    Args:
        tree: a worktree for nothing else.
        upstream: the commit behind which `tip` begins, where that is not said by `onto`.

    Raises:
        Refused: git gives no answer.
    """
    try:
        return _rebased(tree, onto, tip, upstream)
    except Refused:
        # What the attributes of another case left behind, perhaps: begin with every file anew.
        tree.git("read-tree", "--empty")
        tree.git("clean", "-ffdxq")
        return _rebased(tree, onto, tip, upstream)


def _rebased(tree: Repo, onto: str, tip: str, upstream: str) -> Rebased:
    place = gitdir(tree)
    tree.git("checkout", "--quiet", "--detach", "--force", tip)
    command = ["git", *QUIET, "rebase", "--quiet", "--no-stat", "--onto", onto, upstream or onto, tip]
    done = subprocess.run(command, cwd=tree.path, capture_output=True)
    if done.returncode == 0:
        return Rebased("", (), tree.oid("HEAD^{tree}"), log(tree, onto, "HEAD"))
    stopped = tree.git("rev-parse", "--verify", "--quiet", "REBASE_HEAD", check=False)
    listed = tree.git("diff", "--name-only", "--diff-filter=U", "-z", "--no-renames").split("\0")
    shutil.rmtree(place / "rebase-merge", ignore_errors=True)
    for name in ("REBASE_HEAD", "CHERRY_PICK_HEAD", "MERGE_MSG", "AUTO_MERGE", "index.lock"):
        (place / name).unlink(missing_ok=True)
    clean(tree)
    if not stopped or b"CONFLICT" not in done.stdout + done.stderr:
        raise Refused(os.fsdecode(done.stdout + done.stderr))
    return Rebased(stopped, tuple(sorted(path for path in listed if path)))


def merged(tree: Repo, into: str, other: str, base: str = "") -> str:
    """The tree of a real merge; "" for a conflict.

    Args:
        base: the merge base, where it is not the natural one.

    Raises:
        Refused: git gives no answer.
    """
    tree.git("checkout", "--quiet", "--detach", "--force", into)
    command = ["git", *QUIET, "merge", "--quiet", "--no-ff", "--no-commit", other]
    if base:
        # The branch as one commit, picked: a merge with this base.
        squashed = tree.git("commit-tree", "-p", base, "-m", "m", f"{into}^{{tree}}")
        tree.git("checkout", "--quiet", "--detach", "--force", other)
        command = ["git", *QUIET, "cherry-pick", "--no-commit", squashed]
    done = subprocess.run(command, cwd=tree.path, capture_output=True)
    if done.returncode not in (0, 1):
        (gitdir(tree) / "index.lock").unlink(missing_ok=True)
        raise Refused(os.fsdecode(done.stderr))
    result = "" if done.returncode else tree.git("write-tree")
    (gitdir(tree) / "MERGE_HEAD").unlink(missing_ok=True)
    clean(tree)
    return result


def clean(tree: Repo) -> None:
    tree.git("reset", "--quiet", "--hard")
    tree.git("clean", "-ffdxq")


def log(repo: Repo, onto: str, tip: str) -> str:
    return repo.git("log", "--reverse", "--topo-order", "--date=raw", LOG, f"{onto}..{tip}")


def gitdir(tree: Repo) -> Path:
    return Path(tree.git("rev-parse", "--absolute-git-dir"))


def disagreement(tree: Repo, lane: Lane, result: Result, onto: str = "") -> str:
    """What is wrong with a replay, "" where git does the same.

    Args:
        tree: a scratch worktree.
        onto: where a stacked lane stands.

    Raises:
        Refused: git gives no answer.
    """
    tip, upstream, onto = lane.tip, lane.base if onto else "", onto or lane.onto
    merges = lane.picks and tree.git("rev-list", "--no-walk", "--merges", *lane.picks)
    if result.outcome == "up-to-date":
        return "" if tree.git("merge-base", onto, tip) == onto and result.new == tip else "is not up to date"
    if result.outcome == "fast-forward":
        return "" if tree.git("merge-base", onto, tip) == tip and result.new == onto else "is not behind"
    real = rebased(tree, onto, tip, upstream)
    if merges or (result.outcome == "already-merged" and real.tree != tree.oid(f"{onto}^{{tree}}")):
        return beside_rebase(tree, lane, result, real, onto, upstream)
    if result.outcome == "conflict":
        assert result.conflict is not None
        if real.stopped != result.conflict.commit:
            return f"stops at {result.conflict.commit}, git at {real.stopped or 'none'}"
        # A directory rename that is unclear leaves no path unmerged.
        if real.paths and set(map(unlabelled, real.paths)) != set(map(unlabelled, result.conflict.paths)):
            return f"conflicts in {result.conflict.paths}, git in {real.paths}"
        return ""
    if result.outcome == "already-merged":
        return "" if not real.stopped else f"is said to be merged, git stops at {real.stopped}"
    if result.outcome != "replayed":
        return f"outcome {result.outcome}: {result.message}"
    if real.stopped:
        return f"is clean, git stops at {real.stopped} {real.paths}"
    assert result.new is not None
    if result.tree != tree.oid(f"{result.new}^{{tree}}"):
        return "has another tree than it says"
    if real.tree != result.tree:
        return "" if only_labels(tree, real.tree, result.tree) else "has another tree than git's"
    return "" if log(tree, onto, result.new) == real.log else "has other commits than git's"


def only_labels(tree: Repo, one: str, other: str) -> bool:
    """Whether trees differ in nothing but the labels of conflict markers.

    git leaves markers behind in a merge that it calls clean, where two renames meet under merge=union.
    """
    lines = tree.git("diff", "--unified=0", "--no-color", "--text", one, other).splitlines()
    changed = [line[1:] for line in lines if line[:1] in "+-" and line[:4] not in ("+++ ", "--- ")]
    return bool(changed) and all(line.startswith(("<<<<<<<", ">>>>>>>")) for line in changed)


def unlabelled(path: str) -> str:
    """A file that collides with a directory is named after its side: the commit, or how git shows that."""
    return re.sub(r"~([0-9a-f]{7})([0-9a-f]{33}| \(.*\))$", r"~\1", path)


def beside_rebase(tree: Repo, lane: Lane, result: Result, real: Rebased, onto: str, upstream: str) -> str:
    """The cases in which a replay says more than `git rebase`: branches with merges, or merged by squash."""
    straight = merged(tree, lane.tip, onto, upstream)
    nothing = straight == tree.oid(f"{onto}^{{tree}}")
    if result.outcome == "already-merged":
        cancelled = not real.stopped and real.tree == tree.oid(f"{onto}^{{tree}}")
        return "" if nothing or cancelled else "is said to be merged, but brings something"
    if nothing and tree.oid(f"{lane.tip}^{{tree}}") != tree.oid(f"{lane.base}^{{tree}}"):
        return f"brings nothing, but is said to be {result.outcome}"
    same = not real.stopped and real.tree == straight
    if same:
        good = result.outcome == "replayed" and result.tree == straight
        assert result.new is not None
        return "" if good and log(tree, onto, result.new) == real.log else "could be flattened as git does"
    if straight:
        return "" if result.outcome == "merged-base" and result.tree == straight else "could be merged"
    return "" if result.outcome == "conflict" else f"is {result.outcome}, but nothing is clean"
