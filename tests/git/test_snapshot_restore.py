"""A restore brings back every byte, bit and answer of git, and refuses what the world moved."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace

import pytest

from raccord.errors import HeldBack, WorldMoved
from raccord.git import snapshot, snapshot_restore
from raccord.git.snapshot_changes import differences
from raccord.model.handler import Position
from tests.git.snapshotkit import collect, fingerprint, opened, restore, take
from tests.gitkit import Repo, git


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "repo")
    files = {f"dir{n % 3}/f{n}": f"file {n}\n" for n in range(12)}
    made.commit({**files, "a": "one\n", "b": "two\n", ".gitignore": "*.log\nbuild/\n", "run": "#!/bin/sh\n"})
    made.commit({"a": "one more\n"})
    return made


def dirty(repo):
    """Every kind of edit at once."""
    repo.write("a", "staged\n")
    repo.git("add", "a")
    repo.write("a", "edited\n")
    repo.write("dir0/f0", None)
    repo.git("rm", "-q", "dir1/f1")
    repo.git("mv", "b", "moved")
    (repo.path / "run").chmod(0o755)
    (repo.path / "dir2/f2").chmod(0o600)
    repo.write("dir2/f2", "private\n")
    repo.write("new/deep/x", "untracked\n").chmod(0o700)
    repo.write("added", "added\n")
    repo.git("add", "added")
    repo.write("intent", "intent\n")
    repo.git("add", "-N", "intent")
    os.symlink("a", repo.path / "link")
    (repo.path / "dir0/f3").unlink()
    os.symlink("/nowhere", repo.path / "dir0/f3")
    repo.write(b"w\xffeird\n-name", b"\x00\xff\r\n")
    (repo.path / "empty/dir").mkdir(parents=True)
    repo.write("x.log", "ignored\n")
    repo.write("build/out", "ignored too\n")


def wreck(repo):
    """Everything else than `dirty`."""
    repo.git("reset", "-q", "--hard")
    repo.git("clean", "-qfd")
    repo.git("switch", "-q", "-c", "elsewhere", "HEAD~1")
    repo.write("new", "a file now\n")
    repo.write("a/b/c", None) if (repo.path / "a/b/c").exists() else None
    (repo.path / "a").unlink()
    repo.write("a/b/c", "a directory now\n")
    repo.write("dir1/f4", "other\n")
    repo.write("later", "later\n")
    repo.git("add", "later")
    os.symlink("dir1", repo.path / "empty")
    repo.commit({"committed": "yes\n"})


def test_everything_comes_back_and_the_backup_brings_the_rest_back(repo):
    dirty(repo)
    before = fingerprint(repo)
    taken = take(repo)
    wreck(repo)
    wrecked = fingerprint(repo)
    collect(repo)
    now = restore(repo, taken)
    after = fingerprint(repo)
    before["refs"] = after["refs"]  # `elsewhere` stays, it is in no snapshot's reach
    assert after == before
    collect(repo)
    restore(repo, now)
    assert fingerprint(repo) == wrecked


def test_a_branch_that_went_on_comes_back(repo):
    dirty(repo)
    before = fingerprint(repo)
    taken = take(repo)
    repo.git("commit", "-qam", "all")
    repo.commit({"b": "more\n"})
    collect(repo)
    tip = repo.oid()
    now = restore(repo, taken)
    assert fingerprint(repo) == before
    assert now.head == tip and repo.git("cat-file", "-t", tip) == "commit"


def test_nothing_to_do_is_nothing(repo):
    dirty(repo)
    taken, now = take(repo), take(repo)
    found, worktree = opened(repo)
    assert differences(taken, now).empty
    assert snapshot_restore.prepare(found, worktree, taken, now).empty


def test_ignored_files_come_back_only_where_they_were_kept(repo):
    repo.write("x.log", "x\n")
    repo.write("build/out", "out\n")
    taken = take(repo, ignored=["x.log", "gone.log"])
    repo.write("x.log", "other\n")
    repo.write("gone.log", "came since\n")
    repo.write("y.log", "came since too\n")
    repo.write("build/out", "other\n")
    restore(repo, taken)
    assert (repo.path / "x.log").read_text() == "x\n"
    assert not (repo.path / "gone.log").exists()
    assert (repo.path / "y.log").exists() and (repo.path / "build/out").read_text() == "other\n"


def test_all_ignored_files_come_back_where_all_were_kept(repo):
    repo.write("x.log", "x\n")
    repo.write("build/deep/out", "out\n")
    (repo.path / "build/void").mkdir()
    before, taken = fingerprint(repo), take(repo, ignored="all")
    repo.git("clean", "-qfdX")
    repo.write("y.log", "y\n")
    repo.write("build/deep/out/x", "x\n")
    restore(repo, taken)
    assert fingerprint(repo) == before


def test_an_ignored_file_in_the_way_is_in_the_backup(repo):
    taken = take(repo)
    repo.git("rm", "-q", "--cached", "b")
    repo.commit({".gitignore": "*.log\nbuild/\nb\n"})
    repo.write("b", "a secret now\n")
    now = restore(repo, taken)
    assert (repo.path / "b").read_text() == "two\n"
    restore(repo, now)
    assert (repo.path / "b").read_text() == "a secret now\n"


def test_what_was_ignored_then_and_is_not_now_stays(repo):
    repo.write("x.log", "x\n")
    taken = take(repo)
    repo.write(".gitignore", "build/\n")
    assert "x.log" in differences(taken, take(repo)).left
    restore(repo, taken)
    assert (repo.path / "x.log").read_text() == "x\n"


def test_empty_directories_come_and_go(repo):
    (repo.path / "was/empty").mkdir(parents=True)
    (repo.path / "filled").mkdir()
    before, taken = fingerprint(repo), take(repo)
    (repo.path / "was/empty").rmdir()
    (repo.path / "was").rmdir()
    repo.write("filled/x", "x\n")
    (repo.path / "later/on").mkdir(parents=True)
    restore(repo, taken)
    assert fingerprint(repo) == before


def test_a_link_that_leads_in_a_circle_above_tracked_files_comes_back(repo):
    for name in ("f0", "f3", "f6", "f9"):
        (repo.path / "dir0" / name).unlink()
    (repo.path / "dir0").rmdir()
    os.symlink("dir0", repo.path / "dir0")
    before, taken = fingerprint(repo), take(repo)
    (repo.path / "dir0").unlink()
    restore(repo, taken)
    assert fingerprint(repo) == before


def test_permissions_of_untouched_tracked_files_stay(repo):
    (repo.path / "b").chmod(0o640)
    taken = take(repo)
    repo.write("b", "other\n")
    repo.write("a", "other\n")
    restore(repo, taken)
    assert (repo.path / "b").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("settings", [{"core.autocrlf": "true"}, {"core.autocrlf": "input"}, {}])
def test_raw_bytes_come_back_where_git_would_convert(repo, settings):
    for key, value in settings.items():
        repo.git("config", key, value)
    repo.write(
        ".gitattributes", "*.rot filter=rot\n*.id ident\n*.txt text=auto\n*.u working-tree-encoding=UTF-16\n"
    )
    repo.git("config", "filter.rot.clean", "tr a-y b-z")
    repo.git("config", "filter.rot.smudge", "tr b-z a-y")
    repo.write("x.rot", "abc\n")
    repo.write("x.id", "$Id$ $Id: nonsense $\n")
    repo.write("crlf.txt", b"1\r\n2\r\n")
    repo.write("lf.txt", b"1\n2\n")
    repo.write("x.u", "näme\r\n".encode("utf-16"))
    repo.git("add", "-A")
    repo.git("commit", "-qm", "converted")
    repo.write("mixed.txt", b"1\r\n2\n")
    before, taken = fingerprint(repo), take(repo)
    for name in ("x.rot", "x.id", "crlf.txt", "lf.txt", "x.u", "mixed.txt"):
        repo.write(name, "\r\nother\n".encode("utf-16") if name == "x.u" else b"\r\nother\n")
    repo.git("commit", "-qam", "other")
    restore(repo, taken)
    assert fingerprint(repo) == before


def test_the_index_comes_back_flags_and_all(repo):
    repo.git("update-index", "--assume-unchanged", "a")
    repo.git("update-index", "--skip-worktree", "b")
    repo.write("a", "hidden\n")
    repo.write("b", "hidden too\n")
    repo.git("update-index", "--index-version", "4")
    before, taken = fingerprint(repo), take(repo)
    repo.git("update-index", "--no-assume-unchanged", "a")
    repo.git("update-index", "--no-skip-worktree", "b")
    repo.git("commit", "-qam", "x")
    restore(repo, taken)
    assert fingerprint(repo) == before


def test_git_need_not_read_files_again_after_a_restore(repo):
    dirty(repo)
    taken = take(repo)
    repo.git("reset", "-q", "--hard")
    restore(repo, taken)
    # A file whose entry is stale would be listed.
    stale = repo.git("diff-files", "--name-only", "-z").split("\0")
    assert set(stale) - {""} == {"a", "dir0/f0", "dir0/f3", "dir2/f2", "intent", "run"}


def test_a_detached_head_and_an_unborn_branch_come_back(repo, tmp_path):
    repo.git("checkout", "-q", "--detach", "HEAD~1")
    before, taken = fingerprint(repo), take(repo)
    repo.git("switch", "-q", "main")
    restore(repo, taken)
    assert fingerprint(repo) == before
    fresh = Repo.init(tmp_path / "fresh")
    fresh.write("x", "x\n")
    fresh.git("add", "x")
    before, taken = fingerprint(fresh), take(fresh)
    fresh.git("commit", "-qm", "first")
    restore(fresh, taken)
    assert fingerprint(fresh) == before


def conflicted(repo):
    """Leaves `main` and `topic` in conflict about a."""
    repo.git("switch", "-q", "-c", "topic")
    repo.commit({"a": "theirs\n", "only": "theirs\n"})
    repo.git("switch", "-q", "main")
    repo.commit({"a": "ours\n"})


@pytest.mark.parametrize("operation", [["merge", "topic"], ["rebase", "topic"], ["cherry-pick", "topic"]])
def test_an_operation_in_progress_comes_back_and_can_be_aborted(repo, operation):
    conflicted(repo)
    clean = fingerprint(repo)
    repo.git(*operation, check=False)
    repo.write("a", "half resolved\n")
    before, taken = fingerprint(repo), take(repo)
    assert before["states"]
    repo.git(operation[0], "--abort")
    repo.write("b", "other\n")
    collect(repo)
    now = restore(repo, taken)
    assert fingerprint(repo) == before
    restore(repo, now)
    restore(repo, taken)
    repo.git(operation[0], "--abort")
    assert fingerprint(repo) == clean


def test_a_conflict_that_was_resolved_can_still_be_brought_back(repo):
    conflicted(repo)
    repo.git("merge", "topic", check=False)
    repo.write("a", "resolved\n")
    repo.git("add", "a")
    before, taken = fingerprint(repo), take(repo)
    assert before["resolved"]
    repo.git("read-tree", repo.git("write-tree").strip())  # the same lines, and no word of the conflict
    assert not fingerprint(repo)["resolved"]
    restore(repo, taken)
    assert fingerprint(repo)["resolved"] == before["resolved"]


def test_a_bisect_is_held_back(repo):
    taken = take(repo)
    repo.git("bisect", "start")
    found, worktree = opened(repo)
    with pytest.raises(HeldBack, match="bisect"):
        snapshot_restore.prepare(found, worktree, taken, take(repo))


def test_a_worktree_of_its_own_comes_back_and_no_other_is_touched(repo):
    other = repo.worktree("other", "topic")
    dirty(other)
    mine, before, taken = fingerprint(repo), fingerprint(other), take(other)
    wreck(other)
    restore(other, taken)
    after = fingerprint(other)
    before["refs"] = after["refs"]
    assert after == before
    mine["refs"] = after["refs"]
    assert fingerprint(repo) == mine


def test_a_worktree_that_changed_since_the_backup_is_refused(repo):
    dirty(repo)
    taken = take(repo)
    repo.git("reset", "-q", "--hard")
    for change in (
        lambda: repo.write("a", "changed again\n"),
        lambda: repo.write("dir1/f1", "changed\n"),
        lambda: repo.git("add", "a"),
        lambda: repo.git("commit", "-qm", "x"),
        lambda: repo.git("checkout", "-q", "--detach"),
    ):
        found, worktree = opened(repo)
        now = take(repo, ignored=snapshot_restore.beside(found, worktree, taken))
        plan = snapshot_restore.prepare(found, worktree, taken, now)
        at = found.git.at(worktree.path)
        assert snapshot_restore.probe(at, plan, "run", "lane") is Position.BEFORE
        change()
        assert snapshot_restore.probe(at, plan, "run", "lane") is Position.NEITHER
        before = fingerprint(repo)
        with pytest.raises(WorldMoved):
            snapshot_restore.apply(at, plan, "run", "lane")
        assert fingerprint(repo) == before


def test_a_full_directory_in_the_way_holds_back(repo):
    repo.write("added", "file\n")
    taken = take(repo)
    (repo.path / "added").unlink()
    Repo.init(repo.path / "added").write("precious", "x")
    with pytest.raises(HeldBack):
        restore(repo, taken)
    assert (repo.path / "added/precious").read_text() == "x"


def test_a_branch_that_is_gone_moved_or_elsewhere_holds_back(repo):
    repo.git("switch", "-q", "-c", "topic")
    taken = take(repo)
    repo.git("switch", "-q", "main")
    found, worktree = opened(repo)
    repo.git("branch", "-qf", "topic", "HEAD~1")
    with pytest.raises(HeldBack, match="topic moved since"):
        snapshot_restore.prepare(found, worktree, taken, take(repo))
    repo.git("branch", "-qf", "topic", "HEAD")
    other = repo.git("worktree", "add", "-q", repo.path.parent / "other", "topic")
    with pytest.raises(HeldBack, match="checked out in"):
        snapshot_restore.prepare(found, worktree, taken, take(repo))
    assert other == ""
    repo.git("worktree", "remove", repo.path.parent / "other")
    repo.git("branch", "-qD", "topic")
    with pytest.raises(HeldBack, match="topic was deleted"):
        snapshot_restore.prepare(found, worktree, taken, take(repo))


def test_a_missing_worktree_and_another_ones_snapshot_are_held_back(repo):
    other = repo.worktree("other", "topic")
    taken, now = take(other), take(other)
    found, worktree = opened(repo)
    with pytest.raises(HeldBack, match="not of"):
        snapshot_restore.prepare(found, worktree, taken, now)
    _, gone = opened(other)
    (other.path / ".git").unlink()
    with pytest.raises(HeldBack, match="is missing"):
        snapshot_restore.prepare(found, replace(gone, missing=True), taken, now)


def test_after_it_is_done_it_is_done_and_doing_it_again_does_nothing(repo):
    dirty(repo)
    taken = take(repo)
    repo.git("reset", "-q", "--hard")
    found, worktree = opened(repo)
    now = take(repo, ignored=snapshot_restore.beside(found, worktree, taken))
    plan = snapshot_restore.prepare(found, worktree, taken, now)
    at = found.git.at(worktree.path)
    snapshot_restore.apply(at, plan, "run", "lane")
    done = fingerprint(repo)
    assert snapshot_restore.probe(at, plan, "run", "lane") is Position.AFTER
    assert snapshot_restore.apply(at, plan, "run", "lane").paths == ()
    assert snapshot_restore.revert(found, worktree, plan, "run", "lane") == ()
    assert fingerprint(repo) == done


def test_submodules_and_embedded_repositories_stay_as_they_are(repo, tmp_path):
    library = Repo.init(tmp_path / "library")
    library.commit({"x": "1\n"})
    git(repo.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library.path, "sub")
    repo.git("commit", "-qm", "sub")
    inner = Repo.init(repo.path / "inner")
    inner.commit({"y": "1\n"})
    taken = take(repo)
    (repo.path / "sub/x").write_text("edited\n")
    inner.write("y", "edited\n")
    repo.write("a", "edited\n")
    restore(repo, taken)
    assert (repo.path / "sub/x").read_text() == "edited\n" == (repo.path / "inner/y").read_text()
    assert (repo.path / "a").read_text() == "one more\n"


def test_the_lines_say_what_a_restore_does(repo):
    dirty(repo)
    taken = take(repo)
    repo.git("reset", "-q", "--hard")
    repo.commit({"c": "x\n"})
    said = list(snapshot_restore.lines(differences(taken, take(repo))))
    assert "M a" in said and "D c" in said and "* what is staged" in said
    assert any(line.startswith("* refs/heads/main: ") for line in said)
    assert snapshot.read(opened(repo)[0].git, taken.id).id == taken.id


WRITERS = "chmod link mkdir remove rename rmdir symlink truncate utime"
CALLS = {"open", *(f"os.{name}" for name in WRITERS.split())}


def killed_at(number, call):
    """Calls it in a child that dies at the n-th system call that writes; whether it died."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    left = [number]

    def count(event, args):
        writes = event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event == "subprocess.Popen" or (event in CALLS and writes):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        call()
    finally:
        os._exit(0)


