"""What is remembered from one process to the next: as good as reading it anew, whatever was touched since."""

from __future__ import annotations

import os
import time

import pytest

from raccord.errors import UsageError
from raccord.kernel.store import Store
from raccord.migrations import headers, loading, memo, places
from raccord.migrations.cache import Cache
from raccord.migrations.kept_memo import KeptMemo

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
