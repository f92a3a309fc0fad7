"""Takes up another configuration while a service runs: an edit by hand, or `raccord config set`.

A file that raccord refuses changes nothing: the configuration before it stays in force, and the error is told
as long as it stands.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from raccord.config import FILE, PYPROJECT, Config, Source, configured, source
from raccord.coordination.running import Running
from raccord.coordination.spec import Spec
from raccord.errors import RaccordError
from raccord.kernel.fs_look import Signature, signature
from raccord.verbs.channels import Courier
from raccord.verbs.coordination import owners, refuse_absent
from raccord.verbs.room import Room

log = logging.getLogger("raccord.coordination")

LOOK_SECONDS = 0.25
YOUNG_SECONDS = 1.0  # a file that was written to so lately may be written to again within one time stamp
TROUBLE = "configuration"


class Live:
    """What follows the configuration as long as a service runs.

    Args:
        took: told what is watched and how, before anything else.
    """

    def __init__(
        self,
        room: Room,
        running: Running,
        courier: Courier,
        took: Callable[[Spec], object] = lambda spec: None,
    ) -> None:
        self._room, self._running, self._courier, self._took = room, running, courier, took
        self._files = [room.home / name for name in (FILE, PYPROJECT)]
        self._known: Sequence[Signature | None] | None = None
        self._mutex = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="raccord-config", daemon=True)

    def start(self) -> None:
        """Follows it, in a thread of its own, and tells the channels."""
        self._courier.start()
        self._room.reconfigured.append(self.take)
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._ended.set()
        self._thread.join()
        self._room.reconfigured.remove(self.take)
        self._courier.stop()

    def take(self) -> None:
        """Reads the configuration now, and takes it up where it is another one."""
        with self._mutex:
            seen = self._signatures()
            before = self._room.config, self._running.errors.get(TROUBLE)
            try:
                at, config = self._read()
            except RaccordError as error:
                self._running.failed(TROUBLE, error.message)
            else:
                self._running.recovered(TROUBLE)
                self._room.configure(at, config)
                if config != before[0]:
                    self._configure(config)
                    log.info("the configuration was taken up: %s", ", ".join(_others(before[0], config)))
            now = time.time()
            young = any(one and 0 <= now - one.mtime_ns / 1e9 < YOUNG_SECONDS for one in seen)
            self._known = None if young else seen
            after = self._room.config, self._running.errors.get(TROUBLE)
        if after != before:
            for tell in list(self._running.keeper.configured):
                tell()

    def _read(self) -> tuple[Source | None, Config]:
        at = source(self._room.home)
        config = configured(at)
        refuse_absent(self._room, config.coordination.worktree)
        return at, config

    def _configure(self, config: Config) -> None:
        keeper, room = self._running.keeper, self._room
        spec = Spec.configured(config.coordination, room.language)
        self._took(spec)
        keeper.spec = spec
        keeper.worktree = config.coordination.worktree
        keeper.owners = owners(room)
        self._courier.channels, self._courier.language = config.channels, room.language
        self._running.again()

    def _signatures(self) -> list[Signature | None]:
        return [_seen(path) for path in self._files]

    def _work(self) -> None:
        last = None
        while not self._ended.wait(LOOK_SECONDS):
            seen = self._signatures()
            # Editors write in several goes: what is another at each look is not whole yet.
            if seen != self._known and seen == last:
                self.take()
            last = seen


def _seen(path: Path) -> Signature | None:
    try:
        return signature(path)
    except OSError:
        return None  # whoever reads it is told why it can't be


def _others(before: Config, after: Config) -> list[str]:
    """The names of what is another; no values, since some are secrets."""
    found = []
    for spec in dataclasses.fields(Config):
        old, new = getattr(before, spec.name), getattr(after, spec.name)
        if old == new:
            continue
        if dataclasses.is_dataclass(new):
            names = [one.name for one in dataclasses.fields(new)]
            found += [f"{spec.name}.{one}" for one in names if getattr(old, one) != getattr(new, one)]
        else:
            found.append(spec.name)
    return found
