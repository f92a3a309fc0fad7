"""An explicit state comes back: files, index, refs and HEAD. Kills: `test_snapshot_restore.py`."""

from __future__ import annotations

import json
import os
import stat

import pytest

from raccord.errors import CannotRun, HeldBack, UnsafePath, WorldMoved
from raccord.git import follow_put, follow_refs, follow_stage, follow_target
from raccord.git.follow_put import PathChange, Put
from raccord.git.follow_refs import Head
from raccord.git.refs import Change
from raccord.git.run import Git
from raccord.kernel import fs, fs_rename, fs_swap
from raccord.model.handler import Position
from tests.git.followkit import files
from tests.gitkit import Repo


@pytest.fixture
def repo(tmp_path):
    made = Repo.init(tmp_path / "repo")
    made.commit({"a": "1\n", "b": "1\n", "d/c": "1\n"})
    return made


def put(repo: Repo, *changes: tuple[str, int, str | None], **more) -> Put:
    """A put of (path, mode, text)."""
    made = [
        PathChange(path, mode, "" if text is None else repo.git("hash-object", "-w", "--stdin", input=text))
        for path, mode, text in changes
    ]
    return Put(str(repo.path), repo.git("rev-parse", "--absolute-git-dir"), tuple(made), **more)


def apply(repo: Repo, wanted: Put, **more):
    return follow_put.apply(Git(repo.path), wanted, "run", "lane", **more)


def probe(repo: Repo, wanted: Put) -> Position:
    return follow_put.probe(Git(repo.path), wanted, "run", "lane")


def test_bytes_modes_links_and_directories_come_exactly(repo):
    wanted = put(
        repo,
        ("a", 0o100600, "raw\r\n"),
        ("b", 0, None),
        ("d/c", 0o120000, "../nowhere"),
        ("big", 0o100755, "x" * 10_000_000),
        ("empty", 0o040710, None),
        ("deep/er/file", 0o100666, ""),
        ("-rf\n\udcff", 0o100644, "odd"),
    )
    repo.write(".gitattributes", "* text=auto eol=lf\n")
    assert Put.of(json.loads(json.dumps(wanted.payload()))) == wanted
    assert probe(repo, wanted) is Position.BEFORE
    old = os.umask(0o077)
    try:
        moved = apply(repo, wanted)
    finally:
        os.umask(old)
    assert len(moved.paths) == 7 and moved.rescued == ()
    found = files(repo.path)
    assert found["a"] == (b"raw\r\n", 0o600) and found["big"] == (b"x" * 10_000_000, 0o755)
    assert "b" not in found and found["d/c"] == ("link", b"../nowhere")
    assert found["empty"] == ("dir", 0o710) and found["deep/er/file"] == (b"", 0o666)
    assert found["-rf\n\udcff"] == (b"odd", 0o644)
    assert probe(repo, wanted) is Position.AFTER


def test_the_index_comes_back_and_tells_the_truth(repo):
    index = repo.path / ".git/index"
    repo.write("a", "2\n")
    repo.git("add", "a")
    repo.write("b", "2\n")
    blob = repo.git("hash-object", "-w", index)
    status = repo.git("status", "--porcelain")
    repo.git("reset", "-q", "--hard")
    wanted = put(repo, ("a", 0o100644, "2\n"), ("b", 0o100644, "2\n"), index=blob)
    apply(repo, wanted)
    assert repo.git("status", "--porcelain") == status == "M  a\n M b"
    assert repo.git("diff-files", "--name-only") == "b"
    assert probe(repo, wanted) is Position.AFTER
    repo.git("add", "b")
    assert probe(repo, wanted) is Position.BEFORE


def test_an_index_whose_time_nobody_knows_is_compared_with_every_file(repo):
    """The stat data fit by chance, and the file is another: git must not be fooled."""
    index = repo.path / ".git/index"
    os.utime(repo.path / "a", ns=(0, 10**18))
    repo.git("update-index", "--refresh")
    blob = repo.git("hash-object", "-w", index)
    with (repo.path / "a").open("r+") as file:
        file.write("2")
    os.utime(repo.path / "a", ns=(0, 10**18))
    apply(repo, put(repo, ("b", 0o100644, "1\n"), index=blob))
    assert repo.git("status", "--porcelain") == " M a"


def test_head_goes_to_another_branch_and_back_and_off(repo):
    first = repo.oid()
    repo.git("branch", "other")
    second = repo.commit({"a": "2\n"})
    steps = [
        (Head("refs/heads/main", "refs/heads/other"), (Change("refs/heads/other", second, first),)),
        (Head("refs/heads/other", second), ()),
        (Head(second, "refs/heads/unborn"), ()),
        (Head("refs/heads/unborn", "refs/heads/main"), (Change("refs/heads/new", second, None),)),
        (None, (Change("refs/heads/new", None, second),)),
    ]
    for head, refs in steps:
        wanted = put(repo, head=head, refs=refs)
        assert probe(repo, wanted) is Position.BEFORE
        apply(repo, wanted)
        assert probe(repo, wanted) is Position.AFTER
    assert (repo.git("symbolic-ref", "HEAD"), repo.oid("other")) == ("refs/heads/main", second)
    assert repo.git("reflog", "-1", "--format=%gs") == "raccord: restore"


