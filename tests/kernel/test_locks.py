"""Locks: whole sets, dead owners taken over once, fenced, waited for only so long."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from raccord.errors import LockTimeout, WorldMoved
from raccord.kernel.locks import Locks, living, tokens
from raccord.kernel.owner import me
from raccord.kernel.store import Store
from tests.kernel.forks import ended, forked, together


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Store]:
    with contextlib.closing(Store(folder / "state.db")) as store:
        yield store


@pytest.fixture
def store(memory: Path) -> Iterator[Store]:
    with opened(memory) as store:
        yield store


def abandon(store: Store, *names: str) -> None:
    """Locks of a process that is gone."""
    Locks(store, "dead").take(names, wait=0)
    with store.transaction() as db:
        db.execute(
            "update locks set owner = ? where run = 'dead'", (str(replace(me(store.folder), start="1")),)
        )


def counts(store: Store) -> dict[str, int]:
    """How often each was taken, held or not."""
    return {json.loads(name): count for name, count in store.rows("select resource, token from tokens")}


def test_all_or_nothing(store: Store) -> None:
    first, second = Locks(store, "one"), Locks(store, "two")
    first.take(["b"], wait=0)
    with pytest.raises(LockTimeout) as caught:
        second.take(["a", "b", "c"], wait=0)
    assert caught.value.data["resource"] == "b" and caught.value.data["pid"] == os.getpid()
    assert living(store) == [("b", "one")], "of the refused set nothing is locked"
    first.release()
    second.take(["a", "b", "c"], wait=0)
    second.release()
    assert living(store) == []


def test_what_is_held_is_kept(store: Store) -> None:
    locks = Locks(store, "one")
    locks.take(["a"], wait=0)
    assert locks.take(["a", "b"], wait=0) is False
    locks.check(["a", "b"])
    assert counts(store) == {"a": 1, "b": 1} and tokens(store) == {"a": -1, "b": -1}
    locks.release(["a", "unknown"])
    assert living(store) == [("b", "one")] and tokens(store) == {"a": 1, "b": -1}


def test_another_run_of_this_process_is_waited_for_only_so_long(store: Store) -> None:
    Locks(store, "one").take(["a"], wait=0)
    for run in ("two", "one"):  # the same name in another thread is no licence
        began = time.monotonic()
        with pytest.raises(LockTimeout, match="a has been locked"):
            Locks(store, run).take(["a"], wait=0.1)
        assert time.monotonic() - began >= 0.1


def test_waiting_is_told_once_and_ends_with_the_holder(store: Store) -> None:
    first, told = Locks(store, "one"), []
    first.take(["a"], wait=0)

    def waiting(name: str, run: str) -> None:
        told.append((name, run))
        threading.Timer(0.15, first.release).start()

    assert Locks(store, "two").take(["a"], wait=60, waiting=waiting) and told == [("a", "one")]


def test_somebody_who_was_there_meanwhile_is_noticed(store: Store) -> None:
    seen = tokens(store)
    mine = Locks(store, "mine")
    assert mine.take(["a"], wait=0, seen=seen) is False
    other = Locks(store, "other")
    other.take(["b"], wait=0)
    other.release()
    assert mine.take(["b"], wait=0, seen=seen) is True
    assert mine.take(["a", "b"], wait=0, seen=tokens(store)) is False, "what is held already is no surprise"


def test_a_dead_owner_is_taken_over_once(memory: Path) -> None:
    result, many = memory / "result", 10
    with opened(memory) as store:
        abandon(store, "a", "b")

    def work(n: int) -> None:
        with opened(memory) as store:
            locks = Locks(store, f"taker {n}")
            try:
                locks.take(["a", "b"], wait=0)
            except LockTimeout:
                said = b"."
            else:
                said = b"!"
            with open(result, "ab", buffering=0) as file:
                file.write(said)
            # The taker lives until everybody has tried: of a dead one they would take over in their turn.
            while said == b"!" and result.stat().st_size < many:
                time.sleep(0.005)
            if said == b"!":
                locks.check(["a", "b"])

    assert together([lambda n=n: work(n) for n in range(many)]) == [0] * many  # type: ignore[misc] # bound
    assert sorted(result.read_text()) == ["!", *"." * (many - 1)]
    with opened(memory) as store:
        assert counts(store) == {"a": 2, "b": 2}


def test_who_was_taken_over_is_fenced_and_releases_nobody_elses_lock(store: Store) -> None:
    old = Locks(store, "old")
    old.take(["a", "b"], wait=0)
    with store.transaction() as db:
        db.execute("update locks set owner = ?", (str(replace(me(store.folder), start="1")),))
    new = Locks(store, "new")
    new.take(["a"], wait=0)
    with pytest.raises(WorldMoved, match="taken over"):
        old.check(["a"])
    old.release()
    assert living(store) == [("a", "new")]
    new.check(["a"])


def test_a_check_of_what_was_never_taken_fails(store: Store) -> None:
    with pytest.raises(WorldMoved):
        Locks(store, "one").check(["a"])


def test_a_killed_holder_is_taken_over(memory: Path) -> None:
    reader, writer = os.pipe()

    def work() -> None:
        with opened(memory) as store:
            Locks(store, "killed").take(["a"], wait=0)
            os.write(writer, b"x")
            time.sleep(30)

    pid = forked(work)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    with opened(memory) as store:
        with pytest.raises(LockTimeout):
            Locks(store, "two").take(["a"], wait=0)
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        assert Locks(store, "two").take(["a"], wait=0) is False


def test_threads_of_one_run_share_what_it_holds(store: Store) -> None:
    locks = Locks(store, "one")
    failures: list[Exception] = []
    gate = threading.Barrier(6)

    def work(n: int) -> None:
        try:
            gate.wait(60)
            locks.take(["remote", f"own {n}"], wait=60)
            locks.check(["remote", f"own {n}"])
        except Exception as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(living(store)) == 7 and counts(store)["remote"] == 1


def test_random_sets_of_many_processes_never_meet_and_never_deadlock(memory: Path) -> None:
    names = [f"r{n}" for n in range(6)]

    def work(seed: int) -> None:
        random_ = random.Random(seed)
        with opened(memory) as store:
            for turn in range(6):
                wanted = random_.sample(names, random_.randint(1, 4))
                locks = Locks(store, f"run {seed}.{turn}")
                locks.take(wanted, wait=100)
                for name in wanted:
                    os.mkdir(memory / name)  # fails where somebody else is inside
                time.sleep(random_.uniform(0, 0.005))
                locks.check(wanted)
                for name in wanted:
                    os.rmdir(memory / name)
                locks.release()

    began = time.monotonic()
    assert together([lambda n=n: work(n) for n in range(8)]) == [0] * 8  # type: ignore[misc] # bound early
    assert time.monotonic() - began < 100, "a deadlock ends by its time limit only"
    with opened(memory) as store:
        assert living(store) == []


def test_undecodable_resources(store: Store) -> None:
    name = "checkout:" + os.fsdecode(b"/tmp/\xff\n")
    locks = Locks(store, "one")
    locks.take([name], wait=0)
    locks.check([name])
    with pytest.raises(LockTimeout) as caught:
        Locks(store, "two").take([name], wait=0)
    caught.value.message.encode("utf-8")
    assert living(store) == [(name, "one")]
    locks.release()


def test_an_owner_in_another_container_is_named_as_such(store: Store) -> None:
    Locks(store, "one").take(["a"], wait=0)
    with store.transaction() as db:
        db.execute("update locks set owner = ?", (str(replace(me(store.folder), space="7", beacon=0)),))
    with pytest.raises(LockTimeout, match="of another container") as caught:
        Locks(store, "two").take(["a"], wait=0)
    assert "once that process has ended" in caught.value.hint
