"""A history as its files tell it: who is whose parent, where it begins and ends, and what is wrong with it.

Unlike alembic's own map it stands holes, cycles and duplicates: it names them and answers for the rest. Never
reads a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from raccord.migrations import walk
from raccord.migrations.revision import Revision
from raccord.migrations.walk import Links


@dataclass(frozen=True, slots=True)
class Clash:
    """A branch label that something else is already called.

    Attributes:
        label: the name.
        ids: the revisions that carry it as a label or as their id.
    """

    label: str
    ids: tuple[str, ...]


class History:
    """A history, whole or with holes.

    Args:
        revisions: in the order in which alembic lists the files: version locations as configured, names
            sorted within each. It decides between orders that are equally right, and of two revisions with
            one id the later one counts, as it does in alembic.
    """

    def __init__(self, revisions: Iterable[Revision] = ()) -> None:
        found: dict[str, Revision] = {}
        twins: dict[str, list[Revision]] = {}
        for revision in revisions:
            if (earlier := found.get(revision.id)) is not None:
                twins.setdefault(revision.id, [earlier]).append(revision)
            found[revision.id] = revision
        self.revisions: Mapping[str, Revision] = MappingProxyType(found)
        #: Ids that more than one file has, with those files; a file listed twice is there twice.
        self.duplicates: Mapping[str, tuple[Revision, ...]] = {
            rev: tuple(some) for rev, some in twins.items()
        }

    def __contains__(self, rev: object) -> bool:
        return rev in self.revisions

    def __len__(self) -> int:
        return len(self.revisions)

    def __iter__(self) -> Iterator[str]:
        return iter(self.revisions)

    def __getitem__(self, rev: str) -> Revision:
        return self.revisions[rev]

    # Who is whose parent. "Down" is by down_revision, "up" its reverse; "all" adds what `depends_on` names.

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """The revision that each branch label stands on; of two, the later."""
        return {label: one.id for one in self.revisions.values() for label in one.labels}

    @cached_property
    def dependencies(self) -> Links:
        """What each revision's `depends_on` names: ids where that is known, else the names as written."""
        return {
            one.id: tuple(
                name if name in self.revisions else self.labels.get(name, name) for name in one.depends_on
            )
            for one in self.revisions.values()
            if one.depends_on
        }

    def parents(self, rev: str) -> tuple[str, ...]:
        """The parents as the file names them, there or not."""
        return self.revisions[rev].down

    def needs(self, rev: str) -> tuple[str, ...]:
        """All that must be applied before it: parents and dependencies, there or not, each once."""
        return tuple(dict.fromkeys(self.revisions[rev].down + self.dependencies.get(rev, ())))

    @cached_property
    def _down(self) -> Links:
        have = self.revisions
        return {rev: tuple(dict.fromkeys(up for up in one.down if up in have)) for rev, one in have.items()}

    @cached_property
    def _all_down(self) -> Links:
        have, down = self.revisions, self._down
        if not self.dependencies:
            return down
        return {rev: tuple(one for one in self.needs(rev) if one in have) for rev in have}

    @cached_property
    def _up(self) -> Links:
        return walk.turned(self._down)

    @cached_property
    def _all_up(self) -> Links:
        return self._up if self._all_down is self._down else walk.turned(self._all_down)

    @cached_property
    def _near(self) -> Links:
        """Parents, and those dependencies that no ancestor has too: alembic walks along these."""
        if not self.dependencies:
            return self._down
        near = dict(self._down)
        for rev, named in self.dependencies.items():
            above = walk.reached([rev], self._down) - {rev}
            known = {name for one in above for name in self.dependencies.get(one, ())}
            kept = [name for name in named if name in self.revisions and name not in known]
            near[rev] = tuple(dict.fromkeys([*self._down[rev], *kept]))
        return near

    def children(self, rev: str, *, dependents: bool = False) -> tuple[str, ...]:
        """The revisions that have it as a parent, and with `dependents` those that depend on it."""
        return (self._all_up if dependents else self._up)[rev]

    # Where the history begins and ends, and what is wrong with it.

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The revisions that no other has as a parent, as `alembic heads` lists them."""
        return tuple(rev for rev in self.revisions if not self._up[rev])

    @cached_property
    def effective_heads(self) -> tuple[str, ...]:
        """The heads that nothing depends on either: what a version table holds once all is applied."""
        return tuple(rev for rev in self.revisions if not self._all_up[rev])

    @cached_property
    def bases(self) -> tuple[str, ...]:
        """The revisions without a parent."""
        return tuple(rev for rev, one in self.revisions.items() if not one.down)

    @cached_property
    def missing(self) -> Links:
        """What is named as a parent or dependency and is not there, with the revisions that name it."""
        holes: dict[str, list[str]] = {}
        for rev in self.revisions:
            for name in self.needs(rev):
                if name not in self.revisions:
                    holes.setdefault(name, []).append(rev)
        return {name: tuple(by) for name, by in holes.items()}

    @cached_property
    def branch_points(self) -> tuple[str, ...]:
        """The revisions with several children."""
        return tuple(rev for rev in self.revisions if len(self._up[rev]) > 1)

    @cached_property
    def merges(self) -> tuple[str, ...]:
        """The revisions with several parents."""
        return tuple(rev for rev, one in self.revisions.items() if len(one.down) > 1)

    @cached_property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Groups of revisions each of which comes before itself; one that is its own parent is a group."""
        return walk.cycles(self._all_down)

    @cached_property
    def clashes(self) -> tuple[Clash, ...]:
        """Labels that stand on several revisions or are the id of one; alembic refuses such a history."""
        taken: dict[str, list[str]] = {}
        for rev, one in self.revisions.items():
            for label in dict.fromkeys(one.labels):
                taken.setdefault(label, []).append(rev)
        for label in taken.keys() & self.revisions.keys():
            taken[label].append(label)
        return tuple(Clash(label, tuple(ids)) for label, ids in taken.items() if len(ids) > 1)

    @property
    def healthy(self) -> bool:
        """Whether alembic could load it: no hole, no cycle, no id or label twice."""
        return not (self.missing or self.duplicates or self.cycles or self.clashes)
