"""How far a push came: a line for each object that is done, in raccord's own state, read after a kill."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO

from raccord.kernel import fs

FILES = "files"  # below raccord's own folder
EVERY = 0.1  # seconds of lines that a kill may take along; each write would stop thirty threads


@dataclass(frozen=True, slots=True)
class Done:
    """One object as a push left it.

    Attributes:
        key: its name.
        etag: its version; "" where it was removed.
        size: in bytes.
        sha256: of its bytes; "" where it was removed.
        source: the version that it was filled from.
        proven: whether its etag shows what it holds.
    """

    key: str
    etag: str
    size: int = 0
    sha256: str = ""
    source: str = ""
    proven: bool = False


NAMES = tuple(one.name for one in fields(Done))


@dataclass(slots=True)
class Log:
    """The log of one push. Losing lines of it costs reading, and nothing else."""

    path: Path
    _file: IO[bytes] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _waiting: list[bytes] = field(default_factory=list, repr=False)
    _written: float = 0.0

    @classmethod
    def of(cls, state: str | Path, id_: str) -> Log:
        """The one of an id."""
        return cls(Path(state) / FILES / f"{id_}.log")

    def read(self) -> dict[str, Done] | None:
        """What is done, by key; None where it was never begun."""
        data = fs.read_or_none(self.path)
        if data is None:
            return None
        found = {}
        for line in data.split(b"\n"):
            with contextlib.suppress(ValueError, TypeError):  # a line that a kill cut off
                one = Done(**json.loads(line))
                found[one.key] = one
        return found

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """While the block lasts, lines can be added."""
        fs.make_dirs(self.path.parent)
        with fs.appending(self.path) as file:
            file.write(b"\n")
            self._file = file
            try:
                yield
            finally:
                with self._lock:
                    self._write()
                self._file = None

    def add(self, done: Done) -> None:
        """Adds a line; it is written soon."""
        line = json.dumps({name: getattr(done, name) for name in NAMES}).encode() + b"\n"
        with self._lock:
            self._waiting.append(line)
            if time.monotonic() - self._written > EVERY:
                self._write()

    def leave(self, left: Mapping[str, str]) -> None:
        """Writes down what was left out, and why; the last word counts."""
        with self._lock:
            self._waiting.append(json.dumps({"left": dict(left)}).encode() + b"\n")
            self._write()

    def _write(self) -> None:
        if self._file is not None and self._waiting:
            self._file.write(b"".join(self._waiting))
            self._waiting.clear()
            self._written = time.monotonic()

    def left(self) -> dict[str, str]:
        """What was left out, and why."""
        found: dict[str, str] = {}
        for line in (fs.read_or_none(self.path) or b"").split(b"\n"):
            with contextlib.suppress(ValueError):
                document = json.loads(line)
                found = document.get("left", found)
        return found

    def forget(self) -> None:
        """Removes it."""
        fs.unlink(self.path)
