"""Reads everything that a sync decides on: worktrees, refs, statuses, and what a replay would come to.

Changes nothing that a person sees. New objects stay in a quarantine until the caller keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from raccord.code.base import Base, far_side
from raccord.code.facts import BranchFacts
from raccord.code.fates import Result
from raccord.code.look import key_of
from raccord.code.replay import Lane, replay
from raccord.code.sources import Source, holds_upstream, source, stacks
from raccord.errors import RaccordError
from raccord.git import commits, follow
from raccord.git.follow_shared import Shared
from raccord.git.graph import Graph, graph, same_changes
from raccord.git.quarantine import Quarantine
from raccord.git.reflog import reflog
from raccord.git.refs import Change, Refs
from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.git.status import Status
from raccord.git.worktrees import Worktree
from raccord.model.plan import Finding


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at, and against what.

    Attributes:
        chosen: the worktrees to sync.
        trees: all worktrees: a chosen branch may stand on one that is not chosen.
        remote: where to push, "" for nowhere.
        base: what branches stand on.
        stacked: whether branches may stand on each other (not when a base was asked for).
        protected: whether a short branch name is protected.
        landed: what raccord itself last pushed to a ref of a remote, or None.
        ordered: whether the user ordered a change: then filters and a signer run, which never run in a look.
    """

    chosen: tuple[Worktree, ...]
    trees: tuple[Worktree, ...]
    remote: str
    base: Base
    stacked: bool
    protected: Callable[[str], bool]
    landed: Callable[[str, str], str | None]
    ordered: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """What was read.

    Attributes:
        facts: one for each chosen worktree, in git's order.
        results: the replays, by key.
    """

    facts: tuple[BranchFacts, ...]
    results: Mapping[str, Result] = field(default_factory=dict)


def observe(
    repo: Repository,
    refs: Refs,
    scope: Scope,
    states: Mapping[str, Status | RaccordError],
    quarantine: Quarantine,
    who: commits.Signature,
) -> Observation:
    """Reads the chosen worktrees, and replays in memory those that have a branch to replay.

    Args:
        states: their statuses, by key.
    """
    facts = {key_of(tree): _read(repo, refs, scope, tree, states.get(key_of(tree))) for tree in scope.chosen}
    able = {key: one for key, one in facts.items() if one.tip and one.onto and one.branch and not one.missing}
    if not able:
        return Observation(tuple(facts.values()))
    tips = {key_of(t): t.head for t in scope.trees if t.head and t.branch}
    wanted = {oid for one in able.values() for oid in (one.onto, one.tip, one.upstream) if oid}
    history = graph(repo.git, sorted(wanted | {tip for tip in tips.values() if tip}))
    facts |= _stacked(repo, scope, able, history)
    able = {key: facts[key] for key in able}
    sources = {key: _source(repo, scope, one, history) for key, one in able.items()}
    able = {key: replace(one, integrated=sources[key][1]) for key, one in able.items()}
    lanes = _lanes(quarantine, scope, able, {key: pair[0] for key, pair in sources.items()}, history)
    sign = scope.ordered and repo.settings.flag("commit.gpgsign")
    results = replay(quarantine, lanes.values(), committer=who, sign=sign)
    results |= _squashed(quarantine, history, able, lanes, results, who, sign=sign)
    for key, one in able.items():
        facts[key] = _told(one, sources[key][0], results.get(key), history)
    return Observation(tuple(facts.values()), results)


def _read(
    repo: Repository, refs: Refs, scope: Scope, tree: Worktree, state: Status | RaccordError | None
) -> BranchFacts:
    branch = tree.branch or ""
    facts = BranchFacts(
        key=key_of(tree),
        name=tree.path.name,
        gitdir=str(tree.gitdir),
        branch=branch,
        tip=tree.head or "",
        missing=tree.missing,
        locked=tree.locked,
        operation=tree.operation or "",
        unread=state.message if isinstance(state, RaccordError) else "",
        unread_hint=state.hint if isinstance(state, RaccordError) else "",
    )
    if isinstance(state, Status):
        counts = (len(state.staged), len(state.unstaged), len(state.untracked), len(state.unmerged))
        facts = replace(facts, dirty=counts)
    if not branch:
        return facts
    base = scope.base
    far = far_side(repo.settings, refs, scope.remote, branch, base.branch)
    landed = scope.landed(far.remote, far.dest) if far.remote else None
    own = scope.protected(branch) or branch == base.branch
    onto, onto_name = (
        (far.known or "", f"{far.remote}/{far.dest.removeprefix('refs/heads/')}")
        if own
        else (base.oid, base.name)
    )
    return replace(
        facts,
        protected=own,
        onto=onto,
        onto_name=onto_name,
        remote=far.remote,
        dest=far.dest,
        upstream=far.known,
        gone=far.known is None and bool(landed or far.tracked),
    )


