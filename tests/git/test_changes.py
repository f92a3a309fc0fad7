"""The same change is found again under another commit, and two changes are never taken for one."""

import pytest

from raccord.git.changes import patch_ids, same_changes, touched
from raccord.git.repo import open_repository
from tests.git.traps import spawns
from tests.gitkit import Repo, git

LINES = "".join(f"line {number}\n" for number in range(30))


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "repo")
    made.commit({"f": LINES, "b": b"\0\1\2", "x": "#!/bin/sh\n"})
    made.git("branch", "base")
    return made


def here(repo: Repo):
    return open_repository(repo.path).git


def both(repo: Repo, ours: dict, theirs: dict) -> tuple[str, str]:
    """A commit on the base with each change; theirs is behind another commit that moves its lines."""
    repo.git("switch", "--quiet", "--detach", "base")
    mine = repo.commit(ours, "mine")
    repo.git("switch", "--quiet", "--detach", "base")
    repo.commit({"f": "first\n" + LINES}, "moves lines")
    return mine, repo.commit(theirs, "theirs, with another message")


def test_a_picked_change_is_the_same(repo):
    changed = LINES.replace("line 20\n", "line twenty\n")
    mine, theirs = both(repo, {"f": changed, "new": "1"}, {"f": "first\n" + changed, "new": "1"})
    assert same_changes(here(repo), [mine], [theirs]) == {mine: (theirs,)}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"f": LINES.replace("line 20", "a")}, {"f": "first\n" + LINES.replace("line 20", "b")}),
        ({"new": "    if x:\n        y\n"}, {"new": "    if x:\n    y\n"}),  # indentation alone
        ({"new": "a b\n"}, {"new": "ab\n"}),
        ({"b": b"\0\1\2\3"}, {"b": b"\0\1\2\4"}),  # binary
        ({"new": b"\0one"}, {"new": b"\0two"}),
        ({"new": "1", "more": "2"}, {"new": "1"}),
        ({"one": "1"}, {"two": "1"}),
        ({"new": "1\n"}, {"new": "1"}),
    ],
)
def test_different_changes_stay_different(repo, ours, theirs):
    mine, other = both(repo, ours, theirs)
    assert same_changes(here(repo), [mine], [other]) == {}


def test_the_same_binary_change_is_the_same(repo):
    mine, other = both(repo, {"b": b"\0new"}, {"b": b"\0new"})
    assert same_changes(here(repo), [mine], [other]) == {mine: (other,)}


def test_modes_are_changes(repo):
    commits = []
    for mode in (0o755, 0o644):
        repo.git("switch", "--quiet", "--detach", "base")
        (repo.path / "new").write_text("1")
        (repo.path / "new").chmod(mode)
        commits.append(repo.commit({"new": "1"}))
        repo.git("switch", "--quiet", "--detach", "base")
    assert same_changes(here(repo), commits[:1], commits[1:]) == {}


def test_a_submodule_is_a_change_even_where_a_setting_hides_it(repo, tmp_path):
    lib = Repo.init(tmp_path / "lib")
    one, two = lib.commit({"l": "1"}), lib.commit({"l": "2"})
    repo.git("config", "diff.ignoreSubmodules", "all")
    commits = []
    for oid in (one, two):
        repo.git("switch", "--quiet", "--detach", "base")
        repo.write("f", "x" + LINES)
        repo.git("update-index", "--add", "--cacheinfo", f"160000,{oid},sub")
        repo.git("add", "f")
        commits.append(repo.commit(message="sub"))
        repo.git("update-index", "--force-remove", "sub")
    assert same_changes(here(repo), commits[:1], commits[1:]) == {}
    assert touched(here(repo), commits[:1]) == {commits[0]: {"f", "sub"}}


def test_merges_empty_commits_and_roots(repo):
    empty = repo.commit(message="empty")
    repo.git("switch", "--quiet", "-c", "side", "base")
    repo.commit({"side": "1"})
    repo.git("merge", "--quiet", "--no-edit", "main")
    merge, root = repo.oid(), repo.oid("base")
    ids = patch_ids(here(repo), [empty, merge, root])
    assert set(ids) == {root}
    assert same_changes(here(repo), [empty, merge], [empty, merge]) == {}


def test_several_of_theirs(repo):
    def commit() -> str:
        repo.git("switch", "--quiet", "--detach", "base")
        return repo.commit({"new": "1"})

    one, two, three = commit(), commit(), commit()
    assert same_changes(here(repo), [one], [two, three, two]) == {one: (two, three)}


def test_paths_of_any_bytes_and_what_looks_like_an_id(repo):
    names = [b"\xff\n", b"d/:100644", b"1" * 40, b"-x", b"a -> b"]
    made = repo.commit(dict.fromkeys(names, "1"))
    found = touched(here(repo), [made])[made]
    assert {name.encode("utf-8", "surrogateescape") for name in found} == set(names)
    assert list(patch_ids(here(repo), [made])) == [made]


def test_nothing_to_compare(repo):
    assert same_changes(here(repo), [], [repo.oid()]) == {}
    assert patch_ids(here(repo), []) == {}
    assert touched(here(repo), []) == {}


def test_only_likely_ones_are_computed(repo, monkeypatch):
    mine, theirs = both(repo, {"one": "1"}, {"two": "1"})
    calls = spawns(monkeypatch)
    assert same_changes(open_repository(repo.path).git, [mine], [theirs]) == {}
    assert [argv for argv in calls if "patch-id" in argv] == []


def test_a_rebase_of_git_agrees(repo):
    """What git's rebase leaves out as already there is what we find."""
    repo.git("switch", "--quiet", "-c", "topic", "base")
    mine = [repo.commit({f"n{number}": f"{number}\n"}, f"n{number}") for number in range(6)]
    repo.git("switch", "--quiet", "main")
    repo.commit({"f": "first\n" + LINES})
    for oid in mine[1::2]:
        repo.git("cherry-pick", oid)
    theirs = repo.git("rev-list", "base..main").split()
    found = same_changes(here(repo), mine, theirs)
    assert list(found) == mine[1::2]
    git(repo.path, "rebase", "--quiet", "main", "topic")
    kept = repo.git("log", "--reverse", "--format=%s", "main..topic").split()
    assert kept == ["n0", "n2", "n4"]
