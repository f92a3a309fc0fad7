"""Every worktree is seen as it is: its branch, what goes on in it, whether it is still there."""

import os
import shutil

import pytest

from raccord.git.repo import open_repository
from raccord.git.worktrees import operation, worktrees
from tests.gitkit import Repo, git


@pytest.fixture
def main(tmp_path):
    repo = Repo.init(tmp_path / "main")
    repo.commit({"f": "1\n"})
    return repo


def trees(repo: Repo):
    return {tree.path.name: tree for tree in worktrees(open_repository(repo.path))}


def conflicting(repo: Repo) -> Repo:
    """A worktree on `topic` whose change to f conflicts with main's."""
    linked = repo.worktree("linked", "topic")
    linked.commit({"f": "topic\n"}, "topic one")
    linked.commit({"f": "topic two\n"}, "topic two")
    repo.commit({"f": "main\n"})
    return linked


def test_main_and_linked(main):
    linked = main.worktree("linked", "feature/a")
    tip = linked.commit({"g": "1"})
    for place in (main, linked):
        first, second = worktrees(open_repository(place.path))
        assert (first.path, first.gitdir, first.branch, first.main) == (
            main.path,
            main.path / ".git",
            "main",
            True,
        )
        assert (second.path, second.branch, second.head, second.main) == (
            linked.path,
            "feature/a",
            tip,
            False,
        )
        assert second.gitdir == main.path / ".git/worktrees/linked"
        assert not second.missing
        assert second.operation is None
        assert second.locked is None
        assert not second.detached


def test_detached_locked_and_unborn(main):
    detached = main.worktree("detached", "a")
    detached.git("switch", "--quiet", "--detach")
    main.worktree("locked", "b")
    main.git("worktree", "lock", "--reason", "on a\nstick", "../locked")
    main.worktree("plain-lock", "c")
    main.git("worktree", "lock", "../plain-lock")
    unborn = main.worktree("unborn", "d")
    unborn.git("switch", "--quiet", "--orphan", "new")
    found = trees(main)
    assert found["detached"].detached
    assert found["detached"].branch is None
    assert found["detached"].head == main.oid()
    assert found["locked"].locked == "on a\nstick"
    assert found["plain-lock"].locked == ""
    assert found["unborn"].head is None
    assert found["unborn"].branch == "new"


def test_no_commits_at_all(tmp_path):
    (tree,) = worktrees(open_repository(Repo.init(tmp_path / "new").path))
    assert (tree.head, tree.branch, tree.main, tree.missing) == (None, "main", True, False)


def test_gone_and_broken_ones(main):
    for name in ("gone", "no-link", "wrong-link", "moved", "garbage"):
        main.worktree(name, name)
    beside = main.path.parent
    shutil.rmtree(beside / "gone")
    (beside / "no-link/.git").unlink()
    (beside / "wrong-link/.git").write_text(f"gitdir: {main.path}/.git/worktrees/moved\n")
    (beside / "moved").rename(beside / "elsewhere")
    (beside / "garbage/.git").write_bytes(b"\xff\0nonsense")
    found = trees(main)
    assert {name for name, tree in found.items() if tree.missing} == {
        "gone",
        "no-link",
        "wrong-link",
        "moved",
        "garbage",
    }
    assert found["gone"].branch == "gone"
    assert found["gone"].head == main.oid()


@pytest.mark.parametrize(
    "head", [b"", b"nonsense", b"ref: refs/heads/../../x", b"\xff\xff", b"ref: refs/heads/\n"]
)
def test_a_broken_head_stops_nothing(main, head):
    main.worktree("fine", "fine")
    main.worktree("broken", "broken")
    (main.path / ".git/worktrees/broken/HEAD").write_bytes(head)
    found = trees(main)
    assert found["fine"].head == main.oid()
    assert found["broken"].head is None or found["broken"].missing


def test_files_that_are_missing_stop_nothing(main):
    main.worktree("fine", "fine")
    main.worktree("one", "one")
    main.worktree("two", "two")
    (main.path / ".git/worktrees/one/gitdir").unlink()
    (main.path / ".git/worktrees/two/HEAD").unlink()
    found = trees(main)
    assert not found["fine"].missing
    assert found["fine"].branch == "fine"


@pytest.mark.parametrize(
    "name",
    [b"new\nline", b"not-utf8-\xff\xfe", b"worktree x", b"-dash", b'quo"te', b"sp ace ", b"back\\slash"],
)
def test_any_path(main, name):
    main.worktree(os.fsdecode(name), "odd")
    tree = trees(main)[os.fsdecode(name)]
    assert os.fsencode(tree.path.name) == name
    assert tree.branch == "odd"
    assert not tree.missing
    assert (tree.gitdir / "HEAD").exists()


