"""`raccord sync`: guard clean, fetch once, replay every branch on its base in memory, follow, test, push."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from raccord.code import observe as looking
from raccord.code.base import choose_remote, find_base, push_remote
from raccord.code.facts import BranchFacts, Decision
from raccord.code.fetch import fetch_once
from raccord.code.look import statuses
from raccord.code.plan import decide
from raccord.errors import CannotRun, NoCommits, UsageError
from raccord.git.commits import committer
from raccord.git.quarantine import Quarantine, quarantine
from raccord.git.refs import read
from raccord.git.worktrees import Worktree
from raccord.kernel.record import RunRecord
from raccord.model.event import Event
from raccord.model.options import SyncOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Waiver, checkout
from raccord.verbs.fork_looks import lost
from raccord.verbs.lanes import Pair, lanes, stack_names
from raccord.verbs.room import Room

GUARDS = {"allow_dirty": "clean", "no_push": "push", "skip_tests": "gates"}


def sync(room: Room, options: SyncOptions) -> tuple[Plan, RunRecord | None]:
    """Brings worktrees in step.

    Returns:
        The plan and the run; no run where there was nothing to do or only the plan was asked for.

    Raises:
        UsageError: a guard is skipped without a reason, or there is no such base.
        CannotRun: no remote answers, no commit yet, no worktree here.
    """
    waivers = _waivers(options)
    trees = _chosen(room, options)
    if options.dry_run:
        return plan(room, options, trees, waivers), None
    # Tests want a core each; what only moves waits for the disk and for git more than it computes.
    idle = options.skip_tests and not room.config.sync.jobs
    engine = room.engine(jobs=options.jobs or (room.jobs * 4 if idle else room.jobs))
    engine.recover()

    def make() -> Plan:
        room.__dict__.pop("trees", None)
        return plan(room, options, _chosen(room, options), waivers)

    return engine.apply(make, [checkout(tree.path) for tree in trees])


def _waivers(options: SyncOptions) -> tuple[Waiver, ...]:
    if options.unexplained:
        flag = options.waived[0].replace("_", "-")
        raise UsageError(f"--{flag} skips a guard: say why", hint=f"raccord sync --{flag} --reason '…'")
    return tuple(Waiver(GUARDS[name], options.by, options.reason) for name in options.waived)


def _chosen(room: Room, options: SyncOptions) -> tuple[Worktree, ...]:
    trees = tuple(tree for tree in room.trees if not tree.bare)
    here = room.here
    if not options.all and (here is None or here.bare):
        raise CannotRun("this is no worktree, but a bare repository", hint="raccord sync --all")
    if trees and not any(tree.head for tree in trees):
        raise NoCommits("this repository has no commit yet", hint="git commit")
    return trees if options.all or here is None else (here,)


def plan(room: Room, options: SyncOptions, chosen: Sequence[Worktree], waivers: tuple[Waiver, ...]) -> Plan:
    """Observes and decides; with `dry_run` no object is kept."""
    repo, known = room.repo, room.config.sync
    remote = choose_remote(repo.settings, known.remote)
    notes: list[Finding] = []
    jobs = options.jobs or room.jobs
    with ThreadPoolExecutor(1) as pool:
        # No status depends on what a fetch brings: they are read while the network is waited for.
        git = repo.git if options.dry_run else repo.git.ordered()
        states = pool.submit(statuses, git, chosen, jobs)
        for name in _remotes(room, chosen, remote):
            fetched(room, name)
    if not remote:
        notes.append(
            Finding("remote.none", "note", "no remote: nothing is fetched or pushed", "git remote add")
        )
    notes += lost(room)
    refs = read(repo.git)
    base = find_base(repo, refs, remote, options.base or known.base, room.trees)
    scope = looking.Scope(
        chosen=tuple(chosen),
        trees=room.trees,
        remote=remote,
        base=base,
        stacked=not options.base,
        protected=room.protected,
        landed=room.landed,
        ordered=not options.dry_run,
    )
    with quarantine(repo.git, repo.common) as place:
        seen = looking.observe(repo, refs, scope, states.result(), place, committer(repo.git))
        room.shared.expect((one.tip, one.new) for one in seen.facts if looking.moves(one))
        facts = _checked(room, options, seen, place) if options.dry_run or options.allow_dirty else seen.facts
        waiting = _waiting(room)
        decisions = {
            one.key: waiting[one.key] if one.key in waiting else decide(one, options) for one in facts
        }
        # Only tests ask which lock files changed.
        changed = {} if options.skip_tests else _changed(room, place, facts)
        if not options.dry_run:
            moving = [one for one in facts if decisions[one.key].move_to]
            place.keep([one.new for one in moving], [oid for one in moving for oid in (one.tip, one.onto)])
    pairs = [
        lanes(room, options, one, decisions[one.key], seen.results.get(one.key), changed.get(one.key, ()))
        for one in facts
    ]
    return Plan("sync", _stages(pairs, facts), waivers, tuple(notes), by=options.by)


def fetched(room: Room, name: str) -> None:
    """Fetches a remote, unless somebody just did; raises as `fetch_once`."""
    known = room.config.sync
    fetch_once(
        room.repo,
        room.store,
        name,
        asked=room.asked,
        reuse_seconds=known.fetch_reuse_seconds,
        lock_wait=known.lock_wait_seconds,
        waiting=lambda what, who: room.listen(
            Event("", "", "waiting", f"waiting for another fetch ({what})")
        ),
    )


def _waiting(room: Room) -> dict[str, Decision]:
    """The branches that a stopped run still has in hand: what is in progress there is raccord's own."""
    journal = room.journal()
    if journal is None:
        return {}
    held: dict[str, Decision] = {}
    for run in journal.unfinished():
        record = journal.load(run)
        if record.state == "stopped":
            said = f"run {run} waits here"
            found = Finding("unfinished", "fail", said, f"raccord continue --run {run}")
            held |= {key: Decision(held=found) for key in record.open_lanes}
    return held


