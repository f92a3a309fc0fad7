"""Replays one branch as a coroutine that yields each merge it needs; trees only, no commit is written yet.

A commit C with parent P is picked onto a tree by merging C with a synthetic commit of that tree and parent P:
the merge base is P, and the result is the cherry-pick's tree. What each result means is decided in `fates`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from raccord.code import fates
from raccord.code.fates import Conflict
from raccord.git import commits
from raccord.git.commits import Commit, Signature
from raccord.git.merge import Merged

# In the far future, so that git's walk to the merge base takes the synthetic commit before its parent and
# stops there; with an old date it would first walk the whole history.
NOBODY = Signature("raccord", "", 4102444800).line()


@dataclass(frozen=True, slots=True)
class Lane:
    """A branch to replay; commits by name.

    Attributes:
        tip: where the branch stands.
        base: the merge base of tip and onto, or ""; in a stack the old tip of the lane below.
        picks: what onto lacks, oldest first, in topological order, merges included.
        onto: the new base; "" for a stacked lane.
        onto_lane: the key of the lane whose result is the new base.
        branch: the short name of the branch, for the message of a merge.
        onto_ref: the full name of the base's ref, for the message of a merge.
        duplicates: those picks whose patch a commit of onto has too.
        squashed: a commit of onto that has the patch of the whole branch, or "".
        mixed: some picks are not below tip: the remote's branch has commits beside the branch's own.
    """

    key: str
    tip: str
    base: str
    picks: tuple[str, ...]
    onto: str = ""
    onto_lane: str = ""
    branch: str = ""
    onto_ref: str = ""
    duplicates: frozenset[str] = frozenset()
    squashed: str = ""
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a replay stands.

    Attributes:
        oid: the commit, "" while it is not written.
        attributes: the tree whose `.gitattributes` hold there.
    """

    oid: str
    tree: str
    attributes: str


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A commit that serves one merge and is then forgotten."""

    tree: str
    parent: str

    def body(self) -> bytes:
        parents = [self.parent] if self.parent else []
        return commits.body(self.tree, parents, [b"author " + NOBODY, b"committer " + NOBODY], b"")


@dataclass(frozen=True, slots=True)
class Ask:
    """A merge that a lane needs before it can go on."""

    ours: str | Synthetic
    theirs: str | Synthetic
    attributes: str


@dataclass(slots=True)
class Draft:
    """A lane's replay: trees are known, commits are not written yet.

    Attributes:
        end: where it stands, or stopped.
        kept: the last commit that stays as it is, "" when there is none.
        made: the commits to write on top of that, each with its new tree.
        merge: whether a merge of tip and onto is to be written instead.
    """

    lane: Lane
    onto: Spot
    end: Spot
    state: str = "clean"
    outcome: str = ""
    kept: str = ""
    made: list[tuple[Commit, str]] = field(default_factory=list)
    merge: bool = False
    dropped: dict[str, str] = field(default_factory=dict)
    conflict: Conflict | None = None
    message: str = ""


Asking = Generator[Ask, Merged, Draft]


@dataclass(frozen=True, slots=True)
class Known:
    """What was read before the first wave."""

    commits: Mapping[str, Commit]
    attributed: set[str]


def replayed(lane: Lane, onto: Spot | None, known: Known) -> Asking:
    """Replays one lane; yields each merge that it needs."""
    nowhere = Spot("", "", "")
    draft = Draft(lane, onto or nowhere, onto or nowhere)
    if missing := _missing(lane, known):
        draft.outcome, draft.message = "unknown", f"can't read commit {min(missing)}: missing or damaged"
        return draft
    # A stacked lane may stand on a commit that has no name yet.
    standing = (onto.oid or "new") if onto else ""
    draft.outcome = fates.at_once(fates.Branch(lane.tip, standing, lane.base, lane.squashed, lane.mixed))
    if draft.outcome == "up-to-date":
        tip = known.commits[lane.tip]
        draft.end = Spot(tip.oid, tip.tree, tip.tree)
    if draft.outcome:
        return draft
    yield from _picked(draft, known)
    came = fates.Replayed(
        state=draft.state,
        tree=draft.end.tree,
        onto_tree=draft.onto.tree,
        empty=not (draft.kept or draft.made),
        merges=any(len(known.commits[oid].parents) > 1 for oid in lane.picks),
        changes=known.commits[lane.tip].tree != known.commits[lane.base].tree,
    )
    draft.outcome = fates.judge(came, mixed=lane.mixed)
    if not draft.outcome:
        yield from _straight(draft, came, known)
    if draft.outcome == "already-merged":
        draft.end, draft.kept, draft.made = draft.onto, "", []
        draft.dropped = {oid: draft.dropped.get(oid, "merged") for oid in lane.picks}
    return draft


def _picked(draft: Draft, known: Known) -> Generator[Ask, Merged, None]:
    """Picks a lane's commits one by one, up to the first that can't be."""
    for oid in draft.lane.picks:
        commit = known.commits[oid]
        parent = known.commits.get(commit.parents[0]) if commit.parents else None
        pick = fates.Pick(
            merges=len(commit.parents) > 1,
            began_empty=parent is not None and parent.tree == commit.tree,
            upstream=oid in draft.lane.duplicates,
            in_place=parent is not None and parent.oid == draft.end.oid,
        )
        fate, tree = fates.before(pick), commit.tree
        if not fate:
            if parent is not None and parent.tree == draft.end.tree:
                merged = Merged("clean", tree)
            else:
                ours = Synthetic(draft.end.tree, parent.oid if parent else "")
                merged = yield Ask(ours, oid, draft.end.attributes)
            fate, tree = fates.after(pick, merged, draft.end.tree), merged.tree
            if fate in ("conflict", "unknown"):
                draft.state, draft.message = fate, merged.message
                draft.conflict = Conflict(oid, merged.paths, merged.kinds, merged.message)
                return
        if fate == "kept":
            draft.kept = oid
        elif fate == "picked":
            draft.made.append((commit, tree))
        else:
            draft.dropped[oid] = fate
            continue
        draft.end = Spot(oid if fate == "kept" else "", tree, _attributes(draft, known, tree))


def _straight(draft: Draft, came: fates.Replayed, known: Known) -> Generator[Ask, Merged, None]:
    """Merges the whole branch with its new base, and judges by that."""
    lane, onto, tip = draft.lane, draft.onto, known.commits[draft.lane.tip]
    # In a stack, the old tip of the lane below is the base, whatever became of that lane.
    theirs = Synthetic(onto.tree, lane.base) if lane.onto_lane else onto.oid
    here = known.commits[lane.base].tree if not _touches(draft, known) else tip.tree
    merged = yield Ask(lane.tip, theirs, here)
    draft.outcome = fates.judge_merge(came, merged)
    if draft.outcome == "merged-base":
        draft.end = Spot("", merged.tree, _attributes(draft, known, merged.tree))
        draft.merge, draft.kept, draft.made, draft.dropped = True, "", [], {}
    elif draft.outcome == "unknown":
        draft.message = merged.message
    elif came.merges and merged.state == "conflict":
        draft.conflict = Conflict(lane.tip, merged.paths, merged.kinds, merged.message)


def _missing(lane: Lane, known: Known) -> set[str]:
    """Commits without which nobody knows; a parent that can't be read must not pass for "a root"."""
    found = [known.commits[oid] for oid in lane.picks if oid in known.commits]
    parents = {commit.parents[0] for commit in found if len(commit.parents) == 1}
    return ({lane.tip, lane.base, lane.onto, *lane.picks} | parents) - known.commits.keys() - {""}


def _touches(draft: Draft, known: Known) -> bool:
    return not known.attributed.isdisjoint(draft.lane.picks)


def _attributes(draft: Draft, known: Known, tree: str) -> str:
    """The tree whose attributes hold once `tree` is reached: the base's, where no pick changes them."""
    return tree if _touches(draft, known) else draft.onto.attributes
