"""What is remembered from one process to the next: as good as reading it anew, whatever was touched since."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raccord.errors import UsageError
from raccord.git.repo import open_repository
from raccord.kernel.store import Store
from raccord.migrations import headers, loading, memo, places
from raccord.migrations.cache import Cache
from raccord.migrations.file_sources import Files, Tree
from raccord.migrations.headers import Headers
from raccord.migrations.kept_memo import KeptMemo
from raccord.migrations.objects import Objects
from tests.gitkit import Repo

INI = "[alembic]\nscript_location = migrations\n"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "state.db")


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch):
    monkeypatch.setattr(memo, "_SETTLED", 0)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "tree" / "versions"
    made.mkdir(parents=True)
    write(made / "a.py", "aaaa")
    write(made / "b.py", "bbbb")
    return made


def write(path, rev):
    path.write_text(f"revision = {rev!r}\ndown_revision = None\n")
    time.sleep(0.02)  # the clock of the file system ticks on


def read(store, folder):
    """As another process would."""
    cache = Cache(store)
    fresh = KeptMemo(cache)
    loaded = loading.load([folder], memo=fresh)
    fresh.flush()
    cache.flush()
    return loaded


def test_a_file_is_read_once(store, folder, monkeypatch):
    first = read(store, folder)
    monkeypatch.setattr(loading, "regular", None)
    assert read(store, folder) == first
    assert [one.revision.name for one in first.files] == ["a.py", "b.py"]


def test_a_folder_that_is_spelled_oddly_is_the_same_folder(store, folder):
    odd = f"{folder.parent}//{folder.name}"
    first = read(store, odd)
    assert read(store, odd) == first == loading.load([odd])
    write(folder / "c.py", "cccc")
    assert len(read(store, odd).files) == 3


def test_a_touched_file_is_read_anew(store, folder):
    read(store, folder)
    write(folder / "a.py", "cccc")
    os.rename(folder / "b.py", folder / "d.py")
    found = read(store, folder)
    assert found == loading.load([folder])
    assert [(one.revision.id, one.revision.name) for one in found.files] == [
        ("cccc", "a.py"),
        ("bbbb", "d.py"),
    ]
    (folder / "a.py").write_text("revision = (\n")
    assert read(store, folder) == read(store, folder) == loading.load([folder])


def test_a_new_configuration_is_seen(store, tmp_path, monkeypatch):
    def find():
        cache = Cache(store)
        found = places.find(tmp_path / "tree", None, KeptMemo(cache))
        cache.flush()
        return found

    for name in ("one", "other", "third"):
        (tmp_path / "tree" / name / "below").mkdir(parents=True)
    first = tmp_path / "tree/one/alembic.ini"
    first.write_text(INI)
    time.sleep(0.02)
    assert find() == first
    with monkeypatch.context() as patch:
        patch.setattr(places, "_walked", None)
        assert find() == first
    (tmp_path / "tree/other/below/alembic.ini").write_text(INI)
    with pytest.raises(UsageError):
        find()
    time.sleep(0.02)
    (tmp_path / "tree/other/below/alembic.ini").unlink()
    time.sleep(0.02)
    assert find() == first
    (tmp_path / "tree/third/pyproject.toml").write_text("[tool.other]\n")
    time.sleep(0.02)
    assert find() == first
    (tmp_path / "tree/third/pyproject.toml").write_text("[tool.alembic]\nscript_location = 'm'\n")
    with pytest.raises(UsageError):
        find()


def test_the_cache_of_another_parser_is_not_used(store, folder, monkeypatch):
    first = read(store, folder)
    monkeypatch.setattr(headers, "SAID", "another")
    assert read(store, folder) == first


MOVES = ("write", "same size", "remove", "add", "rename", "below", "link", "folder", "look")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(MOVES), max_size=7), st.randoms())
def test_whatever_happens_to_a_folder_is_seen_as_if_nothing_were_remembered(tmp_path_factory, moves, rng):
    """Against looking anew, for what a worktree has and for what a search finds in it."""
    top = tmp_path_factory.mktemp("moves")
    repo = open_repository(Repo.init(top / "repo").path)
    place = top / "repo" / "versions"
    place.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        real_now = time.time_ns
        patch.setattr(time, "time_ns", lambda: real_now() + 10**10)  # so late that every change has settled
        kept = Store(top / "state.db")
        for number in range(3):
            write(place / f"r{number}.py", f"r{number}")
        for number, move in enumerate([*moves, "look"]):
            path = place / f"r{rng.randrange(4)}.py"
            _move(move, path, place, number)
            time.sleep(0.012)  # a tick of the file system's clock
            for _ in range(2):
                assert read(kept, place) == loading.load([place])
                assert _sighted(repo, Cache(kept)) == _sighted(repo, Cache())


def _move(move, path, place, number):
    if move == "write":
        path.unlink(missing_ok=True)
        write(path, f"w{number}")
    elif move == "same size" and path.is_file():
        before = path.stat()
        write(path, f"s{number}")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif move == "remove":
        path.unlink(missing_ok=True)
    elif move == "add":
        write(place / f"n{number}.py", f"n{number}")
    elif move == "rename" and path.exists():
        path.rename(place / f"m{number}.py")
    elif move == "below":
        (place / "sub").mkdir(exist_ok=True)
        write(place / "sub" / f"b{number}.py", f"b{number}")
    elif move == "link":
        path.unlink(missing_ok=True)
        path.symlink_to(place / "r0.py")
    elif move == "folder":
        (place / f"d{number}.py").mkdir()


def _sighted(repo, cache):
    found = Files(Headers(repo, Objects(repo), cache), cache)
    seen = found.folders([Tree("worktree", str(repo.top))], ["versions"])
    cache.flush()
    return sorted(seen), sorted((one.path, one.reason) for one in found.troubles)
