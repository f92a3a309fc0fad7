"""What changed in a worktree is told by kind, whatever its name; looking changes nothing."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.errors import HeldBack, ProcessFailed
from raccord.git import answer
from raccord.git.repo import open_repository
from raccord.git.status import Status, hidden, ignored, parse, status
from tests.git.traps import Trap, touch
from tests.gitkit import Repo, git

ODD = [
    b"new\nline",
    b"not-utf8-\xff\xfe",
    b"-dash",
    b'"quoted"',
    b" space ",
    b"tab\t",
    b"dir with/ -> /arrow",
    b"\xc3\xa9",
]


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "repo")
    made.commit({"a": "1\n", "b": "1\n", "c": "1\n", "dir/d": "1\n", ".gitignore": "*.log\n"})
    return made


def seen(repo: Repo) -> Status:
    return status(open_repository(repo.path).git)


def test_clean(repo):
    repo.write("x.log", "ignored")
    found = seen(repo)
    assert found == Status()
    assert found.clean
    assert found.tracked_clean


def test_each_kind(repo):
    repo.write("a", "2\n")
    repo.git("add", "a")
    repo.write("b", "2\n")
    repo.write("new/one", "1")
    repo.write("new/two", "1")
    repo.write("dir/d", None)
    repo.write("added", "1")
    repo.git("add", "added")
    repo.write("added", "2")
    repo.write("later", "1")
    repo.git("add", "--intent-to-add", "later")
    found = seen(repo)
    assert found.staged == ("a", "added")
    assert found.unstaged == ("added", "b", "dir/d", "later")
    assert found.untracked == ("new/one", "new/two")
    assert found.counts == {"staged": 2, "unstaged": 4, "untracked": 2, "unmerged": 0, "submodules": 0}
    assert not found.clean


def test_untracked_alone(repo):
    repo.write("new", "1")
    assert not seen(repo).clean
    assert seen(repo).tracked_clean


def test_a_rename_is_two_paths(repo):
    repo.git("mv", "a", "moved")
    assert seen(repo).staged == ("a", "moved")


def test_unmerged(repo):
    repo.git("switch", "--quiet", "-c", "topic")
    repo.commit({"a": "topic\n", "b": None})
    repo.git("switch", "--quiet", "main")
    repo.commit({"a": "main\n", "b": "main\n"})
    repo.git("merge", "topic", check=False)
    found = seen(repo)
    assert found.unmerged == ("a", "b")
    assert not found.tracked_clean


def test_paths_of_any_bytes(repo):
    for name in ODD:
        repo.write(name, "1")
    assert sorted(map(os.fsencode, seen(repo).untracked)) == sorted(ODD)
    repo.commit(dict.fromkeys(ODD, "1"))
    for name in ODD:
        repo.write(name, "2")
    assert sorted(map(os.fsencode, seen(repo).unstaged)) == sorted(ODD)


def test_modes_and_links_count(repo):
    (repo.path / "a").chmod(0o755)
    (repo.path / "b").unlink()
    (repo.path / "b").symlink_to("a")
    assert seen(repo).unstaged == ("a", "b")


def test_settings_that_hide_are_overruled(repo):
    for key, value in (
        ("status.showUntrackedFiles", "no"),
        ("status.renames", "copies"),
        ("status.relativePaths", "true"),
        ("status.branch", "true"),
        ("status.showStash", "true"),
        ("diff.ignoreSubmodules", "all"),
    ):
        repo.git("config", key, value)
    repo.write("new", "1")
    repo.git("mv", "a", "moved")
    found = seen(repo)
    assert (found.untracked, found.staged) == (("new",), ("a", "moved"))


def test_an_unborn_branch(tmp_path):
    new = Repo.init(tmp_path / "new")
    new.write("a", "1")
    new.git("add", "a")
    assert seen(new) == Status(staged=("a",))


def test_looking_writes_nothing(repo):
    touch(repo.path / "a")
    index = repo.path / ".git/index"
    before = (index.read_bytes(), index.stat().st_mtime_ns)
    assert seen(repo).clean
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


def test_a_lock_of_someone_else_does_not_stop_the_look(repo):
    (repo.path / ".git/index.lock").write_text("")
    assert seen(repo).clean


def test_a_directory_that_is_gone_raises(repo):
    git_there = open_repository(repo.path).git
    (repo.path / ".git/HEAD").unlink()
    with pytest.raises(ProcessFailed):
        status(git_there)


def test_an_embedded_repository_is_untracked(repo):
    Repo.init(repo.path / "inner").commit({"x": "1"})
    assert seen(repo).untracked == ("inner/",)


@pytest.fixture
def sub(repo, tmp_path):
    lib = Repo.init(tmp_path / "lib")
    lib.commit({"lib": "1"})
    lib.commit({"lib": "2"})
    git(repo.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.path, "sub")
    repo.commit(message="sub")
    return Repo(repo.path / "sub", repo.clock)


def test_a_clean_submodule(repo, sub):
    assert seen(repo).clean


def test_a_submodule_at_another_commit(repo, sub):
    sub.git("switch", "--quiet", "--detach", "HEAD~1")
    assert seen(repo) == Status(submodules=("sub",))
    repo.git("add", "sub")
    assert seen(repo) == Status(staged=("sub",))


@pytest.mark.parametrize("change", [{"lib": "3"}, {"untracked": "1"}])
@pytest.mark.parametrize("index", ["whole", "split", "version 4"])
def test_a_submodule_with_changes_inside(repo, sub, change, index):
    if index == "split":
        repo.git("update-index", "--split-index")
        repo.write("a", "2")
        repo.git("add", "a")
        repo.commit(message="another index")
    elif index == "version 4":
        repo.git("update-index", "--index-version=4")
    for path, data in change.items():
        sub.write(path, data)
    assert seen(repo) == Status(submodules=("sub",))


def test_a_submodule_that_is_not_checked_out(repo, sub):
    repo.git("submodule", "--quiet", "deinit", "--force", "sub")
    assert seen(repo).clean


def test_a_submodule_that_can_not_be_read_is_not_clean(repo, sub):
    (sub.path / ".git").write_text("gitdir: nowhere\n")
    assert seen(repo) == Status(submodules=("sub",))
    (sub.path / ".git").write_text("gitdir: ../.git/modules/sub\n")
    assert seen(repo).clean
    (repo.path / ".git/modules/sub/config").write_text("[core\n")
    with pytest.raises(ProcessFailed, match="git status"):
        seen(repo)


def test_a_submodule_within_a_submodule(repo, sub, tmp_path):
    lib = tmp_path / "lib"
    git(sub.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib, "deep")
    sub.commit(message="deep")
    repo.git("add", "sub")
    repo.commit(message="sub")
    assert seen(repo).clean
    (sub.path / "deep/lib").write_text("changed")
    assert seen(repo) == Status(submodules=("sub",))


def test_a_hostile_submodule_runs_nothing(repo, sub, tmp_path):
    trap = Trap.made(tmp_path / "trap")
    sub.commit({".gitattributes": "lib filter=evil\n"})
    repo.git("add", "sub")
    repo.commit(message="sub")
    sub.git("config", "filter.evil.clean", str(trap))
    sub.git("config", "core.fsmonitor", str(trap))
    touch(sub.path / "lib")
    repo.git("status")
    assert trap.sprung()
    touch(sub.path / "lib")
    seen(repo)
    assert not trap.sprung()


def test_ignored(repo):
    repo.write("tracked.log", "1")
    repo.git("add", "--force", "tracked.log")
    names = ["x.log", "a", "no/such.log", os.fsdecode(b"\xff\n.log"), "tracked.log", "-x.log"]
    git_here = open_repository(repo.path).git
    assert ignored(git_here, names) == {"x.log", "no/such.log", os.fsdecode(b"\xff\n.log"), "-x.log"}
    assert ignored(git_here, ["a"]) == frozenset()
    assert ignored(git_here, []) == frozenset()


def test_hidden_changes_are_found(repo):
    repo.git("update-index", "--assume-unchanged", "a")
    repo.git("update-index", "--skip-worktree", "b", "c")
    repo.write("a", "2")
    repo.write("c", None)
    git_here = open_repository(repo.path).git
    assert status(git_here).clean
    assert hidden(git_here) == ("a", "b")


FIELDS = st.sampled_from([".", "M", "A", "D", "T"])
PATHS = st.binary(min_size=1).filter(lambda path: b"\0" not in path)


@given(st.lists(st.tuples(st.sampled_from("1u?!#"), FIELDS, FIELDS, st.booleans(), PATHS)))
def test_every_line_git_may_print_is_told_once(rows):
    out, expected = [], {"staged": 0, "unstaged": 0, "untracked": 0, "unmerged": 0, "submodules": 0}
    paths = []
    for kind, index, tree, is_sub, path in rows:
        sub = b"SC.." if is_sub else b"N..."
        if kind == "1":
            out.append(
                b"1 %s%s %s 100644 100644 100644 %s %s %s"
                % (index.encode(), tree.encode(), sub, b"a" * 40, b"b" * 40, path)
            )
            expected["staged"] += index != "."
            expected["submodules" if is_sub else "unstaged"] += tree != "."
            paths += [path] * ((index != ".") + (tree != "."))
        elif kind == "u":
            out.append(b"u UU %s 1 2 3 4 %s %s %s %s" % (sub, b"a" * 40, b"b" * 40, b"c" * 40, path))
            expected["unmerged"] += 1
            paths.append(path)
        else:
            out.append(kind.encode() + b" " + path)
            expected["untracked"] += kind == "?"
            paths += [path] * (kind == "?")
    found = parse(b"".join(line + b"\0" for line in out))
    assert found.counts == expected
    told = (*found.staged, *found.unstaged, *found.untracked, *found.unmerged, *found.submodules)
    assert sorted(map(os.fsencode, told)) == sorted(paths)


@given(st.binary(min_size=1))
def test_what_is_no_status_raises(data):
    if data[:2] in (b"1 ", b"2 ", b"u ", b"? ", b"! ", b"# ") or data.startswith(b"\0"):
        return
    with pytest.raises(ValueError, match="status"):
        parse(data)


@pytest.mark.parametrize("name", [".gitignore", "deep/er/.gitignore"])
def test_a_pipe_that_git_would_open_is_named_and_not_waited_for(tmp_path, monkeypatch, name):
    monkeypatch.setattr(answer, "PATIENCE_S", 0.5)
    repo = Repo.init(tmp_path / "main")
    repo.commit({"deep/er/f": "1"})
    os.mkfifo(repo.path / name)
    with pytest.raises(HeldBack, match=rf"^{name} is no file but a pipe") as caught:
        status(open_repository(repo.path).git)
    assert caught.value.hint == f"rm {repo.path / name}"


@pytest.mark.long
def test_many_worktrees_at_once_are_quick(tmp_path):
    repo = Repo.init(tmp_path / "main")
    repo.commit({f"d{n % 50}/f{n}": f"{n}\n" for n in range(2000)})
    tops = [repo.worktree(f"w{n}", f"b{n}").path for n in range(6)]
    time.sleep(1.1)  # files as old as the index are read again by every status
    for top in tops:
        git(top, "update-index", "-q", "--really-refresh")
    opened = open_repository(repo.path)
    took = []
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            since = time.monotonic()
            assert all(found.clean for found in pool.map(lambda top: status(opened.git.at(top)), tops))
            took.append(time.monotonic() - since)
    # Fifty took 0.19 s on two cores.
    assert min(took) < 2
