"""Who else stands where a new revision is to stand: the stake is a migration's parent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from raccord.git.refs import HEADS, REMOTES
from raccord.migrations.contents import Kind, Sighting
from raccord.migrations.revision import Revision

# Where somebody works on it today.
PLACES: tuple[Kind, ...] = ("worktree", "directory", "index", "ref")


@dataclass(frozen=True, slots=True)
class Claim:
    """A revision of others on the same parent.

    Attributes:
        parent: the ids that both stand on.
        places: the worktrees and branches that have it, by name.
    """

    id: str
    parent: tuple[str, ...]
    places: tuple[str, ...]


def claims(
    seen: Iterable[tuple[Sighting, Revision]],
    known: Set[str],
    parents: Iterable[str],
    names: Mapping[str, str],
) -> tuple[Claim, ...]:
    """Those of the revisions that this branch lacks and that stand on one of its parents.

    Args:
        seen: what lies where.
        known: the branch's own ids.
        parents: what the new revision stands on; none for the beginning of a history.
        names: what to call a worktree, by its path.
    """
    wanted = frozenset(parents)
    places: dict[str, dict[str, None]] = {}
    below: dict[str, tuple[str, ...]] = {}
    for one, revision in seen:
        both = tuple(sorted(wanted.intersection(revision.down)))
        if revision.id in known or not (both or (not wanted and not revision.down)):
            continue
        below[revision.id] = both
        name = names.get(one.where) or one.where.removeprefix(HEADS).removeprefix(REMOTES)
        places.setdefault(revision.id, {})[name] = None
    return tuple(Claim(id_, below[id_], tuple(found)) for id_, found in places.items())
