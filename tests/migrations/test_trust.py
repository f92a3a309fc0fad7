"""Which contents may be run without asking: those of a trusted remote, and those that were applied here."""

from __future__ import annotations

import hashlib

import pytest

from raccord.kernel.store import Store
from raccord.migrations.archive import Content
from raccord.migrations.cache import Cache
from raccord.migrations.trust import trusted
from tests.migrations.places import VERSIONS, Desk, written


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def asked(desk, *wanted, cache=None):
    sources = desk.sources(cache=cache)
    found = sources.find(wanted)
    every = [one for each in found.contents.values() for one in each]
    said = trusted(sources, every, "origin")
    return {one.revision.id: said.get(one.digest, "") for one in every}


def test_what_a_remote_holds_or_held(desk):
    desk.put("remote", {"a.py": written("aaaa", None)})
    tree = desk.tree()
    tree.commit({f"{VERSIONS}/b.py": written("bbbb", None)})
    tip = tree.commit({f"{VERSIONS}/b.py": None})
    desk.repo.git("update-ref", "refs/remotes/origin/x", tip)
    desk.put("tip", {"c.py": written("cccc", None)})
    desk.put("untracked", {"a.py": written("aaaa", None), "d.py": written("dddd", None)})
    desk.repo.git(
        "update-ref", "refs/remotes/other/y", desk._lost({f"{VERSIONS}/e.py": written("eeee", None)})
    )
    assert asked(desk, "aaaa", "bbbb", "cccc", "dddd", "eeee") == {
        "aaaa": "origin has it", "bbbb": "origin has it", "cccc": "", "dddd": "", "eeee": "",
    }  # fmt: skip


def test_the_same_id_with_other_content_is_not_trusted(desk):
    desk.put("remote", {"a.py": written("aaaa", None, "x = 1")})
    desk.put("untracked", {"a.py": written("aaaa", None, "evil()")})
    sources = desk.sources()
    every = sources.find(["aaaa"]).contents["aaaa"]
    said = trusted(sources, every, "origin")
    assert [one.digest in said for one in every] == [b"evil" not in one.source for one in every]


def test_what_was_applied_here(desk):
    data = written("aaaa", None)
    desk.put("untracked", {"a.py": data, "b.py": written("bbbb", None)})
    desk.sources().archive.remember([Content("aaaa", "a.py", data)], applied_to="postgresql://h/db")
    desk.sources().archive.remember([Content("bbbb", "b.py", written("bbbb", None))])
    assert asked(desk, "aaaa", "bbbb") == {"aaaa": "applied to postgresql://h/db before", "bbbb": ""}


def test_outside_of_the_version_folders_and_through_lfs(desk):
    data = written("aaaa", None)
    oid = hashlib.sha256(data).hexdigest()
    path = desk.repo.path / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
    desk.repo.git("update-ref", "refs/remotes/origin/x", desk._lost({"other/versions/a.py": text}))
    desk.put("untracked", {"a.py": data})
    assert asked(desk, "aaaa") == {"aaaa": ""}
    desk.tree().write("other/versions/a.py", data)
    assert asked(desk, "aaaa") == {"aaaa": ""}  # found in the version folder: nobody looked elsewhere


def test_a_remote_that_moves(desk, tmp_path):
    cache = Cache(Store(tmp_path / "state.db"))
    data = written("aaaa", None)
    commit = desk._lost({f"{VERSIONS}/a.py": data})
    desk.put("untracked", {"a.py": data})
    assert asked(desk, "aaaa", cache=cache) == {"aaaa": ""}
    desk.repo.git("update-ref", "refs/remotes/origin/x", commit)
    assert asked(desk, "aaaa", cache=cache) == {"aaaa": "origin has it"}
    desk.repo.git("update-ref", "refs/remotes/origin/x", desk.repo.oid("main"))
    assert asked(desk, "aaaa", cache=cache) == {"aaaa": ""}
