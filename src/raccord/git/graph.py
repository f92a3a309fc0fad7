"""The commits between bases and many branches, from one listing; the questions are answered in memory.

Two spawns for any number of branches: the best common ancestors of all tips, then every commit that isn't
behind all of them. What is behind all of them is in every tip, so that no difference of two tips needs it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from raccord.git.changes import patch_ids, same_changes
from raccord.git.gitdir import common_of, content, gitdir_at
from raccord.git.run import Git

__all__ = ["Graph", "graph", "patch_ids", "same_changes"]


@dataclass(frozen=True)
class Graph:
    """The part of history in which `tips` differ. Every question is about two of the tips.

    An answer is None where history is cut (a shallow clone) or a tip is missing, so that nobody knows.
    Asking about a commit that is no tip raises KeyError.

    Attributes:
        parents: each commit's, children before parents.
        tips: the commits that it was made for.
        common: the best common ancestors of all tips; they and what is behind them is not in `parents`.
        cut: the commits whose parents a shallow clone left out.
        missing: the tips that are not in the repository, or no commits.
    """

    parents: Mapping[str, tuple[str, ...]]
    tips: tuple[str, ...]
    common: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()
    missing: frozenset[str] = field(default=frozenset())

    def picks(self, base: str, tip: str) -> tuple[str, ...] | None:
        """The commits of `tip` that `base` has not, oldest first, in a rebase's order; merges included."""
        if self._unknown(base, tip):
            return None
        masks, held, wanted = self._masks, self._bits[base], self._bits[tip]
        inside = {oid for oid, mask in masks.items() if mask & wanted and not mask & held}
        return tuple(reversed(_topological(tip, inside, self.parents)))

    def ahead(self, base: str, tip: str) -> int | None:
        """How many commits `tip` has that `base` has not."""
        if self._unknown(base, tip):
            return None
        held, wanted = self._bits[base], self._bits[tip]
        return sum(count for mask, count in self._counts.items() if mask & wanted and not mask & held)

    def behind(self, base: str, tip: str) -> int | None:
        """How many commits `base` has that `tip` has not."""
        return self.ahead(tip, base)

    def is_ancestor(self, old: str, new: str) -> bool | None:
        """Whether `new` holds `old`; a commit holds itself."""
        bit = self._bits[new]
        if old == new:
            return True
        if self._bits[old] and old not in self.missing | {new} and new not in self.missing:
            # What isn't in `parents` is behind all tips.
            if old not in self.parents or self._masks[old] & bit:
                return True
            return None if self._unknown(old, new) else False
        return None

    def merge_bases(self, one: str, other: str) -> tuple[str, ...] | None:
        """All best common ancestors, several in a criss-cross; () for histories that share nothing."""
        if one == other and one not in self.missing:
            return (one,)
        if self._unknown(one, other):
            return None
        for tip in (one, other):
            if tip not in self.parents:
                return (tip,)
        both = self._bits[one] | self._bits[other]
        shared = [oid for oid, mask in self._masks.items() if mask & both == both]
        behind = {parent for oid in shared for parent in self.parents[oid]}
        best = [oid for oid in shared if oid not in behind]
        return (*best, *sorted(self.common - behind))

    @cached_property
    def _bits(self) -> dict[str, int]:
        return {tip: 1 << number for number, tip in enumerate(self.tips)}

    @cached_property
    def _masks(self) -> dict[str, int]:
        """Which tips hold each commit, a bit for each tip."""
        masks = dict.fromkeys(self.parents, 0)
        for tip, bit in self._bits.items():
            if tip in masks:
                masks[tip] |= bit
        for oid, parents in self.parents.items():
            mask = masks[oid]
            for parent in parents:
                if parent in masks:
                    masks[parent] |= mask
        return masks

    @cached_property
    def _counts(self) -> Counter[int]:
        return Counter(self._masks.values())

    @cached_property
    def _cuts(self) -> tuple[int, ...]:
        return tuple({self._masks[oid] for oid in self.cut})

    def _unknown(self, one: str, other: str) -> bool:
        """Whether a cut hides commits that could belong to one of two tips alone."""
        first, second = self._bits[one], self._bits[other]
        if one in self.missing or other in self.missing:
            return True
        return any(bool(mask & first) != bool(mask & second) for mask in self._cuts)


def graph(git: Git, tips: Sequence[str]) -> Graph:
    """Reads the commits that some of `tips` (full object ids, bases among them) have and others have not.

    Raises:
        ProcessFailed: git failed.
    """
    wanted = tuple(dict.fromkeys(tips))
    missing: frozenset[str] = frozenset()
    if not wanted:
        return Graph({}, ())
    found = git.run("merge-base", "--octopus", "--all", *wanted)
    if found.returncode not in (0, 1):
        missing = _missing(git, wanted)
        if not missing:
            found.check()
        present = [tip for tip in wanted if tip not in missing]
        if not present:
            return Graph({}, wanted, missing=missing)
        found = git.run("merge-base", "--octopus", "--all", *present)
        if found.returncode not in (0, 1):
            found.check()
    common = frozenset(found.stdout.decode().split())
    asked = [*(tip for tip in wanted if tip not in missing), *(f"^{oid}" for oid in sorted(common))]
    listed = git.out("rev-list", "--parents", "--topo-order", "--stdin", stdin="\n".join(asked).encode())
    parents = {}
    for line in listed.decode().splitlines():
        oid, *above = line.split(" ")
        parents[oid] = tuple(above)
    return Graph(parents, wanted, common, _cut(git).intersection(parents), missing)


def _topological(tip: str, inside: set[str], parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    """`inside` as git's `--topo-order` lists it from `tip`: no parent before its children, lines unmixed.

    The algorithm is `sort_in_topological_order` of git's commit.c: the parent that was freed last is next.
    """
    waiting = Counter(parent for oid in inside for parent in parents[oid] if parent in inside)
    ready = [tip] if tip in inside else []
    order = []
    while ready:
        oid = ready.pop()
        order.append(oid)
        for parent in parents[oid]:
            if parent in inside:
                waiting[parent] -= 1
                if not waiting[parent]:
                    ready.append(parent)
    return order


def _missing(git: Git, oids: Sequence[str]) -> frozenset[str]:
    asked = "".join(f"{oid}^{{commit}}\n" for oid in oids).encode()
    said = git.out("cat-file", "--batch-check", stdin=asked).decode().splitlines()
    return frozenset(oid for oid, line in zip(oids, said, strict=True) if line.split(" ")[1:2] != ["commit"])


def _cut(git: Git) -> frozenset[str]:
    gitdir = gitdir_at(str(git.cwd)) or str(git.cwd)
    said = content(os.path.join(common_of(gitdir), "shallow"))
    return frozenset(said.decode("ascii", "replace").split()) if said else frozenset()
