"""Taking, reading, listing and dropping snapshots; `test_snapshot_restore.py` tests what comes back."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from dataclasses import replace

import pytest

from raccord.errors import HeldBack, RaccordError, UnsafePath, UsageError, WorldMoved
from raccord.git import snapshot
from raccord.git.snapshot_changes import differences
from raccord.git.worktrees import worktrees
from tests.git.snapshotkit import collect, fingerprint, opened, take
from tests.gitkit import Repo, git


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "repo")
    made.commit({"a": "one\n", "b": "two\n", "dir/c": "three\n", ".gitignore": "*.log\nbuild/\n"})
    return made


def kept(taken, path):
    """The bytes that a snapshot keeps of a path."""
    return git(taken.worktree, "cat-file", "blob", taken.kept[path].blob)


def test_a_clean_worktree_gets_a_snapshot_of_head_and_index(repo):
    taken = take(repo, message="before")
    assert (taken.head, taken.branch, dict(taken.kept)) == (repo.oid(), "refs/heads/main", {})
    assert repo.git("rev-parse", f"{taken.ref}^") == repo.oid()
    assert [entry.path for entry in taken.entries] == [".gitignore", "a", "b", "dir/c"]


def test_it_keeps_what_is_modified_untracked_deleted_and_asked_for(repo):
    repo.write("a", "edited\n")
    repo.write("new/x", "new\n")
    repo.write("b", None)
    repo.write("y.log", "log\n")
    repo.write("build/z", "built\n")
    taken = take(repo, ignored=["y.log", "build", "gone/path"])
    assert {path: one.why for path, one in taken.kept.items()} == {
        "a": "changed",
        "new/x": "untracked",
        "y.log": "asked",
        "build/z": "asked",
    }
    assert taken.absent == ("b",)
    assert kept(taken, "a") == "edited" and kept(taken, "build/z") == "built"
    assert repo.git("show", f"{taken.ref}:files/new/x") == "new"


def test_ignored_files_are_named_only_unless_all_are_asked_for(repo):
    repo.write("y.log", "log\n")
    repo.write("build/deep/z", "built\n")
    taken = take(repo)
    assert (dict(taken.kept), taken.ignored) == ({}, ("build/", "y.log"))
    assert set(take(repo, ignored="all").kept) == {"y.log", "build/deep/z"}


def test_nothing_of_the_worktree_or_its_refs_is_touched(repo):
    repo.write("a", "staged\n")
    repo.git("add", "a")
    repo.write("a", "edited\n")
    before, index = fingerprint(repo), (repo.path / ".git/index").stat()
    take(repo, ignored="all")
    after = (repo.path / ".git/index").stat()
    assert fingerprint(repo) == before
    assert (index.st_mtime_ns, index.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert repo.git("stash", "list") == ""
    assert not list((repo.path / ".git").glob("fast_import*"))


def test_it_needs_no_index_lock(repo):
    (repo.path / ".git/index.lock").write_bytes(b"")
    repo.write("a", "edited\n")
    assert kept(take(repo), "a") == "edited"


def test_it_reads_back_equal_and_survives_gc(repo):
    repo.write("a", "staged\n")
    repo.git("add", "a")
    repo.write("a", "edited\n")
    repo.write(b"w\xffeird\n-name", "odd\n")
    staged = repo.oid(":a")
    taken = take(repo, message="mess\udcffage\n two", ignored=["x"])
    repo.git("reset", "--quiet", "--hard")
    collect(repo)
    back = snapshot.read(opened(repo)[0].git, taken.id)
    assert back == taken
    assert back.index_data == taken.index_data
    assert kept(back, "a") == "edited"
    assert repo.git("cat-file", "blob", staged) == "staged"
    assert differences(taken, back).empty


def test_names_that_git_refuses_in_a_tree_are_kept_elsewhere(repo):
    names = [
        ".GIT/config",
        "git~1",
        "a:b",
        "back\\slash",
        ".gitmodules",
        '"quoted"',
        "-n",
        "x ",
        "\u200c.git",
    ]
    for name in names:
        repo.write(f"sub/{name}", name)
    taken = take(repo)
    assert {f"sub/{name}" for name in names} == set(taken.kept)
    assert all(kept(taken, f"sub/{name}") == name for name in names)
    collect(repo)
    # The worktree's own index is sound, so that anything fsck says is about the snapshot.
    assert git(repo.path, "fsck", "--strict") == ""


def test_links_are_kept_as_links_and_never_followed(repo, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("s")
    os.symlink("../../outside", repo.path / "build")
    os.symlink("../../outside/secret", repo.path / "link")
    os.symlink(b"\xff\n", os.fsencode(repo.path / "bad"))
    taken = take(repo, ignored=["build/secret"])
    assert {path: one.link for path, one in taken.kept.items()} == {"build": True, "link": True, "bad": True}
    with pytest.raises(UnsafePath):
        take(repo, ignored=["../outside"])


def test_embedded_repositories_and_special_files_are_named_and_not_entered(repo):
    inner = Repo.init(repo.path / "inner")
    inner.write("x", "x")
    ignored = Repo.init(repo.path / "build/inner")
    ignored.write("y", "y")
    os.mkfifo(repo.path / "build/pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(repo.path / "build")
        bound.bind("socket")
        os.chdir(here)
        repo.write("build/z", "z")
        (repo.path / "a").unlink()
        os.mkfifo(repo.path / "a")
        taken = take(repo, ignored="all")
    assert set(taken.kept) == {"build/z"}
    assert taken.opaque == ("build/inner", "inner")
    assert taken.skipped == ("a", "build/pipe", "build/socket")


def test_empty_directories_are_noted(repo):
    for name in ("empty", "new/one/two", "dir/sub", "build/x", "other"):
        (repo.path / name).mkdir(parents=True)
    repo.write("other/file", "x")
    assert set(take(repo).directories) == {"empty", "new/one/two", "dir/sub"}
    assert set(take(repo, ignored="all").directories) == {"empty", "new/one/two", "dir/sub", "build/x"}


def test_a_file_that_cannot_be_read_fails_the_whole_snapshot(repo):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    path = repo.write("secret", "x")
    path.chmod(0)
    with pytest.raises(HeldBack, match="secret"):
        take(repo)
    repo.write("closed/x", "x")
    path.unlink()
    (repo.path / "closed").chmod(0)
    try:
        with pytest.raises(HeldBack, match="closed"):
            take(repo)
    finally:
        (repo.path / "closed").chmod(0o700)
    assert snapshot.listing(opened(repo)[0].git) == ()


def test_the_same_name_is_refused_and_the_first_stays(repo):
    first = take(repo, id="run-1/lane")
    repo.write("a", "edited\n")
    with pytest.raises(WorldMoved, match="run-1/lane"):
        take(repo, id="run-1/lane")
    assert repo.oid(first.ref) == first.commit
    for bad in ("", "../x", "a..b", "a.lock", "-x", "a b", "x/", "a//b", "x\n"):
        with pytest.raises(UsageError):
            take(repo, id=bad)


def test_a_file_that_is_written_while_it_is_read_is_torn_and_a_settled_one_is_not(repo):
    path = repo.write("busy", "x" * (6 << 20))
    stop = threading.Event()

    def write():
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(b"y")
                file.flush()
                time.sleep(0.0005)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        taken = take(repo)
    finally:
        stop.set()
        thread.join()
    assert taken.torn == ("busy",)
    held = git(repo.path, "cat-file", "-s", taken.kept["busy"].blob)
    assert int(held) == taken.kept["busy"].size >= 6 << 20
    assert take(repo).torn == ()


def test_a_file_that_is_not_written_since_an_earlier_snapshot_is_not_read_again(repo):
    big = repo.write("big", os.urandom(9 << 20))
    repo.write("small", "x")
    os.utime(big, (1, 1))
    first = take(repo)
    # The clock has not ticked on since, so that nothing is believed yet.
    settled = replace(first, taken=first.taken + 10)
    big_inode = big.stat().st_atime_ns
    repo.write("small", "y")
    second = take(repo, like=settled)
    assert second.kept["big"] == first.kept["big"]
    assert second.kept["small"] != first.kept["small"]
    assert big.stat().st_atime_ns == big_inode
    snapshot.drop(opened(repo)[0].git, [first.id])
    collect(repo)
    assert int(git(repo.path, "cat-file", "-s", second.kept["big"].blob)) == 9 << 20


def test_files_that_git_converts_are_kept_where_their_bytes_are_not_the_blobs(repo):
    repo.git("config", "core.autocrlf", "true")
    repo.write("crlf", b"x\r\ny\r\n")
    repo.write("lf", b"x\ny\n")
    repo.commit({})
    repo.git("add", "crlf", "lf")
    repo.git("commit", "-qm", "ends")
    taken = take(repo)
    assert {path: one.why for path, one in taken.kept.items()} == {"crlf": "converted"}
    repo.git("config", "core.autocrlf", "false")
    repo.write(".gitattributes", "*.f filter=rot\n*.i ident\n* text=auto\n")
    repo.git("config", "filter.rot.clean", "tr a b")
    repo.git("config", "filter.rot.smudge", "tr b a")
    repo.write("x.f", "aaa")
    repo.write("x.i", "$Id$\n")
    repo.git("add", ".")
    repo.git("commit", "-qm", "filtered")
    (repo.path / "x.i").unlink()
    repo.git("checkout", "x.i")
    # Under text=auto git takes the committed LF for unchanged CRLF.
    taken = take(repo)
    assert {path: kept(taken, path)[:5] for path in taken.kept} == {
        "crlf": "x\r\ny\r",
        "x.f": "aaa",
        "x.i": "$Id: ",
    }


def test_changes_that_status_does_not_show_are_kept(repo):
    repo.git("update-index", "--assume-unchanged", "a")
    repo.git("update-index", "--skip-worktree", "b")
    repo.git("update-index", "--skip-worktree", "dir/c")
    repo.write("a", "hidden a\n")
    repo.write("b", "hidden b\n")
    repo.write("dir/c", None)
    taken = take(repo)
    assert {path: one.why for path, one in taken.kept.items()} == {"a": "hidden", "b": "hidden"}


def test_an_asked_path_is_compared_byte_by_byte_even_where_git_calls_it_unchanged(repo):
    repo.git("config", "core.trustctime", "false")
    path = repo.path / "a"
    os.utime(path, ns=(10**18, 10**18))
    repo.git("update-index", "--refresh")
    path.write_text("ONE\n")
    os.utime(path, ns=(10**18, 10**18))
    repo.git("config", "core.checkStat", "minimal")
    assert repo.git("status", "--porcelain") == ""
    assert dict(take(repo).kept) == {}
    taken = take(repo, ignored=["a", "b"])
    assert kept(taken, "a") == "ONE" and set(taken.kept) == {"a"}


def test_an_index_that_names_a_missing_object_is_held_back(repo):
    repo.write("a", "staged\n")
    repo.git("add", "a")
    oid = repo.oid(":a")
    (repo.path / f".git/objects/{oid[:2]}/{oid[2:]}").unlink()
    with pytest.raises(HeldBack, match=f"{oid} is missing"):
        take(repo)
    assert not list((repo.path / ".git").glob("fast_import*"))


def test_a_split_index_comes_out_whole(repo):
    repo.git("update-index", "--split-index")
    repo.write("a", "staged\n")
    repo.git("add", "a")
    before = sorted(path.name for path in (repo.path / ".git").iterdir())
    taken = take(repo)
    assert [entry.path for entry in taken.entries] == [".gitignore", "a", "b", "dir/c"]
    assert repo.oid(":a") in {entry.oid for entry in taken.entries}
    now = sorted(path.name for path in (repo.path / ".git").iterdir())
    assert [name for name in now if not name.startswith("sharedindex")] == [
        name for name in before if not name.startswith("sharedindex")
    ]


def test_an_unborn_branch_and_a_detached_head(tmp_path):
    repo = Repo.init(tmp_path / "r")
    repo.write("x", "x")
    repo.git("add", "x")
    taken = take(repo)
    assert (taken.head, taken.branch) == ("", "refs/heads/main")
    repo.git("commit", "-qm", "x")
    repo.git("checkout", "-q", "--detach")
    taken = take(repo)
    assert (taken.head, taken.branch) == (repo.oid(), "")


def test_a_missing_worktree_is_held_back(repo):
    other = repo.worktree("other", "topic")
    (other.path / ".git").unlink()
    worktree = next(each for each in worktrees(opened(repo)[0]) if each.path == other.path)
    with pytest.raises(HeldBack, match="no files"):
        snapshot.take(opened(repo)[0], worktree, id="x")


def test_nothing_of_the_repository_runs(repo, tmp_path):
    trap = tmp_path / "trap"
    for name in ("reference-transaction", "post-index-change", "pre-auto-gc", "fsmonitor"):
        repo.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch {trap}\n").chmod(0o755)
    repo.git("config", "core.fsmonitor", ".git/hooks/fsmonitor")
    repo.git("config", "filter.evil.clean", f"touch {trap}; cat")
    repo.git("config", "filter.evil.smudge", f"touch {trap}; cat")
    repo.write(".gitattributes", "* filter=evil\n")
    repo.write("a", "edited\n")
    trap.unlink(missing_ok=True)
    taken = take(repo, ignored="all")
    assert kept(taken, "a") == "edited"
    assert not trap.exists()


def test_the_list_is_one_process_and_shows_damage(repo):
    repo.write("a", "edited\n")
    repo.write("n", "new\n")
    first = take(repo, id="one", message="first")
    take(repo, id="two/x")
    repo.git("update-ref", "refs/raccord/snapshots/foreign", "HEAD")
    found = opened(repo)[0].git
    infos = {info.id: info for info in snapshot.listing(found)}
    assert set(infos) == {"one", "two/x", "foreign"}
    assert infos["one"] == first.info
    assert (infos["one"].changed, infos["one"].untracked, infos["one"].bytes) == (1, 1, 11)
    assert infos["foreign"].problem
    with pytest.raises(RaccordError, match="damaged"):
        snapshot.read(found, "foreign")
    with pytest.raises(UsageError):
        snapshot.read(found, "nope")
    snapshot.drop(found, ["one", "two/x", "foreign", "gone"])
    assert snapshot.listing(found) == ()
    snapshot.drop(found, [])


def test_the_size_counts_what_only_raccord_holds(repo):
    found = opened(repo)[0].git
    assert snapshot.size(found) == 0
    repo.write("big", os.urandom(50_000))
    take(repo)
    assert 50_000 < snapshot.size(found) < 60_000
    repo.commit({"big": (repo.path / "big").read_bytes()})
    assert snapshot.size(found) < 10_000


def test_a_format_of_a_newer_release_is_named(repo):
    taken = take(repo)
    document = json.loads(repo.git("show", f"{taken.ref}:manifest.json"))
    document["format"] = 99
    blob = git(repo.path, "hash-object", "-w", "--stdin", input=json.dumps(document))
    tree = git(
        repo.path, "mktree", input=f"100644 blob {blob}\tmanifest.json\n100644 blob {taken.index}\tindex\n"
    )
    repo.git("update-ref", taken.ref, repo.git("commit-tree", tree, "-m", "x"))
    with pytest.raises(RaccordError, match="format 99"):
        snapshot.read(opened(repo)[0].git, taken.id)


def test_the_objects_of_an_operation_stay(repo):
    repo.git("checkout", "-q", "-b", "topic")
    theirs = repo.commit({"a": "theirs\n"})
    repo.git("checkout", "-q", "main")
    repo.commit({"a": "ours\n"})
    repo.git("merge", "topic", check=False)
    taken = take(repo)
    assert taken.doing == "merge" and {"MERGE_HEAD", "MERGE_MSG"} <= set(taken.operation)
    assert {entry.stage for entry in taken.entries if entry.path == "a"} == {1, 2, 3}
    stages = [entry.oid for entry in taken.entries]
    repo.git("merge", "--abort")
    repo.git("branch", "-D", "topic")
    collect(repo)
    repo.git("cat-file", "-e", theirs)
    for oid in stages:
        repo.git("cat-file", "-e", oid)


def test_a_sha256_repository(tmp_path):
    git(tmp_path, "init", "-q", "--object-format=sha256", "r")
    repo = Repo(tmp_path / "r")
    repo.commit({"a": "1\n"})
    repo.write("a", "2\n")
    repo.git("add", "a")
    repo.write("a", "3\n")
    taken = take(repo)
    collect(repo)
    assert snapshot.read(opened(repo)[0].git, taken.id) == taken
    assert kept(taken, "a") == "3" and len(taken.commit) == 64
