"""A worktree follows its ref: what moves, what stays, what stands in the way."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from raccord.errors import CannotRun, HeldBack, ProcessFailed, UnsafePath, WorldMoved
from raccord.git import follow, follow_refs, follow_target
from raccord.git.follow import Move
from raccord.git.refs import Change
from raccord.git.run import Git
from raccord.kernel import fs, fs_rename, fs_swap
from raccord.model.handler import Position
from tests.git import followkit
from tests.git.followkit import files, litter, shared, world
from tests.gitkit import Repo


def between(repo: Repo, old, new, **more):
    """A linked worktree at `old` on a branch of its own, and the move to `new`."""
    first = repo.commit(old, "old")
    tree = repo.worktree("tree", "feature")
    second = repo.commit(new, "new")
    gitdir = tree.git("rev-parse", "--absolute-git-dir")
    return tree, Move(
        str(tree.path), gitdir, first, second, (Change("refs/heads/feature", second, first),), **more
    )


def apply(tree: Repo, move: Move, **more):
    return follow.apply(Git(tree.path), move, "run", "lane", shared(Git(tree.path)), **more)


def problems(tree: Repo, move: Move) -> dict[str, list[str]]:
    found = follow.check(Git(tree.path), move, shared(Git(tree.path)))
    return {each.name: each.data.get("paths", []) for each in found if each.status == "fail"}


@pytest.fixture
def repo(tmp_path):
    return Repo.init(tmp_path / "repo")


def held(tree: Repo, move: Move, name: str, paths: list[str]) -> None:
    """The move is held back for one reason, and changes nothing."""
    before = (files(tree.path), tree.git("status", "--porcelain=v2", "--ignored"), tree.oid())
    assert problems(tree, move) == {name: paths}
    with pytest.raises(HeldBack) as caught:
        apply(tree, move)
    findings: Any = caught.value.data["findings"]
    assert [each["name"] for each in findings] == [name]
    assert (files(tree.path), tree.git("status", "--porcelain=v2", "--ignored"), tree.oid()) == before
    assert not any("raccord" in str(path) for path in Path(move.gitdir).rglob("*"))


def test_everything_moves_and_every_edit_stays(tmp_path):
    place = followkit.place(tmp_path / "place")
    status = place.tree.git("status", "--porcelain=v2")
    clean = followkit.place(tmp_path / "clean", edits=False)
    clean.tree.git("reset", "-q", "--hard", clean.move.new)
    followkit.edit(clean.tree)
    wanted = world(clean)
    assert follow.probe(place.git, place.move, "run", "lane") is Position.BEFORE
    moved = follow.apply(place.git, place.move, "run", "lane", shared(place.git))
    assert follow.probe(place.git, place.move, "run", "lane") is Position.AFTER
    assert "changed" in moved.paths and "edited" not in moved.paths
    now = world(place)
    assert {**now, "refs": ""} == {**wanted, "refs": ""}
    assert place.tree.git("status", "--porcelain=v2") == status
    # The index knows the new files: plumbing that reads no content sees them clean.
    assert place.tree.git("diff-files", "--name-only").split() == ["added", "dropped", "edited"]
    for name in ("HEAD", "feature"):
        assert place.tree.git("reflog", "-1", "--format=%gs", name) == "raccord: test"


@pytest.mark.parametrize("attributes", ["", "* text=auto eol=crlf\n"], ids=["plain", "by git"])
def test_all_that_a_recovery_needs_is_durable_before_the_log_is(repo, monkeypatch, attributes):
    """A power cut leaves what was synced: the log must not be there without what it speaks of."""
    synced: list[str] = []
    real, before = os.fsync, []

    def fsync(file):
        handle = file if isinstance(file, int) else file.fileno()
        path = os.readlink(f"/proc/self/fd/{handle}")
        synced.append(path)
        if "manifest" in path:
            before.extend(synced)
        real(handle)

    tree, move = between(repo, {"a": "1", ".gitattributes": attributes}, {"a": "2", "new/b": "3"})
    monkeypatch.setattr(os, "fsync", fsync)
    apply(tree, move)
    names = [path.rpartition("raccord-stage/")[2].partition("/")[2] for path in before]
    assert {"index", "new/0", "new/1", "new"} <= set(names)


def test_a_disk_that_fails_at_the_very_end_takes_all_back(tmp_path, monkeypatch):
    """The log says "done" already, and nobody knows whether that would outlive a power cut."""
    place = followkit.place(tmp_path / "place")
    before = world(place)
    real = fs.sync_dir
    failed: list[object] = []

    def sync_dir(path):
        if (Path(path) / "done.json").exists() and not failed:
            failed.append(path)
            raise CannotRun("can't sync: input/output error")
        real(path)

    monkeypatch.setattr(fs, "sync_dir", sync_dir)
    with pytest.raises(CannotRun, match="input/output"):
        follow.apply(place.git, place.move, "run", "lane", shared(place.git))
    assert failed and world(place) == before
    assert not any("raccord" in str(path) for path in place.gitdir.rglob("*"))
    assert "changed" in follow.apply(place.git, place.move, "run", "lane", shared(place.git)).paths


def test_it_goes_back_the_same_way(tmp_path):
    place = followkit.place(tmp_path / "place")
    before = world(place)
    follow.apply(place.git, place.move, "run", "lane", shared(place.git))
    old, new = place.move.old, place.move.new
    back = followkit.move(place.tree.path, place.move.gitdir, new, old)
    follow.apply(place.git, back, "run", "lane", shared(place.git))
    assert world(place) == before


def test_the_payload_survives_json(tmp_path):
    place = followkit.place(tmp_path / "place", edits=False)
    assert Move.of(json.loads(json.dumps(place.move.payload()))) == place.move


def test_strange_names(repo):
    names = [b"-rf", b"with\nnewline", b"\xff\xfe", b"sp ace", b'"quote"', b":colon", b"*", b"d/\xff/[x]"]
    for name in names:
        repo.write(name, "old")
    repo.git("add", "--all")
    tree, move = between(repo, {}, {})
    for name in [*names, b"new\t\xfd"]:
        repo.write(name, "new")
    repo.git("add", "--all")
    new = repo.commit({})
    move = Move(move.worktree, move.gitdir, move.old, new, (Change("refs/heads/feature", new, move.old),))
    # Touched, so that git has to be asked about every name.
    repo.git("config", "core.autocrlf", "true")
    for name in names:
        tree.write(name, "old")
    apply(tree, move)
    assert tree.git("status", "--porcelain") == ""
    for name in [*names, b"new\t\xfd"]:
        with open(os.path.join(os.fsencode(tree.path), name), "rb") as file:
            assert file.read() == b"new"


def test_a_sha256_repository(tmp_path):
    repo = Repo(tmp_path / "repo")
    repo.path.mkdir()
    repo.git("init", "-q", "--object-format=sha256")
    tree, move = between(repo, {"a": "1", "b": "1"}, {"a": "2"})
    tree.write("b", "edited")
    apply(tree, move)
    assert tree.git("status", "--porcelain") == " M b"
    assert tree.git("diff-files", "--name-only") == "b"


@pytest.mark.parametrize(
    "setting", [("index.version", "4"), ("core.splitIndex", "true"), ("core.untrackedCache", "true")]
)
def test_other_kinds_of_index(repo, setting):
    tree, move = between(repo, {"a": "1", "b": "1", "c": "1"}, {"a": "2", "d/e": "2"})
    repo.git("config", *setting)
    tree.git(
        "update-index",
        "--force-write-index",
        "--index-version",
        "4" if setting[0] == "index.version" else "2",
    )
    tree.write("b", "staged")
    tree.git("add", "b")
    tree.write("c", "edited")
    tree.git("status")
    assert problems(tree, move) == {}
    apply(tree, move)
    assert tree.git("status", "--porcelain") == "M  b\n M c"
    assert tree.git("diff-files", "--name-only") == "c"
    done = subprocess.run(["git", "status"], cwd=tree.path, capture_output=True, text=True)
    assert done.stderr == ""


def test_a_detached_head(repo):
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    tree.git("checkout", "-q", "--detach")
    move = Move(move.worktree, move.gitdir, move.old, move.new, (Change("HEAD", move.new, move.old),))
    apply(tree, move)
    assert (tree.oid(), tree.git("branch", "--show-current"), tree.git("status", "--porcelain")) == (
        move.new,
        "",
        "",
    )
    assert repo.oid("feature") == move.old


def test_the_main_worktree_itself(repo):
    old = repo.commit({"a": "1"})
    new = repo.commit({"a": "2", "b/c": "2"})
    repo.git("reset", "-q", "--hard", old)
    gitdir = str(repo.path / ".git")
    apply(repo, Move(str(repo.path), gitdir, old, new, (Change("refs/heads/main", new, old),)))
    assert (repo.oid(), repo.git("status", "--porcelain")) == (new, "")


def test_a_ref_alone_and_packed(repo):
    tree, move = between(repo, {"a": "1"}, {})
    repo.git("pack-refs", "--all")
    tree.write("a", "staged")
    tree.git("add", "a")
    apply(tree, move)
    assert (tree.oid(), tree.git("status", "--porcelain")) == (move.new, "M  a")


STAGED = {
    "changed": lambda tree: (tree.write("a", "mine"), tree.git("add", "a")),
    "changed and back in the file": lambda tree: (
        tree.write("a", "mine"),
        tree.git("add", "a"),
        tree.write("a", "1"),
    ),
    "removed": lambda tree: tree.git("rm", "-q", "a"),
    "removed, kept as a file": lambda tree: tree.git("rm", "-q", "--cached", "a"),
    "mode": lambda tree: tree.git("update-index", "--chmod=+x", "a"),
}


@pytest.mark.parametrize("kind", STAGED)
def test_a_staged_overlap_holds_back(repo, kind):
    tree, move = between(repo, {"a": "1", "b": "1"}, {"a": "2"})
    STAGED[kind](tree)
    held(tree, move, "follow.staged", ["a"])


def rewritten(path: Path) -> None:
    """With another content of the same size, and the time put back."""
    path.write_text("x")
    os.utime(path, ns=(0, 10**18))


UNSTAGED: dict[str, Any] = {
    "changed": lambda path: path.write_text("mine"),
    "same size and time": rewritten,
    "link": lambda path: (path.unlink(), path.symlink_to("1")),
    "deleted": lambda path: path.unlink(),
    "mode": lambda path: path.chmod(0o755),
    "type": lambda path: (path.unlink(), path.symlink_to("b")),
    "directory": lambda path: (path.unlink(), path.mkdir(), (path / "mine").write_text("mine")),
}


@pytest.mark.parametrize("kind", UNSTAGED)
def test_an_unstaged_overlap_holds_back(repo, kind):
    tree, move = between(repo, {"a": "1", "b": "1"}, {"a": "2"})
    if kind == "same size and time":
        os.utime(tree.path / "a", ns=(0, 10**18))
        tree.git("update-index", "--refresh")
    UNSTAGED[kind](tree.path / "a")
    name = "follow.untracked" if kind == "directory" else "follow.unstaged"
    held(tree, move, name, ["a"])


def test_an_edit_that_git_is_told_not_to_see_holds_back(repo):
    tree, move = between(repo, {"a": "1", "b": "1"}, {"a": "2", "b": "2"})
    tree.git("update-index", "--assume-unchanged", "a")
    tree.git("update-index", "--skip-worktree", "b")
    tree.write("a", "mine")
    tree.write("b", "mine")
    assert problems(tree, move) == {"follow.sparse": ["b"], "follow.unstaged": ["a"]}
    with pytest.raises(HeldBack):
        apply(tree, move)


def test_hidden_files_that_do_not_change_keep_their_bits(repo):
    tree, move = between(repo, {"a": "1", "b": "1", "c": "1"}, {"c": "2"})
    tree.git("update-index", "--assume-unchanged", "a")
    tree.git("update-index", "--skip-worktree", "b")
    tree.write("b", "mine")
    tree.write("new", "")
    tree.git("add", "--intent-to-add", "new")
    apply(tree, move)
    assert tree.git("ls-files", "-v").splitlines() == ["h a", "S b", "H c", "H new"]
    assert tree.git("status", "--porcelain") == " A new"
    assert (tree.path / "b").read_text() == "mine"


def test_the_same_deletion_or_the_same_change_is_no_overlap(repo):
    tree, move = between(repo, {"a": "1", "b": "1", "c": "1"}, {"a": None, "b": None, "c": "2", "d": "2"})
    tree.write("a", None)
    tree.git("rm", "-q", "b")
    tree.write("c", "2")
    tree.write("d", "2")
    tree.git("add", "c", "d")
    tree.write("c", "3")
    apply(tree, move)
    assert tree.git("status", "--porcelain") == " M c"
    assert (tree.path / "c").read_text() == "3"


@pytest.mark.parametrize(("ignored", "name"), [(False, "follow.untracked"), (True, "follow.ignored")])
def test_a_file_that_git_does_not_hold_is_never_overwritten(repo, ignored, name):
    tree, move = between(
        repo, {"a": "1", ".gitignore": ".env\n" if ignored else ""}, {".env": "theirs", "dir/x": "1"}
    )
    tree.write(".env", "mine")
    held(tree, move, name, [".env"])


def test_a_file_with_the_very_bytes_and_mode_is_no_collision(repo):
    tree, move = between(repo, {"a": "1", ".gitignore": ".env\n"}, {".env": "theirs", "dir/x": "1"})
    tree.write(".env", "theirs")
    tree.write("dir/x", "1")
    assert problems(tree, move) == {}
    apply(tree, move)
    assert tree.git("status", "--porcelain") == ""


def test_the_same_bytes_with_another_mode_are_a_collision(repo):
    tree, move = between(repo, {"a": "1"}, {"x": "1"})
    tree.write("x", "1").chmod(0o600)
    with pytest.raises(HeldBack):
        apply(tree, move)
    assert stat.S_IMODE((tree.path / "x").stat().st_mode) == 0o600
    tree.path.joinpath("x").chmod(0o755)
    held(tree, move, "follow.untracked", ["x"])


def test_a_file_where_a_directory_comes(repo):
    tree, move = between(repo, {"a": "1"}, {"dir/x": "1", "dir/y": "1"})
    tree.write("dir", "mine")
    held(tree, move, "follow.parent", ["dir/x", "dir/y"])


def test_a_staged_file_where_a_directory_comes(repo):
    tree, move = between(repo, {"a": "1"}, {"dir/x": "1"})
    tree.write("dir", "mine")
    tree.git("add", "dir")
    held(tree, move, "follow.staged", ["dir/x"])


def test_a_directory_with_files_of_ones_own_where_a_file_comes(repo):
    tree, move = between(repo, {"x/tracked": "1", ".gitignore": "*.log\n"}, {"x/tracked": None})
    (repo.path / "x").rmdir()
    new = repo.commit({"x": "2"})
    move = Move(move.worktree, move.gitdir, move.old, new, (Change("refs/heads/feature", new, move.old),))
    tree.write("x/my.log", "mine")
    held(tree, move, "follow.ignored", ["x/my.log"])
    (tree.path / "x/my.log").unlink()
    (tree.path / "x/empty/dir").mkdir(parents=True)
    apply(tree, move)
    assert (tree.path / "x").read_text() == "2"


def test_a_link_on_the_way_is_not_followed(repo, tmp_path):
    (tmp_path / "out").mkdir()
    tree, move = between(repo, {"dir/a": "1", "b": "1"}, {"dir/a": "2", "new/x": "1"})
    (tree.path / "dir/a").unlink()
    (tree.path / "dir").rmdir()
    (tree.path / "dir").symlink_to(tmp_path / "out")
    (tree.path / "new").symlink_to(tmp_path / "out")
    (tmp_path / "out/a").write_text("1")
    held(tree, move, "follow.symlink", ["dir/a", "new/x"])
    assert (tmp_path / "out/a").read_text() == "1"


def test_a_tracked_link_gives_way_to_a_directory_and_back(repo, tmp_path):
    (tmp_path / "out").mkdir()
    repo.path.joinpath("link").symlink_to(tmp_path / "out")
    repo.git("add", "link")
    tree, move = between(repo, {"a": "1"}, {})
    repo.path.joinpath("link").unlink()
    new = repo.commit({"link/x": "1"})
    move = Move(move.worktree, move.gitdir, move.old, new, (Change("refs/heads/feature", new, move.old),))
    apply(tree, move)
    assert os.listdir(tmp_path / "out") == []
    assert (tree.path / "link/x").read_text() == "1"
    back = Move(move.worktree, move.gitdir, new, move.old, (Change("refs/heads/feature", move.old, new),))
    apply(tree, back)
    assert (tree.path / "link").is_symlink() and tree.git("status", "--porcelain") == ""


def test_attributes_and_filters_of_the_new_commit_apply(repo):
    tree, move = between(
        repo,
        {"eol.txt": "1\n2\n", "a": "1"},
        {
            ".gitattributes": "*.txt eol=crlf\n*.up filter=up\n",
            "eol.txt": "1\n2\n3\n",
            "new.txt": "x\n",
            "b.up": "abc\n",
        },
    )
    repo.git("config", "--global", "filter.up.smudge", "tr a-z A-Z")
    repo.git("config", "--global", "filter.up.clean", "tr A-Z a-z")
    try:
        apply(tree, move)
        assert (tree.path / "eol.txt").read_bytes() == b"1\r\n2\r\n3\r\n"
        assert (tree.path / "new.txt").read_bytes() == b"x\r\n"
        assert (tree.path / "b.up").read_bytes() == b"ABC\n"
        assert tree.git("status", "--porcelain") == ""
        back = Move(
            move.worktree,
            move.gitdir,
            move.new,
            move.old,
            (Change("refs/heads/feature", move.old, move.new),),
        )
        assert problems(tree, back) == {}
        apply(tree, back)
        assert tree.git("status", "--porcelain") == ""
    finally:
        repo.git("config", "--global", "--remove-section", "filter.up")


def test_a_filter_of_the_repositorys_own_holds_back_unless_trusted(repo, tmp_path):
    tree, move = between(repo, {"a": "1"}, {".gitattributes": "*.up filter=up\n", "b.up": "abc\n"})
    repo.git("config", "filter.up.smudge", f"touch {tmp_path / 'ran'}; tr a-z A-Z")
    git = Git(tree.path, settings=("-c", "filter.up.smudge=", "-c", "filter.up.required=false"))
    with pytest.raises(HeldBack, match=r"b\.up: need filters"):
        follow.apply(git, move, "run", "lane", shared(git))
    assert not (tmp_path / "ran").exists() and tree.oid() == move.old
    follow.apply(git, move, "run", "lane", shared(git), trusted=True)
    assert (tree.path / "b.up").read_bytes() == b"ABC\n"


def test_a_failing_filter_changes_nothing(repo):
    tree, move = between(repo, {"a": "1"}, {".gitattributes": "*.up filter=up\n", "b.up": "abc\n", "a": "2"})
    repo.git("config", "filter.up.smudge", "false")
    repo.git("config", "filter.up.required", "true")
    before = files(tree.path)
    with pytest.raises(HeldBack, match=r"checkout-index .*smudge filter up failed"):
        apply(tree, move)
    assert (files(tree.path), tree.oid(), tree.git("status", "--porcelain")) == (before, move.old, "")


def test_only_the_entry_of_a_submodule_moves(repo, tmp_path):
    inner = Repo.init(tmp_path / "inner")
    one, two = inner.commit({"x": "1"}), inner.commit({"x": "2"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.path, "sub")
    repo.git("update-index", "--cacheinfo", f"160000,{one},sub")
    tree, move = between(repo, {"a": "1"}, {})
    repo.git("update-index", "--cacheinfo", f"160000,{two},sub")
    new = repo.commit({"a": "2"})
    move = Move(move.worktree, move.gitdir, move.old, new, (Change("refs/heads/feature", new, move.old),))
    tree.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    tree.write("sub/mine", "mine")
    notes = [
        each for each in follow.check(Git(tree.path), move, shared(Git(tree.path))) if each.status == "note"
    ]
    assert [(note.name, note.data["paths"]) for note in notes] == [("follow.submodule", ["sub"])]
    apply(tree, move)
    assert Repo(tree.path / "sub").oid() == one
    assert tree.git("ls-files", "-s", "sub").split()[1] == two
    assert (tree.path / "sub/mine").read_text() == "mine"
    assert (tree.path / "a").read_text() == "2"


def test_a_submodule_that_comes_and_goes(repo):
    tree, move = between(repo, {"a": "1", "lib": "file"}, {"lib": None})
    oid = move.old
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{oid},lib")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{oid},deep/sub")
    repo.git("commit", "-qm", "sub")
    new = repo.oid()
    there = Move(move.worktree, move.gitdir, move.old, new, (Change("refs/heads/feature", new, move.old),))
    apply(tree, there)
    assert os.listdir(tree.path / "lib") == [] and os.listdir(tree.path / "deep/sub") == []
    assert tree.git("status", "--porcelain") == ""
    back = Move(move.worktree, move.gitdir, new, move.old, (Change("refs/heads/feature", move.old, new),))
    apply(tree, back)
    assert (tree.path / "lib").read_text() == "file" and not (tree.path / "deep").exists()
    assert tree.git("status", "--porcelain") == ""


def test_an_operation_in_progress_holds_back(repo):
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    Path(move.gitdir, "MERGE_HEAD").write_text(move.new + "\n")
    assert list(problems(tree, move)) == ["follow.operation"]
    with pytest.raises(HeldBack, match="merge"):
        apply(tree, move)


def test_a_conflict_in_the_index_holds_back(repo):
    tree, move = between(repo, {"a": "1", "b": "1"}, {"a": "2"})
    lines = "".join(f"100644 {repo.oid('HEAD:a')} {stage}\tb\n" for stage in (1, 2, 3))
    tree.git("update-index", "--force-remove", "b")
    tree.git("update-index", "--index-info", input=lines)
    held(tree, move, "follow.unmerged", ["b"])


def test_a_sparse_checkout(repo):
    tree, move = between(repo, {"in/a": "1", "out/b": "1"}, {"in/a": "2", "out/b": "2"})
    tree.git("sparse-checkout", "set", "in")
    apply(tree, move)
    assert tree.git("status", "--porcelain") == ""
    assert not (tree.path / "out").exists() and (tree.path / "in/a").read_text() == "2"
    new = repo.commit({"out/new": "1"})
    comes = Move(move.worktree, move.gitdir, move.new, new, (Change("refs/heads/feature", new, move.new),))
    held(tree, comes, "follow.sparse", ["out/new"])
    tree.git("sparse-checkout", "set", "--sparse-index", "in")
    assert "follow.sparse" in problems(tree, comes)


def test_a_moved_ref_or_head_refuses(repo):
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    other = tree.commit({"b": "1"})
    before = files(tree.path)
    with pytest.raises(WorldMoved, match=r"refs/heads/feature moved"):
        apply(tree, move)
    assert follow.probe(Git(tree.path), move, "run", "lane") is Position.NEITHER
    tree.git("checkout", "-q", "-b", "elsewhere")
    with pytest.raises(WorldMoved, match="HEAD"):
        apply(tree, move)
    assert (files(tree.path), tree.oid(), tree.git("status", "--porcelain")) == (before, other, "")


def test_a_ref_that_someone_else_moved_is_not_taken_for_done(repo):
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    repo.git("update-ref", "refs/heads/feature", move.new)
    assert follow.probe(Git(tree.path), move, "run", "lane") is Position.NEITHER


def test_a_missing_commit_is_no_answer(repo):
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    gone = Move(move.worktree, move.gitdir, move.old, "1" * 40, move.refs)
    with pytest.raises(ProcessFailed):
        apply(tree, gone)
    assert not Path(move.gitdir, "raccord-stage").exists()


def test_a_missing_worktree(repo, tmp_path):
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    tree.path.rename(tmp_path / "away")
    with pytest.raises(CannotRun, match="is not there"):
        follow.apply(Git(repo.path), move, "run", "lane", shared(Git(repo.path)))


def test_a_foreign_index_lock_is_waited_for_and_never_removed(repo):
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    lock = Path(move.gitdir, "index.lock")
    lock.write_text("")
    with pytest.raises(HeldBack, match=r"index\.lock"):
        apply(tree, move, wait=0.05)
    assert lock.exists() and tree.oid() == move.old
    threading.Timer(0.2, lock.unlink).start()
    apply(tree, move)
    assert tree.oid() == move.new and not lock.exists()


def test_a_commit_made_meanwhile_refuses(repo, monkeypatch):
    tree, move = between(repo, {"a": "1", "b": "1"}, {"a": "2"})
    real = follow_target.prepare

    def committing(*args):
        tree.commit({"b": "mine"})
        return real(*args)

    monkeypatch.setattr(follow_target, "prepare", committing)
    with pytest.raises(WorldMoved):
        apply(tree, move)
    assert tree.git("status", "--porcelain") == "" and (tree.path / "a").read_text() == "1"
    assert (tree.path / "b").read_text() == "mine"


def test_an_edit_between_the_look_and_the_swap_is_not_lost(repo, monkeypatch):
    tree, move = between(repo, {"a": "1", "b": "1"}, {"a": "2", "b": "2"})
    real = fs_rename.exchange
    calls = []

    def editing(*args, **keywords):
        calls.append(args)
        if len(calls) == 2:
            tree.write("b", "mine")
        return real(*args, **keywords)

    monkeypatch.setattr(fs_rename, "exchange", editing)
    with pytest.raises(WorldMoved, match="b changed meanwhile"):
        apply(tree, move)
    assert (tree.path / "a").read_text() == "1" and (tree.path / "b").read_text() == "mine"
    assert tree.oid() == move.old and tree.git("status", "--porcelain") == " M b"


@pytest.mark.parametrize("way", ["in place", "by rename"])
def test_an_editor_that_saves_at_any_moment_loses_nothing(repo, way):
    tree, move = between(repo, dict.fromkeys("abcdefgh", "1"), dict.fromkeys("abcdefgh", "2"))
    path, chance = tree.path / "e", random.Random(1)
    outcomes = set()
    for number in range(12):
        text, delay = f"edit {number}", chance.uniform(0, 0.06)

        def save(text=text, delay=delay):
            if way == "in place":
                with path.open("w") as file:
                    time.sleep(delay)
                    file.write(text)
            else:
                time.sleep(delay)
                path.with_name("e~").write_text(text)
                path.with_name("e~").replace(path)

        editor = threading.Thread(target=save)
        editor.start()
        try:
            kept = apply(tree, move).rescued
        except (HeldBack, WorldMoved) as error:
            outcomes.add(type(error))
            kept = error.data.get("rescued", ())
        editor.join()
        saved = [path, *map(Path, kept)]
        assert text in [each.read_text() for each in saved], (number, saved)
        shutil.rmtree(Path(move.gitdir, "raccord-rescued"), ignore_errors=True)
        tree.git("reset", "-q", "--hard", move.old)
    assert outcomes


def test_a_ref_that_moves_at_the_last_moment_takes_all_back(repo, monkeypatch):
    tree, move = between(repo, {"a": "1", "gone/x": "1"}, {"a": "2", "gone/x": None, "new/x": "1"})
    before = files(tree.path)
    other = repo.commit({"c": "1"})
    real = fs_swap.forward

    def moving(swap):
        real(swap)
        repo.git("update-ref", "refs/heads/feature", other)

    monkeypatch.setattr(fs_swap, "forward", moving)
    with pytest.raises(WorldMoved, match=r"refs/heads/feature moved"):
        apply(tree, move)
    assert files(tree.path) == before and tree.oid() == other
    assert tree.git("diff-files", "--name-only") == "a\ngone/x" or tree.git("diff", "--name-only") == ""


def test_a_branch_switched_at_the_last_moment_refuses(repo, monkeypatch):
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    real = fs_swap.forward

    def switching(swap):
        real(swap)
        Path(move.gitdir, "HEAD").write_text("ref: refs/heads/elsewhere\n")

    tree.git("branch", "elsewhere")
    monkeypatch.setattr(fs_swap, "forward", switching)
    with pytest.raises(WorldMoved, match="HEAD moved"):
        apply(tree, move)
    assert (tree.oid("feature"), tree.git("status", "--porcelain")) == (move.old, "")


def test_a_full_disk_changes_nothing_and_says_so(tmp_path):
    from tests.kernel.test_fs import tiny_disk

    with tiny_disk(tmp_path / "disk", "3m") as disk:
        repo = Repo.init(disk / "repo")
        for hook in (repo.path / ".git/hooks").iterdir():
            hook.unlink()
        tree, move = between(repo, {"a": "1"}, {"a": os.urandom(400_000), "b": os.urandom(400_000)})
        used = disk / "used"
        left = os.statvfs(disk)
        used.write_bytes(b"x" * (left.f_bavail * left.f_frsize - 500_000))
        with pytest.raises(CannotRun, match=r"no space|disk is full|kB are free"):
            apply(tree, move)
        assert (tree.oid(), tree.git("status", "--porcelain")) == (move.old, "")
        used.unlink()
        apply(tree, move)
        assert (tree.oid(), tree.git("status", "--porcelain")) == (move.new, "")


def test_a_worktree_on_another_file_system_than_git(repo, tmp_path):
    from tests.kernel.test_fs import tiny_disk

    with tiny_disk(tmp_path / "disk", "3m") as disk:
        first = repo.commit({"a": "1", "gone/x": "1"})
        repo.git("worktree", "add", "-q", "-b", "feature", disk / "tree")
        tree = Repo(disk / "tree")
        new = repo.commit({"a": "2", "gone/x": None, "d/e": "1"})
        gitdir = tree.git("rev-parse", "--absolute-git-dir")
        move = Move(str(tree.path), gitdir, first, new, (Change("refs/heads/feature", new, first),))
        apply(tree, move)
        assert tree.git("status", "--porcelain", "--ignored") == ""
        assert sorted(os.listdir(tree.path)) == [".git", "a", "d"]


def test_hooks_and_the_fsmonitor_of_the_repository_do_not_run(repo, tmp_path):
    tree, move = between(repo, {"a": "1", ".gitattributes": "a diff=x\n"}, {"a": "2", "b": "1"})
    for name in ("reference-transaction", "post-index-change", "post-checkout", "post-merge"):
        hook = repo.path / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
        hook.chmod(0o755)
    repo.git("config", "core.fsmonitor", f"touch {tmp_path / 'ran'}")
    apply(tree, move)
    assert not (tmp_path / "ran").exists() and tree.oid() == move.new


def test_another_move_of_the_same_lane_is_not_mistaken(tmp_path, monkeypatch):
    place = followkit.place(tmp_path / "place")

    class Killed(BaseException):
        pass

    def killed(*args, **keywords):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(follow_refs, "move", killed)
        patch.setattr(follow_target, "take_back", killed)
        with pytest.raises(Killed):
            follow.apply(place.git, place.move, "run", "lane", shared(place.git))
    assert follow.probe(place.git, place.move, "run", "lane") is Position.BETWEEN
    other = Move(place.move.worktree, place.move.gitdir, place.move.new, place.move.old, ())
    assert follow.probe(place.git, other, "run", "lane") is Position.NEITHER
    with pytest.raises(WorldMoved, match="unfinished"):
        follow.apply(place.git, other, "run", "lane", shared(place.git))
    with pytest.raises(HeldBack, match=r"unfinished \(run-"):
        follow.apply(place.git, place.move, "other run", "lane", shared(place.git), wait=0.05)
    follow.apply(place.git, place.move, "run", "lane", shared(place.git))
    assert litter(place) == []


def test_a_path_that_git_should_never_have_is_refused(repo):
    blob = repo.git("hash-object", "-w", "--stdin", input="x")
    tree, move = between(repo, {"a": "1"}, {"a": "2"})
    inner = repo.git("mktree", input=f"100644 blob {blob}\tconfig\n")
    evil = repo.git("mktree", "--missing", input=f"040000 tree {inner}\t.git\n", check=False)
    if not evil:
        pytest.skip("this git makes no such tree")
    there = Move(move.worktree, move.gitdir, move.old, evil, move.refs)
    with pytest.raises((HeldBack, UnsafePath, ProcessFailed)):
        apply(tree, there)
    assert tree.oid() == move.old
