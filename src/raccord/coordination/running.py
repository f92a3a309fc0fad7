"""Watching and consolidating side by side, each in its thread, until told to end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from raccord.coordination.keeper import Checked, Consolidated, Keeper
from raccord.coordination.watch import Mode, Watcher
from raccord.errors import RaccordError

log = logging.getLogger("raccord.coordination")

AGAIN_SECONDS = 5.0  # after watching failed


class Beside(Protocol):
    """What works as long as a keeper does."""

    def start(self) -> None:
        """Begins."""

    def stop(self) -> None:
        """Ends."""


class Running:
    """A keeper at work.

    Args:
        extra: see `Watcher`.
        polling: look at files by the clock, even where the system tells of changes.

    Attributes:
        mode: how files are watched; None before they are.
        errors: what went wrong last, by what was done: "watching", "checking", "consolidation",
            "configuration", "commit", "journals", "hub".
        beside: what is started and stopped with it.
    """

    def __init__(
        self, keeper: Keeper, *, extra: Callable[[], Sequence[str]] = lambda: (), polling: bool = False
    ) -> None:
        self.keeper = keeper
        self.mode: Mode | None = None
        self.errors: dict[str, str] = {}
        self.beside: list[Beside] = []
        self._ended = threading.Event()
        self._changed = threading.Event()
        self._watcher = Watcher(
            keeper.listed,
            lambda: keeper.spec.patterns,
            self._look,
            lambda: keeper.spec.check_seconds,
            extra=extra,
            told=self._told,
            polling=polling,
        )
        self._threads = [
            threading.Thread(target=self._watch, name="raccord-watch", daemon=True),
            threading.Thread(target=self._tick, name="raccord-consolidate", daemon=True),
        ]

    def start(self) -> None:
        """Looks at all files, then goes on watching and consolidating in threads.

        Raises:
            RaccordError: the first look failed; nothing is running.
        """
        self.keeper.checked.append(self._checked)
        self.keeper.consolidated.append(self._consolidated)
        try:
            self.keeper.look()
        except RaccordError:
            self._forget()
            raise
        for thread in self._threads:
            thread.start()
        for one in self.beside:
            one.start()
        log.info("AutoSyncService started successfully")

    def stop(self) -> None:
        """Ends both; what was seen is kept."""
        self._ended.set()
        self._changed.set()
        self._watcher.stop()
        for thread in self._threads:
            thread.join()
        for one in self.beside:
            one.stop()
        self._forget()
        log.info("AutoSyncService stopped")

    def again(self) -> None:
        """Takes up another specification, or other roots, now."""
        self._changed.set()
        self._watcher.again()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until it was stopped; whether it was."""
        return self._ended.wait(seconds)

    def _forget(self) -> None:
        self.keeper.checked.remove(self._checked)
        self.keeper.consolidated.remove(self._consolidated)

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                self._watcher.run()
            except RaccordError as error:
                self.failed("watching", error.message)
                self._ended.wait(AGAIN_SECONDS)

    def _look(self, paths: Mapping[str, Sequence[str] | None]) -> None:
        try:
            self.keeper.look(paths)
        except RaccordError as error:
            self.failed("checking", error.message)

    def _tick(self) -> None:
        while self._due():
            try:
                self.keeper.tick()
            except RaccordError as error:
                self.failed("consolidation", error.message)

    def _due(self) -> bool:
        """Waits for the next look at triggers; whether there is one. Its interval may change meanwhile."""
        began = time.monotonic()
        while not self._ended.is_set():
            left = began + self.keeper.spec.trigger_seconds - time.monotonic()
            if left <= 0:
                return True
            self._changed.wait(left)
            self._changed.clear()
        return False

    def failed(self, what: str, why: str) -> None:
        """Keeps what went wrong, and logs it once."""
        if self.errors.get(what) != why:
            log.error("Error in %s: %s", what, why)
        self.errors[what] = why

    def recovered(self, what: str) -> None:
        """Forgets what went wrong."""
        self.errors.pop(what, None)

    def _told(self, mode: Mode) -> None:
        self.mode = mode
        if mode.why:
            log.warning("files are looked at by the clock: %s", mode.why)

    def _checked(self, one: Checked) -> None:
        self.recovered("checking")
        for change in one.changes:
            log.info("%s %s (%s)", change.kind, change.path, change.owner)

    def _consolidated(self, one: Consolidated) -> None:
        if one.error:
            self.failed("consolidation", one.error)
        else:
            self.recovered("consolidation")
