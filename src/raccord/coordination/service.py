"""Watching and consolidating as a service inside somebody's own program, with or without git.

The names, attributes and answers are those that programs were written against; they work with and without
`await`, since looking and consolidating take milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from raccord.config import WATCHES
from raccord.coordination.keeper import Consolidated, Keeper
from raccord.coordination.ledger import Ledger
from raccord.coordination.report import report
from raccord.coordination.running import Beside, Running
from raccord.coordination.spec import Spec
from raccord.coordination.watch import Mode
from raccord.kernel import fs
from raccord.kernel.store import Store
from raccord.model.coordination import Change, Consolidation, Root, Trigger, file_type, local
from raccord.model.plan import Json

T = TypeVar("T", bound="Settled")
log = logging.getLogger("raccord.coordination")

STATE = ".raccord"
DATABASE = "state.db"


class Settled:
    """A result that is there already, and that may be awaited all the same."""

    def __await__(self: T) -> Generator[Any, None, T]:
        yield from ()
        return self


class Answer(Settled, dict[str, Any]):
    """A result as a mapping."""


class Text(Settled, str):
    """A result as text."""


@dataclass(frozen=True, slots=True)
class FileChecksum:
    """What is known of a watched file.

    Attributes:
        checksum: 128 bits as 32 hexadecimal digits.
        last_modified: when it was last seen to be another, local time.
        agent_owner: who changed it last; None where that isn't known.
    """

    file_path: str
    checksum: str
    last_modified: datetime
    agent_owner: str | None = None


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """A change that is pending.

    Attributes:
        event_type: "created", "modified", "deleted" or "renamed".
        timestamp: local time.
        agent_owner: who made it; "unknown" where that isn't known.
        worktree: the path of the worktree.
    """

    event_type: str
    file_path: str
    timestamp: datetime
    old_checksum: str | None = None
    new_checksum: str | None = None
    agent_owner: str | None = None
    worktree: str = ""

    @classmethod
    def of(cls, one: Change) -> SyncEvent:
        """A change of the ledger's."""
        at = datetime.fromisoformat(local(one.at))
        return cls(one.kind, one.path, at, one.old or None, one.new or None, one.owner, one.root)


@dataclass(frozen=True, slots=True)
class ConsolidationTrigger:
    """Why changes are consolidated.

    Attributes:
        trigger_type: "threshold", "time_based" or "manual".
        timestamp: local time.
    """

    trigger_type: Trigger
    conditions_met: dict[str, Any]
    timestamp: datetime

    @classmethod
    def of(cls, one: Consolidation) -> ConsolidationTrigger:
        """The trigger of a consolidation."""
        return cls(one.trigger, dict(one.conditions), datetime.fromisoformat(local(one.at)))

    def document(self) -> dict[str, Json]:
        """Itself for JSON."""
        return {
            "trigger_type": self.trigger_type,
            "conditions_met": self.conditions_met,
            "timestamp": self.timestamp.isoformat(timespec="seconds"),
        }


Callback = Callable[[ConsolidationTrigger], object]


