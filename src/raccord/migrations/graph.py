"""The history that revision files form: what comes before what, the order to apply it in, what is missing.

Where alembic's own map works both agree; the order is alembic's walk. Never reads a file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from raccord.migrations import walk
from raccord.migrations.history import History
from raccord.migrations.revision import Revision
from raccord.migrations.walk import Links


@dataclass(frozen=True, slots=True)
class Chain:
    """What a database needs of a history.

    Attributes:
        wanted: the ids asked for, such as the heads in a version table.
        present: those of them and of their ancestors that are there; `Graph.order` puts them in order.
        missing: those that are not there; what lies below one is unknown until its file is found.
        named_by: which present revisions name each missing one; none for one that was asked for.
    """

    wanted: tuple[str, ...]
    present: frozenset[str]
    missing: tuple[str, ...]
    named_by: Links

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


class Graph(History):
    """A history, whole or with holes, and the questions that are put to it."""

    def added(self, revisions: Iterable[Revision]) -> Graph:
        """The same history with more revisions; those that it has already are replaced."""
        more = {one.id: one for one in revisions}
        own = [one for rev, last in self.revisions.items() for one in self.duplicates.get(rev, (last,))]
        return Graph([*(one for one in own if one.id not in more), *more.values()])

    def ancestors(self, ids: Iterable[str], *, dependencies: bool = True) -> set[str]:
        """The given revisions and all before them that are there."""
        return walk.reached(ids, self._all_down if dependencies else self._down)

    def descendants(self, ids: Iterable[str], *, dependencies: bool = True) -> set[str]:
        """The given revisions and all after them."""
        return walk.reached(ids, self._all_up if dependencies else self._up)

    def is_ancestor(self, early: str, late: str) -> bool:
        """Whether `late` can only be applied after `early`, or is the same."""
        return early in self.ancestors([late])

    def tips(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Those of the revisions that no other of them comes after, the newest first.

        It is what a version table holds when exactly these, and what they need, are applied.
        """
        chosen = {*ids} & self.revisions.keys()
        lower = self.ancestors(up for rev in chosen for up in self._all_down[rev])
        return self.order(chosen - lower)

    def order(self, ids: Iterable[str] | None = None) -> tuple[str, ...]:
        """All revisions, or the given ones, the newest first: as `alembic history` lists them.

        Within a cycle the order means nothing; what is before or after all of it is listed so.
        """
        if ids is None:
            return self._order
        wanted = {*ids}
        return tuple(rev for rev in self._order if rev in wanted)

    def between(self, lower: Iterable[str], upper: Iterable[str]) -> tuple[str, ...]:
        """What has to be applied to come from `lower` to `upper`, in that order: alembic's upgrade.

        Args:
            lower: the ids in the version table; none for an empty database.
            upper: full ids; see `resolve` for names.
        """
        targets = self.tips(upper)
        todo = self.ancestors(targets) - self.ancestors(lower)
        return tuple(reversed(self._sorted(todo, targets)))

    def chain(self, wanted: Iterable[str], also: Mapping[str, Revision] | None = None) -> Chain:
        """What the given ids and all before them need: what is there, and what is missing as far as is known.

        Args:
            wanted: full ids, such as the heads in a version table.
            also: revisions found elsewhere, by their ids; they count as present. Ask again with each one
                that is found, until nothing is missing. The work is that of the chain, not of the history.
        """
        also = also or {}
        labels = self.labels
        if any(one.labels for one in also.values()):
            labels = {label: one.id for one in also.values() for label in one.labels} | dict(self.labels)
        asked = tuple(dict.fromkeys(wanted))
        present: set[str] = set()
        named_by: dict[str, list[str]] = {}
        todo = [(rev, "") for rev in reversed(asked)]
        while todo:
            rev, by = todo.pop()
            one = self.revisions.get(rev) or also.get(rev)
            if one is None:
                named = named_by.setdefault(rev, [])
                if by and by not in named:
                    named.append(by)
            elif rev not in present:
                present.add(rev)
                todo += [(up, rev) for up in one.down]
                todo += [
                    (name if name in self.revisions or name in also else labels.get(name, name), rev)
                    for name in one.depends_on
                ]
        links = {rev: tuple(by) for rev, by in named_by.items()}
        return Chain(asked, frozenset(present), tuple(links), links)

    def branch_labels(self, rev: str) -> frozenset[str]:
        """The labels of the branch that a revision is on, not only those that its own file sets."""
        return self._branch_labels.get(rev, frozenset())

    @cached_property
    def _branch_labels(self) -> Mapping[str, frozenset[str]]:
        """As alembic's `_add_branches`: a label holds for all above, and below as far as nothing branches."""
        found: dict[str, set[str]] = {}
        for rev, one in self.revisions.items():
            if not one.labels:
                continue
            above = self.descendants([rev], dependencies=False)
            spread = set(above)
            if not any(self._forks(other) for other in above):
                below = self._down[rev]
                while below and below[0] not in spread and not self._forks(below[0]):
                    spread.add(below[0])
                    below = self._down[below[0]]
            for other in spread:
                found.setdefault(other, set()).update(one.labels)
        return {rev: frozenset(labels) for rev, labels in found.items()}

    def _forks(self, rev: str) -> bool:
        return len(self._all_up[rev]) > 1 or len(self.revisions[rev].down) > 1

    @cached_property
    def _straight(self) -> Links:
        """`_near` with every cycle drawn out into a line, so that what is before or after it stays so."""
        if not self.cycles:
            return self._near
        top = {rev: cycle[0] for cycle in self.cycles for rev in cycle}
        straight = {
            rev: tuple(dict.fromkeys(top.get(one, one) for one in ups)) for rev, ups in self._near.items()
        }
        for cycle in self.cycles:
            outside = [one for rev in cycle for one in straight[rev] if one != cycle[0]]
            straight |= {late: (early,) for late, early in itertools.pairwise(cycle)}
            straight[cycle[-1]] = tuple(dict.fromkeys(outside))
        return straight

    @cached_property
    def _order(self) -> tuple[str, ...]:
        heads = self.effective_heads
        if self.cycles:
            lower = {one for ups in self._straight.values() for one in ups}
            heads = tuple(rev for rev in self.revisions if rev not in lower)
        return self._sorted(self.revisions.keys(), heads)

    @cached_property
    def _walker(self) -> walk.Walker:
        return walk.Walker(self._straight)

    def _sorted(self, ids: Iterable[str], heads: Iterable[str]) -> tuple[str, ...]:
        return self._walker.sorted(ids, heads)
