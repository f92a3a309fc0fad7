"""A repository is found from anywhere in it, and what is none, or not ours, is told in one line."""

import os
from pathlib import Path

import pytest

from raccord.errors import CannotRun, GitMissing, GitTooOld, NotARepository
from raccord.git.repo import open_repository
from tests.git.traps import spawns
from tests.gitkit import Repo, git, remote_with_clone


@pytest.fixture
def main(tmp_path):
    repo = Repo.init(tmp_path / "main")
    repo.commit({"dir/deep/file": "x"})
    return repo


def test_from_the_top_and_from_below(main):
    top = open_repository(main.path)
    assert top.top == main.path
    assert top.git.cwd == main.path
    assert top.common == top.gitdir == main.path / ".git"
    assert not top.bare
    assert not top.shallow
    assert top.object_format == "sha1"
    assert top.version >= (2, 39, 0)
    assert len(top.zero) == 40
    assert open_repository(main.path / "dir/deep") == top


def test_from_inside_the_git_directory(main):
    found = open_repository(main.path / ".git" / "objects")
    assert found.top == main.path
    assert found.git.line("rev-parse", "HEAD") == main.oid()


def test_in_a_linked_worktree_and_its_git_directory(main):
    linked = main.worktree("linked", "topic")
    found = open_repository(linked.path)
    assert found.top == linked.path
    assert found.common == main.path / ".git"
    assert found.gitdir == main.path / ".git/worktrees/linked"
    assert open_repository(found.gitdir).top == linked.path


def test_through_a_symbolic_link(main, tmp_path):
    (tmp_path / "link").symlink_to(main.path / "dir")
    assert open_repository(tmp_path / "link").top == main.path


def test_a_bare_repository(tmp_path):
    bare = Repo.init(tmp_path / "bare.git", bare=True)
    for path in (bare.path, bare.path / "objects"):
        found = open_repository(path)
        assert found.bare
        assert found.top is None
        assert found.common == bare.path
        assert found.git.line("rev-parse", "--git-dir") == "."


@pytest.mark.parametrize("layout", ["bare.git", "hub/.git", "hub/.bare"])
def test_a_bare_main_with_linked_worktrees(tmp_path, layout):
    source = Repo.init(tmp_path / "source")
    source.commit({"a": "1"})
    place = tmp_path / layout
    git(tmp_path, "clone", "--quiet", "--bare", source.path, place)
    if layout == "hub/.bare":
        (tmp_path / "hub/.git").write_text("gitdir: ./.bare\n")
    git(place, "worktree", "add", "--quiet", "-b", "topic", tmp_path / "topic")
    linked = open_repository(tmp_path / "topic")
    assert linked.top == tmp_path / "topic"
    assert linked.bare
    assert linked.common == place
    assert linked.git.line("status", "--porcelain") == ""
    for path in {place, place.parent if layout != "bare.git" else place}:
        found = open_repository(path)
        assert found.bare
        assert found.top is None
        # What was opened at the bare directory also works in its worktrees.
        assert found.git.at(tmp_path / "topic").line("rev-parse", "--show-toplevel") == str(
            tmp_path / "topic"
        )
        assert found.git.line("rev-parse", "HEAD") == source.oid()


def test_a_submodule_is_its_own_repository(main, tmp_path):
    lib = Repo.init(tmp_path / "lib")
    lib.commit({"lib": "1"})
    git(main.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.path, "sub")
    found = open_repository(main.path / "sub")
    assert found.top == main.path / "sub"
    assert found.common == main.path / ".git/modules/sub"
    assert open_repository(found.common).top == main.path / "sub"


def test_a_separate_git_directory(tmp_path):
    git(tmp_path, "init", "--quiet", f"--separate-git-dir={tmp_path / 'apart'}", "tree")
    found = open_repository(tmp_path / "tree")
    assert found.top == tmp_path / "tree"
    assert found.common == tmp_path / "apart"


@pytest.mark.parametrize("name", [b"new\nline", b"not-utf8-\xff", b"-dash", b"true\nsha1\n", b"tail\n"])
def test_directories_of_any_name(tmp_path, name):
    place = tmp_path / os.fsdecode(name)
    repo = Repo.init(place)
    repo.commit({"a": "1"})
    found = open_repository(place)
    assert found.top == place
    assert found.common == place / ".git"


def test_sha256(tmp_path):
    git(tmp_path, "init", "--quiet", "--object-format=sha256", "new")
    found = open_repository(tmp_path / "new")
    assert found.object_format == "sha256"
    assert len(found.zero) == 64


def test_shallow(tmp_path):
    remote, clone = remote_with_clone(tmp_path)
    clone.commit({"a": "1"})
    clone.git("push", "--quiet")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{remote.path}", "shallow")
    assert open_repository(tmp_path / "shallow").shallow
    assert not open_repository(clone.path).shallow


def test_no_repository(tmp_path):
    with pytest.raises(NotARepository) as caught:
        open_repository(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint == "raccord -C DIR status, or for a new repository: git init"
    with pytest.raises(NotARepository):
        open_repository(tmp_path / "missing")


def test_a_worktree_whose_repository_moved_away(main):
    linked = main.worktree("linked", "topic")
    main.path.rename(main.path.with_name("moved"))
    with pytest.raises(NotARepository) as caught:
        open_repository(linked.path)
    assert caught.value.hint == "git worktree repair"


def test_a_broken_configuration_is_named(main):
    (main.path / ".git/config").write_text("[core\n")
    with pytest.raises(CannotRun, match="bad config line 1"):
        open_repository(main.path)


def test_a_format_from_the_future(main):
    main.git("config", "core.repositoryFormatVersion", "99")
    with pytest.raises(CannotRun, match="99"):
        open_repository(main.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_repository_of_someone_else(main):
    os.chown(main.path, 12345, 12345)
    os.chown(main.path / ".git", 12345, 12345)
    with pytest.raises(CannotRun) as caught:
        open_repository(main.path)
    assert "someone else" in caught.value.message
    assert caught.value.hint == f"git config --global --add safe.directory {main.path}"


def test_no_git_at_all(main, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitMissing):
        open_repository(main.path)


@pytest.mark.parametrize(("said", "error"), [("git version 2.38.1", GitTooOld), ("hello", GitMissing)])
def test_another_git(main, monkeypatch, tmp_path, said, error):
    fake = tmp_path / "bin/git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho {said}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    with pytest.raises(error):
        open_repository(main.path)


def test_newer_spellings_of_the_version(main, monkeypatch, tmp_path):
    fake = tmp_path / "bin/git"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo "git version 2.51.0.windows.1" && exit\n/usr/bin/git "$@"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    assert open_repository(main.path).version == (2, 51, 0)


def test_a_bare_repository_inside_a_worktree_is_refused(main):
    planted = main.path / "dir/planted"
    git(main.path, "init", "--quiet", "--bare", planted)
    with pytest.raises(CannotRun, match="bare repository inside the worktree"):
        open_repository(planted)


def test_a_worktree_setting_that_leads_elsewhere_is_refused(main, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    main.git("config", "core.worktree", str(victim))
    with pytest.raises(CannotRun, match="does not lead back"):
        open_repository(main.path)


def test_opening_costs_few_spawns(main, monkeypatch):
    calls = spawns(monkeypatch)
    open_repository(main.path / "dir")
    assert len(calls) == 3


def test_settings_do_not_hold_what_raccord_itself_sets(main):
    assert open_repository(main.path).settings.all("core.fsmonitor") == ()


def test_a_file_as_path(main):
    with pytest.raises(NotARepository):
        open_repository(Path(main.path / "dir/deep/file"))
