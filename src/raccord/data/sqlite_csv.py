"""Rows of SQLite as CSV, and back. Pure.

| a value | is written | what raccord wrote is read as | what others wrote |
|---|---|---|---|
| null | as nothing | null | null |
| text | always in quotes | text | text |
| a number | without quotes | that number | text, of which the column makes what it likes |
| a blob | as its hexadecimal digits after a backslash and x | a blob | a blob, in a column of blobs or any |

PostgreSQL writes and reads the same, so that files go from one to the other; its `t` and `f` are 1 and 0 in a
column that calls itself a boolean.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from raccord.data.sqlite_rows import BATCH_SIZE, LONGEST_ROW, Row, Unreadable

_FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r\n|\n|\r)')
_BEGUN = re.compile(r'(?:"[^"]*(?:""[^"]*)*"?\r?|[^",\r\n]*\r?)\Z')  # what more may make a field of
_WHOLE = re.compile(r"-?[0-9]+")
_BLOB = re.compile(r"\\x((?:[0-9A-Fa-f]{2})*)")
_PLAIN = re.compile(r"[^\",\r\n\s][^\",\r\n]*")
TRUTHS = {"t": 1, "f": 0, "true": 1, "false": 0}
LONGEST_NUMBER = 64  # characters


def written(names: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows under a header, in blocks that memory holds."""
    some = [",".join(name if _PLAIN.fullmatch(name) else _quoted(name) for name in names)]
    size = 0
    for row in rows:
        line = ",".join([_text(value) for value in row])
        some.append(line)
        size += len(line)
        if size >= BATCH_SIZE:
            yield _block(some)
            some, size = [], 0
    if some:
        yield _block(some)


def _block(lines: list[str]) -> bytes:
    lines.append("")
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(value)
    return f"\\x{value.hex()}" if isinstance(value, bytes) else repr(value)


@dataclass(slots=True)
class Csv:
    """Takes the bytes of a file, block by block, and gives its rows on, without the header.

    Attributes:
        kinds: for each column what makes a value of what stands there without quotes, and is not empty.
        give: takes rows, as soon as there are some.
    """

    kinds: Sequence[Callable[[str], Any]]
    give: Callable[[list[Row]], object]
    _decoder: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("surrogateescape"))
    _text: str = ""
    _wanted: int = 0
    _number: int = 0

    def take(self, block: bytes) -> None:
        """The next block.

        Raises:
            Unreadable: these are no rows of this table.
        """
        self._text += self._decoder.decode(block)
        if len(self._text) >= self._wanted:
            self._read(final=False)

    def end(self) -> None:
        """There is no more.

        Raises:
            Unreadable: the last row is cut off.
        """
        self._text += self._decoder.decode(b"", True)
        if self._text and not self._text.endswith(("\n", "\r")):
            self._text += "\n"
        self._read(final=True)

    def _read(self, *, final: bool) -> None:
        if not self._number:
            self._text = self._text.removeprefix("\ufeff")
        text, at, start = self._text, 0, 0
        rows: list[Row] = []
        row: list[Any] = []
        while found := _FIELD.match(text, at):
            quoted, bare, end = found.groups()
            if end == "\r" and found.end() == len(text) and not final:
                break  # the other half of a line's end may follow
            row.append((quoted, bare))
            at = found.end()
            if end != ",":
                if self._number:
                    rows.append(self._made(row))
                self._number += 1
                row, start = [], at
        if rows:
            self.give(rows)
        if at < len(text) and (final or not _BEGUN.match(text, at)):
            raise Unreadable(f"row {self._number} can't be read: quotes stand where none may be")
        if final and row:
            raise Unreadable(f"row {self._number} is cut off")
        self._text = text[start:]
        # What a long value is a part of is not looked at again before there is twice as much of it.
        self._wanted = 2 * len(self._text)
        if len(self._text) > LONGEST_ROW:
            raise Unreadable(f"row {self._number} is longer than any may be")

    def _made(self, row: list[Any]) -> Row:
        if len(row) != len(self.kinds):
            raise Unreadable(f"row {self._number} has {len(row)} values, and not {len(self.kinds)}")
        found: list[Any] = []
        for (quoted, bare), kind in zip(row, self.kinds, strict=True):
            if quoted is not None:
                found.append(quoted.replace('""', '"'))
                continue
            try:
                found.append(kind(bare) if bare else None)
            except ValueError:
                said = "what stands without quotes is no number"
                raise Unreadable(f"row {self._number} can't be read: {said}") from None
        return found


def exact(bare: str) -> Any:
    """What raccord wrote without quotes.

    Raises:
        ValueError: it wrote no such thing.
    """
    if blob := _BLOB.fullmatch(bare):
        return bytes.fromhex(blob[1])
    if len(bare) > LONGEST_NUMBER:
        raise ValueError("number")
    return int(bare) if _WHOLE.fullmatch(bare) else float(bare)


def loose(type_: str, affinity: str) -> Callable[[str], Any]:
    """What others wrote without quotes, into a column."""
    if "bool" in type_:
        return lambda bare: TRUTHS.get(bare.lower(), bare)
    if affinity == "blob":
        return _perhaps_blob
    return str


def _perhaps_blob(bare: str) -> Any:
    found = _BLOB.fullmatch(bare)
    return bytes.fromhex(found[1]) if found else bare
