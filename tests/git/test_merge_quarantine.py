"""A quarantine leaves nothing behind; what is kept is in the repository, whole and alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from raccord.errors import ProcessFailed
from raccord.git import commits
from raccord.git import quarantine as module
from raccord.git.commits import Signature
from raccord.git.quarantine import Quarantine, listed, quarantine
from raccord.git.run import Git
from tests.gitkit import Repo, git

WHO = Signature("New", "new@example.invalid", 1_800_000_000)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo.init(tmp_path / "repo")
    repo.commit({"f": "1\n", "d/.gitattributes": "* merge=union\n"})
    return repo


def everything(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def commit_in(place: Quarantine, parent: str, content: bytes) -> str:
    """A commit with one new file, written only into the quarantine."""
    blob = place.git.line("hash-object", "-w", "--stdin", stdin=content)
    tree = place.git.line("mktree", stdin=b"100644 blob %s\tnew\n" % blob.encode())
    (oid,) = place.write([commits.signed(tree, [parent], WHO, b"m\n")])
    return oid


def objects(repo: Repo) -> set[str]:
    return set(repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())


def test_nothing_is_left(repo: Repo, tmp_path: Path):
    before = everything(repo.path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with quarantine(Git(repo.path), repo.path / ".git", scratch) as place:
        oid = commit_in(place, repo.oid(), b"new")
        assert place.git.ok("cat-file", "-e", oid)
        assert place.git.ok("cat-file", "-e", repo.oid())
        assert [stat.S_IMODE(each.stat().st_mode) for each in scratch.iterdir()] == [0o700]
    assert everything(repo.path) == before
    assert list(scratch.iterdir()) == []
    assert not Git(repo.path).ok("cat-file", "-e", oid)


def test_nothing_is_left_after_an_error(repo: Repo, tmp_path: Path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with (
        pytest.raises(ProcessFailed),
        quarantine(Git(repo.path), repo.path / ".git", scratch) as place,
    ):
        place.git.out("no-such-command")
    assert list(scratch.iterdir()) == []


def test_keep_moves_what_is_reached_and_new_and_nothing_else(repo: Repo):
    before = objects(repo)
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        base = repo.oid()
        tip = commit_in(place, commit_in(place, base, b"first"), b"second")
        stray = commit_in(place, base, b"stray")
        pack = place.keep([tip], [base])
    assert len(objects(repo) - before) == 6  # two commits, two trees, two blobs
    assert stray not in objects(repo)
    assert repo.git("cat-file", "-p", f"{tip}~1:new") == "first"
    assert sorted(os.listdir(repo.path / ".git/objects/pack")) == [f"pack-{pack}.idx", f"pack-{pack}.pack"]
    assert repo.git("fsck", "--strict", "--connectivity-only") is not None


def test_keep_without_news_writes_nothing(repo: Repo):
    before = everything(repo.path)
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        assert place.keep([repo.oid()], [repo.oid()]) == ""
    assert everything(repo.path) == before


def test_keep_twice_writes_once(repo: Repo):
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        tip = commit_in(place, repo.oid(), b"new")
        assert place.keep([tip], [repo.oid()])
        assert not place.keep([tip], [repo.oid()])
    assert repo.git("cat-file", "-t", tip) == "commit"


@pytest.mark.parametrize("name", ["plain", "with:colon", '"quoted', 'a"b\\c:d', "new\nline:s", "\udcff:x"])
def test_any_directory_name(tmp_path: Path, name: str):
    repo = Repo.init(tmp_path / name)
    base = repo.commit({"f": "x"})
    with quarantine(Git(repo.path), repo.path / ".git", repo.path) as place:
        tip = commit_in(place, base, b"new")
        place.keep([tip], [base])
    assert repo.git("cat-file", "-t", tip) == "commit"


def test_quotes_only_what_needs_them():
    assert listed(Path("/a b/c")) == "/a b/c"
    assert listed(Path("/a:b")) == '"/a:b"'


def test_a_repository_that_borrows_objects(repo: Repo, tmp_path: Path):
    git(tmp_path, "clone", "--quiet", "--shared", repo.path, "borrower")
    borrower = Repo(tmp_path / "borrower", repo.clock)
    # A chain, and a relative path in it.
    git(tmp_path, "clone", "--quiet", "--shared", borrower.path, "third")
    third = tmp_path / "third"
    (third / ".git/objects/info/alternates").write_text("../../../borrower/.git/objects\n")
    with quarantine(Git(third), third / ".git") as place:
        tip = commit_in(place, repo.oid(), b"new")
        place.keep([tip], [repo.oid()])
    assert git(third, "cat-file", "-t", tip) == "commit"
    assert not repo.git("cat-file", "-t", tip, check=False)
    packed = git(third, "verify-pack", "-v", *Path(third, ".git/objects/pack").glob("*.idx"))
    assert repo.oid() not in packed


def test_from_a_linked_worktree(repo: Repo):
    tree = repo.worktree("tree", "topic")
    with quarantine(Git(tree.path), repo.path / ".git") as place:
        tip = commit_in(place, repo.oid(), b"new")
        place.keep([tip], [repo.oid()])
    assert repo.git("cat-file", "-t", tip) == "commit"


def test_a_bare_repository(repo: Repo, tmp_path: Path):
    git(tmp_path, "clone", "--quiet", "--bare", repo.path, "bare.git")
    bare = tmp_path / "bare.git"
    with quarantine(Git(bare), bare) as place:
        tip = commit_in(place, repo.oid(), b"new")
        assert place.attributes.at(repo.oid("HEAD^{tree}")).ok("cat-file", "-e", tip)
        place.keep([tip], [repo.oid()])
    assert git(bare, "cat-file", "-t", tip) == "commit"


def names(found: Iterable[Path]) -> list[str]:
    return sorted(path.name for path in found)


def test_attributes_are_checked_out_and_nothing_else(repo: Repo):
    plain = repo.commit({"g": "x"})
    topped = repo.commit({".gitattributes": "* -text\n", "d/.gitattributes": None})
    dropped = repo.commit({".gitattributes": None})
    trees = [repo.oid(f"{oid}^{{tree}}") for oid in (plain, topped, dropped)]
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        assert place.attributes.changing(trees, [plain, topped, dropped]) == {topped, dropped}
        nested, top, none = (place.attributes.at(tree) for tree in trees)
        assert names(nested.cwd.rglob("*")) == [".gitattributes", "d"]
        assert names(top.cwd.rglob("*")) == [".gitattributes"]
        assert none == place.git
        assert place.attributes.at(trees[0]) is nested


def test_a_tree_with_several_attribute_files_before_one_without(repo: Repo):
    repo.commit({"a/.gitattributes": "x -text\n", "z/.gitattributes": "x -text\n"})
    full = repo.oid("HEAD^{tree}")
    repo.git("rm", "--quiet", "-rf", ".")
    bare = repo.oid(f"{repo.commit({'only': 'x'})}^{{tree}}")
    with quarantine(Git(repo.path), repo.path / ".git") as place:
        place.attributes.changing([bare, full, bare], [])
        assert place.attributes.at(bare) == place.git
        assert place.attributes.at(full) != place.git


def test_leftovers_of_the_killed_are_swept(repo: Repo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MEMORY", repo.path / "absent")
    room = repo.path / ".git/raccord"
    old, young, other = room / f"{module.PREFIX}old", room / f"{module.PREFIX}young", room / "else"
    for each in (old, young, other):
        (each / "objects").mkdir(parents=True)
    os.utime(old, (1, 1))
    os.utime(other, (1, 1))
    with quarantine(Git(repo.path), repo.path / ".git") as running:
        assert running.scratch.parent == room.resolve()
        assert names(room.iterdir()) == sorted(["else", young.name, running.scratch.name])
        os.utime(running.scratch, (1, 1))
        with quarantine(Git(repo.path), repo.path / ".git"):
            assert running.scratch.exists()
    assert names(room.iterdir()) == ["else", young.name]


def test_memory_is_used_only_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert module._roomy(tmp_path)
    assert not module._roomy(tmp_path / "absent")
    monkeypatch.setattr(module, "ROOM", 1 << 70)
    assert not module._roomy(tmp_path)