def test_what_differs_from_what_was_seen_refuses_the_whole(repo):
    seen = {"a": fs.signature(repo.path / "a"), "new": None}
    wanted = put(repo, ("b", 0o100644, "2\n"), ("a", 0o100644, "2\n"), ("new", 0o100644, "2\n"))
    repo.write("new", "mine")
    with pytest.raises(WorldMoved, match="new changed"):
        apply(repo, wanted, seen=seen)
    (repo.path / "new").unlink()
    repo.write("a", "mine")
    with pytest.raises(WorldMoved, match="a changed"):
        apply(repo, wanted, seen=seen)
    assert (repo.path / "b").read_text() == "1\n" and (repo.path / "a").read_text() == "mine"
    assert not (repo.path / ".git/raccord-stage").exists()
    apply(repo, wanted, seen={"new": None})
    assert (repo.path / "a").read_text() == "2\n"


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", ".git/config", "d/.GIT/hooks/x", ""])
def test_a_path_that_leads_out_is_refused(repo, path):
    with pytest.raises(UnsafePath):
        apply(repo, put(repo, ("a", 0o100644, "2\n"), (path, 0o100644, "x")))
    assert (repo.path / "a").read_text() == "1\n"


def test_a_link_on_the_way_is_refused_unless_it_goes(repo, tmp_path):
    (tmp_path / "out").mkdir()
    (repo.path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(UnsafePath):
        apply(repo, put(repo, ("link/x", 0o100644, "x")))
    apply(repo, put(repo, ("link", 0, None), ("link/x", 0o100644, "x")))
    assert os.listdir(tmp_path / "out") == [] and (repo.path / "link/x").read_text() == "x"


def test_a_directory_with_unnamed_files_stays(repo):
    repo.write("d/mine", "mine")
    wanted = put(repo, ("d/c", 0, None), ("d", 0o100644, "file"))
    with pytest.raises(HeldBack, match="d/mine is in the way"):
        apply(repo, wanted)
    (repo.path / "d/mine").unlink()
    apply(repo, wanted)
    assert (repo.path / "d").read_text() == "file"


def test_a_missing_blob_changes_nothing(repo):
    wanted = put(repo, ("a", 0o100644, "2\n"))
    bad = Put(wanted.worktree, wanted.gitdir, (*wanted.changes, PathChange("b", 0o100644, "1" * 40)))
    with pytest.raises(CannotRun, match="content of b is missing"):
        apply(repo, bad)
    assert repo.git("status", "--porcelain") == ""


def test_what_is_written_meanwhile_is_never_lost(repo, monkeypatch):
    real = fs_rename.exchange

    def editing(*args, **keywords):
        (repo.path / "b").write_text("mine")
        return real(*args, **keywords)

    monkeypatch.setattr(fs_rename, "exchange", editing)
    with pytest.raises(WorldMoved):
        apply(repo, put(repo, ("a", 0o100644, "2\n"), ("b", 0o100644, "2\n")))
    assert repo.git("status", "--porcelain") == " M b" and (repo.path / "b").read_text() == "mine"


def test_what_is_written_to_the_old_file_at_the_last_moment_is_kept_and_named(repo, monkeypatch):
    real = fs_swap.rescue
    with (repo.path / "a").open("a") as file:

        def late(*args, **keywords):
            file.write("late\n")
            file.flush()
            return real(*args, **keywords)

        monkeypatch.setattr(fs_swap, "rescue", late)
        moved = apply(repo, put(repo, ("a", 0o100644, "2\n")))
    (kept,) = moved.rescued
    with open(kept) as saved:
        assert saved.read() == "1\nlate\n"
    assert (repo.path / "a").read_text() == "2\n"


def test_an_abort_after_a_person_went_on_keeps_both(repo, monkeypatch):
    """Killed half-way; the file that is new already is edited; then everything is taken back."""
    wanted = put(repo, ("a", 0o100644, "2\n"), ("b", 0o100644, "2\n"))

    class Killed(BaseException):
        pass

    def killed(*args, **keywords):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(follow_refs, "move", killed)
        patch.setattr(follow_target, "take_back", killed)
        with pytest.raises(Killed):
            apply(repo, wanted)
    assert probe(repo, wanted) is Position.BETWEEN
    repo.write("a", "2\nmine\n")
    (kept,) = follow_put.revert(Git(repo.path), wanted, "run", "lane")
    with open(kept) as saved:
        assert saved.read() == "1\n"
    assert (repo.path / "a").read_text() == "2\nmine\n" and (repo.path / "b").read_text() == "1\n"
    assert probe(repo, wanted) is Position.BEFORE
    assert not follow_stage.place(wanted.gitdir, "run", "lane").exists()


def test_killed_while_it_cleaned_up_it_is_done(repo, monkeypatch):
    """So that an abort takes it back, and does not take what is there for what was there before."""
    wanted = put(repo, ("a", 0o100644, "2\n"))

    class Killed(BaseException):
        pass

    def killed(*args, **keywords):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(fs_swap, "rescue", killed)
        with pytest.raises(Killed):
            apply(repo, wanted)
    assert follow_put.uncleaned(wanted, "run", "lane") and probe(repo, wanted) is Position.AFTER
    # The log goes before its directory.
    (follow_stage.place(wanted.gitdir, "run", "lane") / "done.json").unlink()
    assert probe(repo, wanted) is Position.AFTER
    apply(repo, wanted)
    assert not follow_put.uncleaned(wanted, "run", "lane") and probe(repo, wanted) is Position.AFTER


def test_a_mode_alone(repo):
    repo.write("a", "1\n").chmod(0o755)
    apply(repo, put(repo, ("a", 0o100644, "1\n")))
    assert stat.S_IMODE((repo.path / "a").stat().st_mode) == 0o644
    assert repo.git("status", "--porcelain") == ""