class AutoSyncService:
    """Sees changes of the watched files, and consolidates them by threshold, by time or by hand.

    Args:
        repo_root: the directory whose files are watched.
        check_interval_seconds: between two full looks; changes are seen as they happen all the same.
        consolidation_threshold: pending changes from which on they are consolidated.
        consolidation_interval_minutes: after which pending changes are consolidated.
        keeper: what does the work, where somebody has one already.
        extra, polling: see `Running`.
        beside: makes what works as long as the service does.

    Attributes:
        checksums: `FileChecksum` by path, below `repo_root`.
        pending_changes: `SyncEvent`s that no consolidation told of.
        watched_files: patterns; may be changed at any time.
        polling: whether files are looked at by the clock in any case.
    """

    def __init__(
        self,
        repo_root: str | Path = ".",
        check_interval_seconds: float = 30,
        consolidation_threshold: int = 5,
        consolidation_interval_minutes: float = 60,
        *,
        language: str = "en",
        trigger_check_seconds: float = 60,
        keeper: Keeper | None = None,
        extra: Callable[[], Sequence[str]] = lambda: (),
        polling: bool = False,
        beside: Callable[[Running], Sequence[Beside]] | None = None,
    ) -> None:
        self.repo_root = Path(repo_root).absolute()
        self.watched_files = list(WATCHES if keeper is None else keeper.spec.watches)
        self._store: Store | None = None
        self._keeper = keeper
        self._spec = Spec(
            check_seconds=check_interval_seconds,
            threshold=consolidation_threshold,
            interval_minutes=consolidation_interval_minutes,
            trigger_seconds=trigger_check_seconds,
            language=language,
        )
        self._extra, self.polling, self._beside = extra, polling, beside
        self._callbacks: list[Callback] = []
        self._running_now: Running | None = None

    @property
    def _running(self) -> bool:
        return self._running_now is not None

    @property
    def watching(self) -> Mode | None:
        """How files are watched; None while they aren't."""
        return self._running_now.mode if self._running_now else None

    @property
    def errors(self) -> dict[str, str]:
        """What failed last, by what was done: see `Running`."""
        return dict(self._running_now.errors) if self._running_now else {}

    @property
    def keeper(self) -> Keeper:
        """What looks and records; its state is in `.raccord/` below the directory unless one was given."""
        if self._keeper is None:
            folder = fs.self_ignoring(self.repo_root / STATE)
            self._store = Store(folder / DATABASE)
            self._keeper = Keeper(Ledger(self._store), self._roots, self._spec)
        self._take_up(self._keeper)
        return self._keeper

    def _roots(self) -> list[Root]:
        if self._keeper is not None:
            self._take_up(self._keeper)
        return [Root(str(self.repo_root), self.repo_root.name, main=True)]

    def _take_up(self, keeper: Keeper) -> None:
        watches = tuple(self.watched_files)
        if watches != keeper.spec.watches:
            keeper.spec = replace(keeper.spec, watches=watches)

    @property
    def check_interval_seconds(self) -> float:
        """Seconds between two full looks."""
        return self.keeper.spec.check_seconds

    @property
    def consolidation_threshold(self) -> int:
        """Pending changes from which on they are consolidated."""
        return self.keeper.spec.threshold

    @property
    def consolidation_interval_minutes(self) -> float:
        """Minutes after which pending changes are consolidated."""
        return self.keeper.spec.interval_minutes

    @property
    def checksums(self) -> dict[str, FileChecksum]:
        """What is known of the watched files, by path below `repo_root`."""
        return {
            one.state.path: FileChecksum(
                one.state.path,
                one.state.checksum,
                datetime.fromisoformat(local(one.state.seen)),
                one.owner,
            )
            for one in self.keeper.standing()
            if one.root == str(self.repo_root)
        }

    @property
    def pending_changes(self) -> list[SyncEvent]:
        """What no consolidation told of, the oldest first."""
        return [SyncEvent.of(one) for one in self.keeper.ledger.changes(pending=True)]

    async def start(self) -> None:
        """Starts watching; the checksums are there when it returns."""
        self.begin()
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Ends watching; what was seen is kept."""
        await asyncio.to_thread(self.end)

    def begin(self) -> None:
        """Starts the threads that watch and consolidate; returns once all files were looked at."""
        if self._running_now is None:
            running = Running(self.keeper, extra=self._extra, polling=self.polling)
            self.keeper.consolidated.append(self._consolidated)
            if self._beside is not None:
                running.beside += self._beside(running)
            running.start()
            self._running_now = running

    def end(self) -> None:
        """Ends them."""
        if self._running_now is None:
            return
        self._running_now.stop()
        self._running_now = None
        self.keeper.consolidated.remove(self._consolidated)
        if self._store is not None:
            self._store.close()
            self._store = self._keeper = None

    def _consolidated(self, one: Consolidated) -> None:
        trigger = ConsolidationTrigger.of(one.consolidation)
        for tell in list(self._callbacks):
            try:
                made = tell(trigger)
                if asyncio.iscoroutine(made):
                    asyncio.run(made)
            except Exception:
                # A program's own code must not end the service; its log has what went wrong.
                log.exception("a callback failed")

    def get_status(self) -> dict[str, Any]:
        """The status, field by field as `GET /api/sync/status` gives it."""
        keeper = self.keeper
        last = keeper.ledger.consolidations(limit=1, own=True)
        known = keeper.ledger.tracked()
        tracked = sum(known.get(one.path, 0) for one in keeper.known_roots())
        return {
            "running": self._running,
            "pending_changes": keeper.ledger.waiting(),
            "last_consolidation": local(last[0].at) if last else None,
            "watched_files": len(self.watched_files),
            "checksums_tracked": tracked,
            "consolidation_threshold": keeper.spec.threshold,
            "check_interval_seconds": keeper.spec.check_seconds,
        }

    def trigger_manual_consolidation(self) -> Answer:
        """Consolidates now, whatever the triggers say; the answer of `POST /api/sync/consolidate`."""
        keeper = self.keeper
        keeper.look()
        done = keeper.consolidate()
        if done is None:
            now = ConsolidationTrigger("manual", {"pending_changes": 0}, datetime.now().astimezone())
            trigger = replace(now, timestamp=now.timestamp.replace(tzinfo=None))
            return Answer(status="success", trigger=trigger.document(), changes_consolidated=0)
        trigger = ConsolidationTrigger.of(done.consolidation)
        said = Answer(
            status="success" if not done.error else "error",
            trigger=trigger.document(),
            changes_consolidated=done.consolidation.changes,
        )
        if done.error:
            said["error"] = done.error
        return said

    def register_consolidation_callback(self, callback: Callback) -> None:
        """Has a function called after each consolidation, with its trigger."""
        self._callbacks.append(callback)

    def _initialize_checksums(self) -> Answer:
        self.keeper.look()
        return Answer(self.checksums)

    def _generate_consolidation_report(self, trigger: ConsolidationTrigger) -> Text:
        keeper = self.keeper
        return Text(
            report(
                "preview",
                trigger.trigger_type,
                trigger.conditions_met,
                trigger.timestamp.timestamp(),
                keeper.ledger.changes(pending=True),
                keeper.spec.language,
            )
        )

    def _get_file_type(self, path: str | Path) -> str:
        return file_type(str(path))


_service: AutoSyncService | None = None
_making = threading.Lock()


def get_auto_sync_service(**arguments: Any) -> AutoSyncService:
    """The one service of this process, made at the first call.

    Args:
        arguments: of `AutoSyncService`, for that first call.
    """
    global _service
    with _making:
        if _service is None:
            _service = AutoSyncService(**arguments)
        return _service


@contextlib.asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[None]:
    """Starts the service with an ASGI application, and ends it with it."""
    service = get_auto_sync_service()
    await service.start()
    try:
        yield
    finally:
        await service.stop()
