"""Gives the engine its step handlers: one for each kind of step that this release knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from raccord.checks.steps import GateRun, GateSetup
from raccord.code.by_hand import RebaseHandler, ThenHandler
from raccord.code.fetch import forget
from raccord.code.hooks import HookHandler
from raccord.code.keeping import CompareHandler, RestoreHandler, SnapshotHandler
from raccord.code.moves import MoveHandler
from raccord.code.push import PushHandler
from raccord.model.handler import Context, Handler, Outcome, Position
from raccord.model.plan import Step
from raccord.verbs.lanes import after_rebase
from raccord.verbs.room import PUSHED, Room


def handlers(room: Room) -> list[Handler]:
    """The handlers of a workspace."""
    repo, store = room.repo, room.store
    late: list[Handler] = []
    for kinds, make in LATE:
        made = cache(lambda make=make: {one.kind: one for one in make(room)})
        late += [Late(kind, made) for kind in kinds]
    return [
        *late,
        PushHandler(
            repo,
            lambda dest: room.protected(dest.removeprefix("refs/heads/")),
            lambda remote, dest, oid: store.cache_put(PUSHED, f"{remote} {dest}", oid),
            lambda remote: forget(store, remote),
        ),
        GateRun(store),
        GateSetup(),
        HookHandler(repo),
        RebaseHandler(repo),
        ThenHandler(repo, lambda step, new: after_rebase(room, step, new)),
        MoveHandler(repo, room.shared),
        CompareHandler(repo),
        RestoreHandler(repo),
        SnapshotHandler(repo),
    ]


def _migrations(room: Room) -> list[Handler]:
    from raccord.migrations import backups, fork_steps, pointing, rollback_steps, steps, then, upgrade_steps
    from raccord.migrations.archive import Archive
    from raccord.verbs.migration_then import Later

    shelf, wait = Archive(room.repo), float(room.config.sync.lock_wait_seconds)
    return [
        backups.BackupHandler(),
        backups.RestoreHandler(shelf, wait),
        fork_steps.DropHandler(shelf, wait),
        fork_steps.ForkHandler(shelf, wait),
        fork_steps.RemakeHandler(shelf, wait),
        pointing.PointHandler(room.repo),
        rollback_steps.RollbackHandler(shelf, wait),
        steps.ExcludeHandler(room.repo),
        steps.FilesHandler(room.repo),
        then.ThenHandler(Later(room)),
        upgrade_steps.UpgradeHandler(shelf, wait),
    ]


def _data(room: Room) -> list[Handler]:
    from raccord.data.steps import KeepHandler, PushHandler, ReturnHandler
    from raccord.verbs.data_sets import environments

    wait = float(room.config.sync.lock_wait_seconds)
    return [
        KeepHandler(),
        PushHandler(lambda name: environments(room).target(name), wait),
        ReturnHandler(lambda name: environments(room).target(name), wait),
    ]


def _files(room: Room) -> list[Handler]:
    from raccord.files.steps import KeepHandler, PutHandler, VerifyHandler
    from raccord.verbs.files_sets import place_of

    return [
        KeepHandler(lambda name: place_of(room, name)),
        PutHandler(lambda name: place_of(room, name)),
        VerifyHandler(lambda name: place_of(room, name)),
    ]


# What most runs have no step of, and many repositories never: loaded once a run has one.
LATE: tuple[tuple[tuple[str, ...], Callable[[Room], list[Handler]]], ...] = (
    (("data.keep", "data.push", "data.return"), _data),
    (
        (
            "database.backup",
            "database.fork",
            "database.refork",
            "database.restore",
            "database.unfork",
            "migration.exclude",
            "migration.files",
            "migration.rollback",
            "migration.then",
            "migration.upgrade",
            "worktree.point",
        ),
        _migrations,
    ),
    (("files.keep", "files.put", "files.verify"), _files),
)


class Late:
    """A handler that is not loaded yet; all of them have the first version."""

    version = 1

    def __init__(self, kind: str, made: Callable[[], Mapping[str, Handler]]) -> None:
        self.kind = kind
        self._made = made

    @property
    def _real(self) -> Handler:
        return self._made()[self.kind]

    def probe(self, step: Step, context: Context) -> Position:
        """See the handler itself, here and below."""
        return self._real.probe(step, context)

    def apply(self, step: Step, context: Context) -> Outcome:
        """Does it."""
        return self._real.apply(step, context)

    def revert(self, step: Step, context: Context) -> None:
        """Takes a half back."""
        self._real.revert(step, context)

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        """The steps back."""
        return self._real.inverse(step, outcome)
