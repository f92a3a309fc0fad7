"""Finds pg_dump and pg_restore of a server's own release, and reads an archive that they made back.

Of another release they are not taken: an older pg_dump refuses, a newer one writes settings that the server
does not know. Nothing that a server names is ever started.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from raccord.database.contents import Contents, Sum
from raccord.errors import DatabaseError
from raccord.kernel import proc
from raccord.model.text import shown

# Where the usual packages put the programs of each release.
PLACES = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
    "/Applications/Postgres.app/Contents/Versions/{major}/bin",
)
HOURS = 24 * 3600.0

_NAME = rb'(?:"(?:[^"]|"")*"|[^\s".,()]+)'
# A table without columns has an empty list, and two spaces.
_COPY = re.compile(
    rb"COPY (%(n)b)\.(%(n)b) (?:\((?:%(n)b(?:, )?)*\))? FROM stdin;\n" % {b"n": _NAME}, re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs of one release."""

    dump: str
    restore: str


def find(major: int, folders: Iterable[Path] = ()) -> tuple[Tools | None, str]:
    """The programs for a server.

    Args:
        major: the server's release, such as 16.
        folders: where to look first.

    Returns:
        The programs, or None; and why they are none.
    """
    path = proc.environment().get("PATH", "").split(os.pathsep)
    seen = []
    places = [*map(str, folders), *path, *(place.format(major=major) for place in PLACES)]
    # /bin and /usr/bin are one.
    for folder in dict.fromkeys(map(os.path.realpath, places)):
        dump, restore = (shutil.which(name, path=folder) for name in ("pg_dump", "pg_restore"))
        if dump and restore:
            version = _major(dump)
            if version == major:
                return Tools(dump, restore), ""
            seen.append(f"{dump} is of release {version or 'unknown'}")
    what = "; ".join(seen) or "no pg_dump is installed"
    return None, f"the server is of release {major}, and {what}"


def _major(program: str) -> int | None:
    said = proc.run([program, "--version"], timeout=20.0).stdout
    found = re.search(rb"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else None


def listed(tools: Tools, archive: str) -> int:
    """How many objects an archive has.

    Raises:
        DatabaseError: it can't be read.
    """
    done = proc.run([tools.restore, "--list", archive], timeout=HOURS)
    if done.returncode:
        raise _unreadable(archive, done.stderr)
    return sum(1 for line in done.stdout.splitlines() if line and not line.startswith(b";"))


def contents(tools: Tools, archive: str, encoding: str) -> Contents:
    """The rows in an archive, all of it read back; comparable with `contents.of_postgres`.

    Args:
        encoding: the database's, as Python names it.

    Raises:
        DatabaseError: it can't be read.
    """
    reader = _Reader(encoding)
    script(tools, archive, reader.take, "--data-only")
    return Contents(reader.tables)


def script(tools: Tools, archive: str, sink: Callable[[bytes], None], *more: str) -> None:
    """Gives an archive as SQL, in pieces.

    Raises:
        DatabaseError: it can't be read.
    """
    tail = b""

    def keep(data: bytes) -> None:
        nonlocal tail
        tail = (tail + data)[-2000:]
        sink(data)

    code = proc.stream(
        [tools.restore, *more, "-f", "-", archive], cwd=Path(archive).parent, sink=keep, timeout=HOURS
    )
    if code:
        raise _unreadable(archive, tail.decode("utf-8", "replace"))


def _unreadable(archive: str, said: str) -> DatabaseError:
    reasons = [line for line in said.splitlines() if " error: " in line] or ["no reason given"]
    return DatabaseError(f"the backup {shown(archive)} can't be read back: {shown(reasons[-1])}")


class Cutter:
    """Cuts pg_restore's SQL where psql would: text to execute, and the rows that each COPY takes."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._rest = b""
        self._head = b""
        self._copying = False

    def take(self, data: bytes) -> None:
        """The next piece."""
        pieces = (self._rest + data).split(b"\n")
        self._rest = pieces.pop()
        for piece in pieces:
            line = piece + b"\n"
            if self._copying:
                self._copying = line != b"\\.\n"
                if self._copying:
                    self.row(line)
                else:
                    self.end()
            elif self._head or line.startswith(b"COPY "):
                self._take_head(line)
            elif not line.startswith((b"\\restrict", b"\\unrestrict")):  # psql's own words
                self.text(line)

    def _take_head(self, line: bytes) -> None:
        # A name may hold a newline.
        self._head += line
        found = _COPY.fullmatch(self._head)
        if found:
            self.begin(self._head, (_unquoted(found[1], self._encoding), _unquoted(found[2], self._encoding)))
            self._copying = True
        elif line.endswith(b";\n"):
            self.text(self._head)
        else:
            return
        self._head = b""

    def text(self, line: bytes) -> None:
        """A line of SQL."""

    def begin(self, head: bytes, table: tuple[str, str]) -> None:
        """The COPY of a table begins."""

    def row(self, line: bytes) -> None:
        """A row of it."""

    def end(self) -> None:
        """It ends."""


class _Reader(Cutter):
    """Sums the rows."""

    def __init__(self, encoding: str) -> None:
        super().__init__(encoding)
        self.tables: dict[tuple[str, str], Sum] = {}
        self._into = Sum()

    def begin(self, head: bytes, table: tuple[str, str]) -> None:
        self._into = self.tables[table] = Sum()

    def row(self, line: bytes) -> None:
        self._into.add(line)


def _unquoted(name: bytes, encoding: str) -> str:
    if name.startswith(b'"'):
        name = name[1:-1].replace(b'""', b'"')
    return name.decode(encoding, "surrogateescape")