def _remotes(room: Room, chosen: Sequence[Worktree], remote: str) -> list[str]:
    """The remotes that are asked: the base's, and those that the branches are pushed to."""
    pushed = [push_remote(room.repo.settings, tree.branch, remote) for tree in chosen if tree.branch]
    return [name for name in dict.fromkeys((remote, *pushed)) if name]


def _checked(
    room: Room, options: SyncOptions, seen: looking.Observation, place: Quarantine
) -> tuple[BranchFacts, ...]:
    """Looks at every path that following would change. Otherwise the step does so, just before it moves."""
    env = {
        name: value
        for name, value in place.git.env.items()
        if name in ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
    }
    return looking.with_problems(
        seen.facts, lambda path: room.repo.git.at(path).using(**env), room.shared, options.jobs or room.jobs
    )


def _changed(room: Room, place: Quarantine, facts: Sequence[BranchFacts]) -> dict[str, tuple[str, ...]]:
    """The paths that each move changes."""
    return {
        one.key: tuple(delta.path for delta in room.shared.differences(place.git, one.tip, one.new))
        for one in facts
        if looking.moves(one)
    }


def _stages(pairs: Sequence[Pair], facts: Sequence[BranchFacts]) -> tuple[Stage, ...]:
    stacks = stack_names({one.key: one for one in facts})
    pushes = [_in_stack(pair.push, stacks) for pair in pairs if pair.push is not None]
    return (Stage("integrate", tuple(pair.work for pair in pairs)), Stage("push", tuple(pushes)))


def _in_stack(lane: Lane, stacks: dict[str, str]) -> Lane:
    root = stacks.get(lane.key)
    if root is None:
        return lane
    steps = tuple(
        replace(step, batch=f"{step.batch} {root}", payload={**step.payload, "atomic": True})
        for step in lane.steps
    )
    return replace(lane, steps=steps)
