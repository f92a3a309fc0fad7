"""Joins what code and checks decide for one branch into the lane of a sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from raccord.checks.observe import detect
from raccord.checks.plan import GatePlan, plan_gates
from raccord.code.by_hand import rebase_step, then_step
from raccord.code.facts import BranchFacts, Decision, PushIntent
from raccord.code.fates import Result
from raccord.code.hooks import after_move, before_move
from raccord.code.keeping import snapshot_step
from raccord.code.moves import move_step
from raccord.code.observe import move_of
from raccord.code.push import push_step
from raccord.errors import HeldBack
from raccord.git.run import strings
from raccord.model.options import SyncOptions
from raccord.model.plan import Finding, Json, Lane, Step, plain, step_from
from raccord.model.text import shown

if TYPE_CHECKING:
    from raccord.verbs.room import Room

THEN_PUSH = "tests and push, decided after the rebase"


@dataclass(frozen=True, slots=True)
class Migrations:
    """What a sync does about migrations, by the key of a worktree's lane; nothing by default.

    Attributes:
        before: steps before the branch moves.
        after: steps between the move and the tests.
        held: why a branch is held back.
        notes: what a person should know.
        then: what can't be known yet, in words.
        upgrades: a lane for each database, between the moves and the tests.
        behind: the lane of worktrees that databases went ahead of, after the tests.
        whole: findings about all of it.
    """

    before: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    after: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    held: Mapping[str, Finding] = field(default_factory=dict)
    notes: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    then: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    upgrades: tuple[Lane, ...] = ()
    behind: tuple[Lane, ...] = ()
    whole: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """A branch's lane, stage by stage.

    Attributes:
        work: the move.
        tests: what follows it, and fails together with it.
        push: None where nothing is pushed.
    """

    work: Lane
    tests: tuple[Step, ...] = ()
    push: Lane | None = None


def lanes(
    room: Room,
    options: SyncOptions,
    facts: BranchFacts,
    decision: Decision,
    result: Result | None,
    changed: Sequence[str],
    migrations: Migrations = Migrations(),
    carry: tuple[Step, ...] = (),
) -> Parts:
    """The lane that carries out a decision.

    Args:
        changed: the paths that the move changes.
        migrations: what is done about them.
        carry: the steps just before and just after the move that carry raccord's own reports over it.
    """
    key, title = (
        facts.key,
        f"{shown(facts.name)} ({shown(facts.branch)})" if facts.branch else shown(facts.name),
    )
    known = migrations.notes.get(key, ())
    held = decision.held or migrations.held.get(key)
    if held is not None:
        return Parts(Lane(key, title, held=held, notes=(*decision.notes, *known)))
    tree = next((t for t in room.trees if str(t.path) == key), None)
    steps: list[Step] = []
    if decision.snapshot and tree is not None:
        steps.append(snapshot_step(tree, "before sync"))
    steps += migrations.before.get(key, ())
    if decision.by_hand:
        steps.append(rebase_step(key, facts.gitdir, facts.branch, facts.tip, facts.onto, facts.base))
        words = (THEN_PUSH, *migrations.then.get(key, ()))
        then = Lane(key, title, (_then(facts, options, migrations.after.get(key, ())),), then=words)
        return Parts(Lane(key, title, tuple(steps), notes=(*decision.notes, *known)), push=then)
    if decision.move_to:
        steps += [*carry[:1], *_moves(room, facts, result), *carry[1:]]
    gates = GatePlan()
    # What only follows a remote was tested by whoever pushed it.
    own = decision.push is not None or (decision.move_to and facts.outcome != "fast-forward")
    if own and not options.skip_tests and result is not None:
        gates = gates_of(room, Path(key), result.tree, options.test_commands, changed)
    notes = (*decision.notes, *known, *gates.notes)
    if gates.held is not None:
        return Parts(Lane(key, title, held=gates.held, notes=notes))
    needs = (facts.stacked_on,) if facts.stacked_on else ()
    work = Lane(key, title, tuple(steps), needs=needs, notes=notes, then=migrations.then.get(key, ()))
    tests = (*migrations.after.get(key, ()), *gates.steps)
    if decision.push is None:
        return Parts(work, tests)
    return Parts(work, tests, Lane(key, title, (push_step(decision.push, facts.branch),)))


def _moves(room: Room, facts: BranchFacts, result: Result | None) -> list[Step]:
    branch, repo = shown(facts.branch), room.repo
    rewritten = result.rewritten if result else ()
    count = f"{len(rewritten)} commits " if len(rewritten) != 1 else "1 commit "
    what = {
        "fast-forward": f"fast-forward {branch}",
        "merged-base": f"merge {shown(facts.onto_name)} into {branch}",
        "replayed": f"replay {count}of {branch}",
    }[facts.outcome]
    title = f"{what} onto {shown(facts.onto_name)}" if facts.outcome == "replayed" else what
    return [
        *before_move(repo, facts.key, facts.onto, facts.branch),
        move_step(move_of(facts, "sync"), facts.branch, title),
        *after_move(repo, facts.key, facts.tip, facts.new, rewritten),
    ]


def gates_of(
    room: Room, worktree: Path, tree: str, asked: Sequence[Sequence[str]], changed: Sequence[str]
) -> GatePlan:
    known = room.config.gates
    found = detect(worktree, asked or known.commands)
    return plan_gates(str(worktree), tree, found, known, changed=changed, common=str(room.repo.common))


def _then(facts: BranchFacts, options: SyncOptions, after: Sequence[Step]) -> Step:
    then: dict[str, Json] = {
        "skip_tests": options.skip_tests,
        "test_commands": [list(argv) for argv in options.test_commands],
        "push": bool(facts.remote) and not options.no_push and not facts.gone,
        "remote": facts.remote,
        "dest": facts.dest,
        "lease": facts.upstream,
        "migrations": [plain(step) for step in after],
    }
    return then_step(facts.key, facts.branch, facts.tip, then)


def after_rebase(room: Room, step: Step, new: str) -> tuple[Step, ...]:
    """What follows a rebase that a person resolved: the gates on its result, then the push.

    Raises:
        HeldBack: a program that the tests need is not there.
    """
    payload, then = step.payload, step.payload["then"]
    git = room.repo.git
    steps = tuple(map(step_from, then.get("migrations", ())))
    if not then["skip_tests"]:
        tree = git.line("rev-parse", f"{new}^{{tree}}")
        changed = git.out("diff", "--name-only", "-z", "--no-ext-diff", payload["old"], new)
        gates = gates_of(room, Path(payload["worktree"]), tree, then["test_commands"], strings(changed))
        if gates.held is not None:
            held = gates.held
            raise HeldBack(held.message, hint=held.hint, finding=held.name)
        steps = (*steps, *gates.steps)
    lease = then["lease"]
    if not then["push"] or lease == new:
        return steps
    force = bool(lease) and not git.ok("merge-base", "--is-ancestor", lease, new)
    intent = PushIntent(then["remote"], then["dest"], new, lease, force)
    return (*steps, push_step(intent, payload["branch"], batch=False))


def stack_names(facts: Mapping[str, BranchFacts]) -> dict[str, str]:
    """The stack that each stacked branch belongs to: the key of its lowest branch; others are in none."""
    roots: dict[str, str] = {}
    for key, one in facts.items():
        seen = [key]
        below = one.stacked_on
        while below in facts and below not in seen:
            seen.append(below)
            below = facts[below].stacked_on
        if len(seen) > 1:
            for member in seen:
                roots[member] = seen[-1]
    return roots
