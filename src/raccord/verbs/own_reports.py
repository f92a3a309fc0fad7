"""Which uncommitted changes are raccord's own reports: they hold no sync back, and are carried over it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raccord.code.facts import BranchFacts
from raccord.errors import RaccordError
from raccord.git.status import Status
from raccord.model.plan import Finding, Step
from raccord.verbs.room import Room

if TYPE_CHECKING:
    from raccord.coordination.carry import Carried


@dataclass(frozen=True, slots=True)
class Own:
    """What raccord itself wrote in one worktree, and nobody committed yet."""

    worktree: str
    carried: Carried

    @property
    def paths(self) -> tuple[str, ...]:
        """Where."""
        return self.carried.paths

    def spared(self, one: BranchFacts) -> BranchFacts:
        """The facts of its branch without what stands in the way of a move and is raccord's own."""
        return replace(one, problems=tuple(found for found in one.problems if not self._names(found)))

    def _names(self, problem: Finding) -> bool:
        paths: Sequence[str] = problem.data.get("paths", ())
        return bool(paths) and set(paths) <= set(self.paths)

    def steps(self, changed: Sequence[str]) -> tuple[Step, ...]:
        """The steps before and after a move that changes these paths; none where it leaves all alone."""
        if set(self.paths).isdisjoint(changed):
            return ()
        from raccord.coordination.carry import carry_steps

        return carry_steps(self.worktree, self.carried.keys, self.paths)


def found(room: Room, states: Mapping[str, Status | RaccordError]) -> dict[str, Own]:
    """What of each worktree's changes is raccord's own, by key; only where anything is."""
    papers = {room.config.coordination.report, room.config.coordination.archive}
    asked = [key for key, one in states.items() if isinstance(one, Status) and _concerned(one, papers)]
    if not asked or room.reading is None:
        return {}
    # Loaded here: few worktrees hold any.
    from raccord.coordination.carry import carried
    from raccord.coordination.ledger import Ledger
    from raccord.coordination.spec import Spec

    spec, ledger = Spec.configured(room.config.coordination, room.language), Ledger(room.reading)
    looks = {key: carried(room.repo.git.at(Path(key)), ledger, spec) for key in asked}
    return {key: Own(key, one) for key, one in looks.items() if one is not None and one.paths}


def _concerned(state: Status, papers: Collection[str]) -> bool:
    return not set(papers).isdisjoint((*state.unstaged, *state.untracked))
