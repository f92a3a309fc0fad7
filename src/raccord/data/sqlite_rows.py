"""Rows of SQLite as the bytes of an archive, and back: each value with its storage class and its bytes. Pure.

    a batch: a line of JSON, which is a list of rows; then the bytes of its long values, one after the other
    a row: a list of null, numbers and texts; {"b": base64} for a blob; {"x": length} for a blob and
        {"t": length} for a text whose bytes follow the line

Text whose bytes are no UTF-8 has them as lone surrogates, which ASCII-only JSON keeps. Whoever wrote what is
read may be anybody: no line is longer than a writer's, and no row longer than SQLite's own may be.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from raccord.model.plan import Json

Row = Sequence[Any]
Need = Generator[None, bytes, bytes]

BATCH = 1_000  # rows of a line,
BATCH_SIZE = 1 << 20  # or fewer: characters and bytes
LONG = 1 << 16  # from which size on values of a row may follow their line
NUMBER = 32  # as long as a number, or what stands around a value, at most
LONGEST_LINE = 1 << 24  # a character takes twelve of ASCII at most
LONGEST_ROW = 1_000_000_000  # bytes: https://www.sqlite.org/limits.html
VALUES = frozenset({type(None), int, float, str, bytes})


class Unreadable(ValueError):
    """Bytes that are no rows."""


def _blob(value: bytes) -> Json:
    return {"b": base64.b64encode(value).decode("ascii")}


# ASCII keeps lone surrogates; a batch at once is several times faster than row by row.
_ENCODER = json.JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":"), default=_blob)


def _unblob(said: dict[str, Any]) -> Any:
    return base64.b64decode(said["b"], validate=True) if said.keys() == {"b"} else said


_DECODER = json.JSONDecoder(object_hook=_unblob)


def encoded(rows: list[Row]) -> bytes:
    """A batch without long values, as its line."""
    return _ENCODER.encode(rows).encode("ascii") + b"\n"


def decoded(line: bytes) -> Any:
    """A line, read back."""
    return _DECODER.decode(line.decode("ascii"))


def packed(rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows as bytes, in blocks that memory holds."""
    some: list[Row] = []
    size = 0
    for row in rows:
        long = sum([len(value) for value in row if isinstance(value, str | bytes)])
        if long >= LONG:
            if some:
                yield encoded(some)
                some, size = [], 0
            yield from _long(row)
            continue
        some.append(row)
        size += long + NUMBER * len(row)
        if len(some) >= BATCH or size >= BATCH_SIZE:
            yield encoded(some)
            some, size = [], 0
    if some:
        yield encoded(some)


def _long(row: Row) -> Iterator[bytes]:
    """A row whose long values follow its line."""
    most = LONG // len(row)
    short: list[Any] = []
    follow: list[bytes] = []
    for value in row:
        if isinstance(value, str | bytes) and len(value) > most:
            text = isinstance(value, str)
            data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            short.append({"t" if text else "x": len(data)})
            follow.append(data)
        else:
            short.append(value)
    yield encoded([short])
    yield from follow


@dataclass(slots=True)
class Unpacked:
    """Takes the bytes of rows, block by block, and gives the rows on.

    Attributes:
        width: how many values a row has.
        give: takes rows, as soon as there are some.
    """

    width: int
    give: Callable[[list[Row]], object]
    _buffer: bytearray = field(default_factory=bytearray)
    _between: bool = True
    _reads: Generator[None, bytes, None] = field(init=False)

    def __post_init__(self) -> None:
        self._reads = self._batches()
        next(self._reads)

    def take(self, block: bytes) -> None:
        """The next block.

        Raises:
            Unreadable: these are no rows.
        """
        self._reads.send(block)

    def end(self) -> None:
        """There is no more.

        Raises:
            Unreadable: the last row is cut off.
        """
        if self._buffer or not self._between:
            raise Unreadable("they are cut off")

    def _batches(self) -> Generator[None, bytes, None]:
        while True:
            self._between = True
            line = yield from self._line()
            self._between = False
            try:
                rows = decoded(line)
            except (ValueError, TypeError, RecursionError):
                raise Unreadable("a line is no JSON of rows") from None
            if not isinstance(rows, list):
                raise Unreadable("a line is no list")
            some: list[Row] = []
            for row in rows:
                if not isinstance(row, list) or len(row) != self.width:
                    raise Unreadable(f"a row has not {self.width} values")
                kinds = {*map(type, row)}
                if dict in kinds:
                    self._given(some)
                    some = []
                    yield from self._filled(row)
                    kinds = {*map(type, row)}
                    self._check(kinds)
                    self.give([row])
                    continue
                self._check(kinds)
                some.append(row)
            self._given(some)

    def _given(self, rows: list[Row]) -> None:
        if rows:
            self.give(rows)

    def _check(self, kinds: set[type]) -> None:
        if not kinds <= VALUES:
            raise Unreadable("a value is of another kind")

    def _filled(self, row: list[Any]) -> Generator[None, bytes, None]:
        """Puts the long values into a row."""
        left = LONGEST_ROW
        for at, value in enumerate(row):
            if type(value) is not dict:
                continue
            ((kind, length),) = value.items() if len(value) == 1 else (("", 0),)
            if kind not in ("t", "x") or type(length) is not int or not 0 <= length <= left:
                raise Unreadable("a long value is none")
            left -= length
            data = yield from self._exactly(length)
            row[at] = data.decode("utf-8", "surrogateescape") if kind == "t" else data

    def _line(self) -> Need:
        at, buffer = 0, self._buffer
        while (end := buffer.find(b"\n", at)) < 0:
            at = len(buffer)
            if at > LONGEST_LINE:
                raise Unreadable("a line is too long")
            buffer += yield
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        return line

    def _exactly(self, length: int) -> Need:
        buffer = self._buffer
        while len(buffer) < length:
            buffer += yield
        with memoryview(buffer) as whole:
            data = bytes(whole[:length])
        del buffer[:length]
        return data
