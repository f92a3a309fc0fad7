"""`raccord sync`: guard clean, fetch once, replay every branch on its base in memory, follow, test, push."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from raccord.code import observe as looking
from raccord.code.base import Base, choose_remote, find_base, push_remote
from raccord.code.facts import BranchFacts, Decision
from raccord.code.fetch import fetch_once
from raccord.code.look import statuses
from raccord.code.plan import decide
from raccord.errors import CannotRun, NoCommits, RaccordError, UsageError
from raccord.git.commits import committer
from raccord.git.quarantine import Quarantine, quarantine
from raccord.git.refs import read
from raccord.git.run import Git
from raccord.git.status import Status
from raccord.git.worktrees import Worktree
from raccord.kernel import fs
from raccord.kernel.record import RunRecord
from raccord.model.event import Event
from raccord.model.options import SyncOptions
from raccord.model.plan import Finding, Lane, Plan, Stage, Waiver, checkout
from raccord.verbs import own_reports
from raccord.verbs.lanes import Migrations, Parts, lanes, stack_names
from raccord.verbs.notices import announced
from raccord.verbs.room import Room

ALEMBIC = "alembic"  # the cache of whether the base has it
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
    if (room.state / "forks").is_dir():
        from raccord.verbs.fork_looks import lost

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
        read_ = _without_copies(room, states.result())
        own = own_reports.found(room, read_)
        seen = looking.observe(repo, refs, scope, read_, place, committer(repo.git))
        if own:
            counted = [
                replace(one, own=len(own[one.key].paths) if one.key in own else 0) for one in seen.facts
            ]
            seen = replace(seen, facts=tuple(counted))
        room.shared.expect((one.tip, one.new) for one in seen.facts if looking.moves(one))
        facts = _checked(room, options, seen, place) if options.dry_run or options.allow_dirty else seen.facts
        facts = tuple(own[one.key].spared(one) if one.key in own else one for one in facts)
        waiting = _waiting(room)
        decisions = {
            one.key: waiting[one.key] if one.key in waiting else decide(one, options) for one in facts
        }
        # Only tests ask which lock files changed.
        changed = {} if options.skip_tests else _changed(room, place, facts)
        moved = [one for one in facts if one.key in own]
        carry = {key: own[key].steps(paths) for key, paths in _changed(room, place, moved).items()}
        migrations = _migrations(room, options, base, chosen, facts, decisions, place)
        if not options.dry_run:
            moving = [one for one in facts if decisions[one.key].move_to]
            place.keep([one.new for one in moving], [oid for one in moving for oid in (one.tip, one.onto)])
    parts = [
        lanes(
            room,
            options,
            one,
            decisions[one.key],
            seen.results.get(one.key),
            changed.get(one.key, ()),
            migrations,
            carry.get(one.key, ()),
        )
        for one in facts
    ]
    stages = _stages(parts, facts, migrations)
    return announced(room, Plan("sync", stages, waivers, (*notes, *migrations.whole), by=options.by))


def _migrations(
    room: Room,
    options: SyncOptions,
    base: Base,
    chosen: Sequence[Worktree],
    facts: Sequence[BranchFacts],
    decisions: Mapping[str, Decision],
    place: Quarantine,
) -> Migrations:
    known = room.config.migrations
    if known.in_sync == "off" or not (known.backend or _has_alembic(room, base.oid, look=options.dry_run)):
        return Migrations()
    # Loaded here: most repositories have none.
    from raccord.verbs import sync_migrations

    return sync_migrations.plan(
        sync_migrations.Sight(room, options, base, chosen, facts, decisions, place.git)
    )


def _has_alembic(room: Room, commit: str, *, look: bool) -> bool:
    """Whether a commit has a configuration of alembic; remembered for the one that was asked about last."""
    store = room.reading if look else room.store
    known = store.cache_get(ALEMBIC, "") if store is not None else None
    if not known or known[0] != commit:
        known = [commit, _alembic_in(room.repo.git, commit)]
        if not look:
            room.store.cache_put(ALEMBIC, "", known)
    return bool(known[1])


def _alembic_in(git: Git, commit: str) -> bool:
    """Whether a configuration may be in a commit; unanswered, somebody has to look."""
    words = ("-e", "alembic", "-e", "script_location")
    places = (":(glob)**/alembic.ini", ":(glob)**/pyproject.toml")
    return git.run("grep", "-q", "-a", "-F", *words, commit, "--", *places).returncode != 1


def _without_copies(
    room: Room, states: Mapping[str, Status | RaccordError]
) -> Mapping[str, Status | RaccordError]:
    """The statuses without migrations that raccord put there and that a .gitignore shows all the same."""
    dirty = any(isinstance(one, Status) and one.untracked for one in states.values())
    path = room.repo.common / "info" / "exclude"
    seen = fs.signature(path)
    if not dirty or seen is None or not seen.is_file or b"# raccord" not in fs.read(path):
        return states
    from raccord.migrations.steps import copies

    own = copies(room.repo.common)
    return {
        key: replace(one, untracked=tuple(path for path in one.untracked if path not in own))
        if isinstance(one, Status)
        else one
        for key, one in states.items()
    }


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


def _stages(
    parts: Sequence[Parts], facts: Sequence[BranchFacts], migrations: Migrations
) -> tuple[Stage, ...]:
    stacks = stack_names({one.key: one for one in facts})
    pushes = [_in_stack(one.push, stacks) for one in parts if one.push is not None]
    push = Stage("push", tuple(pushes))
    if not migrations.upgrades:
        lanes = [replace(one.work, steps=(*one.work.steps, *one.tests)) for one in parts]
        return (Stage("integrate", tuple(lanes)), push)
    # All have moved before a database is upgraded, once, and that is over before anybody tests on it. A red
    # test takes its branch back, and leaves the database to the others.
    tests = [replace(one.work, steps=one.tests, notes=(), then=()) for one in parts if one.tests]
    return (
        Stage("integrate", tuple(one.work for one in parts)),
        Stage("upgrade", migrations.upgrades),
        Stage("test", tuple(tests), back=2),
        Stage("heal", migrations.behind),
        push,
    )


def _in_stack(lane: Lane, stacks: dict[str, str]) -> Lane:
    root = stacks.get(lane.key)
    if root is None:
        return lane
    steps = tuple(
        replace(step, batch=f"{step.batch} {root}", payload={**step.payload, "atomic": True})
        for step in lane.steps
    )
    return replace(lane, steps=steps)
