"""Rows of SQLite as bytes, and back: any value, however the bytes are cut; noise is one clear error."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raccord.data import sqlite_csv, sqlite_rows
from raccord.data.sqlite_csv import Csv, exact, loose
from raccord.data.sqlite_rows import Unpacked, Unreadable

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.binary(max_size=9).map(
    lambda data: data.decode("utf-8", "surrogateescape")
)
VALUE = (
    st.none()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=20)
    | st.sampled_from(["", '"', ",", "\n", "\r", "\r\n", "\\x00", "1", "null", b"", -0.0, math.inf, 1e300])
)
ROWS = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(VALUE, min_size=width, max_size=width)))
LONG = st.sampled_from([None, 7, "é" * 40_000, b"\0" * 70_000, '"' * 90_000, "x" * 200, "\udcff" * 66_000])
HARD = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def cut(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


def taken(reads: Unpacked | Csv, data: bytes, step: int) -> None:
    for block in cut(data, step):
        reads.take(block)
    reads.end()


def alike(found: list[Any], rows: list[Any]) -> bool:
    """Equal with their kinds: 1, 1.0 and '1' are three."""
    return [[*map(repr, row)] for row in found] == [[*map(repr, row)] for row in rows]


def through(rows: list[Any], step: int) -> list[Any]:
    found: list[Any] = []
    reads = Unpacked(len(rows[0]) if rows else 1, found.extend)
    taken(reads, b"".join(sqlite_rows.packed(rows)), step)
    return found


def through_csv(rows: list[Any], step: int) -> list[Any]:
    width = len(rows[0]) if rows else 1
    found: list[Any] = []
    data = b"".join(sqlite_csv.written(["a, b", "c", "", " d"][:width], rows))
    taken(Csv([exact] * width, found.extend), data, step)
    return found


@HARD
@given(rows=ROWS, step=st.integers(1, 300))
def test_what_was_written_is_read(rows, step):
    assert alike(through(rows, step), rows)
    assert alike(through_csv(rows, step), rows)


@settings(HARD, max_examples=25)
@given(rows=st.lists(st.lists(LONG, min_size=3, max_size=3), max_size=4), step=st.integers(1000, 90_000))
def test_long_values(rows, step):
    assert alike(through(rows, step), rows)
    assert alike(through_csv(rows, step), rows)


def test_memory_holds_a_row_and_no_more():
    rows = ([number, "x" * 300_000] for number in range(40))
    sizes = [len(block) for block in sqlite_rows.packed(rows)]
    assert max(sizes) <= 300_000 and sum(sizes) > 12_000_000
    wide = [["é" * 30] * 2000] * 20
    assert max(map(len, sqlite_rows.packed(wide))) < sqlite_rows.LONGEST_LINE
    assert alike(through(wide, 1 << 16), wide)


@HARD
@given(noise=st.binary(max_size=200), rows=ROWS, at=st.integers(0, 500), step=st.integers(1, 50))
def test_noise_is_one_clear_error_or_rows(noise, rows, at, step):
    for data, reads in (
        (b"".join(sqlite_rows.packed(rows)), Unpacked(2, len)),
        (b"".join(sqlite_csv.written(["a", "b"], rows)), Csv([exact, exact], len)),
    ):
        with contextlib.suppress(Unreadable):
            taken(reads, data[:at] + noise + data[at:], step)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[[1,2,3]]\n", "a row has not 2 values"),
        (b"[[1,true]]\n", "another kind"),
        (b"[[1,[2]]]\n", "another kind"),
        (b"{}\n", "no list"),
        (b"[[1,2]", "cut off"),
        (b'[[1,{"x":5}]]\nabc', "cut off"),
        (b'[[1,{"x":-1}]]\n', "a long value is none"),
        (b'[[{"x":1000000000},{"t":1}]]\n' + b"x" * 9, "cut off"),
        (b'[[1,{"x":1000000001}]]\n', "a long value is none"),
        (b'[[1,{"b":"!"}]]\n', "no JSON of rows"),
        (b"[" * 100_000 + b"\n", "no JSON of rows"),
        (b"1" * (sqlite_rows.LONGEST_LINE + 2), "too long"),
    ],
)
def test_rows_that_were_made_up(data, why):
    with pytest.raises(Unreadable, match=why):
        taken(Unpacked(2, len), data, 1 << 16)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('a,b\n1,"2', "row 1 can't be read"),
        ('a,b\n1,"2"3\n', "quotes stand where none may be"),
        ('a,b\n1,2"3\n4,5\n', "quotes stand"),
        ("a,b\n1\n", "has 1 values, and not 2"),
        ("a,b\n1,2\n1,2,3\n", "row 2 has 3 values"),
        ("a,b\n1,two\n", "row 1 can't be read: what stands without quotes is no number"),
    ],
)
def test_csv_that_can_t_be_read(text, why):
    with pytest.raises(Unreadable, match=why):
        taken(Csv([exact, exact], len), text.encode(), 5)


def test_csv_of_others():
    found: list[Any] = []
    kinds = [
        loose("integer", "integer"),
        loose("text", "text"),
        loose("blob", "blob"),
        loose("bool", "numeric"),
    ]
    reads = Csv(kinds, found.extend)
    reads.take(b'\xef\xbb\xbf"id",t,b,yes\r\n1,007,\\x00ff,t\r\n"2","",\\x0,f\r\n,,plain,1\n')
    reads.end()
    assert found == [["1", "007", b"\0\xff", 1], ["2", "", "\\x0", 0], [None, None, "plain", "1"]]
