"""The state database under concurrency, kills, full and read-only disks, damage and other releases."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raccord.errors import StoreError
from raccord.kernel import schema, store
from raccord.kernel.store import Store
from tests.kernel.forks import ended, forked, together
from tests.kernel.test_fs import tiny_disk


@pytest.fixture
def path(memory: Path) -> Path:
    return memory / "state.db"


def keep(path: Path, *keys: str) -> None:
    """A database with these keys in it, closed."""
    made = Store(path)
    for key in keys:
        made.cache_put("t", key, key)
    made.close()


@contextlib.contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """The folder on a read-only file system; for root a mode says nothing."""
    if os.getuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    made = subprocess.run(["mount", "--bind", folder, folder], capture_output=True)
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.decode().strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


# Opening


def test_twenty_processes_open_it_first(path: Path) -> None:
    filled = path.parent / "filled"

    def first(opened: Store) -> None:
        with open(filled, "a") as file:
            file.write("x")
        opened.cache_put("t", "first", 1)

    def work(n: int) -> None:
        opened = Store(path, first=first)
        assert opened.cache_get("t", "first") == 1, "nobody sees it before it is filled"
        opened.cache_put("t", str(n), n)

    codes = together([lambda n=n: work(n) for n in range(20)])  # type: ignore[misc] # bound early
    assert codes == [0] * 20
    assert filled.read_text() == "x", "it is filled once"
    opened = Store(path)
    assert [opened.cache_get("t", str(n)) for n in range(20)] == list(range(20))
    opened.close()


def test_a_first_filling_that_fails_is_done_by_the_next(path: Path) -> None:
    def broken(opened: Store) -> None:
        opened.cache_put("t", "half", 1)
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        Store(path, first=broken)
    filled: list[int] = []
    opened = Store(path, first=lambda store: filled.append(1))
    assert filled == [1] and opened.cache_get("t", "half") is None
    opened.close()


@pytest.mark.parametrize("content", [b"", None])
def test_an_empty_or_missing_file_becomes_a_database(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
        looking = Store(path, readonly=True)
        assert looking.rows("select * from runs") == [], "looking at what was only begun works"
        looking.close()
    keep(path, "a")
    assert path.stat().st_size > 0


def test_what_is_no_database_is_named_with_a_remedy_that_works(path: Path) -> None:
    path.write_bytes(b"no database, but long enough to be read as one" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(path, readonly=True)
    with pytest.raises(StoreError, match="not a database") as caught:
        Store(path)
    assert str(path) in caught.value.message and "refs/raccord" in caught.value.message
    subprocess.run(caught.value.hint, shell=True, check=True)
    keep(path, "a")


def test_damaged_pages_are_told_as_such(path: Path) -> None:
    keep(path, *map(str, range(2000)))
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 8192 - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="malformed") as caught:
        read_all(path)
    assert "broken" in caught.value.hint


def read_all(path: Path) -> int:
    with contextlib.closing(Store(path)) as opened:
        return sum(opened.cache_get("t", str(n)) is not None for n in range(2000))


def test_a_log_left_by_a_deleted_database_is_not_taken_for_the_new_ones(path: Path) -> None:
    keep(path, "old")
    opened = Store(path)
    opened.cache_put("t", "late", 1)
    log = Path(f"{path}-wal").read_bytes()
    opened.close()
    path.unlink()
    Path(f"{path}-wal").write_bytes(log)
    opened = Store(path)
    assert opened.cache_get("t", "late") is None
    opened.close()


# Looking only


def test_looking_creates_nothing_and_writes_nothing(path: Path) -> None:
    with pytest.raises(StoreError):
        Store(path, readonly=True)
    assert not path.exists()
    keep(path, "a")
    looking = Store(path, readonly=True)
    with pytest.raises(StoreError, match="readonly"):
        looking.cache_put("t", "b", 1)
    looking.close()


def test_a_read_only_file_system_can_be_looked_at(path: Path) -> None:
    keep(path, "a")
    with frozen(path.parent):
        looking = Store(path, readonly=True)
        assert looking.cache_get("t", "a") == "a"
        looking.close()
        with pytest.raises(StoreError, match=r"readonly|unable to open") as caught:
            Store(path).cache_put("t", "b", 1)
        assert caught.value.hint.startswith("ls -ld")


def test_a_log_that_cannot_be_read_is_no_empty_log(path: Path) -> None:
    """What is only in the write-ahead log must not be silently left out."""
    assert ended(forked(lambda: write_and_die(path))) == -signal.SIGKILL
    Path(f"{path}-shm").unlink()
    assert os.stat(f"{path}-wal").st_size > 0
    with frozen(path.parent):
        with pytest.raises(StoreError) as caught:
            Store(path, readonly=True)
        assert caught.value.hint.startswith("ls -ld")


def write_and_die(path: Path) -> None:
    Store(path).cache_put("t", "a", 1)
    os.kill(os.getpid(), signal.SIGKILL)


# Other releases


def test_a_newer_schema_is_read_and_never_written(path: Path) -> None:
    keep(path, "a")
    with sqlite3.connect(path) as db:
        db.execute("create table comments (text)")
        db.execute("pragma user_version = 99")
    db.close()
    for readonly in (False, True):
        opened = Store(path, readonly=readonly)
        assert opened.newer and opened.cache_get("t", "a") == "a"
        with pytest.raises(StoreError, match="newer raccord"):
            opened.cache_put("t", "b", 1)
        opened.close()


def test_an_older_schema_is_brought_up_once_and_can_be_looked_at_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(path, "a")
    newest = (*schema.MIGRATIONS, "alter table cache add column note text not null default 'none';\n")
    monkeypatch.setattr(schema, "MIGRATIONS", newest)
    before = path.read_bytes()
    looking = Store(path, readonly=True)
    assert looking.rows("select note from cache") == [("none",)]
    with pytest.raises(StoreError):
        looking.cache_put("t", "b", 1)
    looking.close()
    assert path.read_bytes() == before

    assert together([lambda: Store(path).rows("select note from cache")] * 8) == [0] * 8
    opened = Store(path, first=lambda store: pytest.fail("it is filled only where there was none"))
    assert opened.rows("pragma user_version") == [(len(newest),)] and not opened.newer
    opened.close()


def test_a_migration_that_fails_leaves_the_older_schema(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(path, "a")
    script = "create table extra (a) strict;\ncreate table runs (a);\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, script))
    with pytest.raises(StoreError):
        Store(path)
    monkeypatch.undo()
    opened = Store(path)
    assert opened.cache_get("t", "a") == "a" and not opened.newer
    assert opened.rows("select name from sqlite_master where name = 'extra'") == []
    opened.close()


# Writing


def test_a_transaction_is_whole_or_not_at_all(path: Path) -> None:
    opened = Store(path)
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            write_and_raise(opened, error)
        assert opened.rows("select * from cache") == []
    opened.cache_put("t", "c", 1)
    assert len(opened.rows("select * from cache")) == 1
    opened.close()


def write_and_raise(opened: Store, error: type[BaseException]) -> None:
    with opened.transaction():
        opened.cache_put("t", "a", 1)
        with opened.transaction():
            opened.cache_put("t", "b", 1)
        raise error


def test_threads_share_it(path: Path) -> None:
    opened = Store(path)

    def work(n: int) -> None:
        for i in range(20):
            with opened.transaction():
                known = opened.cache_get("t", "count") or 0
                opened.cache_put("t", "count", known + 1)
                opened.cache_get("t", f"{n}.{i}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened.cache_get("t", "count") == 120
    opened.close()


def test_a_busy_database_is_waited_for_and_then_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.05)
    holder, other = Store(path), Store(path)
    with holder.transaction():
        assert other.cache_get("t", "a") is None, "reading goes on"
        with pytest.raises(StoreError, match="locked") as caught:
            other.cache_put("t", "a", 1)
    assert caught.value.hint == "raccord status"
    other.cache_put("t", "a", 1)
    holder.close()
    other.close()


def fill(opened: Store, acknowledged: list[int]) -> None:
    for n in range(1000):
        opened.cache_put("t", str(n), "x" * 1000)
        acknowledged.append(n)


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", "512k") as disk:
        opened = Store(disk / "state.db")
        kept: list[int] = []
        with pytest.raises(StoreError, match="full") as caught:
            fill(opened, kept)
        assert caught.value.hint == f"df -h {disk}" and len(kept) > 10
        assert [n for n in range(1000) if opened.cache_get("t", str(n)) is not None] == kept
        opened.close()
        opened = Store(disk / "state.db", readonly=True)
        assert len(opened.rows("select * from cache")) == len(kept)
        opened.close()


def test_undecodable_names_are_kept(path: Path) -> None:
    opened = Store(path)
    name = os.fsdecode(b"/tmp/\xff\xfe\n")
    opened.cache_put("t", name, {"path": name})
    assert opened.cache_get("t", name) == {"path": name}
    opened.close()


# Processes


def test_a_forked_child_is_kept_from_the_parents_connection(path: Path) -> None:
    opened = Store(path)
    opened.cache_put("t", "parent", 1)

    def child() -> None:
        for attempt in (
            lambda: opened.cache_get("t", "parent"),
            lambda: opened.cache_put("t", "child", 1),
            lambda: opened.close(),
            lambda: Store(path),
        ):
            with pytest.raises(StoreError, match="forked"):
                attempt()

    with opened.transaction():
        assert ended(forked(child)) == 0
        opened.cache_put("t", "open", 1)
    opened.close()
    assert ended(forked(lambda: keep(path, "child"))) == 0, "closed before the fork, it can be opened after"
    opened = Store(path)
    assert len(opened.rows("select * from cache")) == 3
    opened.close()


def test_kills_lose_nothing_that_was_acknowledged(path: Path) -> None:
    random_ = random.Random(20261121)
    acknowledged = 0
    Store(path).close()
    for _ in range(20):
        reader, writer = os.pipe()

        def work(after: int = acknowledged, writer: int = writer) -> None:
            opened = Store(path)
            for n in range(after + 1, after + 100_000):
                with opened.transaction() as db:
                    db.execute("update cache set value = ? where key = 'n'", (str(n),))
                    opened.cache_put("n", str(n), n)
                os.write(writer, n.to_bytes(8, "big"))

        pid = forked(work)
        os.close(writer)
        os.read(reader, 8)
        time.sleep(random_.uniform(0, 0.01))
        os.kill(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL
        said = b""
        while more := os.read(reader, 1 << 16):
            said += more
        os.close(reader)
        acknowledged = max(acknowledged + 1, int.from_bytes(said[-8:], "big"))
        opened = Store(path)
        count, last = opened.rows("select count(*), max(cast(value as integer)) from cache")[0]
        assert count == last >= acknowledged, "every acknowledged write is there, and no half one"
        acknowledged = last
        opened.close()
    assert acknowledged >= 20
