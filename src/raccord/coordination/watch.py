"""Waits for changes of watched files, and tells which root and files to look at. Reads, records nothing.

Only directories in which a watched file is, or could come to be, are watched, none below them. They are
counted against the system's limit first; where they are too many, or the system watches nothing, files are
looked at by the clock, and `Mode` says so.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raccord.coordination.watched import find
from raccord.errors import CannotRun
from raccord.kernel.extras import install
from raccord.model.coordination import Root
from raccord.model.globs import leads, named

DEBOUNCE_MS, STEP_MS = 40, 20  # each step wakes the thread, also where nothing changes
POLL_SECONDS = 1.0
FLOOD = 10_000  # changes in one go, above which everything is looked at
LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")


@dataclass(frozen=True, slots=True)
class Mode:
    """How files are watched.

    Attributes:
        name: "events" or "polling".
        folders: directories that are watched.
        why: polling is needed; "" where it is not.
    """

    name: Literal["events", "polling"]
    folders: int
    why: str = ""


# For each root that may have changed the paths to look at; None for all of them.
Look = Callable[[Mapping[str, Sequence[str] | None]], object]


def limit() -> int | None:
    """How many directories one user may watch; None where the system does not say."""
    try:
        return int(LIMIT.read_text("ascii"))
    except (OSError, ValueError):
        return None


def backend() -> Any:
    """The class that watches.

    Raises:
        CannotRun: the package watchfiles is not installed.
    """
    try:
        from watchfiles._rust_notify import RustNotify
    except ImportError as error:
        raise CannotRun(
            f"watching needs the package watchfiles, and it can't be imported here: {error}",
            hint=install("serve"),
        ) from error
    return RustNotify


class Watcher:
    """Watches until it is stopped, in the thread that calls `run`.

    Args:
        roots: lists what to watch; asked again at each full look.
        patterns: lists the patterns, see `watched.anchored`; asked again likewise.
        look: called with what may have changed. A full look comes first.
        seconds: between two full looks; asked again likewise.
        extra: directories outside the roots whose changes mean another list of roots.

    Attributes:
        mode: how it watches; None before it does.
    """

    def __init__(
        self,
        roots: Callable[[], Sequence[Root]],
        patterns: Callable[[], Sequence[str]],
        look: Look,
        seconds: Callable[[], float],
        *,
        extra: Callable[[], Sequence[str]] = lambda: (),
        told: Callable[[Mode], object] = lambda mode: None,
        polling: bool = False,
    ) -> None:
        self._roots, self._patterns, self._look, self._seconds = roots, patterns, look, seconds
        self._extra, self._told, self._polling = extra, told, polling
        self._stop = threading.Event()
        self._again = threading.Event()
        self._matched: tuple[str, ...] = ()
        self.mode: Mode | None = None

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stop.set()

    def again(self) -> None:
        """Asks for a full look soon: roots or patterns are others now."""
        self._again.set()

    def run(self) -> None:
        """Watches.

        Raises:
            CannotRun: nothing can be watched on this machine.
        """
        while not self._stop.is_set():
            self._again.clear()
            places = self._places()
            self._cycle(places)

    def _places(self) -> dict[str, str]:
        """Every directory to watch, and the root that it belongs to; "" for those of `extra`."""
        roots = self._roots()  # first: whoever lists them may also take up other patterns
        patterns = self._matched = tuple(self._patterns())
        found = {folder: "" for folder in self._extra() if os.path.isdir(folder)}
        for root in roots:
            found |= dict.fromkeys(find(root.path, patterns).folders, root.path)
        return found

    def _cycle(self, places: Mapping[str, str]) -> None:
        """Watches one set of directories, until it is to be another."""
        everything: dict[str, Sequence[str] | None] = dict.fromkeys(root for root in places.values() if root)
        notify, mode = self._armed(sorted(places))
        if mode != self.mode:
            self.mode = mode
            self._told(mode)
        # What happened before anybody listened shows now.
        self._look(everything)
        if notify is None:
            waited = 0.0
            while waited < self._seconds() and not self._again.is_set():
                if self._stop.wait(POLL_SECONDS):
                    return
                waited += POLL_SECONDS
                self._look(everything)
            return
        with notify:
            self._listen(notify, places)

    def _armed(self, folders: Sequence[str]) -> tuple[Any, Mode]:
        most = limit()
        if self._polling:
            return None, Mode("polling", len(folders), "asked for")
        if most is not None and len(folders) > most:
            return None, Mode("polling", len(folders), f"{len(folders)} directories, and {LIMIT} is {most}")
        made = backend()
        try:
            return made(list(folders), False, False, 0, False, True), Mode("events", len(folders))
        except (OSError, RuntimeError) as error:
            return None, Mode("polling", len(folders), " ".join(str(error).split())[:200])

    def _listen(self, notify: Any, places: Mapping[str, str]) -> None:
        waited = 0.0
        while not self._again.is_set():
            slice_ms = 500
            seen = notify.watch(DEBOUNCE_MS, STEP_MS, slice_ms, self._stop)
            if seen in ("stop", "signal") or self._stop.is_set():
                self._stop.set()
                return
            if seen == "timeout":
                waited += slice_ms / 1000
                if waited >= self._seconds():
                    return
                continue
            if len(seen) > FLOOD or self._told_of(seen, places):
                return

    def _told_of(self, seen: set[tuple[int, str]], places: Mapping[str, str]) -> bool:
        """Has what changed looked at; whether the directories are others now."""
        paths: dict[str, list[str]] = {}
        moved = False
        for _, place in seen:
            root = places.get(os.path.dirname(place))
            if not root or place in places:
                moved = True  # a directory that is watched came or went, or there are other roots
                continue
            path = os.path.relpath(place, root)
            if named(self._matched, path):
                paths.setdefault(root, []).append(path)
            elif leads(self._matched, path) and os.path.isdir(place):
                moved = True
        if paths:
            self._look({root: sorted(set(some)) for root, some in paths.items()})
        return moved
