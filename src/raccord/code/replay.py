"""Replays branches on new bases in memory, all side by side: wave k merges the k-th commit of every branch.

One write and one `git merge-tree --stdin` serve a wave; the commits are written once, at the end. Never
touches a ref, an index or a work tree; new objects stay in the quarantine until the caller keeps them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raccord.code import fates, picking
from raccord.code.fates import Result
from raccord.code.picking import Ask, Asking, Draft, Known, Lane, Spot, Synthetic
from raccord.errors import ProcessFailed
from raccord.git import commits
from raccord.git.commits import Commit, Signature
from raccord.git.merge import Merged, merge
from raccord.git.quarantine import Quarantine

__all__ = ["Lane", "Result", "merge_message", "replay"]

Write = Callable[[Commit, str, Sequence[str]], str]


def replay(
    quarantine: Quarantine, lanes: Iterable[Lane], *, committer: Signature, sign: bool = False
) -> dict[str, Result]:
    """Replays lanes side by side; none stops another but those that are stacked on it.

    Args:
        quarantine: where new objects go.
        lanes: in any order.
        committer: of the new commits, all at one time.
        sign: whether the user's key signs the new commits; one process for each.

    Returns:
        A result for each lane, by its key.

    Raises:
        ProcessFailed: git can't work at all here (a full disk); a merge that fails alone is "unknown".
        ValueError: a lane is stacked on one that is not there, or on itself.
    """
    ordered = _stacked(lanes)
    known = _read(quarantine, ordered)
    drafts: dict[str, Draft] = {}
    running: dict[str, tuple[Asking, Ask]] = {}
    waiting = ordered
    while waiting or running:
        for lane in waiting:
            if not lane.onto_lane or lane.onto_lane in drafts:
                _advance(
                    lane.key, picking.replayed(lane, _onto(lane, drafts, known), known), None, running, drafts
                )
        waiting = [lane for lane in waiting if lane.key not in drafts and lane.key not in running]
        asked = list(running.items())
        answers = _merged(quarantine, [ask for _, (_, ask) in asked])
        for (key, (asking, _)), answer in zip(asked, answers, strict=True):
            _advance(key, asking, answer, running, drafts)
    return _written(quarantine, [drafts[lane.key] for lane in ordered], committer, sign=sign)


def _stacked(lanes: Iterable[Lane]) -> list[Lane]:
    """The lanes, each after the one that it is stacked on."""
    waiting = {lane.key: lane for lane in lanes}
    ordered: dict[str, Lane] = {}
    while waiting:
        free = [lane for lane in waiting.values() if not lane.onto_lane or lane.onto_lane in ordered]
        if not free:
            raise ValueError(f"lanes are stacked on none: {', '.join(sorted(waiting))}")
        for lane in free:
            ordered[lane.key] = waiting.pop(lane.key)
    return list(ordered.values())


def _read(quarantine: Quarantine, lanes: Sequence[Lane]) -> Known:
    named = {oid for lane in lanes for oid in (*lane.picks, lane.tip, lane.base, lane.onto) if oid}
    found = commits.read(quarantine.git, sorted(named))
    # Parents outside of the picks: below the base, and beside a merge that is flattened.
    beside = {parent for lane in lanes for oid in lane.picks if oid in found for parent in found[oid].parents}
    found |= commits.read(quarantine.git, sorted(beside - found.keys()))
    trees = {found[lane.onto].tree for lane in lanes if lane.onto in found}
    picks = [oid for lane in lanes for oid in lane.picks if oid in found]
    return Known(found, quarantine.attributes.changing(trees, picks))


def _onto(lane: Lane, drafts: Mapping[str, Draft], known: Known) -> Spot | None:
    if lane.onto_lane:
        below = drafts[lane.onto_lane]
        return below.end if below.outcome in fates.STANDS else None
    commit = known.commits.get(lane.onto)
    return Spot(commit.oid, commit.tree, commit.tree) if commit else None


def _advance(
    key: str,
    asking: Asking,
    answer: Merged | None,
    running: dict[str, tuple[Asking, Ask]],
    drafts: dict[str, Draft],
) -> None:
    """Lets one lane go on until its next question or its end."""
    try:
        running[key] = asking, (next(asking) if answer is None else asking.send(answer))
    except StopIteration as end:
        running.pop(key, None)
        drafts[key] = end.value


def _merged(quarantine: Quarantine, asks: Sequence[Ask]) -> list[Merged]:
    """One wave: a single write and, for each set of attributes, a single process."""
    sides = [side for ask in asks for side in (ask.ours, ask.theirs) if isinstance(side, Synthetic)]
    bodies = {side: side.body() for side in sides}
    names = dict(zip(bodies, quarantine.write(list(bodies.values())), strict=True))
    quarantine.attributes.changing([ask.attributes for ask in asks], [])
    answers: dict[int, Merged] = {}
    groups: dict[Path, list[int]] = {}
    for at, ask in enumerate(asks):
        try:
            groups.setdefault(quarantine.attributes.at(ask.attributes).cwd, []).append(at)
        except ProcessFailed as error:
            answers[at] = Merged("unknown", message=error.message)
    for group in groups.values():
        pairs = [(_name(asks[at].ours, names), _name(asks[at].theirs, names)) for at in group]
        git = quarantine.attributes.at(asks[group[0]].attributes)
        answers.update(zip(group, merge(git, pairs), strict=True))
    return [_relabelled(answers[at], _name(ask.ours, names)) for at, ask in enumerate(asks)]


def _name(side: str | Synthetic, names: Mapping[Synthetic, str]) -> str:
    return side if isinstance(side, str) else names[side]


def _relabelled(merged: Merged, ours: str) -> Merged:
    """Git's words with "HEAD" for our side, as in a rebase: nobody knows a synthetic commit's name."""
    if merged.state != "conflict":
        return merged
    paths = tuple(path.replace(f"~{ours}", "~HEAD") for path in merged.paths)
    return replace(merged, paths=paths, message=merged.message.replace(ours, "HEAD"))


def _written(
    quarantine: Quarantine, drafts: Sequence[Draft], committer: Signature, *, sign: bool
) -> dict[str, Result]:
    """Gives the drafts their commits and names; a lane comes after the one that it is stacked on."""
    results: dict[str, Result] = {}
    bodies: dict[str, bytes] = {}

    def write(commit: Commit, tree: str, parents: Sequence[str]) -> str:
        if sign:
            return quarantine.sign(replace(commit, tree=tree), parents, committer)
        data = commit.moved(tree, parents, committer)
        oid = commits.oid_of(data)
        bodies[oid] = data
        return oid

    for draft in drafts:
        lane = draft.lane
        below = results.get(lane.onto_lane)
        onto = draft.onto.oid or (below.new if below else None)
        try:
            results[lane.key] = _named(draft, onto, committer, write)
        except ProcessFailed as error:
            # The signer refused: nothing of this lane is used.
            results[lane.key] = Result(lane.key, "unknown", message=error.message)
    quarantine.write(list(bodies.values()))
    return results


def _named(draft: Draft, onto: str | None, committer: Signature, write: Write) -> Result:
    lane = draft.lane
    dropped = tuple((oid, draft.dropped[oid]) for oid in lane.picks if oid in draft.dropped)
    if draft.outcome not in fates.STANDS:
        return Result(lane.key, draft.outcome, conflict=draft.conflict, message=draft.message)
    if onto is None:
        return Result(lane.key, "parent-held")
    if draft.merge:
        new = write(_merge_commit(draft, onto, committer), draft.end.tree, [lane.tip, onto])
        return Result(lane.key, draft.outcome, new, draft.end.tree)
    rewritten = []
    new = draft.kept or (lane.tip if draft.outcome == "up-to-date" else onto)
    for commit, tree in draft.made:
        new = write(commit, tree, [new])
        rewritten.append((commit.oid, new))
    return Result(
        lane.key,
        draft.outcome,
        new,
        draft.end.tree,
        tuple(rewritten),
        dropped,
        merged_as=lane.squashed if draft.outcome == "already-merged" else "",
    )


def _merge_commit(draft: Draft, onto: str, committer: Signature) -> Commit:
    lane = draft.lane
    message = merge_message(lane.onto_ref or onto, lane.branch)
    data = commits.signed(draft.end.tree, [lane.tip, onto], committer, os.fsencode(message))
    return commits.parsed("", data)


def merge_message(ref: str, branch: str) -> str:
    """What `git merge` would say of `ref` (a full name, or a commit) and `branch` (a short name)."""
    for prefix, what in (("refs/heads/", "branch"), ("refs/remotes/", "remote-tracking branch")):
        if ref.startswith(prefix):
            said = f"Merge {what} '{ref.removeprefix(prefix)}'"
            break
    else:
        said = f"Merge commit '{ref}'"
    return f"{said} into {branch}\n" if branch else f"{said}\n"
