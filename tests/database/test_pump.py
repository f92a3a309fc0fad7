"""Rows by COPY: as they cross the wire, and by libpq where that can't be read; errors end as errors."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading

import psycopg
import pytest

from raccord.database import frames, pump
from tests import pgkit

ROWS = """
select g as id, case when g % 7 > 0 then repeat(E'd\\\\n\\tc', g % 90) end as body,
  decode('640000000563000000045a0000000549', 'hex') as raw, g * 0.5::float8 as v
from generate_series(1, 20000) g
"""


def message(kind: bytes, held: bytes) -> bytes:
    return kind + struct.pack(">I", len(held) + 4) + held


def read(stream: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    """What Frames make of a stream that arrives in pieces, and what is left of it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def feed() -> None:
        at = 0
        for cut in [*cuts, len(stream)]:
            theirs.sendall(stream[at:cut])
            at = cut
        theirs.shutdown(socket.SHUT_WR)

    with ours, theirs:
        feeder = threading.Thread(target=feed)
        feeder.start()
        got, found = frames.Frames(ours), []
        while (some := got.next()) is not None:
            whole, part = some
            found.append(frames.bare(whole) if whole else b"")
            found.append(bytes(part))
        rest = []
        ours.setblocking(True)
        while data := ours.recv(1 << 16):
            rest.append(data)
        feeder.join()
    return b"".join(found), b"".join(rest)


@pytest.mark.long_but(5)
@pytest.mark.parametrize("seed", range(30))
def test_rows_are_read_up_to_the_first_other_message(seed: int) -> None:
    say = random.Random(seed)
    held = []
    for _ in range(say.choice((0, 1, 40, 3000))):
        size = say.choice((0, 1, 55, 55, 55, 55, say.randrange(3000)))
        held += [say.randbytes(size)] * say.choice((1, 1, 200))
    held += [say.randbytes(600_000)] * (seed % 3)
    said = [message(b"d", one) for one in held]
    for kind in (b"N", b"S", b"A"):
        said.insert(say.randrange(len(said) + 1), message(kind, say.randbytes(say.choice((9, 300_000)))))
    end = message(say.choice((b"c", b"E")), b"d\0\0\0\7abc") + message(b"Z", b"T")
    stream = b"".join(said) + end
    cuts = sorted(say.randrange(len(stream)) for _ in range(say.choice((0, 3, 200))))
    found, rest = read(stream, cuts)
    assert found == b"".join(held)
    assert rest == end


@pytest.mark.parametrize("torn", range(1, 9))
def test_a_stream_that_ends_within_a_message_ends(torn: int) -> None:
    found, rest = read(message(b"d", b"abcdef") + message(b"d", b"ghij")[:torn], [])
    assert (found, rest) == (b"abcdef" + b"ghij"[: max(0, torn - 5)], b"")


@pytest.fixture(params=["wire", "libpq"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "libpq":
        monkeypatch.setattr(frames, "wire", lambda raw: contextlib.nullcontext(None))
    return request.param


@pytest.fixture
def pair(pg: pgkit.Server):
    with pg.lent() as one, pg.connect(one) as db, pg.connect(one) as other:
        yield db, other


@pytest.mark.parametrize("binary", [True, False])
def test_rows_arrive_as_they_are(way: str, pair, binary: bool) -> None:
    one, two = pair
    one.execute(f"create table e as {ROWS}; insert into e values (0, repeat('x', 3000000), '', null)")
    two.execute("create table n (like e)")
    assert pump.across(one, "select * from e", two, "n", binary=binary) == 20001
    assert two.execute("select count(*) from (table e except all table n) x").fetchone() == (0,)
    kept: list[bytes] = []
    assert pump.out(one, "select * from e", binary, lambda some: kept.append(bytes(some))) == 20001
    two.execute("truncate n")
    assert pump.into(two, "n", binary, kept) == 20001
    assert two.execute("select count(*) from (table e except all table n) x").fetchone() == (0,)
    assert pump.across(one, "select * from e where false", two, "n", binary=binary) == 0


def test_an_error_of_the_source_is_told_and_it_can_be_asked_again(way: str, pair) -> None:
    one, two = pair
    two.execute("create table n (v int)")
    for query in ("select 1/(g - 9000) from generate_series(1, 20000) g", "select 1/0", "select nothing"):
        with pytest.raises((psycopg.errors.DivisionByZero, psycopg.errors.UndefinedColumn)):
            pump.across(one, query, two, "n", binary=True)
        assert one.execute("select 1").fetchone() == (1,)
        assert two.execute("select count(*) from n").fetchone() == (0,)


def test_an_error_of_the_target_is_told_and_both_can_be_asked_again(way: str, pair) -> None:
    one, two = pair
    two.execute("create table n (v int check (v < 500))")
    with pytest.raises(psycopg.errors.CheckViolation):
        pump.across(one, "select g from generate_series(1, 50000) g", two, "n", binary=True)
    assert one.execute("select 1").fetchone() == (1,)
    assert two.execute("select count(*) from n").fetchone() == (0,)


def test_whoever_takes_the_rows_may_fail(way: str, pair) -> None:
    one, _ = pair

    def full(data: object) -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        pump.out(one, "select repeat('x', 99) from generate_series(1, 200000)", True, full)
    assert one.execute("select 1").fetchone() == (1,)


@pytest.mark.long_but(1)
def test_notices_of_both_sides_keep_nobody_waiting(way: str, pair) -> None:
    one, two = pair
    one.execute(
        "create function said(v int) returns int language plpgsql as"
        " $$ begin raise notice '%', repeat('n', 400); return v; end $$;"
        " create function says() returns trigger language plpgsql as"
        " $$ begin raise notice '%', repeat('n', 400); return new; end $$;"
        " create table n (v int); create trigger t before insert on n for each row execute function says()"
    )
    query = "select said(g) from generate_series(1, 20000) g"
    assert pump.across(one, query, two, "n", binary=True) == 20000


def test_a_target_that_is_gone_is_told(way: str, pair, pg: pgkit.Server) -> None:
    one, two = pair
    two.execute("create table n (v text)")
    pid = two.info.backend_pid
    query = (
        f"select case when g = 30000 then pg_terminate_backend({pid})::text else repeat('x', 99) end"
        " from generate_series(1, 300000) g"
    )
    with pytest.raises(psycopg.OperationalError):
        pump.across(one, query, two, "n", binary=True)
    assert one.execute("select count(*) from n").fetchone() == (0,)
