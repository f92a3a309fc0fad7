"""The index that raccord writes itself, beside the one that git's own merge writes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from raccord.git import deltas
from raccord.git.deltas import Delta, differences, together
from raccord.git.follow_edit import edited, ordinary
from raccord.git.follow_index import Index, parse
from raccord.git.run import Git
from tests.gitkit import Repo

NAMES = ("a", "a-", "a.b", "a/b", "a/b/c", "a/z", "a0", "b/c/d", "b/c/e", "é", "long/" + "n" * 300, "z")
MODES = ("100644", "100755", "120000")
COMMON = settings(deadline=None, suppress_health_check=list(HealthCheck))


def trees():
    content = st.tuples(st.sampled_from(MODES), st.integers(0, 2))
    return st.dictionaries(st.sampled_from(NAMES), content, max_size=9).filter(able)


def able(names) -> bool:
    """Whether no file is where another needs a directory."""
    return not any(other.startswith(f"{name}/") for name in names for other in names)


class Bench:
    def __init__(self, path: Path, width: int) -> None:
        self.repo = Repo(path)
        self.width = width
        path.mkdir()
        self.repo.git("init", "-q", f"--object-format={'sha1' if width == 20 else 'sha256'}")
        self.blobs = [self.repo.git("hash-object", "-w", "--stdin", input=str(n)) for n in range(4)]
        self.git = Git(path)

    def index(self, name: str, content, onto: bool = False) -> dict[str, str]:
        env = {"GIT_INDEX_FILE": str(self.repo.path / name)}
        if not onto:
            self.repo.git("read-tree", "--empty", env=env)
        lines = "".join(f"{mode} {self.blobs[n]}\t{path}\0" for path, (mode, n) in content.items())
        self.repo.git("update-index", "-z", "--index-info", input=lines, env=env)
        return env

    def tree(self, content) -> str:
        return self.repo.git("write-tree", env=self.index("scratch", content))

    def read(self, name: str) -> Index:
        return parse((self.repo.path / name).read_bytes(), self.width)


@pytest.fixture(scope="module", params=[20, 32], ids=["sha1", "sha256"])
def bench(request, tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("edit") / "repo", request.param)


def compare(bench: Bench, old, new, staged) -> None:
    first, second = bench.tree(old), bench.tree(new)
    changed = {path for path in {*old, *new} if old.get(path) != new.get(path)}
    # Staged is what doesn't overlap, or what the move brings anyhow.
    staged = {
        path: new.get(path, value) for path, value in staged.items() if path not in changed or path in new
    }
    env = bench.index("git", old)
    bench.repo.git("read-tree", first, env=env)  # with a cache of tree ids
    bench.index("git", staged, onto=True)
    before = bench.read("git")
    mine = edited(before, differences(bench.git, first, second))
    assert mine is not None
    bench.repo.git("read-tree", "-m", first, second, env=env)
    ours = {"GIT_INDEX_FILE": str(bench.repo.path / "ours")}
    Path(ours["GIT_INDEX_FILE"]).write_bytes(mine.data)
    for question in (["ls-files", "-z", "--stage"], ["ls-files", "-v", "-z"], ["write-tree"]):
        assert bench.repo.git(*question, env=ours) == bench.repo.git(*question, env=env)
    again = parse(mine.data, bench.width)
    assert (again.offsets, again.end, again.extensions) == (mine.offsets, mine.end, mine.extensions)


@pytest.mark.long_but(1)
@settings(COMMON, max_examples=25)
@given(old=trees(), new=trees(), staged=trees())
def test_it_is_what_git_merges(bench, old, new, staged):
    assume(able({*old, *staged}) and able({*new, *staged}))
    compare(bench, old, new, staged)


@pytest.mark.long
@settings(COMMON, max_examples=600)
@given(old=trees(), new=trees(), staged=trees())
@pytest.mark.timeout(600)
def test_it_is_what_git_merges_many_times(bench, old, new, staged):
    assume(able({*old, *staged}) and able({*new, *staged}))
    compare(bench, old, new, staged)


def test_what_a_directory_was_is_forgotten_in_the_cache_of_trees(bench):
    """All of a directory goes and comes back as a file; below others only one file changes."""
    old = {"a/b/c": (MODES[0], 0), "a/z": (MODES[0], 1), "b/c/d": (MODES[0], 2), "b/c/e": (MODES[0], 0)}
    new = {"a": (MODES[0], 1), "b/c/d": (MODES[1], 2), "b/c/e": (MODES[0], 0)}
    compare(bench, old, new, {})
    compare(bench, new, old, {"z": (MODES[2], 3)})


@pytest.mark.parametrize(
    "laid",
    [
        ["update-index", "--index-version=4"],
        ["update-index", "--untracked-cache"],
        ["update-index", "--split-index"],
        ["update-index", "--skip-worktree", "other"],
        ["update-index", "--assume-unchanged", "file"],
        ["update-index", "--fsmonitor"],
    ],
    ids=lambda words: words[1],
)
def test_what_is_not_plain_is_left_to_git(tmp_path, laid):
    repo = Repo.init(tmp_path / "repo")
    old = repo.commit({"file": "one", "other": "two"})
    new = repo.commit({"file": "changed"})
    repo.git("reset", "-q", "--hard", old)
    found = differences(Git(repo.path), old, new)
    index = repo.path / ".git/index"
    assert edited(parse(index.read_bytes(), 20), found) is not None
    repo.git("-c", "core.untrackedCache=keep", *laid)
    assert edited(parse(index.read_bytes(), 20), found) is None


def test_no_index_conflicts_submodules_and_intentions_are_left_to_git(tmp_path):
    repo = Repo.init(tmp_path / "repo")
    old = repo.commit({"file": "one"})
    index = repo.path / ".git/index"
    gitlink = [Delta("module", 0, 0o160000, "", old)]
    assert edited(parse(index.read_bytes(), 20), gitlink) is None
    assert edited(parse(b"", 20), gitlink) is None
    repo.write("new", "n")
    repo.git("add", "-N", "new")
    assert edited(parse(index.read_bytes(), 20), [Delta("new", 0, 0o100644, "", "a" * 40)]) is None
    blob = repo.git("hash-object", "-w", "--stdin", input="x")
    repo.git("update-index", "--index-info", input=f"100644 {blob} 1\tsplit\n100644 {blob} 2\tsplit\n")
    assert edited(parse(index.read_bytes(), 20), []) is None


@pytest.mark.parametrize(
    "name",
    [
        b".git/hooks/pre-commit",
        b"a/.GIT/config",
        b"a/../b",
        b"./a",
        b"a//b",
        b"a\\b",
        b".git ",
        b".git.",
        b"GIT~1/x",
        b"c:x",
        b".g\xe2\x80\x8cit/config",
        b"a/.git\xe2\x80\x8d",
        b".gitmodules",
        b"gi7eba~1",
        b"",
    ],
)
def test_a_name_that_some_git_refuses_is_left_to_git(name):
    assert not ordinary(name, 0o100644)


@pytest.mark.parametrize(
    "name", [b"a", b".gitignore", b"d/.gitattributes", b"..a", b"a..", "é/ü".encode(), b"\xff"]
)
def test_an_ordinary_name(name):
    assert ordinary(name, 0o100644)


def test_a_link_called_like_a_file_of_gits_is_left_to_git():
    assert ordinary(b".gitattributes", 0o100644) and not ordinary(b".gitattributes", 0o120000)


def test_many_differences_are_those_of_one_at_a_time(tmp_path, monkeypatch):
    repo = Repo.init(tmp_path / "repo")
    ids = [repo.commit({"same": "x", f"f{n % 3}": str(n), b"\xff\n:": str(n)}) for n in range(5)]
    repo.git("rm", "-q", "f1")
    ids.append(repo.commit())
    git = Git(repo.path)
    pairs = [(old, new) for old in ids for new in ids]
    assert together(git, pairs) == {pair: differences(git, *pair) for pair in pairs}
    assert together(git, [*pairs, (ids[0], "1" * 40), (ids[0], ids[2])]) == {}
    assert together(git, [*pairs, ("1" * 40, ids[0])]) == {}
    monkeypatch.setattr(deltas, "TOGETHER", 200)
    assert together(git, pairs) == {}


def test_git_takes_it_for_its_own(tmp_path):
    """Git reads it, finds nothing to complain about, and goes on with it."""
    repo = Repo.init(tmp_path / "repo")
    old = repo.commit({f"d{n % 7}/f{n}": str(n) for n in range(200)})
    new = repo.commit({f"d{n % 7}/f{n}": f"new {n}" for n in range(0, 200, 9)} | {"d3/new": "n", "x/y": "z"})
    repo.git("reset", "-q", "--hard", old)
    mine = edited(parse((repo.path / ".git/index").read_bytes(), 20), differences(Git(repo.path), old, new))
    assert mine is not None
    (repo.path / ".git/index").write_bytes(mine.data)
    repo.git("checkout-index", "-f", "-u", "--all")
    repo.git("update-ref", "HEAD", new)
    said = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repo.path, capture_output=True, env=os.environ
    )
    assert (said.stdout, said.stderr) == (b"", b"")
    assert repo.git("write-tree") == repo.git("rev-parse", f"{new}^{{tree}}")
    assert repo.git("fsck", "--strict") == ""
