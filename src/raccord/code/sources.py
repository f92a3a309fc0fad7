"""Which commits a branch is replayed from, and on what it stands: pure questions on a graph of commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raccord.git.graph import Graph


@dataclass(frozen=True, slots=True)
class Source:
    """What a replay of one branch starts from.

    Attributes:
        tip: where it stands, with the remote branch's own commits taken in.
        base: the merge base with what it shall stand on, "" for none.
        picks: the commits to replay, oldest first.
        mixed: whether some of the picks are the remote's alone, beside `tip`.
        known: whether history was complete enough to tell.
    """

    tip: str
    base: str
    picks: tuple[str, ...]
    known: bool = True
    mixed: bool = False


UNKNOWN = Source("", "", (), known=False)


def source(graph: Graph, floor: str, tip: str, upstream: str | None, *, integrated: bool) -> Source:
    """The commits of a branch that are to stand on its new base.

    | the remote's branch              | picks                                    |
    |----------------------------------|------------------------------------------|
    | none, or integrated              | the branch's own                         |
    | ahead of the branch              | the remote's: the branch follows first   |
    | both have commits                | the remote's, then the branch's own rest |

    Args:
        floor: the commit below the picks: the new base, or in a stack the old tip of the branch below.
    """
    own = graph.picks(floor, tip)
    bases = graph.merge_bases(floor, tip)
    if own is None or bases is None:
        return UNKNOWN
    base = bases[0] if bases else ""
    if upstream is None or integrated:
        return Source(tip, base, own)
    theirs = graph.picks(floor, upstream)
    follows = graph.is_ancestor(tip, upstream)
    shared = graph.merge_bases(floor, upstream)
    if theirs is None or follows is None or shared is None:
        return UNKNOWN
    base = shared[0] if shared else ""
    if follows:
        return Source(upstream, base, theirs)
    have = set(theirs)
    picks = (*theirs, *(oid for oid in own if oid not in have))
    return Source(tip, base, picks, mixed=not have <= set(own))


def holds_upstream(
    graph: Graph,
    onto: str,
    upstream: str | None,
    source: Source,
    outcome: str,
    changed: Sequence[str],
) -> bool:
    """Whether the branch, once replayed, still has the remote's commits by their own names.

    Args:
        outcome: the replay's outcome.
        changed: commits that got a new name or were left out.
    """
    if upstream is None or graph.is_ancestor(upstream, onto):
        return True
    if outcome in ("up-to-date", "merged-base"):
        return graph.is_ancestor(upstream, source.tip) is True
    theirs = graph.picks(onto, upstream)
    return theirs is not None and set(theirs) <= set(source.picks) - set(changed)


def stacks(
    graph: Graph, onto: Mapping[str, str], tips: Mapping[str, str], earlier: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, str]]:
    """Which branches stand on which others.

    A branch stands on another when its own commits go through that one's tip, or through a tip that it
    had earlier; the nearest one counts. Two branches on one commit do not stand on each other.

    Args:
        onto: what each key's branch is replayed on.
        tips: each key's branch as it is.
        earlier: tips that each key's branch had before, newest first.

    Returns:
        For each key that stands on another: that key, and the commit at which its own work begins.
    """
    places: dict[str, list[str]] = {}
    for key, tip in tips.items():
        for oid in dict.fromkeys((tip, *earlier.get(key, ()))):
            places.setdefault(oid, []).append(key)
    found: dict[str, tuple[str, str]] = {}
    for key, base in onto.items():
        picks = graph.picks(base, tips[key])
        for oid in reversed((picks or ())[:-1]):
            others = [other for other in places.get(oid, ()) if other != key]
            # A branch that has this very branch's tip in its past was reset or split, not built upon.
            others = [other for other in others if tips[key] not in earlier.get(other, ())]
            if others:
                found[key] = (others[0], oid)
                break
    return {key: pair for key, pair in found.items() if not _circular(key, found)}


def _circular(key: str, found: Mapping[str, tuple[str, str]]) -> bool:
    seen = {key}
    while key in found:
        key = found[key][0]
        if key in seen:
            return True
        seen.add(key)
    return False
