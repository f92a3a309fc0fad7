"""Walks over a history given as links to parents: what is reached, what goes in circles, alembic's order.

`Walker.sorted` is alembic's `RevisionMap._topological_sort` (script/revision.py of 1.20), step for step; only
its sets of ancestors are the bits of one integer, which makes a merge cost next to nothing. `cycles` is
Tarjan's algorithm for strongly connected components, without recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Links = Mapping[str, tuple[str, ...]]


def reached(ids: Iterable[str], links: Links) -> set[str]:
    """Those of the ids that have an entry in `links`, and all that they lead to."""
    seen: set[str] = set()
    todo = [*ids]
    while todo:
        one = todo.pop()
        if one not in seen and one in links:
            seen.add(one)
            todo.extend(links[one])
    return seen


def turned(links: Links) -> Links:
    """The same links the other way round, with an entry for every id."""
    found: dict[str, list[str]] = {rev: [] for rev in links}
    for rev, ups in links.items():
        for up in ups:
            found[up].append(rev)
    return {rev: tuple(downs) for rev, downs in found.items()}


def _ends(links: Links) -> bool:
    """Whether every way ends."""
    left = {one: len(ups) for one, ups in links.items()}
    above = turned(links)
    todo = [one for one, number in left.items() if not number]
    done = 0
    while todo:
        done += 1
        for one in above[todo.pop()]:
            left[one] -= 1
            if not left[one]:
                todo.append(one)
    return done == len(left)


def cycles(links: Links) -> tuple[tuple[str, ...], ...]:
    """The groups of ids that reach each other, and each id that links to itself, in the order of `links`."""
    if _ends(links):  # as nearly all do, and to find that out takes a third of the time
        return ()
    number: dict[str, int] = {}  # in the order of the visit
    low: dict[str, int] = {}  # the earliest visit that is reached from there
    group: dict[str, str] = {}  # the group's first-visited id
    path: list[str] = []
    for root in links:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        path.append(root)
        todo = [(root, iter(links[root]))]
        while todo:
            rev, ups = todo[-1]
            for up in ups:
                if up not in number:
                    number[up] = low[up] = len(number)
                    path.append(up)
                    todo.append((up, iter(links[up])))
                    break
                if up not in group:
                    low[rev] = min(low[rev], number[up])
            else:
                todo.pop()
                if todo:
                    low[todo[-1][0]] = min(low[todo[-1][0]], low[rev])
                if low[rev] == number[rev]:
                    while rev not in group:
                        group[path.pop()] = rev
    members: dict[str, list[str]] = {}
    for rev in links:
        members.setdefault(group[rev], []).append(rev)
    return tuple(tuple(ids) for ids in members.values() if len(ids) > 1 or ids[0] in links[ids[0]])


class Walker:
    """Puts revisions in alembic's order.

    Args:
        links: the parents of each revision, in alembic's order of loading, without cycles.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self._index = {rev: at for at, rev in enumerate(links)}
        self._above: dict[str, int] = {}  # a bit for each ancestor, the revision itself included

    def sorted(self, ids: Iterable[str], heads: Iterable[str]) -> tuple[str, ...]:
        """The ids, the newest first.

        Args:
            ids: with an id, all that lead to it from the heads are in it too.
            heads: where to begin; none is an ancestor of another.
        """
        todo = {*ids}
        current = sorted({rev for rev in heads if rev in todo}, key=self._index.__getitem__)
        above = [self._ancestors(rev) for rev in current]
        output: list[str] = []
        at = 0
        while current:
            candidate = current[at]
            bit = 1 << self._index[candidate]
            for other, mask in enumerate(above):
                if other != at and mask & bit:
                    at = other  # that one comes before us
                    break
            else:
                if candidate in todo:
                    output.append(candidate)
                    todo.remove(candidate)
                added = [up for up in self._links[candidate] if up in todo and up not in current]
                if added:
                    current[at : at + 1] = added[:1]
                    above[at] = self._ancestors(added[0])
                    current += added[1:]
                    above += [self._ancestors(up) for up in added[1:]]
                else:
                    del current[at], above[at]
                    at = max(at - 1, 0)
        return tuple(output)

    def _ancestors(self, rev: str) -> int:
        todo = [rev]
        while todo:
            one = todo[-1]
            unknown = [up for up in self._links[one] if up not in self._above]
            if unknown:
                todo += unknown
                continue
            mask = 1 << self._index[one]
            for up in self._links[one]:
                mask |= self._above[up]
            self._above[one] = mask
            todo.pop()
        return self._above[rev]
