"""What was tried of a hook: a line before it is sent and one after, on the disk before anything goes on.

What was sent and has no answer may have run: nobody sends it again unless a person says so.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from raccord.kernel import fs

LOGS = "logs"  # below raccord's own folder; a run's are removed with it
SENT, UNHEARD, WRONG, DONE, ASKED = "sent", "unheard", "wrong", "done", "asked"


@dataclass(frozen=True, slots=True)
class Attempts:
    """The log of one hook of one run."""

    path: Path

    @classmethod
    def of(cls, state: str | Path, run: str, id_: str) -> Attempts:
        """The one of a step."""
        return cls(Path(state) / LOGS / run / f"hook-{id_}.log")

    @property
    def last(self) -> str:
        """How the last attempt stands: one of the words above; "" where nothing was tried."""
        return self._last().get("what", "")

    @property
    def note(self) -> str:
        """What was said of it."""
        return self._last().get("note", "")

    def _last(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in (fs.read_or_none(self.path) or b"").split(b"\n"):
            with contextlib.suppress(ValueError):  # a line that a kill cut off says nothing yet
                found = json.loads(line)
        return found

    def add(self, what: str, note: str = "") -> None:
        """Writes down how it stands.

        Raises:
            CannotRun: it can't be written.
        """
        new = not self.path.exists()
        fs.make_dirs(self.path.parent)
        with fs.appending(self.path) as file:
            file.write(b"\n" + json.dumps({"what": what, "note": note, "at": time.time()}).encode() + b"\n")
        fs.sync_file(self.path)
        if new:
            fs.sync_dir(self.path.parent)