def survives(repo, step, gc):
    """Kills a restore at every `step`-th write; what is left is finished or taken back, in turn."""
    conflicted(repo)
    repo.git("merge", "topic", check=False)
    dirty_with_merge = {"b": "edited\n", "new/x": "new\n", "x.log": "ignored\n"}
    for name, data in dirty_with_merge.items():
        repo.write(name, data)
    (repo.path / "void").mkdir()
    wanted, taken = fingerprint(repo), take(repo, ignored="all")
    repo.git("merge", "--abort")
    repo.git("checkout", "-q", "--detach", "HEAD~1")
    repo.git("clean", "-qfdx")
    repo.write("new", "a file\n")
    repo.write("a", "wrecked\n")
    repo.git("add", "a")
    wrecked = fingerprint(repo)
    found, worktree = opened(repo)
    at = found.git.at(worktree.path)
    now = take(repo, ignored="all")
    plan = snapshot_restore.prepare(found, worktree, taken, now)
    back = snapshot_restore.prepare(found, worktree, now, taken)
    number, died = 1, True
    while died:
        run = f"run{number}"
        died = killed_at(number, lambda run=run: snapshot_restore.apply(at, plan, run, "lane"))
        position = snapshot_restore.probe(at, plan, run, "lane")
        assert position in (Position.BEFORE, Position.BETWEEN, Position.AFTER)
        if number % 2 and position is not Position.AFTER:
            snapshot_restore.revert(found, worktree, plan, run, "lane")
        else:
            snapshot_restore.apply(at, plan, run, "lane")
        position = snapshot_restore.probe(at, plan, run, "lane")
        assert fingerprint(repo) == (wanted if position is Position.AFTER else wrecked)
        if position is Position.AFTER:
            snapshot_restore.apply(at, back, f"{run}-back", "lane")
            assert fingerprint(repo) == wrecked
        assert not (repo.path / ".git/index.lock").exists()
        if gc:
            collect(repo)
        number += step
    assert number > 20


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_kill_leaves_what_is_finished_or_taken_back(repo):
    survives(repo, 17, gc=True)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_kill_at_any_write_leaves_what_is_finished_or_taken_back(repo):
    survives(repo, 1, gc=False)
