"""What goes on, on a terminal, for what lasts over a second: a line for each running lane, and a count.

Writes nothing where standard error is no terminal, and leaves nothing on the screen.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import IO, TYPE_CHECKING

from raccord.model.event import Event
from raccord.model.text import shown

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

PATIENCE = 1.0
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Progress:
    """Listens to a run, from any thread, while its block lasts.

    Args:
        patience: seconds before anything is shown.
        quiet: whether nothing ever is: the terminal is a command's.
    """

    def __init__(
        self, stream: IO[str], *, color: bool = True, patience: float = PATIENCE, quiet: bool = False
    ) -> None:
        self._stream, self._color = stream, color
        self._lock = threading.RLock()  # the first refresh comes from within `_show`
        self._running: dict[str, tuple[str, float]] = {}  # lane -> what it does, since when
        self._counts = {"done": 0, "held": 0, "stopped": 0}
        self._whole = ""
        self._live: Live | None = None
        self._over = self._due = False
        self._pauses = 0  # whoever asks a person may do so in a longer pause
        self._timer: threading.Timer | None = None
        if stream.isatty() and not quiet:
            self._timer = threading.Timer(patience, self._show)
            self._timer.daemon = True

    def __enter__(self) -> Progress:
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        with self._lock:
            self._over = True
            live = self._live
        # Outside the lock: the last refresh asks for the text.
        if live is not None:
            live.stop()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Shows nothing while the block lasts: the screen is somebody else's."""
        with self._lock:
            live, self._live = self._live, None
            self._pauses += 1
        if live is not None:
            live.stop()
        try:
            yield
        finally:
            with self._lock:
                self._pauses -= 1
                again = self._due and not self._pauses
            if again:
                self._show()

    def listen(self, event: Event) -> None:
        """Takes an event."""
        with self._lock:
            if not event.lane:
                self._whole = event.text
            elif event.what in self._counts:
                self._running.pop(event.lane, None)
                self._counts[event.what] += 1
            else:
                since = self._running.get(event.lane, ("", time.monotonic()))[1]
                self._running[event.lane] = (event.text, since)

    def text(self, height: int, now: float) -> Text:
        """What to show on a screen of so many lines, at this time of the monotonic clock."""
        from rich.text import Text

        with self._lock:
            running, counts, whole = dict(self._running), dict(self._counts), self._whole
        words = {"done": "done", "held": "held back", "stopped": "waiting for you"}
        tally = [f"{counts[what]} {words[what]}" for what in words if counts[what]]
        spin = SPINNER[int(now * 8) % len(SPINNER)]
        # Before the first lane there is nothing to count yet.
        begun = running or tally
        count = ", ".join([f"{len(running)} running", *tally]) if begun else "" if whole else "looking"
        lines = [" ".join(filter(None, (spin, shown(whole), count)))]
        room = max(1, height - 3)
        for lane, (what, since) in list(running.items())[:room]:
            lasted = f" ({now - since:.0f} s)" if now - since >= 2 else ""
            # A worktree's lane is named by its path, of which the end tells most.
            lines.append(f"  {shown(os.path.basename(lane) or lane)}: {shown(what)}{lasted}")
        if len(running) > room:
            lines.append(f"  and {len(running) - room} more")
        text = Text("\n").join(Text(line, "bold" if at == 0 else "") for at, line in enumerate(lines))
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def _show(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, no_color=True if not self._color else None, highlight=False)
        live = Live(
            get_renderable=lambda: self.text(console.height, time.monotonic()),
            console=console,
            transient=True,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with self._lock:
            self._due = True
            if self._over or self._pauses or self._live is not None:
                return
            self._live = live
            live.start()