def _stacked(
    repo: Repository, scope: Scope, able: Mapping[str, BranchFacts], history: Graph
) -> dict[str, BranchFacts]:
    """The facts of the branches that stand on another branch instead of the base."""
    if not scope.stacked:
        return {}
    free = {key: one for key, one in able.items() if not one.protected}
    others = {key_of(t): t for t in scope.trees if t.branch and t.head and not t.missing}
    lower = {
        key: tree
        for key, tree in others.items()
        if tree.branch != scope.base.branch and not scope.protected(tree.branch or "")
    }
    tips = {key: tree.head or "" for key, tree in lower.items()} | {key: one.tip for key, one in free.items()}
    earlier = {key: reflog(repo, f"refs/heads/{tree.branch}") for key, tree in lower.items()}
    found = stacks(history, {key: one.onto for key, one in free.items()}, tips, earlier)
    told = {}
    for key, (below, start) in found.items():
        name = lower[below].branch or ""
        onto = tips[below]
        # `base` of the replay is where the own work begins; it travels in `stack_start`.
        told[key] = replace(able[key], onto=onto, onto_name=name, stacked_on=below, stack_start=start)
    return told


def _source(repo: Repository, scope: Scope, one: BranchFacts, history: Graph) -> tuple[Source, bool]:
    floor = one.stack_start or one.onto
    whole = _integrated(repo, scope, one, history)
    return source(history, floor, one.tip, one.upstream, integrated=whole), whole


def _integrated(repo: Repository, scope: Scope, one: BranchFacts, history: Graph) -> bool:
    """Whether the branch holds what the remote has, or once held it and was rewritten since."""
    upstream = one.upstream
    if upstream is None or one.protected:
        return True
    if history.is_ancestor(upstream, one.tip) or history.is_ancestor(upstream, one.onto):
        return True
    if scope.landed(one.remote, one.dest) == upstream:
        return True
    past = reflog(repo, f"refs/heads/{one.branch}")
    if upstream in past:
        return True
    theirs = history.picks(one.tip, upstream)
    ours = history.picks(upstream, one.tip)
    if not theirs or not ours:
        return False
    return len(same_changes(repo.git, theirs, ours)) == len(theirs)


def _lanes(
    quarantine: Quarantine,
    scope: Scope,
    able: Mapping[str, BranchFacts],
    sources: Mapping[str, Source],
    history: Graph,
) -> dict[str, Lane]:
    theirs = {key: _beyond(history, one, sources[key]) for key, one in able.items()}
    ours = sorted({oid for key in able for oid in sources[key].picks})
    same = same_changes(quarantine.git, ours, sorted({oid for found in theirs.values() for oid in found}))
    lanes = {}
    for key, one in able.items():
        if not sources[key].known:
            continue
        upstream = set(theirs[key])
        twice = frozenset(oid for oid in sources[key].picks if upstream.intersection(same.get(oid, ())))
        chosen = one.stacked_on in able and one.stacked_on in sources and sources[one.stacked_on].known
        lanes[key] = Lane(
            key=key,
            tip=sources[key].tip,
            base=one.stack_start or sources[key].base,
            picks=sources[key].picks,
            onto="" if chosen else one.onto,
            onto_lane=one.stacked_on if chosen else "",
            branch=one.branch,
            onto_ref=f"refs/heads/{one.onto_name}" if one.stacked_on else scope.base.ref,
            duplicates=twice,
            mixed=sources[key].mixed,
        )
    return lanes


def _beyond(history: Graph, one: BranchFacts, origin: Source) -> Sequence[str]:
    """The commits of the new base that the branch lacks."""
    return history.picks(origin.tip, one.onto) or () if origin.known else ()