def test_a_bare_main(tmp_path):
    bare = Repo.init(tmp_path / "bare.git", bare=True)
    source = Repo.init(tmp_path / "source")
    source.commit({"a": "1"})
    source.git("push", "--quiet", bare.path, "main", "main:topic")
    git(bare.path, "worktree", "add", "--quiet", tmp_path / "linked", "topic")
    for place in (bare.path, tmp_path / "linked"):
        first, second = worktrees(open_repository(place))
        assert (first.path, first.bare, first.main, first.missing) == (bare.path, True, True, False)
        assert (second.path, second.branch, second.bare) == (tmp_path / "linked", "topic", False)


def test_a_submodule_lists_its_own_top(main, tmp_path):
    lib = Repo.init(tmp_path / "lib")
    lib.commit({"a": "1"})
    git(main.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.path, "sub")
    sub = Repo(main.path / "sub", main.clock)
    sub.worktree(tmp_path / "sub-linked", "topic")
    for place in (sub.path, tmp_path / "sub-linked"):
        first, second = worktrees(open_repository(place))
        assert (first.path, first.missing, first.main) == (sub.path, False, True)
        assert second.path == tmp_path / "sub-linked"


def test_a_separate_git_directory(tmp_path):
    git(tmp_path, "init", "--quiet", f"--separate-git-dir={tmp_path / 'apart'}", "tree")
    (tree,) = worktrees(open_repository(tmp_path / "tree"))
    assert (tree.path, tree.missing) == (tmp_path / "tree", False)


def test_relative_links(main):
    linked = main.worktree("linked", "topic")
    (main.path / ".git/worktrees/linked/gitdir").write_text("../../../../linked/.git\n")
    (linked.path / ".git").write_text("gitdir: ../main/.git/worktrees/linked\n")
    found = worktrees(open_repository(main.path))[1]
    assert found.gitdir == main.path / ".git/worktrees/linked"


def test_a_rebase_and_its_branch(main):
    linked = conflicting(main)
    for backend in ("--merge", "--apply"):
        linked.git("rebase", backend, "main", check=False)
        tree = trees(main)["linked"]
        assert (tree.operation, tree.branch, tree.detached) == ("rebase", "topic", True)
        linked.git("rebase", "--abort")
        assert trees(main)["linked"].operation is None


def test_a_rebase_of_a_detached_head(main):
    linked = conflicting(main)
    linked.git("switch", "--quiet", "--detach")
    linked.git("rebase", "main", check=False)
    assert (trees(main)["linked"].operation, trees(main)["linked"].branch) == ("rebase", None)


def test_merge_cherry_pick_and_revert(main):
    linked = conflicting(main)
    linked.git("merge", "main", check=False)
    assert (trees(main)["linked"].operation, trees(main)["linked"].branch) == ("merge", "topic")
    linked.git("merge", "--abort")
    linked.git("cherry-pick", "main", check=False)
    assert trees(main)["linked"].operation == "cherry-pick"
    linked.git("cherry-pick", "--abort")
    linked.git("revert", "--no-edit", "HEAD~1", check=False)
    assert trees(main)["linked"].operation == "revert"


def test_between_two_picks_the_list_tells(main):
    linked = conflicting(main)
    picks = [main.commit({"f": "main 2\n"}), main.commit({"h": "3\n"})]
    linked.git("cherry-pick", *picks, check=False)
    linked.commit({"f": "solved\n"})
    assert not (main.path / ".git/worktrees/linked/CHERRY_PICK_HEAD").exists()
    assert trees(main)["linked"].operation == "cherry-pick"


def test_am(main):
    linked = conflicting(main)
    patch = main.git("format-patch", "-1", "--stdout", "main") + "\n"
    linked.git("am", input=patch, check=False)
    assert (trees(main)["linked"].operation, trees(main)["linked"].branch) == ("am", "topic")


def test_bisect_comes_back_to_its_branch(main):
    linked = conflicting(main)
    linked.git("bisect", "start", "HEAD", "HEAD~2")
    tree = trees(main)["linked"]
    assert (tree.operation, tree.branch, tree.detached) == ("bisect", "topic", True)
    linked.git("bisect", "reset")
    linked.git("switch", "--quiet", "--detach")
    linked.git("bisect", "start", "HEAD", "HEAD~2")
    assert (trees(main)["linked"].operation, trees(main)["linked"].branch) == ("bisect", None)


def test_an_operation_of_nowhere(tmp_path):
    assert operation(tmp_path / "missing") == (None, None)
