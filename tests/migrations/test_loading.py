"""Version folders are read as they lie on the disk; what can't be read is named, nothing is read twice."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raccord.migrations import memo as memory
from raccord.migrations.graph import Graph
from raccord.migrations.loading import load
from raccord.migrations.memo import Memo
from raccord.migrations.revision import LARGEST, read
from tests.migrations.histories import Spec, write


def line(count: int) -> list[Spec]:
    return [Spec(f"r{n:04}", (f"r{n - 1:04}",) if n else ()) for n in range(count)]


def reasons(loaded):
    return {os.path.basename(fault.path): fault.reason for fault in loaded.faults}


def test_what_can_not_be_read_is_named_and_the_rest_is_read(tmp_path):
    place = write(tmp_path / "versions", line(3))
    (place / "bad.py").write_text("revision = 'x'\ndown_revision = (\n")
    (place / "helper.py").write_text("VALUES = {}\n")
    (place / "nowhere.py").symlink_to("gone.py")
    (place / "circle.py").symlink_to("circle.py")
    (place / "__init__.py").write_text("")
    (place / "dir.py").mkdir()
    os.mkfifo(place / "pipe.py")
    with open(place / "huge.py", "wb") as file:
        file.truncate(LARGEST + 1)
    loaded = load([place])
    assert [file.revision.id for file in loaded.files] == ["r0000", "r0001", "r0002"]
    assert loaded.strangers == (str(place / "helper.py"),)
    found = reasons(loaded)
    assert {*found} == {"bad.py", "nowhere.py", "circle.py", "pipe.py", "huge.py"}
    assert "syntax error" in found["bad.py"] and "nowhere" in found["nowhere.py"]
    assert "regular file" in found["pipe.py"] and "bytes" in found["huge.py"]


def test_folders_that_are_not_there_or_no_folders(tmp_path):
    (tmp_path / "file").write_text("")
    loaded = load([tmp_path / "absent", tmp_path / "file"])
    assert loaded.absent == (str(tmp_path / "absent"),)
    assert "listed" in reasons(loaded)["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_is_forbidden_is_named(tmp_path):
    place = write(tmp_path / "versions", line(2))
    (place / "r0001.py").chmod(0)
    assert "ermission" in reasons(load([place]))["r0001.py"]


def test_names_of_any_bytes(tmp_path):
    place = write(tmp_path / "-v\n\u00e9", line(1))
    raw = os.fsencode(place) + b"/\xff -x.py"
    with open(raw, "w") as file:
        file.write("revision = 'odd'\ndown_revision = 'r0000'\n")
    loaded = load([place])
    assert [os.fsencode(file.path) for file in loaded.files][1] == raw
    assert Graph(loaded.revisions).heads == ("odd",)


def test_bytecode_without_its_source(tmp_path):
    place = write(tmp_path / "versions", line(1))
    cache = place / "__pycache__"
    cache.mkdir()
    for name in ("r0000.cpython-311.pyc", "lost.cpython-311.pyc"):
        (cache / name).write_bytes(b"\0")
    for name in ("both.pyc", "both.pyo", "r0000.pyc"):
        (place / name).write_bytes(b"\0")
    assert load([place]).faults == ()
    found = reasons(load([place], sourceless=True))
    assert {*found} == {"lost.cpython-311.pyc", "both.pyc"}
    assert all("bytecode" in reason for reason in found.values())


def test_one_file_under_two_names_counts_once(tmp_path):
    place = write(tmp_path / "versions", line(2))
    (tmp_path / "again").symlink_to(place)
    (place / "zz.py").symlink_to("r0001.py")
    assert len(load([place, tmp_path / "again", place]).files) == 2


def test_what_nobody_touched_is_not_opened_again(tmp_path, monkeypatch):
    place = write(tmp_path / "versions", line(20))
    memo = Memo()
    opened: list[str] = []
    real_open, real_now = os.open, time.time_ns

    def spy(path, *args, **more):
        opened.append(path)
        return real_open(path, *args, **more)

    # A file's change time can't be set back: the clock is set on.
    monkeypatch.setattr(time, "time_ns", lambda: real_now() + 10**10)
    monkeypatch.setattr(os, "open", spy)
    first = load([place], memo=memo)
    assert len(opened) == 20
    opened.clear()
    assert load([place], memo=memo) == first and opened == []
    (place / "r0007.py").write_text("revision = 'new'\ndown_revision = None\n")
    opened.clear()
    assert "new" in Graph(load([place], memo=memo).revisions)
    assert opened == [str(place / "r0007.py")]


def test_a_content_is_parsed_once_for_all_worktrees(tmp_path, monkeypatch):
    memo = Memo()
    parsed: list[str] = []

    def spy(source, name):
        parsed.append(name)
        return read(source, name)

    monkeypatch.setattr(memory, "read", spy)
    folders = [write(tmp_path / f"w{n}" / "versions", line(10)) for n in range(4)]
    found = [load([folder], memo=memo).revisions for folder in folders]
    assert len(parsed) == 10 and found == [found[0]] * 4


def test_a_rewrite_of_the_same_size_and_time_is_seen(tmp_path):
    place = write(tmp_path / "versions", [])
    path = place / "x.py"
    memo = Memo()
    for number in range(100):
        path.write_text(f"revision = 'r{number:03}'\ndown_revision = None\n")
        os.utime(path, ns=(10**18, 10**18))
        assert load([place], memo=memo).revisions[0].id == f"r{number:03}"


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["write", "remove", "load", "rename", "add", "link"]), max_size=8), st.randoms()
)
def test_a_memo_never_changes_what_is_read(tmp_path_factory, monkeypatch, moves, rng):
    # So late that every change has settled.
    real_now = time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: real_now() + 10**10)
        place = write(tmp_path_factory.mktemp("w") / "versions", line(4))
        memo = Memo()
        for number, move in enumerate([*moves, "load"]):
            load([place], memo=memo)
            time.sleep(0.012)  # a tick of the file system's clock
            path = place / f"r{rng.randrange(4):04}.py"
            if move == "write" and not path.is_symlink():
                path.write_text(f"revision = 'v{rng.randrange(9)}'\ndown_revision = None\n")
            elif move == "remove":
                path.unlink(missing_ok=True)
            elif move == "rename" and path.exists():
                path.rename(place / f"r{rng.randrange(4):04}.py")
            elif move == "add":
                write(place, [Spec(f"n{number}")])
            elif move == "link":
                path.unlink(missing_ok=True)
                path.symlink_to(place / f"r{rng.randrange(4):04}.py")
            assert load([place], memo=memo) == load([place])


def test_an_answer_is_the_same_object_until_something_changes(tmp_path, monkeypatch):
    real_now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real_now() + 10**10)
    place = write(tmp_path / "versions", line(3))
    folders, memo = [place, tmp_path / "overlay"], Memo()
    first = load(folders, memo=memo)
    assert load(folders, memo=memo) is first
    write(tmp_path / "overlay", [Spec("more", ("r0002",))])
    assert Graph(load(folders, memo=memo).revisions).heads == ("more",)
    assert load(folders, recursive=True, memo=memo) is not first


def test_five_hundred_revisions_are_cheap_and_cheaper_the_next_time(tmp_path):
    place = write(tmp_path / "versions", line(500))
    start = time.perf_counter()
    memo = Memo()
    load([place], memo=memo)
    cold = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(5):
        loaded = load([place], memo=memo)
        assert Graph(loaded.revisions).chain(["r0499"]).complete
    warm = (time.perf_counter() - start) / 5
    # Generous, as the machine is shared; benchmarks say what it takes.
    assert cold < 1.5 and warm < 0.3, (cold, warm)
