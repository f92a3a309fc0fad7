"""Gives the engine its step handlers: one for each kind of step that this release knows."""

from __future__ import annotations

from raccord.checks.steps import GateRun, GateSetup
from raccord.code.by_hand import RebaseHandler, ThenHandler
from raccord.code.fetch import forget
from raccord.code.hooks import HookHandler
from raccord.code.keeping import CompareHandler, RestoreHandler, SnapshotHandler
from raccord.code.moves import MoveHandler
from raccord.code.push import PushHandler
from raccord.data.steps import KeepHandler
from raccord.data.steps import PushHandler as DataPushHandler
from raccord.data.steps import ReturnHandler as DataReturnHandler
from raccord.migrations.archive import Archive
from raccord.migrations.backups import BackupHandler
from raccord.migrations.backups import RestoreHandler as DatabaseRestoreHandler
from raccord.migrations.fork_steps import DropHandler, ForkHandler, RemakeHandler
from raccord.migrations.pointing import PointHandler
from raccord.migrations.rollback_steps import RollbackHandler
from raccord.migrations.steps import ExcludeHandler, FilesHandler
from raccord.migrations.upgrade_steps import UpgradeHandler
from raccord.model.handler import Handler
from raccord.verbs.data_sets import environments
from raccord.verbs.lanes import after_rebase
from raccord.verbs.room import PUSHED, Room


def handlers(room: Room) -> list[Handler]:
    """The handlers of a workspace, sorted by kind."""
    repo, store = room.repo, room.store
    shelf, wait = Archive(repo), float(room.config.sync.lock_wait_seconds)
    return [
        BackupHandler(),
        ForkHandler(shelf, wait),
        RemakeHandler(shelf, wait),
        DatabaseRestoreHandler(shelf, wait),
        DropHandler(shelf, wait),
        KeepHandler(),
        DataPushHandler(lambda name: environments(room).target(name), wait),
        DataReturnHandler(lambda name: environments(room).target(name), wait),
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
        CompareHandler(repo),
        ExcludeHandler(),
        FilesHandler(repo),
        RollbackHandler(shelf, wait),
        UpgradeHandler(shelf, wait),
        PointHandler(repo),
        MoveHandler(repo, room.shared),
        RestoreHandler(repo),
        SnapshotHandler(repo),
    ]
