"""`raccord snapshot` and `raccord restore`: the whole state of worktrees, kept and brought back exactly."""

from __future__ import annotations

from raccord.code.keeping import restore_step, snapshot_step
from raccord.errors import CannotRun, UsageError
from raccord.git import snapshot as kept
from raccord.git import snapshot_restore
from raccord.git.worktrees import Worktree
from raccord.kernel.record import RunRecord
from raccord.model.plan import Finding, Lane, Plan, Stage
from raccord.model.report import SnapshotReport
from raccord.model.text import shown
from raccord.verbs.room import Room


def snapshot(
    room: Room, *, all_: bool, ignored: bool, message: str, by: str
) -> tuple[Plan, RunRecord | None]:
    """Keeps the state of this worktree, or of all.

    Raises:
        CannotRun: this is no worktree.
    """
    here = room.here
    if not all_ and (here is None or here.bare):
        raise CannotRun("this is no worktree, but a bare repository", hint="raccord snapshot --all")
    chosen = [t for t in room.trees if not t.bare] if all_ else [here] if here else []
    lanes = tuple(_lane(tree, ignored, message) for tree in chosen)
    plan = Plan("snapshot", (Stage("snapshot", lanes),), by=by)
    engine = room.engine()
    engine.recover()
    return engine.apply(lambda: plan)


def _lane(tree: Worktree, ignored: bool, message: str) -> Lane:
    title = f"{shown(tree.path.name)} ({shown(tree.branch)})" if tree.branch else shown(tree.path.name)
    if tree.missing:
        gone = Finding("worktree.missing", "fail", "its directory is gone", "git worktree prune")
        return Lane(str(tree.path), title, held=gone)
    return Lane(str(tree.path), title, (snapshot_step(tree, message or "by hand", every=ignored),))


def snapshots(room: Room) -> tuple[SnapshotReport, ...]:
    """Every snapshot, newest first."""
    found = [
        SnapshotReport(
            id=one.id,
            worktree=one.worktree,
            branch=one.branch.removeprefix("refs/heads/"),
            head=one.head,
            taken=one.taken,
            message=one.message,
            ignored=one.ignored > 0,
        )
        for one in kept.listing(room.repo.git)
    ]
    return tuple(sorted(found, key=lambda one: (-one.taken, one.id)))


def restore(room: Room, name: str | None, *, dry_run: bool, by: str) -> tuple[Plan, RunRecord | None]:
    """Brings a worktree back to a snapshot: the named one, or the newest of this worktree.

    Raises:
        UsageError: there is no such snapshot, or its worktree is gone.
    """
    found = snapshots(room)
    if name:
        named = [one for one in found if one.id == name] or [
            one for one in found if one.id.startswith(name) or one.id.endswith(name)
        ]
        what = f"no snapshot called {name!r}" if not named else f"several snapshots called {name!r}"
    else:
        here = room.here
        mine = [one for one in found if here is not None and one.worktree == str(here.path)]
        # A backup taken by a run is for `undo`; by default a person means what a person kept.
        named = ([one for one in mine if not one.message.startswith("before ")] or mine)[:1]
        what = "no snapshot of this worktree"
    if len(named) != 1:
        raise UsageError(what, hint="raccord restore --list")
    target = named[0]
    tree = next((t for t in room.trees if str(t.path) == target.worktree), None)
    if tree is None or tree.missing:
        raise UsageError(
            f"the worktree {shown(target.worktree)} of snapshot {target.id} is gone",
            hint=f"git worktree add {shown(target.worktree)} {shown(target.branch or target.head)}",
        )
    engine = room.engine()
    if not dry_run:
        engine.recover()

    def make() -> Plan:
        beside = snapshot_restore.beside(room.repo, tree, kept.read(room.repo.git, target.id))
        every = beside == "all"
        backup = snapshot_step(
            tree, f"before restore of {target.id}", ignored=() if every else tuple(beside), every=every
        )
        step = restore_step(tree, target.id, backup.payload["id"])
        title = f"{shown(tree.path.name)} ({shown(tree.branch)})" if tree.branch else shown(tree.path.name)
        return Plan("restore", (Stage("restore", (Lane(str(tree.path), title, (backup, step)),)),), by=by)

    return (make(), None) if dry_run else engine.apply(make)