def _squashed(
    quarantine: Quarantine,
    history: Graph,
    able: Mapping[str, BranchFacts],
    lanes: Mapping[str, Lane],
    results: Mapping[str, Result],
    who: commits.Signature,
    *,
    sign: bool,
) -> dict[str, Result]:
    """Replays again the branches in conflict whose whole change is one commit of the base: a squash."""
    suspects = [
        key
        for key, found in results.items()
        if found.outcome == "conflict" and lanes[key].onto and lanes[key].base and len(lanes[key].picks) > 1
    ]
    if not suspects:
        return {}
    ends = commits.read(quarantine.git, sorted({lanes[key].tip for key in suspects}))
    bodies = [
        commits.signed(ends[lanes[key].tip].tree, [lanes[key].base], who, b"whole\n") for key in suspects
    ]
    whole = quarantine.write(bodies)
    again = []
    for key, oid in zip(suspects, whole, strict=True):
        beyond = history.picks(lanes[key].tip, able[key].onto) or ()
        twin = same_changes(quarantine.git, [oid], beyond).get(oid)
        if twin:
            again.append(replace(lanes[key], squashed=twin[0]))
    return replay(quarantine, again, committer=who, sign=sign) if again else {}


def _told(one: BranchFacts, origin: Source, result: Result | None, history: Graph) -> BranchFacts:
    if result is None:
        return replace(one, outcome="unknown")
    changed = [old for old, _ in result.rewritten] + [oid for oid, _ in result.dropped]
    dropped = tuple(pair for pair in result.dropped if pair[1] != "flattened")
    told = replace(
        one,
        outcome=result.outcome,
        base=one.stack_start or origin.base,
        new=result.new or "",
        dropped=dropped,
        merged_as=result.merged_as,
        conflict=result.conflict.paths if result.conflict else (),
        conflict_commit=result.conflict.commit if result.conflict else "",
        why=result.message,
        upstream_in_new=holds_upstream(history, one.onto, one.upstream, origin, result.outcome, changed),
    )
    if result.outcome == "already-merged" and one.protected:
        # It stands on its own remote branch, which has all of it under other names: it goes there.
        return replace(told, outcome="replayed", new=one.onto)
    if result.outcome == "up-to-date" and origin.tip != one.tip:
        return replace(told, outcome="fast-forward", new=origin.tip)  # it follows its own remote branch
    if result.outcome == "fast-forward" and _was_merged(history, one):
        return replace(told, outcome="already-merged")
    return told


def _was_merged(history: Graph, one: BranchFacts) -> bool:
    """Whether the branch came into its base through a merge, and is not merely older than it."""
    if one.protected or one.stacked_on:
        return False
    at = one.onto
    while at in history.parents and at != one.tip:
        parents = history.parents[at]
        if not parents:
            return True
        at = parents[0]
    return at != one.tip


def move_of(facts: BranchFacts, message: str) -> follow.Move:
    """The move of a worktree to the branch's new tip."""
    refs = (Change(f"refs/heads/{facts.branch}", facts.new, facts.tip),)
    return follow.Move(facts.key, facts.gitdir, facts.tip, facts.new, refs, message)


def moves(one: BranchFacts) -> bool:
    """Whether the worktree would move."""
    return bool(one.new) and one.new != one.tip and one.outcome != "already-merged"


def with_problems(
    facts: Sequence[BranchFacts], place: Callable[[Path], Git], shared: Shared, jobs: int
) -> tuple[BranchFacts, ...]:
    """Adds what stands in the way of each worktree that would move.

    Args:
        place: git at a worktree, able to read the new commits.
        shared: what the moves have in common.
    """

    def look(one: BranchFacts) -> BranchFacts:
        if not moves(one):
            return one
        try:
            found = follow.check(place(Path(one.key)), move_of(one, ""), shared)
        except RaccordError as error:  # such as a damaged index: it holds back this one alone
            return replace(one, problems=(Finding("worktree.unreadable", "fail", error.message, error.hint),))
        return replace(one, problems=tuple(finding for finding in found if finding.status == "fail"))

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        return tuple(pool.map(look, facts))
