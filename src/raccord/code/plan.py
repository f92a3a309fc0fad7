"""Decides what a sync does to each branch. Pure: facts in, decision out; it reads as a table from the top.

The first row of `REFUSALS` that holds refuses; else the replay's outcome names the row of `OUTCOMES`.
"""

# ruff: noqa: ARG001 (the rows of a table share one signature)
from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace

from raccord.code.facts import BranchFacts, Decision, PushIntent
from raccord.model.options import SyncOptions
from raccord.model.plan import Finding
from raccord.model.text import shown

Row = Callable[[BranchFacts, SyncOptions], Decision]


def decide(facts: BranchFacts, options: SyncOptions) -> Decision:
    """What a sync with these options does to this branch."""
    for refuses, row in REFUSALS:
        if refuses(facts, options):
            return row(facts, options)
    return OUTCOMES[facts.outcome](facts, options)


def is_dirty(facts: BranchFacts) -> bool:
    """Whether the worktree holds anything uncommitted."""
    return any(facts.dirty)


def _is_changed(facts: BranchFacts) -> bool:
    """Whether it holds anything uncommitted that raccord did not write itself."""
    return sum(facts.dirty) > facts.own


def _at(facts: BranchFacts, command: str) -> str:
    return f"raccord -C {shlex.quote(facts.key)} {command}"


def _git(facts: BranchFacts, command: str) -> str:
    return f"git -C {shlex.quote(facts.key)} {command}"


def _held(name: str, message: str, hint: str, **data: object) -> Decision:
    return Decision(held=Finding(name, "fail", message, hint, data))


def _unknown(name: str, message: str, hint: str) -> Decision:
    return Decision(held=Finding(name, "unknown", message, hint))


def _note(name: str, message: str, hint: str = "") -> Finding:
    return Finding(name, "note", message, hint)


def _missing(facts: BranchFacts, options: SyncOptions) -> Decision:
    if facts.locked is not None:
        why = f": {shown(facts.locked)}" if facts.locked else ""
        return _held(
            "worktree.locked", f"not there, and locked{why}", f"git worktree unlock {shlex.quote(facts.key)}"
        )
    return _held("worktree.missing", "its directory is gone", "git worktree prune")


def _unborn(facts: BranchFacts, options: SyncOptions) -> Decision:
    return Decision(notes=(_note("branch.unborn", "no commit yet"),))


def _operation(facts: BranchFacts, options: SyncOptions) -> Decision:
    what = facts.operation
    hint = _git(facts, "bisect reset" if what == "bisect" else f"{what} --continue")
    return _held("worktree.operation", f"a {what} is in progress; it is left alone", hint)


def _detached(facts: BranchFacts, options: SyncOptions) -> Decision:
    hint = _git(facts, "switch -c NAME")
    if options.all:
        return Decision(notes=(_note("worktree.detached", "detached head: no branch to sync", hint),))
    return _held("worktree.detached", "detached head: no branch to sync", hint)


def _unread(facts: BranchFacts, options: SyncOptions) -> Decision:
    hint = facts.unread_hint or _git(facts, "status")
    return _unknown("worktree.unread", f"its status can't be read: {shown(facts.unread)}", hint)


def _unmerged(facts: BranchFacts, options: SyncOptions) -> Decision:
    return _held("worktree.unmerged", f"{facts.dirty[3]} unmerged paths", _git(facts, "status"))


def _dirty(facts: BranchFacts, options: SyncOptions) -> Decision:
    staged, unstaged, untracked, _ = facts.dirty
    counts = [
        f"{n} {what}"
        for n, what in ((staged, "staged"), (unstaged, "unstaged"), (untracked, "untracked"))
        if n
    ]
    return _held(
        "clean",
        f"not clean: {', '.join(counts)}",
        _at(facts, "sync --allow-dirty --reason '…'"),
        staged=staged,
        unstaged=unstaged,
        untracked=untracked,
    )


def _no_base(facts: BranchFacts, options: SyncOptions) -> Decision:
    return Decision(notes=(_note("base.none", "nothing to stand on: it has no remote branch of its own"),))


REFUSALS: tuple[tuple[Callable[[BranchFacts, SyncOptions], bool], Row], ...] = (
    (lambda f, o: f.missing, _missing),
    (lambda f, o: bool(f.operation), _operation),
    (lambda f, o: not f.branch, _detached),
    (lambda f, o: not f.tip, _unborn),
    (lambda f, o: bool(f.unread), _unread),
    (lambda f, o: f.dirty[3] > 0, _unmerged),
    (lambda f, o: _is_changed(f) and not o.allow_dirty, _dirty),
    (lambda f, o: not f.onto, _no_base),
)


