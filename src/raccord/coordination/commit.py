"""The steps that commit raccord's own reports, alone, where nobody else wrote in them.

The first makes the commit and asks the hooks, the second moves branch and index to it together. The files
stay as they are, and so does whatever else is staged or edited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from raccord.coordination.carry import carried
from raccord.coordination.ledger import Ledger
from raccord.coordination.papers import read
from raccord.coordination.spec import Spec
from raccord.errors import HeldBack, RaccordError, WorldMoved
from raccord.git import follow_put
from raccord.git.commit_alone import Alone, Place, made, put_of
from raccord.git.follow_put import Put
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.git.worktrees import Worktree, worktrees
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step, checkout
from raccord.model.text import shown

COMMIT, RECORD = "report.commit", "report.record"
TRAILER = "Raccord-Consolidation"


def commit_step(tree: Worktree, keys: Sequence[str], message: str) -> Step:
    """The step that commits a worktree's reports.

    Args:
        keys: the consolidations that it tells of: its trailers.
    """
    path = str(tree.path)
    text = "\n".join([message.strip(), "", *(f"{TRAILER}: {key}" for key in keys), ""])
    payload = {"worktree": path, "keys": list(keys), "message": text}
    return Step(
        COMMIT, 1, f"commit {len(keys)} reports alone", payload, before=tree.head, resources=_held(tree)
    )


def _held(tree: Worktree) -> tuple[str, ...]:
    return (f"branch:{tree.branch}", checkout(tree.path))


def telling(git: Git, since: str, until: str) -> list[str]:
    """Those of the commits between two that are of reports."""
    form = f"--format=%H %(trailers:key={TRAILER},valueonly,separator=%x2C)"
    lines = git.out("log", form, f"{since}..{until}").decode("ascii", "replace").splitlines()
    return [commit for commit, _, keys in (line.partition(" ") for line in lines) if keys]


class CommitHandler:
    """Makes the commit; moves nothing."""

    kind, version = COMMIT, 1

    def __init__(self, repo: Repository, ledger: Ledger, spec: Spec) -> None:
        self._repo, self._ledger, self._spec = repo, ledger, spec

    def probe(self, step: Step, context: Context) -> Position:
        """To make it again harms nobody."""
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Makes the commit, where what is in the worktree are the reports that it tells of."""
        payload = step.payload
        tree = next((one for one in worktrees(self._repo) if str(one.path) == payload["worktree"]), None)
        if (
            tree is None
            or not tree.head
            or tree.head != step.before
            or not tree.branch
            or tree.detached
            or tree.operation
        ):
            raise WorldMoved("its branch moved since", hint="raccord consolidate")
        git = self._repo.git.at(tree.path)
        found = carried(git, self._ledger, self._spec)
        if found is None:
            raise HeldBack(f"somebody else wrote in {shown(self._spec.report)}", hint="git diff")
        if found.keys != tuple(payload["keys"]):
            raise WorldMoved("there are other reports by now", hint="raccord consolidate")
        files = {path: read(payload["worktree"], path)[0] for path in found.paths}
        if carried(git, self._ledger, self._spec) != found:
            raise WorldMoved(f"{shown(self._spec.report)} changes just now", hint="raccord consolidate")
        new = made(self._repo, Alone(tree, tree.head, files, payload["message"]))
        place = Place(payload["worktree"], str(tree.gitdir), tree.branch, found.paths)
        return Outcome({"commit": new}, more=(_record(place, tree.head, new, step.resources),))

    def revert(self, step: Step, context: Context) -> None:
        """Objects that nobody names are nobody's."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing was moved."""
        return ()


def _record(place: Place, old: str, new: str, resources: tuple[str, ...]) -> Step:
    payload = {**asdict(place), "paths": list(place.paths), "old": old, "new": new}
    title = f"bring {shown(place.branch)} to {new[:10]}, and no file"
    return Step(RECORD, 1, title, payload, before=old, after=new, resources=resources, pins=(new, old))


class RecordHandler:
    """Moves a branch and its index between two commits; no file changes."""

    kind, version = RECORD, 1

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def _put(self, step: Step) -> tuple[Git, Put]:
        said = step.payload
        git = self._repo.git.at(Path(said["worktree"]))
        if not git.cwd.is_dir():
            raise WorldMoved(f"{shown(said['worktree'])} is gone", hint="git worktree prune")
        place = Place(said["worktree"], said["gitdir"], said["branch"], tuple(said["paths"]))
        return git, put_of(git, place, said["old"], said["new"])

    def probe(self, step: Step, context: Context) -> Position:
        """By the branch and the index."""
        try:
            git, put = self._put(step)
            found = follow_put.probe(git, put, context.run, context.lane)
            change = put.refs[0]
            now = git.run("rev-parse", "-q", "--verify", change.ref).stdout.decode("ascii", "replace").strip()
        except (HeldBack, WorldMoved):
            return Position.NEITHER
        except RaccordError:
            return Position.UNKNOWN
        return Position.NEITHER if found is Position.BEFORE and now != change.old else found

    def apply(self, step: Step, context: Context) -> Outcome:
        """Moves them, or finishes what was cut off."""
        git, put = self._put(step)
        follow_put.apply(git, put, context.run, context.lane)
        return Outcome({"commit": put.refs[0].new})

    def revert(self, step: Step, context: Context) -> None:
        """Takes a half back."""
        said = step.payload
        put = Put(said["worktree"], said["gitdir"], (), name=f"{said['old']} {said['new']}")
        follow_put.revert(self._repo.git.at(Path(said["worktree"])), put, context.run, context.lane)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """The move back: what was committed is there, and not committed."""
        said = step.payload
        place = Place(said["worktree"], said["gitdir"], said["branch"], tuple(said["paths"]))
        return (_record(place, said["new"], said["old"], step.resources),)
