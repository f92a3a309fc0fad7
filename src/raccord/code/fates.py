"""What becomes of each commit, and of each branch, when it is replayed: two truth tables, nothing else.

They follow `git rebase` with its default options, except where a branch holds merges or is already merged.
"""

from __future__ import annotations

from dataclasses import dataclass

from raccord.git.merge import Merged

# The outcomes that say where the branch would stand; the others hold it back.
STANDS = frozenset({"up-to-date", "fast-forward", "replayed", "merged-base", "already-merged"})


@dataclass(frozen=True, slots=True)
class Conflict:
    """Where a replay stops.

    Attributes:
        commit: the commit that can't be picked; the branch's tip where the whole branch was merged.
        paths: the paths in conflict.
        kinds: git's words ("contents", "modify/delete", "rename/delete").
        message: git's lines about it.
    """

    commit: str
    paths: tuple[str, ...]
    kinds: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Pick:
    """What is known of a commit before it is merged."""

    merges: bool  # it has several parents
    began_empty: bool  # it changes nothing, and was committed so
    upstream: bool  # a commit of the new base has the same patch
    in_place: bool  # its parent is where the replay stands


def before(pick: Pick) -> str:
    """What becomes of a commit for which no merge is needed, or "" for one that must be merged."""
    if pick.merges:
        return "flattened"  # the commits that it brought in are picked themselves
    if pick.upstream and not pick.began_empty:  # all empty commits have the same patch
        return "duplicate"
    if pick.in_place:
        return "kept"
    return ""


def after(pick: Pick, merged: Merged, head: str) -> str:
    """What becomes of a commit that was merged onto the tree `head`."""
    if merged.state != "clean":
        return merged.state
    if merged.tree != head:
        return "picked"
    return "picked" if pick.began_empty else "became empty"


@dataclass(frozen=True, slots=True)
class Branch:
    """What is known of a branch before anything is replayed; all are names of objects.

    Attributes:
        onto: the commit to stand on; "" when the branch that it is stacked on has no result.
        base: the merge base of tip and onto (in a stack, the old tip of the branch below), or "".
        squashed: a commit of onto with the patch of the whole branch, or "".
        mixed: the remote's branch has commits that tip lacks, which are to be taken in.
    """

    tip: str
    onto: str
    base: str
    squashed: str = ""
    mixed: bool = False


def at_once(branch: Branch) -> str:
    """The outcome that needs no replay, or ""."""
    if not branch.onto:
        return "parent-held"
    if not branch.base:
        return "unrelated"
    if branch.base == branch.onto and not branch.mixed:
        return "up-to-date"
    if branch.base == branch.tip:
        return "fast-forward"
    return "already-merged" if branch.squashed else ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How the replay of a branch went; trees by name.

    Attributes:
        state: "clean", "conflict" or "unknown".
        tree: the tree at its end, or where it stopped.
        empty: whether nothing is left of it on top of onto.
        merges: whether the branch holds merge commits.
        changes: whether tip and base differ in content.
    """

    state: str
    tree: str
    onto_tree: str
    empty: bool
    merges: bool
    changes: bool


def judge(replayed: Replayed, *, mixed: bool = False) -> str:
    """The outcome of a replay, or "" when the straight merge of branch and onto must be asked."""
    if replayed.state == "unknown":
        return "unknown"
    if replayed.merges and mixed:
        return "diverged"  # the straight merge would leave the remote's commits out
    if replayed.merges or replayed.state == "conflict":
        return ""
    if replayed.empty:
        return "already-merged"
    if replayed.changes and replayed.tree == replayed.onto_tree:
        return "already-merged"  # what is left cancels itself out: onto has all that the branch came to
    return "replayed"


def judge_merge(replayed: Replayed, straight: Merged) -> str:
    """The outcome of a branch with merges or a conflict, by its straight merge with onto."""
    if straight.state == "unknown":
        return "unknown" if replayed.merges else "conflict"
    if straight.state == "clean" and straight.tree == replayed.onto_tree and replayed.changes:
        return "already-merged"  # by squash: onto has it all, in commits of another cut
    if not replayed.merges:
        return "conflict"
    if straight.state == "clean" and replayed.state == "clean" and replayed.tree == straight.tree:
        # Flattening lost no resolution that was made in one of the merges.
        return "already-merged" if replayed.empty else "replayed"
    return "merged-base" if straight.state == "clean" else "conflict"


@dataclass(frozen=True, slots=True)
class Result:
    """What replaying one branch comes to.

    Attributes:
        outcome: "up-to-date", "fast-forward", "replayed", "merged-base", "already-merged", "conflict",
            "diverged", "unrelated", "parent-held" or "unknown".
        new: where the branch would stand; None where it is held back.
        tree: the tree of `new`.
        rewritten: (old, new) of each commit that got a new name, oldest first, as `post-rewrite` is told.
        dropped: (commit, why) with why "duplicate", "became empty", "flattened" (a merge commit) or "merged"
            (onto has it, squashed with others), oldest first.
        conflict: where it stops, for "conflict".
        merged_as: the commit of onto that has the patch of the whole branch, where that is known.
        message: why, for "unknown".
    """

    key: str
    outcome: str
    new: str | None = None
    tree: str = ""
    rewritten: tuple[tuple[str, str], ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    conflict: Conflict | None = None
    merged_as: str = ""
    message: str = ""