def _conflict(facts: BranchFacts, options: SyncOptions) -> Decision:
    if options.resolve_by_hand and facts.integrated and not is_dirty(facts):
        return Decision(by_hand=True, snapshot=True)
    if options.resolve_by_hand and is_dirty(facts) and not _is_changed(facts):
        # A rebase that is open for a person starts from what is committed.
        said = "raccord's own report is not committed, and a rebase by hand needs that"
        return _held("clean", said, _git(facts, "status"), own=facts.own)
    paths = ", ".join(shown(path) for path in facts.conflict[:5])
    more = f" and {len(facts.conflict) - 5} more" if len(facts.conflict) > 5 else ""
    commit = f" at {facts.conflict_commit[:10]}" if facts.conflict_commit else ""
    # What others pushed to the branch comes first: a rebase on the base would leave it out.
    theirs = _git(facts, f"rebase {facts.remote}/{shlex.quote(facts.branch)}")
    hint = _at(facts, "sync --resolve-by-hand") if facts.integrated else theirs
    return _held(
        "replay.conflict",
        f"conflicts with {facts.onto_name}{commit}: {paths}{more}",
        hint,
        paths=list(facts.conflict),
        commit=facts.conflict_commit,
        onto=facts.onto,
    )


def _diverged(facts: BranchFacts, options: SyncOptions) -> Decision:
    there = f"{facts.remote}/{facts.branch}"
    said = f"it and {shown(there)} both have commits, and merges among them: a replay would lose those"
    return _held("replay.diverged", said, _git(facts, f"merge {shlex.quote(there)}"))


def _parent_held(facts: BranchFacts, options: SyncOptions) -> Decision:
    said = f"it stands on {shown(facts.onto_name)}, which is held back"
    return _held("stack.parent", said, _at(facts, f"sync --base {shlex.quote(facts.onto_name)}"))


def _unrelated(facts: BranchFacts, options: SyncOptions) -> Decision:
    said = f"its history shares nothing with {facts.onto_name}"
    return _held("replay.unrelated", said, _at(facts, "sync --base BRANCH"))


def _cut(facts: BranchFacts, options: SyncOptions) -> Decision:
    if facts.why:
        said = f"the replay on {facts.onto_name} got no answer: {shown(facts.why)}"
        return _unknown("replay.unknown", said, _git(facts, f"rebase {facts.onto_name}"))
    said = f"can't be compared with {facts.onto_name}: history is cut off here"
    return _unknown("replay.unknown", said, "git fetch --unshallow")


def _merged(facts: BranchFacts, options: SyncOptions) -> Decision:
    where = f" as {facts.merged_as[:10]}" if facts.merged_as else ""
    said = f"already merged into {facts.onto_name}{where}"
    clean = f"git worktree remove {shlex.quote(facts.key)} && git branch -D {shlex.quote(facts.branch)}"
    return Decision(notes=(_note("branch.merged", said, clean),))


def _stays(facts: BranchFacts, options: SyncOptions) -> Decision:
    return _pushed(facts, options, facts.tip, Decision())


def _moves(facts: BranchFacts, options: SyncOptions) -> Decision:
    if facts.problems:
        return Decision(held=facts.problems[0])
    notes = tuple(_note("replay.dropped", f"{oid[:10]} left out: {why}") for oid, why in facts.dropped)
    if facts.outcome == "merged-base":
        said = f"its merge commits hold resolutions that a rebase would lose: {facts.onto_name} is merged in"
        notes = (*notes, _note("replay.merged-base", said))
    if facts.stacked_on:
        notes = (*notes, _note("stack", f"stands on {shown(facts.onto_name)}"))
    move = Decision(move_to=facts.new, snapshot=is_dirty(facts), notes=notes)
    return _pushed(facts, options, facts.new, move)


def _pushed(facts: BranchFacts, options: SyncOptions, new: str, decision: Decision) -> Decision:
    """Adds the push that the branch needs once it is at `new`, or why there is none."""
    if not facts.remote or options.no_push or facts.upstream == new:
        return decision
    if facts.gone:
        hint = f"git push -u {facts.remote} {shlex.quote(facts.branch)}"
        gone = _note("upstream.gone", f"its branch on {facts.remote} was deleted: not pushed again", hint)
        return replace(decision, notes=(*decision.notes, gone))
    rewrites = facts.upstream is not None and not facts.upstream_in_new
    if rewrites and facts.protected:
        return _held(
            "push.protected",
            f"{facts.branch} is protected and would be rewritten on {facts.remote}",
            _git(facts, f"log --oneline --left-right {facts.branch}...{facts.remote}/{facts.branch}"),
        )
    intent = PushIntent(facts.remote, facts.dest, new, facts.upstream, rewrites)
    return replace(decision, push=intent)


OUTCOMES: dict[str, Row] = {
    "already-merged": _merged,
    "conflict": _conflict,
    "diverged": _diverged,
    "fast-forward": _moves,
    "merged-base": _moves,
    "parent-held": _parent_held,
    "replayed": _moves,
    "unknown": _cut,
    "unrelated": _unrelated,
    "up-to-date": _stays,
}
