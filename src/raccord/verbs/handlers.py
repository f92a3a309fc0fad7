"""Gives the engine its step handlers: one for each kind of step that this release knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import cast

from raccord.model.handler import BatchHandler, Context, Handler, Outcome, Position
from raccord.model.plan import Step
from raccord.verbs.room import PUSHED, Room


def handlers(room: Room) -> list[Handler]:
    """The handlers of a workspace."""
    late: list[Handler] = []
    for kinds, make in LATE:
        made = cache(lambda make=make: {one.kind: one for one in make(room)})
        late += [Late(kind, made) for kind in kinds]
    return late


def _pushes(room: Room) -> list[Handler]:
    from raccord.code.fetch import forget
    from raccord.code.push import PushHandler

    return [
        PushHandler(
            room.repo,
            lambda dest: room.protected(dest.removeprefix("refs/heads/")),
            lambda remote, dest, oid: room.store.cache_put(PUSHED, f"{remote} {dest}", oid),
            lambda remote: forget(room.store, remote),
        )
    ]


def _gates(room: Room) -> list[Handler]:
    from raccord.checks.steps import GateRun, GateSetup

    return [GateRun(room.store), GateSetup()]


def _trees(room: Room) -> list[Handler]:
    from raccord.code.by_hand import RebaseHandler, ThenHandler
    from raccord.code.hooks import HookHandler
    from raccord.code.keeping import CompareHandler, RestoreHandler, SnapshotHandler
    from raccord.code.moves import MoveHandler
    from raccord.verbs.lanes import after_rebase

    repo = room.repo
    return [
        HookHandler(repo),
        RebaseHandler(repo),
        ThenHandler(repo, lambda step, new: after_rebase(room, step, new)),
        MoveHandler(repo, room.shared),
        CompareHandler(repo),
        RestoreHandler(repo),
        SnapshotHandler(repo),
    ]


def _copies(room: Room) -> list[Handler]:
    from raccord.migrations.steps import ExcludeHandler, FilesHandler

    return [ExcludeHandler(room.repo), FilesHandler(room.repo)]


def _databases(room: Room) -> list[Handler]:
    from raccord.migrations.archive import Archive
    from raccord.migrations.backups import BackupHandler, RestoreHandler
    from raccord.migrations.upgrade_steps import UpgradeHandler

    shelf, wait = Archive(room.repo), float(room.config.sync.lock_wait_seconds)
    return [BackupHandler(), RestoreHandler(shelf, wait), UpgradeHandler(shelf, wait)]


def _rollbacks(room: Room) -> list[Handler]:
    from raccord.migrations.archive import Archive
    from raccord.migrations.rollback_steps import RollbackHandler

    return [RollbackHandler(Archive(room.repo), float(room.config.sync.lock_wait_seconds))]


def _forks(room: Room) -> list[Handler]:
    from raccord.migrations.archive import Archive
    from raccord.migrations.fork_steps import DropHandler, ForkHandler, RemakeHandler
    from raccord.migrations.pointing import PointHandler

    shelf, wait = Archive(room.repo), float(room.config.sync.lock_wait_seconds)
    return [
        DropHandler(shelf, wait),
        ForkHandler(shelf, wait),
        RemakeHandler(shelf, wait),
        PointHandler(room.repo),
    ]


def _then(room: Room) -> list[Handler]:
    from raccord.migrations.then import ThenHandler
    from raccord.verbs.migration_then import Later

    return [ThenHandler(Later(room))]


def _data(room: Room) -> list[Handler]:
    from raccord.data.import_steps import ImportHandler
    from raccord.data.restore_steps import RestoreHandler
    from raccord.data.steps import KeepHandler, PushHandler, ReturnHandler
    from raccord.database.url import Target
    from raccord.verbs.data_import import opened
    from raccord.verbs.data_sets import environments, sql

    wait = float(room.config.sync.lock_wait_seconds)

    def resolve(name: str) -> Target:
        return environments(room).target(name)

    def texts(name: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        return sql(room, name)

    return [
        ImportHandler(resolve, wait, texts, lambda said: opened(room, said)),
        KeepHandler(),
        PushHandler(resolve, wait, texts),
        RestoreHandler(resolve, wait, texts),
        ReturnHandler(resolve, wait, texts),
    ]


def _exports(_room: Room) -> list[Handler]:
    from raccord.data.export_steps import ExportHandler

    return [ExportHandler()]


def _files(room: Room) -> list[Handler]:
    from raccord.files.steps import KeepHandler, PutHandler, VerifyHandler
    from raccord.verbs.files_sets import place_of

    return [
        KeepHandler(lambda name: place_of(room, name)),
        PutHandler(lambda name: place_of(room, name)),
        VerifyHandler(lambda name: place_of(room, name)),
    ]


def _calls(room: Room) -> list[Handler]:
    from raccord.hooks.steps import CallHandler
    from raccord.verbs.data_sets import environments
    from raccord.verbs.hooking import configured, read

    return [
        CallHandler(
            lambda name: environments(room).host(name),
            lambda source, what: read(room, source, what),
            lambda name: configured(room, name),
        )
    ]


def _reports(room: Room) -> list[Handler]:
    from raccord.coordination.carry import CarryHandler
    from raccord.coordination.commit import CommitHandler, RecordHandler
    from raccord.coordination.ledger import Ledger
    from raccord.coordination.rolling import RollHandler
    from raccord.coordination.spec import Spec
    from raccord.verbs.coordination import keeper

    spec = Spec.configured(room.config.coordination, room.language)
    see = lambda top, paths: keeper(room).look({top: paths})  # noqa: E731
    ledger = Ledger(room.store)
    return [
        CarryHandler(room.repo, ledger, spec, see),
        CommitHandler(room.repo, ledger, spec),
        RecordHandler(room.repo),
        RollHandler(room.repo, ledger),
    ]


def _settings(_room: Room) -> list[Handler]:
    from raccord.settings.steps import SetHandler
    from raccord.verbs.settings import checked

    return [SetHandler(checked)]


# Loaded once a run has a step of them: of most kinds it has none.
LATE: tuple[tuple[tuple[str, ...], Callable[[Room], list[Handler]]], ...] = (
    (("branch.push",), _pushes),
    (("data.export",), _exports),
    (("data.import", "data.keep", "data.push", "data.restore", "data.return"), _data),
    (("database.backup", "database.restore", "migration.upgrade"), _databases),
    (("database.fork", "database.refork", "database.unfork", "worktree.point"), _forks),
    (("gate.run", "gate.setup"), _gates),
    (("migration.exclude", "migration.files"), _copies),
    (("migration.rollback",), _rollbacks),
    (("migration.then",), _then),
    (("files.keep", "files.put", "files.verify"), _files),
    (("hook.call",), _calls),
    (
        (
            "hook.run",
            "rebase.open",
            "rebase.then",
            "worktree.compare",
            "worktree.follow",
            "worktree.restore",
            "worktree.snapshot",
        ),
        _trees,
    ),
    (("config.set",), _settings),
    (("journal.roll", "report.carry", "report.commit", "report.record"), _reports),
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

    def probe_batch(self, steps: Sequence[Step], contexts: Sequence[Context]) -> Sequence[Position]:
        """Of steps that go together: only handlers that know how are asked."""
        return cast(BatchHandler, self._real).probe_batch(steps, contexts)

    def apply_batch(
        self, steps: Sequence[Step], contexts: Sequence[Context]
    ) -> Sequence[Outcome | Exception]:
        """Does them."""
        return cast(BatchHandler, self._real).apply_batch(steps, contexts)

    def revert(self, step: Step, context: Context) -> None:
        """Takes a half back."""
        self._real.revert(step, context)

    def moved(self, step: Step, context: Context) -> str:
        """What somebody else changed, where the handler can tell."""
        tell: Callable[[Step, Context], str] | None = getattr(self._real, "moved", None)
        return tell(step, context) if tell else ""

    def instead(self, step: Step, run: str) -> str:
        """What brings back what an undo can't, where the handler knows."""
        tell: Callable[[Step, str], str] | None = getattr(self._real, "instead", None)
        return tell(step, run) if tell else ""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        """The steps back."""
        return self._real.inverse(step, outcome)
