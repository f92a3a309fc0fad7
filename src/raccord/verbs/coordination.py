"""`raccord watch`, `consolidate`, `consolidations` and `changes`: the watched files of every worktree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from raccord.code.base import choose_remote, find_base
from raccord.coordination.evidence import Witness
from raccord.coordination.keeper import Keeper
from raccord.coordination.ledger import Ledger
from raccord.coordination.owners import AGENTS, owner
from raccord.coordination.running import Beside, Running
from raccord.coordination.service import AutoSyncService
from raccord.coordination.spec import Owners, Past, Spec, reporting
from raccord.errors import RaccordError, UsageError
from raccord.git.refs import read
from raccord.git.worktrees import Worktree, worktrees
from raccord.model.coordination import Change, Consolidation, Root
from raccord.model.report_coordination import (
    ChangeReport,
    ConsolidateReport,
    ConsolidationReport,
    HubReport,
)
from raccord.model.text import shown
from raccord.verbs.channels import courier
from raccord.verbs.hub import link, report
from raccord.verbs.leases import LeaseVerbs
from raccord.verbs.room import Room


def roots(room: Room) -> Sequence[Root]:
    """Every worktree that has files, as it is now."""
    return [_root(tree) for tree in _there(room)]


def home(room: Room) -> Worktree | None:
    """The worktree that takes the reports, as it is now."""
    trees = _there(room)
    found = reporting([_root(tree) for tree in trees], room.config.coordination.worktree)
    return next((tree for tree in trees if found is not None and str(tree.path) == found.path), None)


def _there(room: Room) -> Sequence[Worktree]:
    return [tree for tree in worktrees(room.repo) if not tree.bare and not tree.missing]


def _root(tree: Worktree) -> Root:
    return Root(str(tree.path), tree.path.name, tree.branch or "", tree.main)


def keeper(room: Room) -> Keeper:
    """What watches and consolidates a workspace.

    Raises:
        UsageError: the worktree that takes the reports is not there.
    """
    said = room.config.coordination
    refuse_absent(room, said.worktree)
    return Keeper(
        Ledger(room.store),
        lambda: roots(room),
        Spec.configured(said, room.language),
        owners=owners(room),
        worktree=said.worktree,
    )


def refuse_absent(room: Room, worktree: str) -> None:
    """Refuses that a worktree takes the reports which isn't there.

    Raises:
        UsageError: it isn't.
    """
    if worktree and reporting(roots(room), worktree) is None:
        raise UsageError(
            f"there is no worktree {shown(worktree)} to take the reports",
            hint="correct coordination.worktree in raccord.toml: git worktree list",
        )


def owners(room: Room) -> Owners:
    """Who makes changes, found out anew for each."""
    said = room.config.coordination
    try:
        remote = choose_remote(room.repo.settings, room.config.sync.remote)
        base = find_base(room.repo, read(room.repo.git), remote, room.config.sync.base, room.trees).branch
    except RaccordError:
        base = ""  # nothing says where branches start: their commits are all their own
    agents = {**AGENTS, **said.agents}
    witness = Witness(room.repo.git, base, room.repo.settings.get("user.name") or "")

    def owned(root: Root, contents: Mapping[str, bytes | None], past: Past) -> Mapping[str, tuple[str, str]]:
        return {
            path: owner(root, evidence, said.owners, agents)
            for path, evidence in witness.evidence(root, contents, past).items()
        }

    return owned


def running(room: Room, *, polling: bool = False) -> Running:
    """What watches every worktree, not started yet."""
    made = Running(keeper(room), extra=_lists(room), polling=polling)
    made.beside += _beside(room, made)
    return made


def _beside(
    room: Room, made: Running, took: Callable[[Spec], object] = lambda spec: None
) -> Sequence[Beside]:
    """What works along with a running service."""
    from raccord.verbs.afterwards import Afterwards  # both know this module
    from raccord.verbs.live import Live

    return (
        Live(room, made, courier(room, made), took),
        Afterwards(made, lambda: Room.open(room.path)),
        link(room, made),
    )


def service(room: Room, *, polling: bool = False) -> AutoSyncService:
    """The service over every worktree, not started yet."""

    def took(spec: Spec) -> None:
        made.watched_files[:] = spec.watches

    made = AutoSyncService(
        room.home,
        keeper=keeper(room),
        extra=_lists(room),
        polling=polling,
        beside=lambda running: _beside(room, running, took),
    )
    return made


def _lists(room: Room) -> Callable[[], Sequence[str]]:
    # Git lists its worktrees there: another one means other files to watch.
    listed = str(room.repo.common / "worktrees")
    return lambda: [listed]


def consolidate(room: Room) -> ConsolidateReport:
    """Looks at every watched file, and consolidates what is pending."""
    kept = keeper(room)
    kept.look()
    done = kept.consolidate()
    if done is None:
        return ConsolidateReport(None, "", "")
    home = reporting(kept.roots(), kept.worktree)
    document = str(Path(home.path) / kept.spec.report) if home is not None and not done.error else ""
    if not document:
        return ConsolidateReport(told(done.consolidation), document, done.error)
    from raccord.verbs.afterwards import afterwards  # it knows this module

    commit, troubles = afterwards(room)
    return ConsolidateReport(
        told(done.consolidation), document, done.error, commit, troubles["commit"], troubles["journals"]
    )


def changes(room: Room, *, pending: bool, limit: int) -> tuple[ChangeReport, ...]:
    """Changes that were seen, the newest first."""
    if room.reading is None:
        return ()
    ledger = Ledger(room.reading)
    found = ledger.changes(pending=pending, everywhere=True, newest=limit)
    names = ledger.exchange.names()
    return tuple(change(one, names) for one in reversed(found))


def consolidations(room: Room, search: str, limit: int) -> tuple[ConsolidationReport, ...]:
    """Consolidations, the newest first."""
    if room.reading is None:
        return ()
    ledger = Ledger(room.reading)
    names = ledger.exchange.names()
    return tuple(told(one, names) for one in ledger.consolidations(search=search, limit=limit))


def change(one: Change, names: Mapping[str, str] = MappingProxyType({})) -> ChangeReport:
    """A change as the verbs answer with it.

    Args:
        names: of other machines, by their ids.
    """
    return ChangeReport(
        one.id, one.root, one.path, one.kind, one.at, one.old, one.new, one.before, one.owner, one.how,
        one.consolidation, names.get(one.machine, one.machine),
    )  # fmt: skip


def told(one: Consolidation, names: Mapping[str, str] = MappingProxyType({})) -> ConsolidationReport:
    """A consolidation as the verbs answer with it."""
    return ConsolidationReport(
        one.id, one.trigger, one.conditions, one.at, one.changes, one.files, one.took, one.placed, one.report,
        names.get(one.machine, one.machine),
    )  # fmt: skip


@dataclass(frozen=True)
class Coordination:
    """What can be asked of the watched files of a workspace."""

    _room: Room

    @property
    def state(self) -> Path:
        """The folder of raccord's own state."""
        return self._room.state

    def watching(self, *, polling: bool = False) -> Running:
        """What watches and consolidates, to be started; of use as long as the workspace is open."""
        return running(self._room, polling=polling)

    def serving(self, *, polling: bool = False) -> AutoSyncService:
        """The service that a server speaks for, to be started."""
        return service(self._room, polling=polling)

    def consolidate(self) -> ConsolidateReport:
        """Looks at every watched file, and consolidates what is pending."""
        return consolidate(self._room)

    def changes(self, *, pending: bool = False, limit: int = 50) -> tuple[ChangeReport, ...]:
        """Changes of watched files that were seen, the newest first."""
        return changes(self._room, pending=pending, limit=limit)

    @property
    def leases(self) -> LeaseVerbs:
        """Claims on paths."""
        return LeaseVerbs(self._room)

    def hub(self, runs: int = 5) -> HubReport:
        """How this machine stands to its hub, the other machines, and their newest runs."""
        return report(self._room, runs)

    def consolidations(self, search: str = "", limit: int = 20) -> tuple[ConsolidationReport, ...]:
        """Consolidations, the newest first."""
        return consolidations(self._room, search, limit)
